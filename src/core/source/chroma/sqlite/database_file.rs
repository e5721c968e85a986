//! The locks of a SQLite file, as far as a reader has to know them.
//!
//! Stage: source. Promise: no descriptor of a database is closed while a connection of this process is open on
//! it. May import `error`, `folder`, `layout` and `cut`.
//!
//! POSIX record locks belong to the process, not to the descriptor: closing any descriptor of a file drops every
//! lock that the process has on it, those of SQLite included. So the one descriptor that is opened here, to look
//! at the header, to ask for locks and to copy, stays in a table until the last user of the file is gone.
//!
//! | byte | lock |
//! | --- | --- |
//! | 0x40000001 of the database | RESERVED: somebody is inside a write transaction |
//! | 120 of `-shm` | the same in write-ahead mode |
//!
//! First bytes of a SQLite file, as far as they are looked at:
//!
//! | offset | bytes | meaning |
//! | --- | --- | --- |
//! | 0 | 16 | `SQLite format 3` and a zero byte |
//! | 18 | 1 | write version: 1 rollback journal, 2 write-ahead log |
//! | 19 | 1 | read version: the same |

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::FileType;
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

use crate::source::chroma::damage::truncated::{Cut, page_size};
use crate::source::chroma::files::folder::{Folder, kind, not_a_file};
use crate::source::chroma::files::layout::FileStat;
use crate::source::error::SourceError;

const MAGIC: &[u8] = b"SQLite format 3\0";
const RESERVED: u64 = 0x4000_0001;
const WAL_WRITE: u64 = 120;

/// Device and number of a file.
pub(crate) type Key = (u64, u64);

struct Held {
    users: usize,
    file: File,
}

/// Databases that this process has open.
static OPEN: Mutex<BTreeMap<Key, Held>> = Mutex::new(BTreeMap::new());

/// A claim on a database: while it lives, a descriptor of the file is open.
pub(crate) struct Claim {
    key: Key,
    path: PathBuf,
    /// Size and time when it was claimed.
    pub stat: FileStat,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = open.get_mut(&self.key) {
            held.users = held.users.saturating_sub(1);
            if held.users == 0 {
                // Closed before the table is free again.
                drop(open.remove(&self.key));
            }
        }
    }
}

impl Claim {
    /// Claims the database `name` in `folder`.
    pub fn new(folder: &Folder, name: &str) -> Result<Claim, SourceError> {
        let path = folder.at(name);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = folder.stat(name)? else {
            return Err(SourceError::NotFound { path });
        };
        if kind(&seen) != FileType::RegularFile {
            return Err(not_a_file(path, kind(&seen)));
        }
        let mut key = (seen.st_dev, seen.st_ino);
        let mut stat = FileStat::from(&seen);
        if let Some(held) = open.get_mut(&key) {
            held.users = held.users.saturating_add(1);
        } else {
            let (file, metadata) = folder.open_file(name)?;
            key = (metadata.dev(), metadata.ino());
            stat = FileStat::of(&metadata);
            open.insert(key, Held { users: 1, file });
        }
        Ok(Claim { key, path, stat })
    }

    /// Device and number of the file.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Reads from the file.
    pub fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.with(|file| file.read_at(into, at))
    }

    /// Whether the database is in write-ahead mode.
    pub fn write_ahead(&self) -> Result<bool, SourceError> {
        let mut head = [0_u8; 100];
        match self.with(|file| file.read_exact_at(&mut head, 0)) {
            Ok(()) if head.starts_with(MAGIC) => Ok(head
                .get(18..20)
                .is_some_and(|versions| versions.contains(&2))),
            Err(source) if source.kind() != io::ErrorKind::UnexpectedEof => Err(SourceError::Io {
                path: self.path.clone(),
                source,
            }),
            _ => Err(SourceError::NotSqlite {
                path: self.path.clone(),
            }),
        }
    }

    /// What is left of the file, if its `bytes` are fewer than it says.
    pub fn cut(&self, bytes: u64) -> Option<Cut> {
        Cut::of(&self.header()?, bytes)
    }

    /// Bytes of a page, or the most that a page can have.
    pub fn page(&self) -> usize {
        let told = self.header().and_then(|header| page_size(&header));
        told.and_then(|page| usize::try_from(page).ok())
            .unwrap_or(65536)
    }

    fn header(&self) -> Option<[u8; 100]> {
        let mut head = [0_u8; 100];
        self.with(|file| file.read_exact_at(&mut head, 0)).ok()?;
        Some(head)
    }

    /// Whether another process is inside a write transaction.
    pub fn writer_inside(&self) -> bool {
        self.with(|file| Ok(locked(file, RESERVED))).unwrap_or(true)
    }

    fn with<T>(&self, work: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get(&self.key) {
            Some(held) => work(&held.file),
            None => Err(io::Error::other("the file is not claimed")),
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
