//! A file with sectors that the disk cannot read.
//!
//! Stage: source. Promise: a page that cannot be read is filled with bytes that no page of a database begins with. Imports
//! nothing of this crate.

use std::io;

use rustix::io::Errno;

/// What a lost page is filled with: no kind of page, no text.
const LOST: u8 = 0xff;

/// Reads as `read` does, from `at` on; where the disk fails, page by page. The second number is how many pages were
/// lost.
pub(crate) fn read_around(
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    page: usize,
    into: &mut [u8],
    at: u64,
) -> io::Result<(usize, u64)> {
    match read(into, at) {
        Err(error) if failing(&error) => {}
        other => return other.map(|got| (got, 0)),
    }
    let (mut got, mut lost) = (0_usize, 0_u64);
    for piece in into.chunks_mut(page.max(512)) {
        let from = at.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
        let here = match read(piece, from) {
            Ok(here) => here,
            Err(error) if failing(&error) => {
                piece.fill(LOST);
                lost = lost.saturating_add(1);
                piece.len()
            }
            Err(error) => return Err(error),
        };
        got = got.saturating_add(here);
        if here < piece.len() {
            break;
        }
    }
    Ok((got, lost))
}

fn failing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 10,000 bytes, of which 5,000 to 5,099 cannot be read.
    fn read(into: &mut [u8], at: u64) -> io::Result<usize> {
        let at = usize::try_from(at).unwrap();
        let end = 10_000.min(at + into.len());
        if at < 5100 && end > 5000 {
            return Err(Errno::IO.into());
        }
        into[..end - at].fill(7);
        Ok(end - at)
    }

    #[test]
    fn only_the_page_of_the_sector_is_lost() {
        let mut bytes = vec![0; 16384];
        let found = read_around(read, 1024, &mut bytes, 0).unwrap();
        assert_eq!(found, (10_000, 1));
        assert!(bytes[..4096].iter().all(|byte| *byte == 7));
        assert!(bytes[4096..5120].iter().all(|byte| *byte == LOST));
        assert!(bytes[5120..10_000].iter().all(|byte| *byte == 7));
        let found = read_around(read, 1024, &mut bytes, 6144).unwrap();
        assert_eq!(found, (3856, 0));
    }

    #[test]
    fn other_errors_stay_errors() {
        let denied = |_: &mut [u8], _| Err(Errno::ACCESS.into());
        assert!(read_around(denied, 1024, &mut [0; 2048], 0).is_err());
    }
}
