//! The graph in the index files, for an index of pgvector's.
//!
//! Stage: source. Promise: every field is checked before it is used; what is wrong with the files is a reason why there is no
//! graph, never an error. Memory is bounded by what the caller allows, and what a header claims by the length of the files. May
//! import `record`, `index::graph`, this folder, `catalog` and `files`.
//!
//! `header.bin` and the vectors in `data_level0.bin` are described in `header` and `index`. The rest:
//!
//! | file | offset | type | field |
//! | --- | --- | --- | --- |
//! | `data_level0.bin`, element i at byte i x S | +0 | u16 | number of links |
//! | | +2 | u8 | bit 0: deleted |
//! | | +4 | u32 x 2M | links: numbers of elements |
//! | `link_lists.bin`, elements one after the other | | u32 | bytes of the lists that follow: (4 + 4M) x level |
//! | one list for each layer, from 1 up | +0 | u16 | number of links |
//! | | +4 | u32 x M | links |

use std::fs::File;
use std::sync::atomic::AtomicBool;

use half::f16;

use super::elements::read_at;
use super::header::{HEADER_BYTES, HnswHeader};
use super::rounding::normalised;
use super::segment::SegmentFolder;
use super::stream::Stream;
use crate::index::graph::{Building, Form, Graph, GraphShape, Kind, NoGraph, top_level};
use crate::record::Space;
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{ELEMENTS, HEADER, LENGTHS, LINKS};
use crate::source::error::SourceError;

/// Why there is no graph.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GraphError {
    /// The files have none.
    #[error(transparent)]
    None(#[from] NoGraph),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] SourceError),
}

impl GraphError {
    /// An error about a file as a reason why there is no graph; other errors stay errors.
    pub fn reason(self) -> Result<NoGraph, SourceError> {
        let error = match self {
            GraphError::None(reason) => return Ok(reason),
            GraphError::Store(error) => error,
        };
        match error {
            SourceError::Busy { .. } | SourceError::Interrupted => Err(error),
            SourceError::NotFound { .. } => Ok(NoGraph::NoFiles),
            SourceError::Damaged { what, .. } | SourceError::UnknownLayout { what, .. } => {
                Ok(NoGraph::Damaged { file: HEADER, what })
            }
            other => Ok(NoGraph::Unreadable {
                what: other.to_string(),
            }),
        }
    }
}

/// The files of a graph with their checked header.
pub(crate) struct GraphFiles<'a> {
    entry: &'a CatalogEntry,
    files: SegmentFolder,
    header: HnswHeader,
    /// What its header says.
    pub shape: GraphShape,
    /// The element where a search begins.
    first: u32,
}

impl GraphFiles<'_> {
    /// Opens the index files of `entry` in `folder`, and checks their header.
    pub fn open<'a>(
        folder: &Folder,
        entry: &'a CatalogEntry,
    ) -> Result<GraphFiles<'a>, GraphError> {
        let files = SegmentFolder::of(folder, entry)?.ok_or(NoGraph::NoFiles)?;
        let (file, metadata) = open(&files, HEADER)?;
        let needed = u64::try_from(HEADER_BYTES).unwrap_or(0);
        if metadata != needed {
            let what = format!("it has {metadata} bytes, not {needed}");
            return Err(NoGraph::Damaged { file: HEADER, what }.into());
        }
        let mut bytes = [0; HEADER_BYTES];
        let path = files.path(HEADER);
        read_at(&file, &path, &mut bytes, 0)?;
        let header = HnswHeader::parse(&bytes, &path)?;
        let m = word(&bytes, 76);
        let (wide, width) = (word(&bytes, 60), word(&bytes, 68));
        if wide != m {
            let what = format!("its lists have {wide} links, and M is {m}");
            return Err(NoGraph::Damaged { file: HEADER, what }.into());
        }
        if width != m.saturating_mul(2) {
            return Err(NoGraph::OtherWidth { found: width, m }.into());
        }
        let small = u16::try_from(m).ok().filter(|m| (2..=100).contains(m));
        let shape = GraphShape {
            m: small.ok_or(NoGraph::OtherM { m })?,
            count: u32::try_from(header.count).unwrap_or(u32::MAX - 1),
            ef_construction: word(&bytes, 92),
            dimension: header.dimension,
        };
        match entry.collection.dimension {
            Some(expected) if expected != header.dimension => {
                let found = header.dimension;
                return Err(NoGraph::OtherDimension { found, expected }.into());
            }
            _ if header.count == 0 => return Err(NoGraph::NoFiles.into()),
            _ => {}
        }
        let first = bytes.get(56..).and_then(|rest| rest.first_chunk());
        Ok(GraphFiles {
            entry,
            files,
            header,
            shape,
            first: first.map_or(u32::MAX, |word| u32::from_le_bytes(*word)),
        })
    }

    /// The file `name`, if it has `needed` bytes, and its length.
    fn long_enough(&self, name: &'static str, needed: u64) -> Result<(File, u64), GraphError> {
        let (file, bytes) = open(&self.files, name)?;
        if bytes < needed {
            return Err(NoGraph::EndsEarly {
                file: name,
                elements: self.header.count,
                needed,
                bytes,
            }
            .into());
        }
        Ok((file, bytes))
    }

    /// Reads the graph, with hashes of its vectors as a column of `form` holds them, in at most `allowed` bytes of memory.
    pub fn read(&self, form: Form, allowed: u64, stop: &AtomicBool) -> Result<Graph, GraphError> {
        let count = self.header.count;
        let size = count.saturating_mul(self.header.stride);
        let (elements, _) = self.long_enough(ELEMENTS, size)?;
        let words = count.saturating_mul(4);
        let (links, bytes) = self.long_enough(LINKS, words)?;
        let cosine = self.entry.collection.space == Space::Cosine;
        let lengths = match cosine {
            true => Some(self.long_enough(LENGTHS, words)?.0),
            false => None,
        };
        let list = u64::from(self.shape.m).saturating_mul(4).saturating_add(4);
        let upper = bytes.saturating_sub(words);
        if !upper.is_multiple_of(list) {
            let what = format!("its {bytes} bytes are not those of {count} elements");
            return Err(NoGraph::Damaged { file: LINKS, what }.into());
        }
        let mut building = Building::new(Kind {
            shape: self.shape,
            form,
            cosine,
            upper: upper / list,
            allowed,
        })?;
        let path = self.files.path(LINKS);
        self.levels(&mut building, Stream::new(links, &path, bytes, stop), upper)?;
        let path = self.files.path(ELEMENTS);
        let elements = Stream::new(elements, &path, size, stop);
        let path = self.files.path(LENGTHS);
        let lengths = lengths.map(|file| Stream::new(file, &path, words, stop));
        self.elements(&mut building, elements, lengths, form)?;
        Ok(building.finish(self.first)?)
    }

    /// Reads the links above layer 0, `left` bytes in all.
    fn levels(
        &self,
        building: &mut Building,
        mut links: Stream<'_>,
        mut left: u64,
    ) -> Result<(), GraphError> {
        let size = usize::from(self.shape.m)
            .saturating_mul(4)
            .saturating_add(4);
        let list = u64::try_from(size).unwrap_or(u64::MAX);
        let most = top_level(self.shape.m);
        for element in 0..self.shape.count {
            let wrong = |what: &str| NoGraph::Damaged {
                file: LINKS,
                what: format!("{what} (element {element})"),
            };
            let word = links.next(4)?.and_then(|word| word.first_chunk());
            let word = word.ok_or_else(|| wrong("it ends within the elements"))?;
            let bytes = u64::from(u32::from_le_bytes(*word));
            if !bytes.is_multiple_of(list) {
                return Err(wrong("lists are cut in their midst").into());
            }
            let level = bytes / list;
            if level > most {
                building.level(level)?;
            }
            left = left
                .checked_sub(bytes)
                .ok_or_else(|| wrong("it ends within the elements"))?;
            building.level(level)?;
            for layer in (1..=u8::MAX).take(usize::try_from(level).unwrap_or(0)) {
                let list = links.next(size)?;
                let list = list.ok_or_else(|| wrong("it ends within the elements"))?;
                let (number, words) = list_of(list, size);
                building.upper(layer, number, words);
            }
        }
        if left > 0 {
            let what = format!("it has {left} bytes behind its last element");
            return Err(NoGraph::Damaged { file: LINKS, what }.into());
        }
        Ok(())
    }

    /// Reads the elements: their links at layer 0, and their vectors.
    fn elements(
        &self,
        building: &mut Building,
        mut elements: Stream<'_>,
        mut lengths: Option<Stream<'_>>,
        form: Form,
    ) -> Result<(), GraphError> {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let stride = size(self.header.stride);
        let vector = size(self.header.vector);
        let bytes = size(u64::from(self.header.dimension)).saturating_mul(4);
        let mut kept = Vec::new();
        for _ in 0..self.shape.count {
            let element = elements.next(stride)?.unwrap_or_default();
            let length = match &mut lengths {
                Some(lengths) => lengths.next(4)?.and_then(|word| word.first_chunk()),
                None => None,
            };
            let length = length.map(|word| f32::from_le_bytes(*word));
            let raw = element.get(vector..).and_then(|rest| rest.get(..bytes));
            let raw = raw.unwrap_or_default();
            let length = length.filter(|_| !self.entry.mixed || normalised(&values(raw)));
            let row = row(raw, length, form, &mut kept);
            let deleted = element.get(2).is_some_and(|flags| flags & 1 != 0);
            let (number, words) = list_of(element, vector);
            building.element(deleted, number, words, row);
        }
        Ok(())
    }
}

/// Opens the file `name`; its length.
fn open(files: &SegmentFolder, name: &'static str) -> Result<(File, u64), GraphError> {
    match files.folder.open_file(name) {
        Ok((file, metadata)) => Ok((file, metadata.len())),
        Err(SourceError::NotFound { .. }) => Err(NoGraph::Missing { file: name }.into()),
        Err(error) => Err(error.into()),
    }
}

/// The word at `at` of a header.
fn word(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

/// The number of links that a list begins with, and the links, which end before `end`.
fn list_of(list: &[u8], end: usize) -> (u16, &[u8]) {
    let number = list.first_chunk();
    let number = number.map_or(0, |number| u16::from_le_bytes(*number));
    (number, list.get(4..end).unwrap_or_default())
}

fn values(raw: &[u8]) -> Vec<f32> {
    let words = raw.chunks_exact(4).filter_map(<[u8]>::first_chunk);
    words.map(|word| f32::from_le_bytes(*word)).collect()
}

/// The components of a vector as a row has them: multiplied by `length`, rounded to `form`.
fn row<'a>(raw: &'a [u8], length: Option<f32>, form: Form, kept: &'a mut Vec<u8>) -> &'a [u8] {
    if length.is_none() && form == Form::Single {
        return raw;
    }
    let factor = |value: f32| length.map_or(value, |length| value * length);
    let words = raw.chunks_exact(4).filter_map(<[u8]>::first_chunk);
    let values = words.map(|word| factor(f32::from_le_bytes(*word)));
    match form {
        Form::Single => {
            kept.resize(raw.len(), 0);
            for (place, value) in kept.chunks_exact_mut(4).zip(values) {
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
        Form::Half => {
            kept.resize(raw.len() / 2, 0);
            for (place, value) in kept.chunks_exact_mut(2).zip(values) {
                place.copy_from_slice(&f16::from_f32(value).to_le_bytes());
            }
        }
    }
    kept
}
