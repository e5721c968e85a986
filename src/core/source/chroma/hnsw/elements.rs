//! `data_level0.bin`, read in blocks of several elements.
//!
//! Stage: source. Promise: what is returned is of the file as it was when it was opened, or an error; memory is bounded,
//! whatever the file holds. May import `files::file_stat`.
//!
//! Vectors are read in the order of records. Chroma 1.x puts the vectors of one `add` into slots in any order, 0.x those of a
//! hundred: if most records are read, an element's neighbours are needed soon after it. So blocks are kept for a while; if few
//! vectors of a block are needed, elements are read one by one.

use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::source::chroma::files::file_stat::FileStat;
use crate::source::error::SourceError;
use crate::source::stop::check_stop;

/// Bytes of a block, about.
const BLOCK: u64 = 64 << 10;
/// Blocks that are kept: 10 MB, more than an `add` of 5,000 vectors of 384 dimensions takes.
const FRAMES: usize = 160;
/// With fewer elements than this in a block, elements are read one by one.
const FEW: u64 = 4;
/// So many blocks are read before their hits are counted: more than are kept, as those of one `add` are all read before most
/// of its vectors are found in them. If there were few hits, `PAUSE` elements are read one by one before blocks are tried
/// again.
const TRIAL: u32 = 400;
const PAUSE: u32 = 65_536;

/// The file, as it was when it was opened.
pub(crate) struct ElementFile {
    file: File,
    pub path: PathBuf,
    stat: FileStat,
    /// Bytes of an element.
    stride: u64,
    /// Elements that the file really holds.
    count: u64,
    frames: Vec<Frame>,
    /// Blocks read, and elements found in blocks that were in memory, since the hits were counted last.
    loads: u32,
    hits: u32,
    /// Elements to be read one by one before blocks are tried again.
    pause: u32,
}

/// A block in memory, at its number modulo [`FRAMES`].
#[derive(Default)]
struct Frame {
    /// Its number, counted from 1; 0: none.
    block: u64,
    bytes: Vec<u8>,
}

impl ElementFile {
    /// The open `file` of `count` elements of `stride` bytes.
    pub fn new(
        file: File,
        path: &Path,
        metadata: &Metadata,
        stride: u64,
        count: u64,
    ) -> ElementFile {
        ElementFile {
            file,
            path: path.to_owned(),
            stat: FileStat::of(metadata),
            stride,
            count,
            frames: Vec::new(),
            loads: 0,
            hits: 0,
            pause: 0,
        }
    }

    /// The bytes from `offset` on of the element `slot`, `into` full of them.
    pub fn read(&mut self, slot: u64, offset: u64, into: &mut [u8]) -> Result<(), SourceError> {
        let a_block = BLOCK.checked_div(self.stride).unwrap_or(0);
        if a_block < FEW || self.pause > 0 {
            self.pause = self.pause.saturating_sub(1);
            return self.exactly(
                slot.saturating_mul(self.stride).saturating_add(offset),
                into,
            );
        }
        let block = slot / a_block;
        let from = (slot % a_block)
            .saturating_mul(self.stride)
            .saturating_add(offset);
        if self.frames.is_empty() {
            self.frames.resize_with(FRAMES, Frame::default);
        }
        let at = usize::try_from(block).unwrap_or(0) % FRAMES;
        let there = |frame: &&mut Frame| frame.block == block.saturating_add(1);
        if self.frames.get_mut(at).filter(there).is_some() {
            self.hits = self.hits.saturating_add(1);
        } else if !self.load(at, block, a_block) {
            // What cannot be read may be another part of the block.
            return self.exactly(
                slot.saturating_mul(self.stride).saturating_add(offset),
                into,
            );
        }
        let bytes = self.frames.get(at).map_or(&[][..], |frame| &frame.bytes);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        match bytes.get(from..from.saturating_add(into.len())) {
            Some(found) => into.copy_from_slice(found),
            None => return Err(SourceError::busy(&self.path, SHORTER)),
        }
        Ok(())
    }

    /// Reads a block into the frame `at`; whether it could be read, and is of the file that was opened.
    fn load(&mut self, at: usize, block: u64, elements: u64) -> bool {
        if self.loads >= TRIAL {
            // Three elements of a block pay for it.
            if self.hits < 3 * self.loads {
                self.pause = PAUSE;
            }
            (self.loads, self.hits) = (0, 0);
        }
        self.loads = self.loads.saturating_add(1);
        let first = block.saturating_mul(elements);
        let bytes = self
            .count
            .saturating_sub(first)
            .min(elements)
            .saturating_mul(self.stride);
        let size = usize::try_from(bytes).unwrap_or(0);
        let Some(frame) = self.frames.get_mut(at) else {
            return false;
        };
        frame.block = 0;
        frame.bytes.resize(size, 0);
        let start = first.saturating_mul(self.stride);
        let read = self.file.read_exact_at(&mut frame.bytes, start).is_ok();
        let same = read
            && self
                .file
                .metadata()
                .is_ok_and(|now| FileStat::of(&now) == self.stat);
        if same {
            frame.block = block.saturating_add(1);
        }
        same
    }

    /// Reads at `at` of the file.
    fn exactly(&self, at: u64, into: &mut [u8]) -> Result<(), SourceError> {
        read_at(&self.file, &self.path, into, at)?;
        // A write changes the time before the bytes: what was read is of the file that was opened.
        let now = self.file.metadata().map_err(|source| SourceError::Io {
            path: self.path.clone(),
            source,
        })?;
        if FileStat::of(&now) != self.stat {
            return Err(SourceError::busy(
                &self.path,
                "another process changed it while it was read",
            ));
        }
        Ok(())
    }

    /// Gives the flags (at +2) and the label (at `label`) of every element to `each`, in the order of slots. Changes
    /// of the file meanwhile are not looked for.
    pub fn each(
        &self,
        label: u64,
        stop: &AtomicBool,
        mut each: impl FnMut(u64, u8, u64),
    ) -> Result<(), SourceError> {
        /// Bytes read at once.
        const STEP: u64 = 1 << 20;
        let stride = usize::try_from(self.stride).unwrap_or(usize::MAX).max(1);
        let label = usize::try_from(label).unwrap_or(usize::MAX);
        let a_step = (STEP / self.stride.max(1)).max(1);
        let mut bytes = Vec::new();
        let mut slot = 0_u64;
        while slot < self.count {
            check_stop(stop)?;
            let some = self.count.saturating_sub(slot).min(a_step);
            bytes.resize(
                usize::try_from(some.saturating_mul(self.stride)).unwrap_or(0),
                0,
            );
            let at = slot.saturating_mul(self.stride);
            if read_at(&self.file, &self.path, &mut bytes, at).is_err() {
                // What cannot be read may be between the labels.
                bytes.fill(0);
                for (element, at) in bytes.chunks_exact_mut(stride).zip((at..).step_by(stride)) {
                    let (head, tail) = element.split_at_mut(label.min(element.len()));
                    let behind = at.saturating_add(u64::try_from(label).unwrap_or(0));
                    for (part, at) in [(head.get_mut(..3), at), (tail.get_mut(..8), behind)] {
                        read_at(&self.file, &self.path, part.unwrap_or_default(), at)?;
                    }
                }
            }
            for element in bytes.chunks_exact(stride) {
                let word = element.get(label..).and_then(|rest| rest.first_chunk());
                if let (Some(flags), Some(word)) = (element.get(2), word) {
                    each(slot, *flags, u64::from_le_bytes(*word));
                }
                slot = slot.saturating_add(1);
            }
        }
        Ok(())
    }
}

const SHORTER: &str = "it became shorter while it was read";

/// Fills `into` from `at` of the file.
pub(crate) fn read_at(
    file: &File,
    path: &Path,
    into: &mut [u8],
    at: u64,
) -> Result<(), SourceError> {
    file.read_exact_at(into, at)
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => SourceError::busy(path, SHORTER),
            _ => SourceError::Io {
                path: path.to_owned(),
                source,
            },
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIDE: usize = 1000;

    /// A file of elements that begin with their number and have it again at 500.
    fn elements(count: u32) -> (tempfile::TempDir, ElementFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data_level0.bin");
        let mut bytes = vec![0; STRIDE * count as usize];
        for (number, element) in (0_u32..).zip(bytes.chunks_mut(STRIDE)) {
            element[500..504].copy_from_slice(&number.to_le_bytes());
        }
        std::fs::write(&path, &bytes).unwrap();
        let file = File::open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        let elements = ElementFile::new(file, &path, &metadata, STRIDE as u64, count.into());
        (folder, elements)
    }

    fn number(elements: &mut ElementFile, slot: u32) -> u32 {
        let mut word = [0; 4];
        elements.read(slot.into(), 500, &mut word).unwrap();
        u32::from_le_bytes(word)
    }

    #[test]
    fn neighbours_come_from_blocks_and_scattered_ones_do_not() {
        let (_folder, mut elements) = elements(40_000);
        for slot in (0..5_000).rev().chain(0..5_000) {
            assert_eq!(number(&mut elements, slot), slot);
        }
        assert_eq!(elements.pause, 0);
        for slot in (0..40_000).step_by(97).cycle().take(2_000) {
            assert_eq!(number(&mut elements, slot), slot);
        }
        assert!(elements.pause > 0);
        assert_eq!(number(&mut elements, 39_999), 39_999);
    }

    #[test]
    fn an_add_in_any_order_is_read_in_blocks() {
        let (_folder, mut elements) = elements(9_000);
        // Step 3,527 has no factor in common with 9,000: each element once, never two neighbours in a row.
        for at in 0..9_000 {
            let slot = at * 3_527 % 9_000;
            assert_eq!(number(&mut elements, slot), slot);
        }
        assert_eq!((elements.pause, elements.loads), (0, 139));
    }

    #[test]
    fn a_block_that_is_in_memory_stays_what_it_was() {
        let (folder, mut elements) = elements(1_000);
        assert_eq!(number(&mut elements, 7), 7);
        std::fs::write(
            folder.path().join("data_level0.bin"),
            vec![9; 1_000 * STRIDE],
        )
        .unwrap();
        assert_eq!(number(&mut elements, 8), 8);
        let read = elements.read(900, 500, &mut [0; 4]);
        assert!(matches!(read, Err(SourceError::Busy { .. })));
    }
}
