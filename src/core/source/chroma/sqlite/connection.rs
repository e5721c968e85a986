//! SQLite's connections, made for files that may be hostile.
//!
//! Stage: source. Promise: a connection cannot attach, load code or run what a hostile schema holds; a value or a row is
//! bounded; the stop flag ends a statement within milliseconds. May import `errors`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::errors::source_error;
use crate::source::error::SourceError;

/// The largest string, blob or row that is read.
const LARGEST_VALUE: i32 = 1 << 30;
/// How long a writer's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// Virtual machine steps between two looks at the stop flag.
const STEPS: i32 = 10_000;

/// Opens the database `file` for reading and begins a transaction. `path` is what it is called in errors.
pub(super) fn open_read_only(
    file: &Path,
    path: &Path,
    stop: &Arc<AtomicBool>,
) -> Result<Connection, SourceError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let failed = |error| source_error(path, stop, error);
    let mut conn = Connection::open_with_flags(file, flags).map_err(failed)?;
    configure(&mut conn, stop).map_err(failed)?;
    conn.execute_batch("PRAGMA query_only = 1; BEGIN")
        .map_err(failed)?;
    Ok(conn)
}

/// Lets SQLite recover the private copy `file` of `path`: a journal is rolled back, a write-ahead log checkpointed; afterwards
/// it is in rollback mode.
pub(crate) fn recover(file: &Path, path: &Path, stop: &Arc<AtomicBool>) -> Result<(), SourceError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let failed = |error| source_error(path, stop, error);
    let mut conn = Connection::open_with_flags(file, flags).map_err(failed)?;
    configure(&mut conn, stop).map_err(failed)?;
    conn.execute_batch("PRAGMA synchronous = 0; PRAGMA locking_mode = exclusive")
        .map_err(failed)?;
    conn.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
        .map_err(failed)?;
    conn.query_row("PRAGMA journal_mode = delete", [], |_| Ok(()))
        .map_err(failed)?;
    conn.close().map_err(|(_, error)| failed(error))
}

fn configure(conn: &mut Connection, stop: &Arc<AtomicBool>) -> rusqlite::Result<()> {
    let flag = Arc::clone(stop);
    conn.progress_handler(STEPS, Some(move || flag.load(Ordering::Relaxed)))?;
    let flag = Arc::clone(stop);
    let mut since = Instant::now();
    conn.busy_handler(Some(move |count| {
        if count == 0 {
            since = Instant::now();
        }
        let again = !flag.load(Ordering::Relaxed) && since.elapsed() < PATIENCE;
        if again {
            std::thread::sleep(PAUSE);
        }
        again
    }))?;
    for (option, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
    ] {
        conn.set_db_config(option, on)?;
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, LARGEST_VALUE),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_COLUMN, 256),
    ] {
        conn.set_limit(limit, most)?;
    }
    // Sorts stay in memory, so that no temporary file is made either.
    conn.execute_batch(
        "PRAGMA cell_size_check = 1; PRAGMA mmap_size = 0; PRAGMA temp_store = 2; PRAGMA cache_size = -16384",
    )
}
