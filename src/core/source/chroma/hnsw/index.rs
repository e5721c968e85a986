//! The index files of a vector segment.
//!
//! Stage: source. Promise: read with positioned reads, never mapped (a file that another
//! process shortens would kill the server); every offset comes from a checked header. May import `elements`,
//! `error`, `folder`, `layout` and `queue` (for the decoding of f32).
//!
//! `header.bin`, 100 bytes, packed, little-endian:
//!
//! | offset | type | field |
//! | --- | --- | --- |
//! | 0 | i32 | persistence version, 1 |
//! | 4 | u64 | offset of level 0, 0 |
//! | 12 | u64 | capacity |
//! | 20 | u64 | slots in use, deleted ones included |
//! | 28 | u64 | S, bytes of an element: L + 8 |
//! | 36 | u64 | L, offset of the label: D + 4 x dimension |
//! | 44 | u64 | D, offset of the vector: 4 + 4 x neighbours |
//! | 52 | i32, u32 | top level, entry point |
//! | 60 | u64, u64, u64 | M, neighbours at level 0, M |
//! | 84 | f64, u64 | level factor, construction breadth |
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

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::elements::{Elements, read_at};
use super::labels::Labels;
use crate::source::chroma::files::floats::floats;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{ELEMENTS, HEADER, LENGTHS};
use crate::source::error::SourceError;

/// Bytes of `header.bin`.
pub(crate) const HEADER_BYTES: usize = 100;
const VERSION: i32 = 1;
const LARGEST_ELEMENT: u64 = 1 << 24;

/// The checked fields of `header.bin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Slots in use.
    pub count: u64,
    /// Bytes of an element.
    pub stride: u64,
    label: u64,
    /// Where in an element its vector begins.
    pub vector: u64,
    /// Dimensions.
    pub dimension: u32,
}

impl Header {
    /// Reads and checks the header in `folder`.
    pub fn read(folder: &Folder) -> Result<Header, SourceError> {
        let path = &folder.at(HEADER);
        let (file, metadata) = folder.open_file(HEADER)?;
        let mut bytes = [0; HEADER_BYTES];
        if metadata.len() != 100 {
            return Err(damaged(
                path,
                None,
                format!("it has {} bytes, not 100", metadata.len()),
            ));
        }
        read_at(&file, path, &mut bytes, 0)?;
        Header::parse(&bytes, path)
    }

    /// Checks the 100 bytes of a header.
    pub fn parse(bytes: &[u8; HEADER_BYTES], path: &Path) -> Result<Header, SourceError> {
        let field = |at: usize| {
            bytes
                .get(at..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |word| u64::from_le_bytes(*word))
        };
        let version = bytes
            .first_chunk()
            .map_or(0, |word| i32::from_le_bytes(*word));
        if version != VERSION {
            return Err(SourceError::UnknownLayout {
                path: path.to_owned(),
                what: format!("persistence version {version} of the vector index"),
            });
        }
        let wrong = |at: u64, what: &str| Err(damaged(path, Some(at), what.to_owned()));
        let (start, capacity, count) = (field(4), field(12), field(20));
        let (stride, label, vector, neighbours) = (field(28), field(36), field(44), field(68));
        if start != 0 {
            return wrong(4, "level 0 does not begin at 0");
        }
        if count > capacity || count > u64::from(u32::MAX - 1) {
            return wrong(20, "more slots in use than there are");
        }
        if stride > LARGEST_ELEMENT || label.checked_add(8) != Some(stride) {
            return wrong(28, "the size of an element does not fit its label");
        }
        if neighbours
            .checked_mul(4)
            .and_then(|bytes| bytes.checked_add(4))
            != Some(vector)
        {
            return wrong(44, "the vector does not follow the neighbours");
        }
        let dimension = label
            .checked_sub(vector)
            .filter(|bytes| *bytes > 0 && bytes.is_multiple_of(4));
        match dimension.map(|bytes| u32::try_from(bytes / 4)) {
            Some(Ok(dimension)) => Ok(Header {
                count,
                stride,
                label,
                vector,
                dimension,
            }),
            _ => wrong(36, "no room for a vector before the label"),
        }
    }
}

/// An open index.
pub(crate) struct Index {
    /// The header.
    pub header: Header,
    elements: Elements,
    /// The element read last, little-endian.
    bytes: Vec<u8>,
    lengths: Option<Vec<f32>>,
    /// Slots that the files really hold.
    pub slots: u32,
}

impl Index {
    /// Opens the files in `folder`, that of lengths only for a cosine space.
    pub fn open(header: Header, folder: &Folder, cosine: bool) -> Result<Index, SourceError> {
        let (file, metadata) = folder.open_file(ELEMENTS)?;
        let whole = metadata
            .len()
            .checked_div(header.stride)
            .unwrap_or(0)
            .min(header.count);
        let lengths = cosine.then(|| read_lengths(folder, whole)).transpose()?;
        Ok(Index {
            header,
            elements: Elements::new(file, &folder.at(ELEMENTS), &metadata, header.stride, whole),
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
            return Err(damaged(
                &self.elements.path,
                None,
                format!("it has no element {slot}"),
            ));
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

fn damaged(path: &Path, offset: Option<u64>, what: String) -> SourceError {
    SourceError::Damaged {
        path: path.to_owned(),
        what,
        offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of `count` elements with `dimension` components and M 2.
    fn header(count: u64, dimension: u64) -> [u8; HEADER_BYTES] {
        let (vector, label) = (20, 20 + 4 * dimension);
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&1_i32.to_le_bytes());
        for (at, value) in [
            (12, count + 5),
            (20, count),
            (28, label + 8),
            (36, label),
            (44, vector),
            (68, 4),
        ] {
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        }
        bytes
    }

    fn parsed(bytes: &[u8; HEADER_BYTES]) -> Result<Header, SourceError> {
        Header::parse(bytes, Path::new("/header.bin"))
    }

    /// An element with the label and a vector of (label, label + 0.5).
    fn element(label: u64, deleted: bool) -> Vec<u8> {
        let mut bytes = vec![0; 20];
        bytes[2] = u8::from(deleted);
        bytes.extend((label as f32).to_le_bytes());
        bytes.extend((label as f32 + 0.5).to_le_bytes());
        bytes.extend(label.to_le_bytes());
        bytes
    }

    fn index(elements: &[Vec<u8>], claimed: u64, cut: usize) -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().unwrap();
        let bytes = elements.concat();
        std::fs::write(folder.path().join(ELEMENTS), &bytes[..bytes.len() - cut]).unwrap();
        let opened = Folder::open(folder.path()).unwrap();
        let index = Index::open(parsed(&header(claimed, 2)).unwrap(), &opened, false).unwrap();
        (folder, index)
    }

    #[test]
    fn a_header_tells_the_layout() {
        let found = parsed(&header(7, 384)).unwrap();
        assert_eq!(
            (found.count, found.dimension, found.stride),
            (7, 384, 20 + 384 * 4 + 8)
        );
    }

    #[test]
    fn every_field_is_checked() {
        for at in [4, 20, 28, 36, 44, 68] {
            for value in [1, 3, u64::MAX, u64::MAX / 4, i64::MAX as u64] {
                let mut bytes = header(7, 384);
                bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
                let found = parsed(&bytes);
                let harmless = at == 20 && value < 12;
                assert_eq!(
                    found.is_ok(),
                    harmless,
                    "offset {at}, value {value}: {found:?}"
                );
            }
        }
        let mut newer = header(7, 384);
        newer[0] = 2;
        assert!(matches!(
            parsed(&newer),
            Err(SourceError::UnknownLayout { .. })
        ));
        assert!(parsed(&header(0, 0)).is_err());
        assert!(parsed(&header(0, 1 << 40)).is_err());
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
