//! A database file that is shorter than its header says: the end of a copy is missing.
//!
//! Stage: source. Promise: only a private copy is changed. May import `sqlite::header`.
//!
//! SQLite does not open such a file. It opens a copy whose header has the number of whole pages that are there, and reports
//! the missing pages as unreadable where it needs them. Half a page is cut off: its rows would seem to be empty.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::source::chroma::sqlite::header::{DatabaseHeader, PAGE_COUNT_AT};
use crate::source::error::SourceError;

/// What is left of a database file that is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated {
    page_size: u64,
    /// Whole pages that are there.
    there: u32,
    /// Pages that there were, by the header.
    all: u32,
}

impl Truncated {
    /// Looks at a file of `bytes` with this header; `None` if it is not cut short, or no page of it is left.
    pub fn of(header: &DatabaseHeader, bytes: u64) -> Option<Truncated> {
        let page_size = header.page_size()?;
        let all = header.page_count()?;
        let there = u32::try_from(bytes.checked_div(page_size)?).ok()?;
        (page_size >= 512 && there > 0 && there < all).then_some(Truncated {
            page_size,
            there,
            all,
        })
    }

    /// Makes the private copy `file` one that SQLite opens.
    pub fn mend(&self, file: &Path) -> Result<(), SourceError> {
        let write = || -> io::Result<()> {
            let target = OpenOptions::new().write(true).open(file)?;
            target.set_len(self.page_size.saturating_mul(u64::from(self.there)))?;
            target.write_all_at(&self.there.to_be_bytes(), PAGE_COUNT_AT)
        };
        write().map_err(|source| SourceError::Io {
            path: file.to_owned(),
            source,
        })
    }

    /// What is missing, as a sentence about `path`.
    pub fn warning(&self, path: &Path) -> String {
        format!(
            "{path:?} is cut short: {} of its {} pages are there",
            self.there, self.all
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_what_is_missing() {
        let mut header = [0_u8; 100];
        header[16..18].copy_from_slice(&4096_u16.to_be_bytes());
        header[28..32].copy_from_slice(&10_u32.to_be_bytes());
        let cut = |header: &[u8; 100], bytes| {
            Truncated::of(&DatabaseHeader(*header), bytes).map(|found| found.there)
        };
        assert_eq!(cut(&header, 10 * 4096), None);
        assert_eq!(cut(&header, 10 * 4096 - 1), Some(9));
        assert_eq!(cut(&header, 4096), Some(1));
        assert_eq!(cut(&header, 4095), None);
        header[24] = 1;
        assert_eq!(cut(&header, 4096), None);
        header[24] = 0;
        header[16..18].copy_from_slice(&[0, 1]);
        assert_eq!(cut(&header, 3 * 65536), Some(3));
        header[16..18].copy_from_slice(&[0, 0]);
        assert_eq!(cut(&header, 3 * 65536), None);
    }
}
