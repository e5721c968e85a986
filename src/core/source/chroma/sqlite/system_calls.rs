//! SQLite's way to the files of a store: through the open persist directory, whatever a path says by now.
//!
//! Stage: source. Promise: what SQLite opens of a store is an ordinary file of the directory that was checked, the
//! database being the very file that was opened before; opening waits for nothing, follows no link, opens no device and
//! creates nothing. May import `database_file` and `files`.
//!
//! SQLite knows files by their paths only. A store's files get paths below `/dev/null/`, where nothing can ever be:
//! `/dev/null/vector_migrate/<number>/chroma.sqlite3`, and beside it the names that SQLite makes of this one. Three
//! of the system calls that SQLite's Unix layer (os_unix.c) lets one replace know where such a path leads; the
//! others, and every path whose number is not in the table, fail as they do for any path below `/dev/null/`. All
//! other paths are handed on to the system as they are.
//!
//! A fourth call is replaced for what its failure says: SQLite takes a sector that cannot be read (EIO) for damage of the
//! database, although another read, page by page, may find all that matters.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::ffi;
use rustix::fs::FileType;

use super::database_file::FileId;
use crate::source::chroma::files::folder::{Folder, kind, pin, unpin};
use crate::source::chroma::files::layout::DATABASE;
use crate::source::error::SourceError;

/// What the paths of stores begin with.
const PREFIX: &str = "/dev/null/vector_migrate";
/// What SQLite opens: the database and what it makes of its name.
const NAMES: [&CStr; 4] = [
    c"chroma.sqlite3",
    c"chroma.sqlite3-journal",
    c"chroma.sqlite3-wal",
    c"chroma.sqlite3-shm",
];

#[derive(Clone)]
struct Store {
    folder: Folder,
    database: FileId,
}

/// Stores that have a path for SQLite.
static STORES: Mutex<BTreeMap<u64, Store>> = Mutex::new(BTreeMap::new());
/// Never used twice, so that a path never leads to another store than it was made for.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A path under which SQLite finds a store, as long as this value lives.
#[derive(Debug)]
pub(crate) struct Alias {
    number: u64,
    path: PathBuf,
}

impl Alias {
    /// A path for the database `key` in `folder`.
    pub fn new(folder: &Folder, key: FileId) -> Result<Alias, SourceError> {
        static REPLACED: OnceLock<bool> = OnceLock::new();
        if !REPLACED.get_or_init(replace) {
            return Err(SourceError::Io {
                path: folder.at(DATABASE),
                source: std::io::Error::other("SQLite has another file system than Unix's"),
            });
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let store = Store {
            folder: folder.clone(),
            database: key,
        };
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.insert(number, store);
        Ok(Alias {
            number,
            path: PathBuf::from(format!("{PREFIX}/{number}/{DATABASE}")),
        })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.remove(&self.number);
    }
}

/// The message with `path` in place of the path that only SQLite knows.
pub(crate) fn shown(mut message: String, path: &Path) -> String {
    if let Some(at) = message.find(PREFIX) {
        message.truncate(at);
        message.push_str(&path.display().to_string());
    }
    message
}

/// Where a path leads.
enum Lead {
    /// To a file of the system.
    Elsewhere,
    /// To nothing, or to a part of the path before the file.
    Nowhere,
    /// To this file of a store.
    Here(Store, &'static CStr),
}

fn lead(path: &CStr) -> Lead {
    let rest = path.to_bytes().strip_prefix(PREFIX.as_bytes());
    let Some(rest) = rest else {
        return Lead::Elsewhere;
    };
    let found = || {
        let rest = std::str::from_utf8(rest.strip_prefix(b"/")?).ok()?;
        let (number, name) = rest.split_once('/')?;
        let name = NAMES
            .into_iter()
            .find(|known| known.to_bytes() == name.as_bytes())?;
        let stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        Some((stores.get(&number.parse().ok()?)?.clone(), name))
    };
    found().map_or(Lead::Nowhere, |(store, name)| Lead::Here(store, name))
}

/// Opens a file of a store for reading; the error as the system numbers it.
fn open_here(store: &Store, name: &CStr) -> Result<c_int, c_int> {
    let number = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    let (pinned, stat) = pin(store.folder.descriptor(), name).map_err(number)?;
    if kind(&stat) != FileType::RegularFile {
        return Err(libc::ELOOP);
    }
    if name.to_bytes() == DATABASE.as_bytes() && (stat.st_dev, stat.st_ino) != store.database {
        return Err(libc::ESTALE);
    }
    let opened = unpin(pinned.as_fd()).map_err(number)?;
    Ok(opened.into_raw_fd())
}

/// The answer of a system call that failed.
fn fail(error: c_int) -> c_int {
    // SAFETY: glibc's __errno_location (errno.h) gives this thread's own errno, which lives as long as the thread.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// `open`.
///
/// # Safety
/// `path` is terminated: os_unix.c gives it to `robust_open` so.
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: terminated, as os_unix.c promises, for the length of this call.
    match lead(unsafe { CStr::from_ptr(path) }) {
        // SAFETY: the arguments are those that SQLite gave; posixOpen in os_unix.c makes the same call.
        Lead::Elsewhere => unsafe { libc::open(path, flags, mode) },
        Lead::Nowhere => fail(libc::ENOENT),
        Lead::Here(..)
            if flags & (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) != libc::O_RDONLY =>
        {
            fail(libc::EROFS)
        }
        Lead::Here(store, name) => open_here(&store, name).unwrap_or_else(fail),
    }
}

/// `stat`, which does not follow links in a store.
///
/// # Safety
/// `path` is terminated and `into` has room for a `struct stat`: every `osStat` in os_unix.c gives both.
unsafe extern "C" fn stat(path: *const c_char, into: *mut libc::stat) -> c_int {
    // SAFETY: terminated, as os_unix.c promises, for the length of this call.
    match lead(unsafe { CStr::from_ptr(path) }) {
        // SAFETY: the arguments are those that SQLite's os_unix.c gave.
        Lead::Elsewhere => unsafe { libc::stat(path, into) },
        Lead::Nowhere => fail(libc::ENOENT),
        Lead::Here(store, name) => {
            let folder = store.folder.descriptor().as_raw_fd();
            // SAFETY: the descriptor is open as long as `store` (std's OwnedFd), the name is terminated, `into` is os_unix.c's.
            unsafe { libc::fstatat(folder, name.as_ptr(), into, libc::AT_SYMLINK_NOFOLLOW) }
        }
    }
}

/// `lstat`, by which `unixFullPathname` in os_unix.c looks for links on the way: a store's path has none.
///
/// # Safety
/// As [`stat`], for `osLstat`.
unsafe extern "C" fn lstat(path: *const c_char, into: *mut libc::stat) -> c_int {
    // SAFETY: terminated, as os_unix.c promises, for the length of this call.
    match lead(unsafe { CStr::from_ptr(path) }) {
        // SAFETY: the arguments are those that SQLite's os_unix.c gave.
        Lead::Elsewhere => unsafe { libc::lstat(path, into) },
        _ => fail(libc::ENOENT),
    }
}

/// The number of a failed read's error that SQLite takes for a failed read: `seekAndRead` and `unixRead` in os_unix.c take
/// three others for a damaged file system (SQLITE_IOERR_CORRUPTFS), which becomes SQLITE_CORRUPT.
fn of_the_disk(error: c_int) -> c_int {
    match error {
        libc::EIO | libc::ENXIO | libc::ERANGE => libc::EREMOTEIO,
        other => other,
    }
}

/// `pread`.
///
/// # Safety
/// `into` has room for `bytes` bytes: `seekAndRead` in os_unix.c promises it.
unsafe extern "C" fn pread(file: c_int, into: *mut c_void, bytes: usize, at: libc::off_t) -> isize {
    // SAFETY: the arguments are those that SQLite's os_unix.c gave.
    let got = unsafe { libc::pread(file, into, bytes, at) };
    if got < 0 {
        let error = std::io::Error::last_os_error().raw_os_error();
        fail(of_the_disk(error.unwrap_or(libc::EREMOTEIO)));
    }
    got
}

/// Replaces the system calls; whether SQLite's Unix layer is there and knows all of them.
fn replace() -> bool {
    let calls: [(&CStr, *const ()); 4] = [
        (c"open", open as *const ()),
        (c"stat", stat as *const ()),
        (c"pread", pread as *const ()),
        (c"lstat", lstat as *const ()),
    ];
    // SAFETY: sqlite3_vfs_find in os.c gives a registered file system or NULL; "unix" is never unregistered. Its
    // xSetSystemCall (unixSetSystemCall in os_unix.c) stores the pointer in a table without a lock: this library opens
    // no database before, and a thread of somebody else's finds a call there that does the same for its paths. The
    // pointers are functions', handed over as sqlite3_syscall_ptr (sqlite3.h); os_unix.c casts each back to the type that it has
    // here (osOpen, osStat, osLstat and osPread in its table aSyscall).
    unsafe {
        let unix = ffi::sqlite3_vfs_find(c"unix".as_ptr());
        let Some(set) = unix.as_ref().and_then(|unix| unix.xSetSystemCall) else {
            return false;
        };
        calls.iter().all(|(name, call)| {
            let call = std::mem::transmute::<*const (), ffi::sqlite3_syscall_ptr>(*call);
            set(unix, name.as_ptr(), call) == ffi::SQLITE_OK
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::{Connection, OpenFlags};

    use super::super::database_file::DatabaseFile;
    use super::*;

    /// A folder with a database of one table `t`.
    fn database() -> (tempfile::TempDir, Folder, FileId) {
        let root = tempfile::tempdir().unwrap();
        make(&root.path().join(DATABASE));
        let folder = Folder::open(root.path()).unwrap();
        let key = DatabaseFile::open(&folder, DATABASE).unwrap().id();
        (root, folder, key)
    }

    fn make(path: &Path) {
        let made = Connection::open(path).unwrap();
        made.execute_batch("CREATE TABLE t AS SELECT 7 AS x")
            .unwrap();
    }

    fn read(path: &Path) -> rusqlite::Result<i64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.query_row("SELECT x FROM t", [], |row| row.get(0))
    }

    #[test]
    fn an_alias_leads_to_the_opened_database_and_to_nothing_later() {
        let (root, folder, key) = database();
        let alias = Alias::new(&folder, key).unwrap();
        let path = alias.path().to_owned();
        assert_eq!(read(&path), Ok(7));
        // Where the folder is by now does not matter.
        let moved = root.path().with_extension("moved");
        std::fs::rename(root.path(), &moved).unwrap();
        assert_eq!(read(&path), Ok(7));
        std::fs::rename(&moved, root.path()).unwrap();
        drop(alias);
        assert!(read(&path).is_err());
        assert!(read(Path::new(PREFIX)).is_err());
    }

    #[test]
    fn nothing_is_written_through_an_alias() {
        let (root, folder, key) = database();
        let alias = Alias::new(&folder, key).unwrap();
        let conn = Connection::open(alias.path()).unwrap();
        for sql in [
            "CREATE TABLE u (x)",
            "PRAGMA journal_mode = wal; CREATE TABLE u (x)",
        ] {
            assert!(conn.execute_batch(sql).is_err(), "{sql}");
        }
        drop(conn);
        let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_took_the_place_of_the_database_is_not_opened() {
        let (root, folder, key) = database();
        let alias = Alias::new(&folder, key).unwrap();
        let path = root.path().join(DATABASE);
        let other = root.path().join("other.sqlite3");
        make(&other);
        std::fs::rename(&path, root.path().join("away")).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(read(alias.path()).is_err());
        std::fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, mode, 0).unwrap();
        assert!(read(alias.path()).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(read(alias.path()).is_err());
    }

    #[test]
    fn a_sector_that_cannot_be_read_is_no_damage() {
        assert_eq!(of_the_disk(libc::EIO), libc::EREMOTEIO);
        assert_eq!(of_the_disk(libc::EINTR), libc::EINTR);
    }

    #[test]
    fn a_message_shows_where_the_database_is() {
        let message = format!("unable to open: {PREFIX}/7/{DATABASE}");
        let path = Path::new("/srv/chroma.sqlite3");
        assert_eq!(shown(message, path), "unable to open: /srv/chroma.sqlite3");
        assert_eq!(shown("disk I/O error".to_owned(), path), "disk I/O error");
    }
}
