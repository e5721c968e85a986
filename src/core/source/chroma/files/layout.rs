//! The files of a persist directory: their names, sizes and times.
//!
//! Stage: source. Promise: nothing is opened but folders. May import `file_stat` and `folder`.
//!
//! ```text
//! <persist dir>/
//!   chroma.sqlite3        everything except persisted vectors
//!   <segment uuid>/       one folder for each vector segment
//!     header.bin  data_level0.bin  length.bin  link_lists.bin  index_metadata.pickle
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::fs::{FileType, Stat};

use super::file_stat::FileStat;
use super::folder::{Folder, kind, not_a_file};
use crate::source::error::SourceError;
use crate::source::stop::check_stop;

/// Name of the database file.
pub(crate) const DATABASE: &str = "chroma.sqlite3";
/// Name of the journal beside it.
pub(crate) const JOURNAL: &str = "chroma.sqlite3-journal";
/// Name of the write-ahead log beside it.
pub(crate) const LOG: &str = "chroma.sqlite3-wal";
/// Name of the write-ahead log's index beside it.
pub(crate) const LOG_INDEX: &str = "chroma.sqlite3-shm";
/// Name of the index header.
pub(crate) const HEADER: &str = "header.bin";
/// Name of the file of elements.
pub(crate) const ELEMENTS: &str = "data_level0.bin";
/// Name of the file of original lengths.
pub(crate) const LENGTHS: &str = "length.bin";
/// Name of the file of links above level 0.
pub(crate) const LINKS: &str = "link_lists.bin";
/// Name of the map from ids to labels.
pub(crate) const PICKLE: &str = "index_metadata.pickle";
/// Every file of a segment folder.
const SEGMENT_FILES: [&str; 5] = [HEADER, ELEMENTS, LENGTHS, LINKS, PICKLE];
/// Files that chromadb before 0.4 left.
const OLD_FILES: [&str; 2] = ["chroma-embeddings.parquet", "chroma-collections.parquet"];

/// The files of one segment folder that exist, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentFiles {
    /// Size and time by file name.
    pub files: BTreeMap<&'static str, FileStat>,
}

impl SegmentFiles {
    /// Looks at the folder `id` in `directory`; empty if there is no such folder.
    pub(crate) fn look(directory: &Folder, id: &str) -> Result<SegmentFiles, SourceError> {
        let mut found = SegmentFiles::default();
        let Some(folder) = directory.folder(id)? else {
            return Ok(found);
        };
        for name in SEGMENT_FILES {
            if let Some(stat) = folder.look(name)? {
                found.files.insert(name, stat);
            }
        }
        Ok(found)
    }

    /// How long ago the youngest file was changed.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.files.values().filter_map(FileStat::age).min()
    }

    /// Whether a change right after the look would show.
    pub(crate) fn shows_changes(&self) -> bool {
        self.files.values().all(FileStat::shows_changes)
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.files
            .values()
            .fold(0, |sum, stat| sum.saturating_add(stat.bytes))
    }
}

/// Checks that `directory` has a `chroma.sqlite3`, an ordinary file.
pub(crate) fn check(directory: &Folder) -> Result<(), SourceError> {
    match directory.stat(DATABASE)? {
        Some(stat) if kind(&stat) == FileType::RegularFile => Ok(()),
        Some(stat) => Err(not_a_file(directory.at(DATABASE), kind(&stat))),
        None if has_old_files(directory) => Err(SourceError::OldLayout {
            path: directory.path().to_owned(),
        }),
        None => Err(SourceError::NoChromaDatabase {
            directory: directory.path().to_owned(),
        }),
    }
}

/// Whether chromadb before 0.4 left its files in `directory`.
pub(crate) fn has_old_files(directory: &Folder) -> bool {
    OLD_FILES
        .iter()
        .any(|name| matches!(directory.stat(name), Ok(Some(_))))
}

/// Folders of `directory` that are named like a segment (a uuid), with the bytes of their files.
pub(crate) fn segment_folders(
    directory: &Folder,
    stop: &AtomicBool,
) -> Result<Vec<(String, u64)>, SourceError> {
    let mut names = Vec::new();
    directory.names(&mut |name| {
        if is_uuid(name) {
            names.push(name.to_owned());
        }
        check_stop(stop)
    })?;
    let mut folders = Vec::new();
    for name in names {
        // A file or a link of such a name is none.
        let is_folder = |stat: &Stat| kind(stat) == FileType::Directory;
        if !directory.stat(&name)?.as_ref().is_some_and(is_folder) {
            continue;
        }
        let Some(folder) = directory.folder(&name)? else {
            continue;
        };
        let mut bytes = 0_u64;
        folder.names(&mut |name| {
            let stat = folder.stat(name)?;
            if let Some(stat) = stat.filter(|stat| kind(stat) == FileType::RegularFile) {
                bytes = bytes.saturating_add(FileStat::from(&stat).bytes);
            }
            check_stop(stop)
        })?;
        folders.push((name, bytes));
    }
    folders.sort();
    Ok(folders)
}

/// Whether `text` is a uuid as Chroma writes it: 36 characters with hyphens. Only such a text becomes a path.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}
