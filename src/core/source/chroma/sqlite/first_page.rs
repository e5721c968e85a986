//! A file whose beginning is not SQLite's: whether the rest of it is.
//!
//! Stage: source. Promise: reads 32 pages of each possible size at most. Imports nothing of this crate.
//!
//! | offset of a B-tree page | bytes, big-endian | meaning |
//! | --- | --- | --- |
//! | 0 | 1 | 2 and 5 inner pages, 10 and 13 leaves |
//! | 3 | 2 | number of cells |
//! | 5 | 2 | where the cells' content begins; 0 is 65536 |
//!
//! Source: "Database File Format" in SQLite's documentation, section 1.6.

use std::io;

/// Page sizes, Chroma's own first.
const SIZES: [usize; 8] = [4096, 1024, 512, 2048, 8192, 16384, 32768, 65536];
/// Pages that are looked at, spread over the file.
const LOOKED_AT: u64 = 32;
/// Pages that have to look like a B-tree's: by chance one of a hundred does.
const ENOUGH: u64 = 2;

/// Whether pages after the first one are those of a SQLite database of so many `bytes`. `read` reads from an offset.
pub(super) fn is_all_that_is_damaged(
    bytes: u64,
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
) -> bool {
    SIZES.into_iter().any(|size| {
        let pages = bytes / size as u64;
        let step = pages.div_ceil(LOOKED_AT).max(1);
        let mut page = vec![0_u8; 8];
        let mut found = 0;
        let mut at = 1;
        while at < pages {
            let whole = read(&mut page, at * size as u64).is_ok_and(|read| read == page.len());
            found += u64::from(whole && is_btree(&page, size));
            at += step;
        }
        let looked_at = pages.saturating_sub(1).div_ceil(step);
        found >= ENOUGH && found * 4 >= looked_at
    })
}

/// Whether a page of `size` bytes that begins so is one of a B-tree.
fn is_btree(page: &[u8], size: usize) -> bool {
    let [kind, _, _, cells_1, cells_2, content_1, content_2, ..] = *page else {
        return false;
    };
    let header = match kind {
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return false,
    };
    let cells = usize::from(u16::from_be_bytes([cells_1, cells_2]));
    let content = match u16::from_be_bytes([content_1, content_2]) {
        0 => 65536,
        content => usize::from(content),
    };
    (header + 2 * cells..=size).contains(&content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(bytes: &[u8]) -> bool {
        is_all_that_is_damaged(bytes.len() as u64, |into, at| {
            let at = usize::try_from(at).unwrap();
            let there = bytes.get(at..at + into.len());
            there.map_or(Ok(0), |there| {
                into.copy_from_slice(there);
                Ok(into.len())
            })
        })
    }

    #[test]
    fn pages_of_b_trees_tell_a_database_of_any_page_size() {
        for size in SIZES {
            let mut file = vec![7; 10 * size];
            assert!(!looks(&file), "{size}");
            for page in 2..7 {
                // A leaf of three cells, whose content begins at the end of the page.
                let content = u16::try_from(size - 100).unwrap().to_be_bytes();
                let start = [13, 0, 0, 0, 3, content[0], content[1], 0];
                file[page * size..page * size + 8].copy_from_slice(&start);
            }
            assert!(looks(&file), "{size}");
        }
    }

    #[test]
    fn zeros_text_and_short_files_are_none() {
        assert!(!looks(&[]));
        assert!(!looks(&[0; 65536]));
        assert!(!looks(
            &b"version https://git-lfs.github.com/spec/v1\n".repeat(1000)
        ));
    }
}
