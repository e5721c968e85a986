//! Why a store cannot be read.
//!
//! Stage: source. Promise: every variant names the path it is about, and [`SourceError::hint`] says what to
//! do about it. Imports nothing of this crate.

use std::io;
use std::path::{Path, PathBuf};

/// Why a Chroma persist directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there.
    #[error("\"{}\" does not exist", path.display())]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// A file where the persist directory should be.
    #[error("\"{}\" is not a directory", path.display())]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// A directory where a file should be.
    #[error("\"{}\" is a directory", path.display())]
    IsADirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A link, pipe, socket or device where an ordinary file or folder should be.
    #[error("\"{}\" is {what}, not an ordinary file or folder", path.display())]
    NotAFile {
        /// The object.
        path: PathBuf,
        /// What it is: "a symbolic link", "a pipe" ...
        what: &'static str,
    },
    /// The operating system does not let this process read the path.
    #[error("permission denied for \"{}\"", path.display())]
    PermissionDenied {
        /// The first component that cannot be read.
        path: PathBuf,
    },
    /// A relative path.
    #[error("path \"{}\" is not absolute", path.display())]
    NotAbsolute {
        /// The path as given.
        path: PathBuf,
    },
    /// A directory without `chroma.sqlite3`.
    #[error("directory \"{}\" has no file \"chroma.sqlite3\"", directory.display())]
    NoChromaDatabase {
        /// The directory.
        directory: PathBuf,
    },
    /// `chroma.sqlite3` is no SQLite database.
    #[error("\"{}\" is not a SQLite database", path.display())]
    NotSqlite {
        /// The file.
        path: PathBuf,
    },
    /// The DuckDB and Parquet layout of chromadb before 0.4.
    #[error("\"{}\" was written by chromadb older than 0.4 (DuckDB and Parquet), which is not supported", path.display())]
    OldLayout {
        /// The directory.
        path: PathBuf,
    },
    /// A layout that is newer than this reader, or none of Chroma's.
    #[error("layout of \"{}\" is not known: {what}", path.display())]
    UnknownLayout {
        /// The file or directory.
        path: PathBuf,
        /// What is unknown.
        what: String,
    },
    /// Another process is writing, or was killed while it wrote.
    #[error("\"{}\" is in use: {what}", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What shows it.
        what: String,
    },
    /// The content contradicts the format.
    #[error("\"{}\" is damaged{}: {what}", path.display(), at(*offset))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// Byte offset in the file, where one is known.
        offset: Option<u64>,
    },
    /// The operating system failed to read.
    #[error("could not read \"{}\": {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// No space is left for a private copy.
    #[error("no space left for a private copy in \"{}\"", path.display())]
    DiskFull {
        /// The folder of private copies.
        path: PathBuf,
        /// Bytes that were to be copied, if that was known beforehand.
        needed: Option<u64>,
        /// Bytes that are free.
        free: u64,
        /// Bytes of these that are left to others.
        kept: u64,
    },
    /// Private copies would take more than they may.
    #[error("temporary file size exceeds temp_file_limit ({}kB)", limit / 1024)]
    TemporaryLimit {
        /// Bytes that all private copies of this process may take.
        limit: u64,
    },
    /// The stop flag was raised.
    #[error("reading was interrupted")]
    Interrupted,
    /// A value or file beyond the reader's limits.
    #[error("\"{}\" is too large to read: {what}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is too large.
        what: String,
    },
}

impl SourceError {
    /// Another process has the file `path`, or changes it.
    pub(super) fn busy(path: &Path, what: &str) -> SourceError {
        SourceError::Busy {
            path: path.to_owned(),
            what: what.to_owned(),
        }
    }

    /// The content of the file `path` contradicts the format, at byte `offset` if that is known.
    pub(super) fn damaged(
        path: &Path,
        offset: Option<u64>,
        what: impl Into<String>,
    ) -> SourceError {
        SourceError::Damaged {
            path: path.to_owned(),
            what: what.into(),
            offset,
        }
    }

    /// The disk turned out to be full while `path`, a part of a private copy, was written.
    pub(super) fn full(path: &Path) -> SourceError {
        SourceError::DiskFull {
            path: path.to_owned(),
            needed: None,
            free: 0,
            kept: 0,
        }
    }

    /// The figures behind the error, as a sentence.
    pub fn detail(&self) -> Option<String> {
        match self {
            SourceError::DiskFull {
                needed: Some(needed),
                free,
                kept,
                ..
            } => Some(format!(
                "The copy takes {needed} bytes. {free} bytes are free, {kept} of which are left to the server."
            )),
            SourceError::DiskFull {
                free: free @ 1..,
                kept,
                ..
            } => Some(format!(
                "While it was made, the free space came down to {free} bytes, {kept} of which are left to the server."
            )),
            _ => None,
        }
    }

    /// The error with the folder `to` in place of `from`, which is a copy of it.
    pub(super) fn about(mut self, from: &Path, to: &Path) -> SourceError {
        if let SourceError::Busy { path, .. }
        | SourceError::Damaged { path, .. }
        | SourceError::NotFound { path }
        | SourceError::TooLarge { path, .. }
        | SourceError::UnknownLayout { path, .. } = &mut self
            && let Ok(rest) = path.strip_prefix(from)
        {
            *path = to.join(rest);
        }
        self
    }

    /// The error with the table that was read.
    pub(super) fn in_table(mut self, table: &str) -> SourceError {
        if let SourceError::Damaged { what, .. } = &mut self {
            *what = format!("table {table} cannot be read: {what}");
        }
        self
    }

    /// What the user can do about it, as a sentence.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            SourceError::NotFound { .. } => {
                "The path is looked up on the database server, not on the client."
            }
            SourceError::NotADirectory { .. } | SourceError::IsADirectory { .. } => {
                "Give the persist directory of Chroma, or the file chroma.sqlite3 in it."
            }
            SourceError::NotAFile { .. } => {
                "Copy the persist directory with its real files, for instance with cp -rL."
            }
            SourceError::PermissionDenied { .. } => {
                "The operating system user that runs the database server must be able to read the directory and \
                 every folder above it."
            }
            SourceError::NotAbsolute { .. } => "Give the path from the root, beginning with /.",
            SourceError::NoChromaDatabase { .. } => {
                "Give the directory that was passed to chromadb.PersistentClient(path=...) or chroma run --path."
            }
            SourceError::NotSqlite { .. } => {
                "Check that the copy of the persist directory is complete."
            }
            SourceError::OldLayout { .. } => {
                "Convert it with the chroma-migrate tool of the Chroma project, then read the result."
            }
            SourceError::UnknownLayout { .. } => {
                "A newer release of vector_migrate may know this layout."
            }
            SourceError::Busy { .. } => {
                "Stop the process that uses Chroma and try again, or copy the directory while it is stopped and read \
                 the copy."
            }
            SourceError::Damaged { .. } => {
                "Restore the file from a backup, or open the directory with Chroma once to see whether it can repair it."
            }
            SourceError::DiskFull { .. } => {
                "Free some space, or migrate a copy of the store that nobody writes, which is read where it lies."
            }
            SourceError::TemporaryLimit { .. } => {
                "Raise temp_file_limit, or migrate a copy of the store that nobody writes, which is read where it lies."
            }
            SourceError::Io { .. } | SourceError::Interrupted | SourceError::TooLarge { .. } => {
                return None;
            }
        };
        Some(text.to_owned())
    }
}

fn at(offset: Option<u64>) -> String {
    offset.map_or_else(String::new, |offset| format!(" at byte {offset}"))
}
