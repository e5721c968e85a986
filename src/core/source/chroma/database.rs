//! `chroma.sqlite3`, opened read-only and defensively.
//!
//! Stage: source. Promise: the connection cannot write, attach, load code or run what a hostile schema holds;
//! it creates no file; everything is read from one snapshot, since the first read's lock is held for the
//! connection's life; the stop flag ends a statement within milliseconds. May import `error` and `layout`.
//!
//! First bytes of a SQLite file, as far as they are looked at:
//!
//! | offset | bytes | meaning |
//! | --- | --- | --- |
//! | 0 | 16 | `SQLite format 3` and a zero byte |
//! | 18 | 1 | write version: 1 rollback journal, 2 write-ahead log |
//! | 19 | 1 | read version: the same |

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

use super::error::SourceError;
use super::layout::{self, FileStat, Location};

const MAGIC: &[u8] = b"SQLite format 3\0";
/// The largest string, blob or row that is read.
const LARGEST_VALUE: i32 = 1 << 30;
/// How long a writer's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// Virtual machine steps between two looks at the stop flag.
const STEPS: i32 = 10_000;

/// Databases that this process has open: closing another descriptor of such a file would drop the locks that
/// SQLite holds on it (POSIX record locks belong to the process, not to the descriptor).
static OPEN: Mutex<BTreeMap<(u64, u64), usize>> = Mutex::new(BTreeMap::new());

/// An open database.
pub(super) struct Database {
    conn: Connection,
    /// The file.
    pub path: PathBuf,
    /// Size and time when it was opened.
    pub stat: FileStat,
    stop: Arc<AtomicBool>,
    tables: BTreeMap<String, BTreeSet<String>>,
    // After `conn`: the locks are gone before the registration is.
    _registration: Registration,
}

struct Registration((u64, u64));

impl Drop for Registration {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.0) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.0);
            }
        }
    }
}

impl Database {
    /// Opens the database of `location` and begins the transaction that everything is read in.
    pub fn open(location: &Location, stop: Arc<AtomicBool>) -> Result<Database, SourceError> {
        let path = &location.database;
        let (registration, stat) = register(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut conn = Connection::open_with_flags(path, flags)
            .map_err(|error| translate(path, &stop, error))?;
        prepare(&mut conn, &stop).map_err(|error| translate(path, &stop, error))?;
        let mut database = Database {
            conn,
            path: path.clone(),
            stat,
            stop,
            tables: BTreeMap::new(),
            _registration: registration,
        };
        // Names are looked at as SQLite compares them: without regard to case.
        let objects = database.rows("SELECT lower(name), type, sql FROM sqlite_master", |row| {
            Ok((
                text(row.get_ref(0)?),
                text(row.get_ref(1)?),
                text(row.get_ref(2)?),
            ))
        })?;
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
        }
        Ok(all)
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
pub(super) fn check_stop(stop: &AtomicBool) -> Result<(), SourceError> {
    if stop.load(Ordering::Relaxed) {
        Err(SourceError::Interrupted)
    } else {
        Ok(())
    }
}

/// A text value; read by its byte length, since a text may hold U+0000.
pub(super) fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
    }
}

/// A sequence number: an INTEGER since chromadb 1.0, before that a big-endian BLOB of 8 bytes (24 in theory).
pub(super) fn sequence(value: ValueRef<'_>) -> Result<Option<i64>, String> {
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

/// Reads the first bytes and registers the file as open, unless it is open already: then it was looked at.
fn register(path: &Path) -> Result<(Registration, FileStat), SourceError> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = std::fs::symlink_metadata(path).map_err(|source| SourceError::Io {
        path: path.to_owned(),
        source,
    })?;
    let mut key = (seen.dev(), seen.ino());
    let mut stat = FileStat::of(&seen);
    if !open.contains_key(&key) {
        let (mut file, metadata) = layout::open_file(path)?;
        key = (metadata.dev(), metadata.ino());
        stat = FileStat::of(&metadata);
        let mut head = [0_u8; 100];
        match file.read_exact(&mut head) {
            Ok(()) if head.starts_with(MAGIC) => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(SourceError::Io {
                    path: path.to_owned(),
                    source: error,
                });
            }
            _ => {
                return Err(SourceError::NotSqlite {
                    path: path.to_owned(),
                });
            }
        }
        if head
            .get(18..20)
            .is_some_and(|versions| versions.contains(&2))
        {
            return Err(SourceError::Busy {
                path: path.to_owned(),
                what: "it is in write-ahead mode, which cannot be read without creating files beside it; run \
                       PRAGMA journal_mode = delete on it, or on a copy"
                    .to_owned(),
            });
        }
    }
    let count = open.entry(key).or_insert(0);
    *count = count.saturating_add(1);
    Ok((Registration(key), stat))
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
        "PRAGMA query_only = 1; PRAGMA cell_size_check = 1; PRAGMA mmap_size = 0; PRAGMA temp_store = 2; \
         PRAGMA cache_size = -16384; BEGIN",
    )
}

fn translate(path: &Path, stop: &AtomicBool, error: rusqlite::Error) -> SourceError {
    let path = path.to_owned();
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return SourceError::Damaged {
            path,
            what: error.to_string(),
            offset: None,
        };
    };
    let what = message.unwrap_or_else(|| failure.to_string());
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
