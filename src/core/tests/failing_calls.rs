//! The n-th read or the n-th piece of memory that SQLite asks for fails, for every n: all records, or an error, and
//! afterwards everything is given back.
//!
//! `EVERY`: of pieces of memory, every one of so many (default 40; 1: each).

#![allow(unsafe_code, reason = "SQLite's hooks are C structures")]

mod common;

use std::ffi::{c_int, c_void};
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{copy, records, try_open};
use rusqlite::ffi;
use vector_migrate_core::record::Record;
use vector_migrate_core::source::{Source, SourceError};

/// Counts down to the call that fails.
static READS: AtomicI64 = AtomicI64::new(i64::MAX);
static PIECES: AtomicI64 = AtomicI64::new(i64::MAX);
// SAFETY: xMalloc of sqlite3_mem_methods (sqlite3.h).
type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;
// SAFETY: xRealloc of sqlite3_mem_methods (sqlite3.h).
type Realloc = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;
static MEMORY: OnceLock<(Malloc, Realloc)> = OnceLock::new();

/// `pread` of SQLite's Unix layer.
///
/// # Safety
/// As `pread(2)`: os_unix.c calls it with an open descriptor and room for `bytes`.
unsafe extern "C" fn read(file: c_int, into: *mut c_void, bytes: usize, at: libc::off_t) -> isize {
    if READS.fetch_sub(1, Ordering::Relaxed) == 1 {
        // What the reader's own call makes of EIO, which would be damage to SQLite.
        // SAFETY: glibc's __errno_location (errno.h) gives this thread's own errno.
        unsafe { *libc::__errno_location() = libc::EREMOTEIO };
        return -1;
    }
    // SAFETY: the arguments are those that SQLite's os_unix.c gave.
    unsafe { libc::pread(file, into, bytes, at) }
}

/// SQLite's `xMalloc`.
///
/// # Safety
/// None beyond the original's.
unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    if PIECES.fetch_sub(1, Ordering::Relaxed) == 1 {
        return std::ptr::null_mut();
    }
    // SAFETY: handed on to SQLite's own allocator (mem1.c) as it came.
    unsafe { MEMORY.get().unwrap().0(bytes) }
}

/// SQLite's `xRealloc`.
///
/// # Safety
/// `old` is of [`malloc`] or this.
unsafe extern "C" fn realloc(old: *mut c_void, bytes: c_int) -> *mut c_void {
    if PIECES.fetch_sub(1, Ordering::Relaxed) == 1 {
        return std::ptr::null_mut();
    }
    // SAFETY: handed on to SQLite's own allocator (mem1.c) as it came.
    unsafe { MEMORY.get().unwrap().1(old, bytes) }
}

/// Puts the hooks in; before SQLite is used for the first time.
fn install() {
    // SAFETY: sqlite3_config (main.c) may be called before sqlite3_initialize only, which is so here: this is the program's one
    // test; the structures are whole.
    unsafe {
        let mut memory = std::mem::zeroed::<ffi::sqlite3_mem_methods>();
        assert_eq!(
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut memory),
            ffi::SQLITE_OK
        );
        let original = (memory.xMalloc.unwrap(), memory.xRealloc.unwrap());
        assert!(MEMORY.set(original).is_ok());
        let mut hooked = memory;
        hooked.xMalloc = Some(malloc);
        hooked.xRealloc = Some(realloc);
        assert_eq!(
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw mut hooked),
            ffi::SQLITE_OK
        );
    }
}

/// Puts the reader's own call for reading, which is there since the first opening, behind a hook.
fn install_read() {
    // SAFETY: the function has the type of os_unix.c's osPread, which a Linux build uses; with osPread64 or osRead the
    // counter stays, and the test fails. No other thread uses SQLite.
    unsafe {
        let unix = ffi::sqlite3_vfs_find(c"unix".as_ptr());
        let call = std::mem::transmute::<*const (), ffi::sqlite3_syscall_ptr>(read as *const ());
        let set = (*unix).xSetSystemCall.unwrap();
        assert_eq!(set(unix, c"pread".as_ptr(), call), ffi::SQLITE_OK);
    }
}

fn everything(directory: &std::path::Path) -> Result<Vec<Vec<Record>>, SourceError> {
    let store = try_open(directory)?;
    let mut all = Vec::new();
    for collection in store.collections() {
        let mut some = Vec::new();
        store.read(collection, &mut |record| {
            some.push(record);
            std::ops::ControlFlow::Continue(())
        })?;
        all.push(some);
    }
    Ok(all)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Lets the n-th call fail for n = 1, 1 + step, ... until there are not so many.
fn each(
    name: &str,
    counter: &AtomicI64,
    step: i64,
    wanted: &[Vec<Record>],
    directory: &std::path::Path,
) {
    let (mut whole, mut refused, open) = (0, 0, descriptors());
    let mut n = 1;
    loop {
        counter.store(n, Ordering::Relaxed);
        let found = everything(directory);
        let failed = counter.swap(i64::MAX, Ordering::Relaxed) <= 0;
        match found {
            Ok(found) => {
                assert_eq!(found, wanted, "{name} {n}");
                whole += 1;
            }
            Err(
                SourceError::Io { .. } | SourceError::TooLarge { .. } | SourceError::Busy { .. },
            ) => refused += 1,
            Err(other) => panic!("{name} {n}: {other:?}"),
        }
        assert_eq!(descriptors(), open, "{name} {n}");
        if !failed {
            break;
        }
        n += step;
    }
    println!("{name}: {n} calls, {whole} read whole, {refused} refused");
    assert!(n > step && whole > 0);
}

#[test]
fn any_read_and_any_piece_of_memory_may_fail() {
    install();
    let copy = copy("special/two-collections");
    let wanted = {
        let store = try_open(&copy.directory).unwrap();
        let read = |collection| records(&store, collection);
        store.collections().iter().map(read).collect::<Vec<_>>()
    };
    install_read();
    let every = std::env::var("EVERY").map_or(40, |told| told.parse().expect("a number"));
    each("read", &READS, 1, &wanted, &copy.directory);
    each("memory", &PIECES, every, &wanted, &copy.directory);
}
