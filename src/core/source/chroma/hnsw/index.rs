//! The index files of a vector segment.
//!
//! Stage: source. Promise: read with positioned reads, never mapped (a file that another process shortens would kill the
//! server); every offset comes from a checked header. May import `elements`, `header`, `labels` and `files`.
//!
//! A slot is what hnswlib calls an internal id: the number of an element, counted from 0.
//!
//! `data_level0.bin`, element i at byte i x S:
//!
//! | offset | type | field |
//! | --- | --- | --- |
//! | +2 | u8 | bit 0: deleted |
//! | +D | f32 x dimension | the vector; normalised in cosine spaces |
//! | +L | u64 | label |
//!
//! `length.bin`, f32 by slot: the original length in cosine spaces, garbage in others. The file of elements may be
//! longer or shorter than the capacity.

use std::sync::atomic::AtomicBool;

use super::elements::{ElementFile, read_at};
use super::header::HnswHeader;
use super::labels::Labels;
use crate::source::chroma::files::floats::floats;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{ELEMENTS, LENGTHS};
use crate::source::error::SourceError;

/// An open index.
pub(crate) struct HnswIndex {
    /// The header.
    pub header: HnswHeader,
    elements: ElementFile,
    /// The element read last, little-endian.
    bytes: Vec<u8>,
    lengths: Option<Vec<f32>>,
    /// Slots that the files really hold.
    pub slots: u32,
}

impl HnswIndex {
    /// Opens the files in `folder`, that of lengths only for a cosine space.
    pub fn open(
        header: HnswHeader,
        folder: &Folder,
        cosine: bool,
    ) -> Result<HnswIndex, SourceError> {
        let (file, metadata) = folder.open_file(ELEMENTS)?;
        let whole = metadata
            .len()
            .checked_div(header.stride)
            .unwrap_or(0)
            .min(header.count);
        let lengths = cosine.then(|| read_lengths(folder, whole)).transpose()?;
        Ok(HnswIndex {
            header,
            elements: ElementFile::new(file, &folder.at(ELEMENTS), &metadata, header.stride, whole),
            bytes: Vec::new(),
            lengths,
            slots: u32::try_from(whole).unwrap_or(u32::MAX - 1),
        })
    }

    /// Slots by label, without deleted ones; and how many elements have a label that others have too.
    pub fn labels(&self, stop: &AtomicBool) -> Result<(Labels, u64), SourceError> {
        let mut labels = Vec::new();
        self.elements
            .each(self.header.label, stop, |slot, flags, label| {
                if flags & 1 == 0 {
                    labels.push((label, u32::try_from(slot).unwrap_or(u32::MAX)));
                }
            })?;
        Ok(Labels::new(labels))
    }

    /// The vector of `slot` as the file has it.
    pub fn raw(&mut self, slot: u32) -> Result<Vec<f32>, SourceError> {
        if slot >= self.slots {
            let what = format!("it has no element {slot}");
            return Err(SourceError::damaged(&self.elements.path, None, what));
        }
        let size = usize::try_from(u64::from(self.header.dimension) * 4).unwrap_or(0);
        self.bytes.resize(size, 0);
        self.elements
            .read(slot.into(), self.header.vector, &mut self.bytes)?;
        Ok(floats(&self.bytes).unwrap_or_default())
    }

    /// The original length of the vector of `slot`; `None` where the file ends before it.
    pub fn length(&self, slot: u32) -> Option<f32> {
        self.lengths
            .as_ref()?
            .get(usize::try_from(slot).ok()?)
            .copied()
    }
}

fn read_lengths(folder: &Folder, slots: u64) -> Result<Vec<f32>, SourceError> {
    let path = &folder.at(LENGTHS);
    let (file, metadata) = folder.open_file(LENGTHS)?;
    let bytes = metadata.len().min(slots.saturating_mul(4)) / 4 * 4;
    let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
    read_at(&file, path, &mut buffer, 0)?;
    Ok(floats(&buffer).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::header::tests::{header, parsed};
    use super::*;

    /// An element with the label and a vector of (label, label + 0.5).
    fn element(label: u64, deleted: bool) -> Vec<u8> {
        let mut bytes = vec![0; 20];
        bytes[2] = u8::from(deleted);
        bytes.extend((label as f32).to_le_bytes());
        bytes.extend((label as f32 + 0.5).to_le_bytes());
        bytes.extend(label.to_le_bytes());
        bytes
    }

    fn index(elements: &[Vec<u8>], claimed: u64, cut: usize) -> (tempfile::TempDir, HnswIndex) {
        let folder = tempfile::tempdir().unwrap();
        let bytes = elements.concat();
        std::fs::write(folder.path().join(ELEMENTS), &bytes[..bytes.len() - cut]).unwrap();
        let opened = Folder::open(folder.path()).unwrap();
        let index = HnswIndex::open(parsed(&header(claimed, 2)).unwrap(), &opened, false).unwrap();
        (folder, index)
    }

    #[test]
    fn deleted_and_doubled_labels_are_left_out() {
        let elements = [
            element(9, false),
            element(3, true),
            element(4, false),
            element(5, false),
            element(5, false),
        ];
        let (_folder, mut index) = index(&elements, 5, 0);
        let (labels, doubled) = index.labels(&AtomicBool::new(false)).unwrap();
        let slots = [3, 4, 5, 9].map(|label| labels.slot(label));
        assert_eq!(slots, [None, Some(2), None, Some(0)]);
        assert_eq!(doubled, 2);
        assert_eq!(index.raw(0).unwrap(), [9.0, 9.5]);
        assert_eq!(index.raw(2).unwrap(), [4.0, 4.5]);
    }

    #[test]
    fn a_cut_file_holds_what_is_whole() {
        let (_folder, mut index) = index(&[element(1, false), element(2, false)], 2, 1);
        assert_eq!(index.slots, 1);
        let (labels, _) = index.labels(&AtomicBool::new(false)).unwrap();
        assert_eq!((labels.slot(1), labels.slot(2)), (Some(0), None));
        assert!(index.raw(1).is_err());
        assert!(index.raw(u32::MAX).is_err());
    }

    #[test]
    fn vectors_across_blocks_are_whole() {
        let elements: Vec<_> = (0..20_000).map(|label| element(label, false)).collect();
        let (_folder, mut index) = index(&elements, 20_000, 0);
        for slot in (0..20_000).step_by(7).chain((0..20_000).rev().step_by(11)) {
            assert_eq!(index.raw(slot).unwrap(), [slot as f32, slot as f32 + 0.5]);
        }
        let (labels, _) = index.labels(&AtomicBool::new(false)).unwrap();
        assert!((0..20_000).all(|label| labels.slot(label.into()) == Some(label)));
        assert!(matches!(
            index.labels(&AtomicBool::new(true)),
            Err(SourceError::Interrupted)
        ));
    }

    #[test]
    fn a_file_that_became_shorter_is_noticed() {
        let elements: Vec<_> = (0..20_000).map(|label| element(label, false)).collect();
        let (folder, mut index) = index(&elements, 20_000, 0);
        std::fs::write(folder.path().join("data_level0.bin"), b"").unwrap();
        assert!(matches!(index.raw(19_999), Err(SourceError::Busy { .. })));
    }
}
