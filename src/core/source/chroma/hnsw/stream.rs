//! The first bytes of a file, read in pieces from the beginning.
//!
//! Stage: source. Promise: what is returned is what the file holds, or an error; memory is a megabyte, or one piece if that is
//! larger. May import `elements`.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::elements::read_at;
use crate::source::error::SourceError;
use crate::source::stop::check_stop;

/// Bytes read at once.
const STEP: usize = 1 << 20;

/// What is left of a file.
pub(crate) struct Stream<'a> {
    file: File,
    path: &'a Path,
    /// Where the next bytes are read.
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    /// What of the buffer was given already.
    given: usize,
    stop: &'a AtomicBool,
}

impl Stream<'_> {
    /// The first `end` bytes of `file`, which has so many.
    pub fn new<'a>(file: File, path: &'a Path, end: u64, stop: &'a AtomicBool) -> Stream<'a> {
        Stream {
            file,
            path,
            at: 0,
            end,
            buffer: Vec::new(),
            given: 0,
            stop,
        }
    }

    /// The next `size` bytes; `None` if there are fewer.
    pub fn next(&mut self, size: usize) -> Result<Option<&[u8]>, SourceError> {
        let left = self.buffer.len().saturating_sub(self.given);
        if left < size {
            let rest = self.end.saturating_sub(self.at);
            let more = size.saturating_sub(left);
            if u64::try_from(more).unwrap_or(u64::MAX) > rest {
                return Ok(None);
            }
            check_stop(self.stop)?;
            let some = more
                .max(STEP)
                .min(usize::try_from(rest).unwrap_or(usize::MAX));
            self.buffer.drain(..self.given);
            self.given = 0;
            self.buffer.resize(left.saturating_add(some), 0);
            let into = self.buffer.get_mut(left..).unwrap_or_default();
            read_at(&self.file, self.path, into, self.at)?;
            self.at = self.at.saturating_add(u64::try_from(some).unwrap_or(0));
        }
        let from = self.given;
        self.given = from.saturating_add(size);
        Ok(self.buffer.get(from..self.given))
    }
}
