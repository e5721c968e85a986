//! The file of a SQLite database beside SQLite: its header, its locks, its bytes.
//!
//! Stage: source. Promise: no descriptor of a database is closed while a connection of this process is open on
//! it. May import `header` and `files`.
//!
//! POSIX record locks belong to the process, not to the descriptor: closing any descriptor of a file drops every
//! lock that the process has on it, those of SQLite included. So the one descriptor that is opened here, to read
//! the header, to ask for locks and to copy, stays in a table until the last user of the file is gone.
//!
//! | byte | lock |
//! | --- | --- |
//! | 0x40000001 of the database | RESERVED: somebody is inside a write transaction |
//! | 120 of `-shm` | the same in write-ahead mode |

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::FileType;
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

use super::first_page;
use super::header::{DatabaseHeader, HEADER_BYTES};
use crate::source::chroma::files::file_stat::FileStat;
use crate::source::chroma::files::folder::{Folder, kind, not_a_file};
use crate::source::error::SourceError;

/// `RESERVED_BYTE` of SQLite's os.h.
const RESERVED: u64 = 0x4000_0001;
/// `WAL_WRITE_LOCK` of SQLite's wal.c.
const WAL_WRITE: u64 = 120;

/// What is said of a file of which only the beginning is no database's.
const FIRST_PAGE: &str = "its first page is overwritten, which tells where everything is; the pages behind it are a \
                          database's";

/// Device and inode of a file.
pub(crate) type FileId = (u64, u64);

/// The one descriptor of a file.
struct Shared {
    users: usize,
    file: File,
}

/// Files of databases that this process has open.
static OPEN: Mutex<BTreeMap<FileId, Shared>> = Mutex::new(BTreeMap::new());

/// The file of a database: its descriptor, which all users in this process share, is open as long as one of them is.
pub(crate) struct DatabaseFile {
    id: FileId,
    path: PathBuf,
    /// Size and time when it was opened.
    pub stat: FileStat,
}

impl Drop for DatabaseFile {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get_mut(&self.id) {
            shared.users = shared.users.saturating_sub(1);
            if shared.users == 0 {
                // Closed before the table is free again.
                drop(open.remove(&self.id));
            }
        }
    }
}

impl DatabaseFile {
    /// Opens the file `name` in `folder`.
    pub fn open(folder: &Folder, name: &str) -> Result<DatabaseFile, SourceError> {
        let path = folder.at(name);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = folder.stat(name)? else {
            return Err(SourceError::NotFound { path });
        };
        if kind(&seen) != FileType::RegularFile {
            return Err(not_a_file(path, kind(&seen)));
        }
        let mut id = (seen.st_dev, seen.st_ino);
        let mut stat = FileStat::from(&seen);
        if let Some(shared) = open.get_mut(&id) {
            shared.users = shared.users.saturating_add(1);
        } else {
            let (file, metadata) = folder.open_file(name)?;
            id = (metadata.dev(), metadata.ino());
            stat = FileStat::of(&metadata);
            open.insert(id, Shared { users: 1, file });
        }
        Ok(DatabaseFile { id, path, stat })
    }

    /// Device and inode of the file.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Reads from the file.
    pub fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.with(|file| file.read_at(into, at))
    }

    /// The header of a SQLite database.
    pub fn header(&self) -> Result<DatabaseHeader, SourceError> {
        let not_sqlite = || SourceError::NotSqlite {
            path: self.path.clone(),
        };
        let mut bytes = [0_u8; HEADER_BYTES];
        match self.with(|file| file.read_exact_at(&mut bytes, 0)) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(not_sqlite());
            }
            Err(source) => {
                let path = self.path.clone();
                return Err(SourceError::Io { path, source });
            }
        }
        let header = DatabaseHeader(bytes);
        if header.is_sqlite() {
            return Ok(header);
        }
        match first_page::is_all_that_is_damaged(self.stat.bytes, |into, at| self.read_at(into, at))
        {
            true => Err(SourceError::damaged(&self.path, Some(0), FIRST_PAGE)),
            false => Err(not_sqlite()),
        }
    }

    /// Whether another process is inside a write transaction.
    pub fn writer_inside(&self) -> bool {
        self.with(|file| Ok(locked(file, RESERVED))).unwrap_or(true)
    }

    fn with<T>(&self, work: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get(&self.id) {
            Some(shared) => work(&shared.file),
            None => Err(io::Error::other("the file is not open")),
        }
    }
}

/// Whether another process is inside a write transaction of a database in write-ahead mode, whose shared memory
/// file is `name` in `folder`.
pub(crate) fn wal_writer_inside(folder: &Folder, name: &str) -> Result<bool, SourceError> {
    match folder.open_file(name) {
        Ok((file, _)) => Ok(locked(&file, WAL_WRITE)),
        Err(SourceError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn locked(file: &File, start: u64) -> bool {
    let lock = Flock {
        start,
        length: 1,
        pid: None,
        typ: FlockType::ReadLock,
        offset_type: FlockOffsetType::Set,
    };
    matches!(fcntl_getlk(file, &lock), Ok(Some(_)))
}
