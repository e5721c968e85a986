//! The files of a persist directory, found and checked before anything is read.
//!
//! Stage: source. Promise: nothing but ordinary files and folders is ever opened, no link is followed inside
//! the persist directory, and a refusal names the first component that this process may not read. May import
//! `error` only.
//!
//! ```text
//! <persist dir>/
//!   chroma.sqlite3        everything except persisted vectors
//!   <segment uuid>/       one folder for each vector segment
//!     header.bin  data_level0.bin  length.bin  link_lists.bin  index_metadata.pickle
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::SourceError;

/// Name of the database file.
pub(super) const DATABASE: &str = "chroma.sqlite3";
/// Name of the index header.
pub(super) const HEADER: &str = "header.bin";
/// Name of the file of elements.
pub(super) const ELEMENTS: &str = "data_level0.bin";
/// Name of the file of original lengths.
pub(super) const LENGTHS: &str = "length.bin";
/// Name of the upper levels' file, never read.
pub(super) const LINKS: &str = "link_lists.bin";
/// Name of the map from ids to labels.
pub(super) const PICKLE: &str = "index_metadata.pickle";
/// Every file of a segment folder.
const SEGMENT_FILES: [&str; 5] = [HEADER, ELEMENTS, LENGTHS, LINKS, PICKLE];
/// Files that chromadb before 0.4 left.
const OLD_FILES: [&str; 2] = ["chroma-embeddings.parquet", "chroma-collections.parquet"];

/// The step of a file system's clock, with some room.
const CLOCK_STEP: Duration = Duration::from_millis(20);

/// Where a store lies.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// The persist directory, without links.
    pub directory: PathBuf,
    /// Its `chroma.sqlite3`, known to be an ordinary file.
    pub database: PathBuf,
}

/// Size and modification time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Bytes.
    pub bytes: u64,
    /// Seconds since 1970 of the last modification.
    pub seconds: i64,
    /// Nanoseconds within that second.
    pub nanoseconds: i64,
    /// The file's number on its disk.
    pub inode: u64,
}

impl FileStat {
    /// The figures of `metadata`.
    pub(super) fn of(metadata: &Metadata) -> FileStat {
        FileStat {
            bytes: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
            inode: metadata.ino(),
        }
    }
}

impl FileStat {
    /// The figures of the file `path`; `None` if there is none.
    pub(super) fn look(path: &Path) -> Result<Option<FileStat>, SourceError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refusal(path, path.parent().unwrap_or(path), error)),
            Ok(metadata) if metadata.is_file() => Ok(Some(FileStat::of(&metadata))),
            Ok(metadata) => Err(not_a_file(path.to_owned(), metadata.file_type())),
        }
    }

    /// How long ago it was changed; `None` if that lies in the future.
    pub(super) fn age(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let rest = u32::try_from(self.nanoseconds).ok()?;
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, rest))?)
            .ok()
    }

    /// Whether a change right after the look would show: clocks of file systems go in steps, so two changes
    /// within a step look like one.
    pub(super) fn tells(&self) -> bool {
        let step = if self.nanoseconds == 0 {
            Duration::from_secs(2)
        } else {
            CLOCK_STEP
        };
        self.age().is_none_or(|age| age > step)
    }
}

/// The files of one segment folder that exist, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentFiles {
    /// Size and time by file name.
    pub files: BTreeMap<&'static str, FileStat>,
}

impl SegmentFiles {
    /// Looks at the folder `id` in `directory`; empty if there is no such folder.
    pub(super) fn look(directory: &Path, id: &str) -> Result<SegmentFiles, SourceError> {
        let folder = directory.join(id);
        let mut found = SegmentFiles::default();
        match fs::symlink_metadata(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(refusal(&folder, directory, error)),
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => return Err(not_a_folder(folder, metadata.file_type())),
        }
        for name in SEGMENT_FILES {
            let path = folder.join(name);
            match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(refusal(&path, &folder, error)),
                Ok(metadata) if metadata.is_file() => {
                    found.files.insert(name, FileStat::of(&metadata));
                }
                Ok(metadata) => return Err(not_a_file(path, metadata.file_type())),
            }
        }
        Ok(found)
    }

    /// How long ago the youngest file was changed.
    pub(super) fn age(&self) -> Option<Duration> {
        self.files.values().filter_map(FileStat::age).min()
    }

    /// Whether a change right after the look would show.
    pub(super) fn tells(&self) -> bool {
        self.files.values().all(FileStat::tells)
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.files
            .values()
            .fold(0, |sum, stat| sum.saturating_add(stat.bytes))
    }
}

/// Finds the store that `path` names: a persist directory, or the `chroma.sqlite3` in it.
pub(super) fn locate(path: &Path) -> Result<Location, SourceError> {
    if !path.is_absolute() {
        return Err(SourceError::NotAbsolute {
            path: path.to_owned(),
        });
    }
    let metadata = walk(path)?;
    let directory = if metadata.is_dir() {
        path.to_owned()
    } else if !metadata.is_file() {
        return Err(not_a_file(path.to_owned(), metadata.file_type()));
    } else if path.file_name().is_some_and(|name| name == DATABASE) {
        path.parent().unwrap_or(Path::new("/")).to_owned()
    } else {
        return Err(SourceError::NotADirectory {
            path: path.to_owned(),
        });
    };
    let directory =
        fs::canonicalize(&directory).map_err(|error| refusal(&directory, &directory, error))?;
    let database = directory.join(DATABASE);
    match fs::symlink_metadata(&database) {
        Ok(metadata) if metadata.is_file() => Ok(Location {
            directory,
            database,
        }),
        Ok(metadata) => Err(not_a_file(database, metadata.file_type())),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(if has_old_files(&directory) {
            SourceError::OldLayout { path: directory }
        } else {
            SourceError::NoChromaDatabase { directory }
        }),
        Err(error) => Err(refusal(&database, &directory, error)),
    }
}

/// Whether chromadb before 0.4 left its files in `directory`.
pub(super) fn has_old_files(directory: &Path) -> bool {
    OLD_FILES
        .iter()
        .any(|name| fs::symlink_metadata(directory.join(name)).is_ok())
}

/// Opens an ordinary file for reading; what was looked at is what was opened.
pub(super) fn open_file(path: &Path) -> Result<(File, Metadata), SourceError> {
    let failed = |error| refusal(path, path.parent().unwrap_or(path), error);
    let seen = fs::symlink_metadata(path).map_err(failed)?;
    if !seen.is_file() {
        return Err(not_a_file(path.to_owned(), seen.file_type()));
    }
    let file = File::open(path).map_err(|error| refusal(path, path, error))?;
    let opened = file.metadata().map_err(failed)?;
    if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
        return Err(SourceError::Busy {
            path: path.to_owned(),
            what: "it was replaced while it was opened".to_owned(),
        });
    }
    Ok((file, opened))
}

/// Folders of `directory` that are named like a segment (a uuid), with the bytes of their files.
pub(super) fn segment_folders(directory: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_uuid(name)) else {
            continue;
        };
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let mut bytes = 0_u64;
        for file in fs::read_dir(entry.path())? {
            let metadata = file?.metadata()?;
            if metadata.is_file() {
                bytes = bytes.saturating_add(metadata.len());
            }
        }
        folders.push((name.to_owned(), bytes));
    }
    folders.sort();
    Ok(folders)
}

/// Whether `text` is a uuid as Chroma writes it: 36 characters with hyphens. Only such a text becomes a path.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// Checks `path` component by component, from the root; gives what the last one is.
fn walk(path: &Path) -> Result<Metadata, SourceError> {
    let mut reached = PathBuf::from("/");
    let mut metadata = look(path, &reached, &reached)?;
    for component in path.components() {
        if matches!(component, Component::RootDir | Component::CurDir) {
            continue;
        }
        let above = reached.clone();
        reached.push(component);
        if !metadata.is_dir() {
            return Err(SourceError::NotADirectory { path: above });
        }
        metadata = look(path, &reached, &above)?;
    }
    Ok(metadata)
}

fn look(path: &Path, at: &Path, above: &Path) -> Result<Metadata, SourceError> {
    fs::metadata(at).map_err(|error| match error.kind() {
        ErrorKind::NotFound => SourceError::NotFound {
            path: path.to_owned(),
        },
        _ => refusal(at, above, error),
    })
}

/// The error for a failed look at `path`, where a missing permission is one of `above`.
fn refusal(path: &Path, above: &Path, error: io::Error) -> SourceError {
    match error.kind() {
        ErrorKind::NotFound => SourceError::NotFound {
            path: path.to_owned(),
        },
        ErrorKind::PermissionDenied => SourceError::PermissionDenied {
            path: above.to_owned(),
        },
        ErrorKind::NotADirectory => SourceError::NotADirectory {
            path: above.to_owned(),
        },
        _ => SourceError::Io {
            path: path.to_owned(),
            source: error,
        },
    }
}

fn not_a_file(path: PathBuf, kind: FileType) -> SourceError {
    if kind.is_dir() {
        return SourceError::IsADirectory { path };
    }
    SourceError::NotAFile {
        path,
        what: kind_name(kind),
    }
}

fn not_a_folder(path: PathBuf, kind: FileType) -> SourceError {
    if kind.is_file() {
        return SourceError::NotADirectory { path };
    }
    SourceError::NotAFile {
        path,
        what: kind_name(kind),
    }
}

fn kind_name(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
