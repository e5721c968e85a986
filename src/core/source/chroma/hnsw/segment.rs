//! The folder of a vector segment: whether its files can be used, and what its header and pickle say.
//!
//! Stage: source. Promise: a damaged or missing file becomes a sentence for the user, not the end of the store. May import
//! `record`, `key`, `header`, `pickle`, `catalog` and `files`.

use std::io::BufReader;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::header::HnswHeader;
use super::pickle::{self, IndexMetadata};
use crate::key::Keys;
use crate::record::Space;
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{ELEMENTS, HEADER, LENGTHS, PICKLE};
use crate::source::error::SourceError;

/// The largest `index_metadata.pickle` that is read.
const LARGEST_PICKLE: u64 = 4 << 30;

/// Looks at the index files of `entry` without reading them all; a sentence if they cannot be used.
pub(crate) fn index_warning(
    directory: &Folder,
    entry: &CatalogEntry,
) -> Result<Option<String>, SourceError> {
    let Some(files) = SegmentFolder::of(directory, entry).transpose() else {
        let lost = entry
            .vector_segment
            .as_ref()
            .filter(|_| entry.vector_max_seq_id.is_some());
        return Ok(lost.map(|segment| {
            format!(
                "the vector index of collection {:?} is missing, only vectors of the write-ahead queue are read: {:?} \
                 has no files",
                entry.collection.qualified_name(),
                directory.at(segment)
            )
        }));
    };
    match files.and_then(|files| files.check(entry, files.header(entry)?)) {
        Ok(()) => Ok(None),
        Err(error @ (SourceError::Damaged { .. } | SourceError::NotFound { .. })) => {
            Ok(Some(unusable_index(entry, &error)))
        }
        Err(error) => Err(error),
    }
}

/// The sentence about an index that cannot be used.
pub(crate) fn unusable_index(entry: &CatalogEntry, error: &SourceError) -> String {
    format!(
        "the vector index of collection {:?} cannot be used, only vectors of the write-ahead queue are read: {error}",
        entry.collection.qualified_name()
    )
}

/// The folder of a segment that has files.
pub(crate) struct SegmentFolder {
    /// It, opened.
    pub folder: Folder,
}

impl SegmentFolder {
    /// The folder of `entry`; `None` if it was missing or empty.
    pub fn of(
        directory: &Folder,
        entry: &CatalogEntry,
    ) -> Result<Option<SegmentFolder>, SourceError> {
        let segment = entry.vector_segment.as_ref();
        let Some(segment) = segment.filter(|_| !entry.files.files.is_empty()) else {
            return Ok(None);
        };
        match directory.folder(segment)? {
            Some(folder) => Ok(Some(SegmentFolder { folder })),
            None => Err(SourceError::NotFound {
                path: directory.at(segment),
            }),
        }
    }

    /// The path of the file `name`, for people.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.at(name)
    }

    fn header(&self, entry: &CatalogEntry) -> Result<HnswHeader, SourceError> {
        let header = HnswHeader::read(&self.folder)?;
        match entry.collection.dimension {
            Some(dimension) if dimension != header.dimension => {
                let found = header.dimension;
                let what =
                    format!("it has {found} dimensions where the collection has {dimension}");
                Err(SourceError::damaged(&self.path(HEADER), Some(36), what))
            }
            _ => Ok(header),
        }
    }

    /// Checks what can be checked without reading the files whole.
    fn check(&self, entry: &CatalogEntry, header: HnswHeader) -> Result<(), SourceError> {
        if header.count > 0 {
            let lengths = entry.collection.space == Space::Cosine;
            for name in [Some(ELEMENTS), lengths.then_some(LENGTHS)]
                .into_iter()
                .flatten()
            {
                self.folder.open_file(name)?;
            }
        }
        if !entry.files.files.contains_key(PICKLE) {
            return if entry.vector_max_seq_id.is_some() && header.count > 0 {
                Err(SourceError::NotFound {
                    path: self.path(PICKLE),
                })
            } else {
                Ok(())
            };
        }
        let path = self.path(PICKLE);
        let (file, metadata) = self.folder.open_file(PICKLE)?;
        let mut last = [0_u8; 1];
        let end = metadata.len().saturating_sub(1);
        let read = std::os::unix::fs::FileExt::read_exact_at(&file, &mut last, end);
        if read.is_err() || last != [b'.'] {
            return Err(SourceError::damaged(&path, Some(end), "it ends too early"));
        }
        Ok(())
    }

    /// The header of an index that looks whole; `None` if it was never persisted.
    pub fn checked(&self, entry: &CatalogEntry) -> Result<Option<HnswHeader>, SourceError> {
        let header = self.header(entry)?;
        self.check(entry, header)?;
        let persisted = entry.files.files.contains_key(PICKLE);
        Ok(persisted.then_some(header))
    }

    /// What the pickle says, whose ids become keys by `keys`.
    pub fn metadata(
        &self,
        header: HnswHeader,
        keys: &Keys,
        stop: &AtomicBool,
    ) -> Result<IndexMetadata, SourceError> {
        let path = self.path(PICKLE);
        let (file, metadata) = self.folder.open_file(PICKLE)?;
        if metadata.len() > LARGEST_PICKLE {
            return Err(SourceError::TooLarge {
                path,
                what: format!("it has {} bytes", metadata.len()),
            });
        }
        // The header may claim any number: an id with its label takes 9 bytes at least.
        let elements = header.count.min(metadata.len() / 9);
        let elements = usize::try_from(elements).unwrap_or(usize::MAX);
        let reader = BufReader::with_capacity(1 << 16, file);
        match pickle::parse(reader, metadata.len(), elements, keys, stop) {
            Ok(persisted) => Ok(persisted),
            Err(error) if error.interrupted => Err(SourceError::Interrupted),
            Err(error) => Err(SourceError::damaged(&path, Some(error.offset), error.what)),
        }
    }
}
