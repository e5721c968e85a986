//! A database file that is shorter than its header says: the end of a copy is missing.
//!
//! Stage: source. Promise: only a private copy is changed. May import `error` and `layout`.
//!
//! SQLite does not open such a file. A copy that says how many whole pages it has is one that it opens, and pages
//! beyond are pages that cannot be read. Half a page is left off: its rows would seem to be empty.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::source::error::SourceError;

/// Where the header has the number of pages.
const COUNT: u64 = 28;

/// What is left of a database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    page: u64,
    /// Whole pages that are there.
    there: u32,
    /// Pages that the header tells.
    all: u32,
}

impl Cut {
    /// Looks at a file of `bytes` with this header; `None` if it is not cut, or no page of it is left.
    pub fn of(header: &[u8; 100], bytes: u64) -> Option<Cut> {
        let page = page_size(header)?;
        let word = |at: usize| {
            let bytes = header.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        let all = word(28)?;
        // Releases of SQLite before 3.7 did not keep the number.
        let kept = word(24)? == word(92)?;
        let there = u32::try_from(bytes.checked_div(page)?).ok()?;
        (kept && page >= 512 && there > 0 && there < all).then_some(Cut { page, there, all })
    }

    /// Makes the private copy `file` one that SQLite opens.
    pub fn mend(&self, file: &Path) -> Result<(), SourceError> {
        let write = || -> io::Result<()> {
            let target = OpenOptions::new().write(true).open(file)?;
            target.set_len(self.page.saturating_mul(u64::from(self.there)))?;
            target.write_all_at(&self.there.to_be_bytes(), COUNT)
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

/// Bytes of a page, as the header tells.
pub(crate) fn page_size(header: &[u8; 100]) -> Option<u64> {
    let (_, bytes) = header.first_chunk::<18>()?.split_last_chunk::<2>()?;
    Some(match u16::from_be_bytes(*bytes) {
        1 => 65536,
        small => u64::from(small),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_what_is_missing() {
        let mut header = [0_u8; 100];
        header[16..18].copy_from_slice(&4096_u16.to_be_bytes());
        header[28..32].copy_from_slice(&10_u32.to_be_bytes());
        let cut = |header: &[u8; 100], bytes| Cut::of(header, bytes).map(|cut| cut.there);
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
