//! A disk that cannot read some sectors of `chroma.sqlite3`: reading goes on in a copy.
//!
//! SQLite is given a file system that fails for one page; the copying reads the file itself, which is whole, so
//! nothing may be missing in the end.

#![allow(unsafe_code, reason = "SQLite's file systems are C structures")]

mod common;

use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use common::{copy, fixtures, named, open, records};
use rusqlite::ffi;
use vector_migrate_core::source::Source;

const PAGE: i64 = 4096;
/// What the reader names a store's files to SQLite, which a private copy's it does not.
const STORE: &[u8] = b"/dev/null/";

/// The page that cannot be read, from 1 on; 0: none.
static BAD: AtomicI64 = AtomicI64::new(0);
static FAILURES: AtomicU32 = AtomicU32::new(0);
static ORIGINAL: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
static FAILING: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
// SAFETY: xOpen of sqlite3_vfs (sqlite3.h), called only by `open_file`, with the arguments that SQLite gave it.
type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    ffi::sqlite3_filename,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;
static OPEN: OnceLock<Open> = OnceLock::new();

/// SQLite's `xRead`, but for the bad page.
///
/// # Safety
/// `file` was opened by the original file system, and `into` has room for `bytes` bytes: SQLite promises both.
unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    bytes: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    if at / PAGE + 1 == BAD.load(Ordering::Relaxed) {
        FAILURES.fetch_add(1, Ordering::Relaxed);
        return ffi::SQLITE_IOERR_READ;
    }
    let original = ORIGINAL.get().unwrap().xRead.unwrap();
    // SAFETY: the arguments are those that SQLite's os_unix.c gave.
    unsafe { original(file, into, bytes, at) }
}

/// SQLite's `xOpen`; the store's own file gets [`read`].
///
/// # Safety
/// `name` is NULL or terminated, and `file` has room for the original file system's structure: SQLite promises both.
unsafe extern "C" fn open_file(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: xOpen of sqlite3_vfs (sqlite3.h) gets the arguments that SQLite gave, and initialises `file`.
    unsafe {
        let result = OPEN.get().unwrap()(vfs, name, file, flags, out);
        let ours = !name.is_null() && CStr::from_ptr(name).to_bytes().starts_with(STORE);
        if result == ffi::SQLITE_OK && ours {
            let methods = ORIGINAL.get_or_init(|| *(*file).pMethods);
            let failing = FAILING.get_or_init(|| ffi::sqlite3_io_methods {
                xRead: Some(read),
                ..*methods
            });
            (*file).pMethods = failing;
        }
        result
    }
}

/// Makes the failing file system SQLite's default one.
fn install() {
    // SAFETY: sqlite3_vfs_register (os.c) keeps the structure: a copy of the default one, with its own name, which lives for ever.
    unsafe {
        let default = ffi::sqlite3_vfs_find(std::ptr::null());
        OPEN.set((*default).xOpen.unwrap()).unwrap();
        let mut vfs = *default;
        vfs.xOpen = Some(open_file);
        vfs.zName = c"failing".as_ptr();
        vfs.pNext = std::ptr::null_mut();
        let result = ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1);
        assert_eq!(result, ffi::SQLITE_OK);
    }
}

#[test]
fn a_page_that_the_disk_cannot_read_does_not_end_the_reading() {
    let fixture = "chroma-0.5.23";
    let intact = open(&fixtures().join(fixture));
    let wanted: Vec<_> = intact
        .collections()
        .iter()
        .map(|collection| records(&intact, collection))
        .collect();
    drop(intact);
    let copy = copy(fixture);
    let pages: Vec<(String, i64)> = {
        let conn = copy.sqlite();
        let mut statement = conn
            .prepare(
                "SELECT name, min(pageno) FROM dbstat WHERE name IN ('collections', 'embeddings', \
                 'embedding_metadata', 'embeddings_queue', 'sqlite_autoindex_embeddings_1', 'max_seq_id') AND \
                 pagetype = 'leaf' GROUP BY name",
            )
            .unwrap();
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        found.unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(pages.len(), 6);
    install();
    let mut late = 0;
    for (name, page) in pages {
        // While the store is opened, and once it is open.
        for early in [true, false] {
            FAILURES.store(0, Ordering::Relaxed);
            BAD.store(if early { page } else { 0 }, Ordering::Relaxed);
            let store = open(&copy.directory);
            if !early {
                BAD.store(page, Ordering::Relaxed);
            }
            for (collection, wanted) in store.collections().iter().zip(&wanted) {
                assert_eq!(&records(&store, collection), wanted, "{name}");
            }
            assert!(store.inventory(named(&store, "content")).is_ok(), "{name}");
            store.summary().unwrap();
            assert_eq!(store.take_notices(), Vec::<String>::new());
            let failures = FAILURES.load(Ordering::Relaxed);
            assert!(!early || failures > 0, "{name}");
            late += u32::from(!early && failures > 0);
        }
    }
    assert!(late > 1, "{late}");
}
