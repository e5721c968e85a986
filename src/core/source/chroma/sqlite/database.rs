//! `chroma.sqlite3`, opened read-only and defensively.
//!
//! Stage: source. Promise: the connection cannot write, attach, load code or run what a hostile schema holds;
//! it creates no file; everything is read from one snapshot, since the first read's lock is held for the
//! connection's life; the stop flag ends a statement within milliseconds. May import `calls`, `error`,
//! `layout` and `locks`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

use super::database_file::Claim;
use super::system_calls::{self, Alias};
use crate::source::chroma::damage::scan::Trouble;
use crate::source::chroma::files::layout::FileStat;
use crate::source::error::SourceError;

/// The largest string, blob or row that is read.
const LARGEST_VALUE: i32 = 1 << 30;
/// How long a writer's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// Pages that are copied between two looks at the stop flag.
const COPIED_PAGES: i32 = 1024;
/// Virtual machine steps between two looks at the stop flag.
const STEPS: i32 = 10_000;

/// Where a database lies.
pub(crate) enum Lies {
    /// In the store, where SQLite finds it under this path.
    There(Alias),
    /// In a private copy, at this path.
    Copied(PathBuf),
}

/// An open database.
pub(crate) struct Database {
    conn: Connection,
    /// The file, or the one that it is a copy of.
    pub path: PathBuf,
    /// Size and time of that file when it was opened.
    pub stat: FileStat,
    stop: Arc<AtomicBool>,
    tables: BTreeMap<String, BTreeSet<String>>,
    /// More rows than the file has room for: a row takes 4 bytes at least.
    most_rows: usize,
    // After `conn`: its locks are gone before the claim is, and SQLite asks for the file when it closes it.
    claim: Claim,
    _lies: Lies,
}

impl Database {
    /// Opens the database that was claimed and begins the transaction that everything is read in. `path` is what
    /// it is called in errors.
    pub fn open(
        lies: Lies,
        path: &Path,
        claim: Claim,
        stop: Arc<AtomicBool>,
    ) -> Result<Database, SourceError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let file = match &lies {
            Lies::There(alias) => alias.path(),
            Lies::Copied(file) => file,
        };
        let mut conn = Connection::open_with_flags(file, flags)
            .map_err(|error| translate(path, &stop, error))?;
        prepare(&mut conn, &stop)
            .and_then(|()| conn.execute_batch("PRAGMA query_only = 1; BEGIN"))
            .map_err(|error| translate(path, &stop, error))?;
        let stat = claim.stat;
        let bytes = conn
            .query_row(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                [],
                |row| row.get::<_, i64>(0),
            )
            .map_err(|error| translate(path, &stop, error))?;
        let mut database = Database {
            most_rows: usize::try_from(bytes / 4).unwrap_or(usize::MAX),
            conn,
            path: path.to_owned(),
            stat,
            stop,
            tables: BTreeMap::new(),
            claim,
            _lies: lies,
        };
        // Names are looked at as SQLite compares them: without regard to case.
        let objects = database.rows("SELECT lower(name), type, sql FROM sqlite_master", |row| {
            Ok((
                text(row.get_ref(0)?),
                text(row.get_ref(1)?),
                text(row.get_ref(2)?),
            ))
        });
        let objects = objects.map_err(|error| error.in_table("sqlite_schema"))?;
        for (name, kind, sql) in objects {
            let (Some(name), Some(kind)) = (name, kind) else {
                continue;
            };
            let declared = sql.unwrap_or_default().to_ascii_lowercase();
            let plain = kind == "table" && !declared.starts_with("create virtual");
            if plain {
                database.tables.insert(name, BTreeSet::new());
            } else if kind == "view" {
                return Err(database.unknown(format!("it holds a view \"{name}\"")));
            }
        }
        Ok(database)
    }

    /// Whether another process is inside a write transaction, or waits to commit one.
    pub fn writer_inside(&self) -> bool {
        self.claim.writer_inside()
    }

    /// Bytes of what this connection sees.
    pub fn bytes(&self) -> Result<u64, SourceError> {
        Ok(self
            .figure("page_count")?
            .saturating_mul(self.figure("page_size")?))
    }

    /// Writes what this connection sees into the new database `to`; tells `grown` how many bytes it wrote.
    pub fn copy_to(
        &self,
        to: &Path,
        mut grown: impl FnMut(u64) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let failed = |error| self.failed(error);
        let mut copy = Connection::open(to).map_err(failed)?;
        copy.execute_batch("PRAGMA journal_mode = off; PRAGMA synchronous = 0")
            .map_err(failed)?;
        let page = self.figure("page_size")?;
        let backup = Backup::new(&self.conn, &mut copy).map_err(failed)?;
        let mut left = None;
        loop {
            self.check_stop()?;
            let step = backup.step(COPIED_PAGES).map_err(failed)?;
            let progress = backup.progress();
            let before = left
                .replace(progress.remaining)
                .unwrap_or(progress.pagecount);
            let pages = u64::try_from(before.saturating_sub(progress.remaining)).unwrap_or(0);
            grown(pages.saturating_mul(page))?;
            match step {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                _ => return Err(busy(&self.path, "another process is writing to it")),
            }
        }
    }

    /// The columns of `table` (lower case); empty if there is no such ordinary table.
    pub fn columns(&self, table: &str) -> Result<BTreeSet<String>, SourceError> {
        if !self.tables.contains_key(table) {
            return Ok(BTreeSet::new());
        }
        let mut statement = self.prepare("SELECT lower(name) FROM pragma_table_info(?1)")?;
        let mut rows = statement
            .query([table])
            .map_err(|error| self.failed(error))?;
        let mut columns = BTreeSet::new();
        while let Some(row) = rows.next().map_err(|error| self.failed(error))? {
            columns.extend(row.get_ref(0).ok().and_then(text));
        }
        Ok(columns)
    }

    /// Whether there is an ordinary table of this name.
    pub fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// What the database's header says under the pragma `name`.
    pub fn figure(&self, name: &'static str) -> Result<u64, SourceError> {
        let found = self.rows(&format!("PRAGMA {name}"), |row| row.get::<_, i64>(0))?;
        let figure = found.first().and_then(|figure| u64::try_from(*figure).ok());
        Ok(figure.unwrap_or(0))
    }

    /// Prepares a statement.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>, SourceError> {
        self.conn.prepare(sql).map_err(|error| self.failed(error))
    }

    /// Every row of `sql`, which takes no parameter.
    pub fn rows<T>(
        &self,
        sql: &str,
        mut row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, SourceError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([]).map_err(|error| self.failed(error))?;
        let mut all = Vec::new();
        while let Some(found) = rows.next().map_err(|error| self.failed(error))? {
            all.push(row(found).map_err(|error| self.failed(error))?);
            self.check_count(all.len())?;
        }
        Ok(all)
    }

    /// Every row of `sql`, which takes no parameter and reads a table that can be done without.
    pub fn try_rows<T>(
        &self,
        sql: &str,
        mut row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Trouble> {
        let failed = |error| Trouble::of(self, error);
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut all = Vec::new();
        while let Some(found) = rows.next().map_err(failed)? {
            all.push(row(found).map_err(failed)?);
            self.check_count(all.len())?;
        }
        Ok(all)
    }

    /// Refuses a table that has given `rows` rows if the file has no room for so many: its pages lead to each other,
    /// and it would never end.
    pub fn check_count(&self, rows: usize) -> Result<(), SourceError> {
        if rows > self.most_rows {
            return Err(self.damaged("a table holds more rows than there is room for".to_owned()));
        }
        Ok(())
    }

    /// SQLite's error as the store's.
    pub fn failed(&self, error: rusqlite::Error) -> SourceError {
        translate(&self.path, &self.stop, error)
    }

    /// A layout that this reader does not know.
    pub fn unknown(&self, what: String) -> SourceError {
        SourceError::UnknownLayout {
            path: self.path.clone(),
            what,
        }
    }

    /// A content that contradicts the format.
    pub fn damaged(&self, what: String) -> SourceError {
        SourceError::Damaged {
            path: self.path.clone(),
            what,
            offset: None,
        }
    }

    /// A table that cannot be read and not be done without.
    pub fn lost(&self, table: &str) -> SourceError {
        self.damaged("its pages are not whole".to_owned())
            .in_table(table)
    }

    /// The error of a raised stop flag.
    pub fn check_stop(&self) -> Result<(), SourceError> {
        check_stop(&self.stop)
    }

    /// The stop flag.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }
}

/// The error of a raised stop flag.
pub(crate) fn check_stop(stop: &AtomicBool) -> Result<(), SourceError> {
    if stop.load(Ordering::Relaxed) {
        Err(SourceError::Interrupted)
    } else {
        Ok(())
    }
}

/// A text value; read by its byte length, since a text may hold U+0000.
pub(crate) fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            // Chroma writes UTF-8; checking for it alone is faster than making it so.
            Some(match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => String::from_utf8_lossy(bytes).into_owned(),
            })
        }
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
    }
}

/// A sequence number: an INTEGER since chromadb 1.0, before that a big-endian BLOB of 8 bytes (24 in theory).
pub(crate) fn sequence(value: ValueRef<'_>) -> Result<Option<i64>, String> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number)),
        ValueRef::Blob(bytes) => {
            let wide = matches!(bytes.len(), 8 | 24);
            let (high, low) = bytes
                .split_at_checked(bytes.len().saturating_sub(8))
                .unwrap_or((bytes, &[]));
            match <[u8; 8]>::try_from(low)
                .map(u64::from_be_bytes)
                .map(i64::try_from)
            {
                Ok(Ok(number)) if wide && high.iter().all(|byte| *byte == 0) => Ok(Some(number)),
                _ => Err(format!(
                    "a sequence number of {} bytes cannot be decoded",
                    bytes.len()
                )),
            }
        }
        other => Err(format!(
            "a sequence number is stored as {}",
            other.data_type()
        )),
    }
}

/// Lets SQLite bring the private copy `file` of `path` into order: a journal is rolled back, a write-ahead log
/// taken in; afterwards it is in rollback mode.
pub(crate) fn recover(file: &Path, path: &Path, stop: &Arc<AtomicBool>) -> Result<(), SourceError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let failed = |error| translate(path, stop, error);
    let mut conn = Connection::open_with_flags(file, flags).map_err(failed)?;
    prepare(&mut conn, stop).map_err(failed)?;
    conn.execute_batch("PRAGMA synchronous = 0; PRAGMA locking_mode = exclusive")
        .map_err(failed)?;
    conn.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
        .map_err(failed)?;
    conn.query_row("PRAGMA journal_mode = delete", [], |_| Ok(()))
        .map_err(failed)?;
    conn.close().map_err(|(_, error)| failed(error))
}

/// The error about a file that another process has or changes.
pub(crate) fn busy(path: &Path, what: &str) -> SourceError {
    SourceError::Busy {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

fn prepare(conn: &mut Connection, stop: &Arc<AtomicBool>) -> rusqlite::Result<()> {
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

fn translate(path: &Path, stop: &AtomicBool, error: rusqlite::Error) -> SourceError {
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return SourceError::Damaged {
            path: path.to_owned(),
            what: error.to_string(),
            offset: None,
        };
    };
    let what = system_calls::shown(message.unwrap_or_else(|| failure.to_string()), path);
    let path = path.to_owned();
    match failure.code {
        _ if stop.load(Ordering::Relaxed) => SourceError::Interrupted,
        ErrorCode::OperationInterrupted => SourceError::Interrupted,
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => SourceError::Busy {
            path,
            what: "another process is writing to it".to_owned(),
        },
        // A read-only connection would have to roll back a hot journal.
        ErrorCode::ReadOnly => SourceError::Busy {
            path,
            what: "a killed process left an unfinished transaction in \"chroma.sqlite3-journal\""
                .to_owned(),
        },
        ErrorCode::NotADatabase => SourceError::NotSqlite { path },
        ErrorCode::PermissionDenied => SourceError::PermissionDenied { path },
        // Only private copies are written.
        ErrorCode::DiskFull => SourceError::full(&path),
        ErrorCode::TooBig | ErrorCode::OutOfMemory => SourceError::TooLarge { path, what },
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => SourceError::Io {
            path,
            source: io::Error::other(what),
        },
        _ => SourceError::Damaged {
            path,
            what,
            offset: None,
        },
    }
}
