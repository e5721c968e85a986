//! The header of a SQLite file, as far as a reader has to know it.
//!
//! Stage: source. Imports nothing of this crate.
//!
//! | offset | bytes, big-endian | meaning |
//! | --- | --- | --- |
//! | 0 | 16 | `SQLite format 3` and a zero byte |
//! | 16 | 2 | page size; 1 is 65536 |
//! | 18 | 1 | write version: 1 rollback journal, 2 write-ahead log |
//! | 19 | 1 | read version: the same |
//! | 24 | 4 | file change counter |
//! | 28 | 4 | number of pages, if the number at 92 equals the counter |
//! | 92 | 4 | the counter when the number of pages was written |

/// Bytes of the header.
pub(crate) const HEADER_BYTES: usize = 100;
/// Where the header has the number of pages.
pub(crate) const PAGE_COUNT_AT: u64 = 28;

const MAGIC: &[u8] = b"SQLite format 3\0";

/// The first bytes of a SQLite file. Nothing of it is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DatabaseHeader(pub [u8; HEADER_BYTES]);

impl DatabaseHeader {
    /// Whether it is one of a SQLite file.
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with(MAGIC)
    }

    /// Whether the database is in write-ahead mode.
    pub fn write_ahead(&self) -> bool {
        let versions = self.0.get(18..20);
        versions.is_some_and(|versions| versions.contains(&2))
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> Option<u64> {
        let (_, bytes) = self.0.first_chunk::<18>()?.split_last_chunk::<2>()?;
        Some(match u16::from_be_bytes(*bytes) {
            1 => 65536,
            small => u64::from(small),
        })
    }

    /// The number of pages; `None` if the file was last written by SQLite before 3.7, which did not keep it.
    pub fn page_count(&self) -> Option<u32> {
        let word = |at: usize| {
            let bytes = self.0.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        (word(24)? == word(92)?).then(|| word(28))?
    }
}
