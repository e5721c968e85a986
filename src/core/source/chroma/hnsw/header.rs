//! `header.bin` of a vector segment: how its index files are laid out.
//!
//! Stage: source. Promise: every offset comes from a field that was checked. May import `elements` and `files`.
//!
//! 100 bytes, packed, little-endian; after the version in the order of hnswlib's `saveIndex`:
//!
//! | offset | type | field of hnswlib |
//! | --- | --- | --- |
//! | 0 | i32 | persistence version, 1 |
//! | 4 | u64 | `offsetLevel0_`, 0 |
//! | 12 | u64 | `max_elements_`, the capacity |
//! | 20 | u64 | `cur_element_count`, slots in use, deleted ones included |
//! | 28 | u64 | `size_data_per_element_`, S: L + 8 |
//! | 36 | u64 | `label_offset_`, L: D + 4 x dimension |
//! | 44 | u64 | `offsetData_`, D: 4 + 4 x `maxM0_` |
//! | 52 | i32, u32 | `maxlevel_`, `enterpoint_node_` |
//! | 60 | u64, u64, u64 | `maxM_`, `maxM0_`, `M_` |
//! | 84 | f64, u64 | `mult_`, `ef_construction_` |

use std::path::Path;

use super::elements::read_at;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::HEADER;
use crate::source::error::SourceError;

/// Bytes of `header.bin`.
pub(crate) const HEADER_BYTES: usize = 100;
const VERSION: i32 = 1;
const LARGEST_ELEMENT: u64 = 1 << 24;

/// The checked fields of `header.bin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HnswHeader {
    /// Slots in use.
    pub count: u64,
    /// Bytes of an element.
    pub stride: u64,
    /// Where in an element its label begins.
    pub label: u64,
    /// Where in an element its vector begins.
    pub vector: u64,
    /// Dimensions.
    pub dimension: u32,
}

impl HnswHeader {
    /// Reads and checks the header in `folder`.
    pub fn read(folder: &Folder) -> Result<HnswHeader, SourceError> {
        let path = &folder.at(HEADER);
        let (file, metadata) = folder.open_file(HEADER)?;
        let mut bytes = [0; HEADER_BYTES];
        if metadata.len() != 100 {
            let what = format!("it has {} bytes, not 100", metadata.len());
            return Err(SourceError::damaged(path, None, what));
        }
        read_at(&file, path, &mut bytes, 0)?;
        HnswHeader::parse(&bytes, path)
    }

    /// Checks the 100 bytes of a header.
    pub fn parse(bytes: &[u8; HEADER_BYTES], path: &Path) -> Result<HnswHeader, SourceError> {
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
        let wrong = |at: u64, what: &str| Err(SourceError::damaged(path, Some(at), what));
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
            Some(Ok(dimension)) => Ok(HnswHeader {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A header of `count` elements with `dimension` components and M 2.
    pub(in crate::source::chroma::hnsw) fn header(
        count: u64,
        dimension: u64,
    ) -> [u8; HEADER_BYTES] {
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

    pub(in crate::source::chroma::hnsw) fn parsed(
        bytes: &[u8; HEADER_BYTES],
    ) -> Result<HnswHeader, SourceError> {
        HnswHeader::parse(bytes, Path::new("/header.bin"))
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
}
