//! `chroma.sqlite3`, opened read-only and defensively.
//!
//! Stage: source. Promise: the connection cannot write and creates no file; everything is read from one snapshot, since the
//! first read's lock is held for the connection's life. May import `columns`, `connection`, `database_file`, `errors`,
//! `system_calls` and `files`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, Statement};

use super::columns::text;
use super::connection::open_read_only;
use super::database_file::DatabaseFile;
use super::errors::{StatementError, source_error, statement_error};
use super::system_calls::Alias;
use crate::source::chroma::files::file_stat::FileStat;
use crate::source::error::SourceError;
use crate::source::stop::check_stop;

/// Pages that are copied between two looks at the stop flag.
const COPIED_PAGES: i32 = 1024;

/// Where a database is.
pub(crate) enum Location {
    /// In the store, where SQLite finds it under this path.
    InPlace(Alias),
    /// In a private copy, at this path.
    Copy(PathBuf),
}

impl Location {
    fn path(&self) -> &Path {
        match self {
            Location::InPlace(alias) => alias.path(),
            Location::Copy(file) => file,
        }
    }
}

/// An open database.
pub(crate) struct Database {
    conn: Connection,
    /// The file, or the one that it is a copy of.
    pub path: PathBuf,
    /// Size and time of that file when it was opened.
    pub stat: FileStat,
    stop: Arc<AtomicBool>,
    /// Ordinary tables, in lower case.
    tables: BTreeSet<String>,
    /// More rows than the file has room for: a row takes 4 bytes at least.
    most_rows: usize,
    // After `conn`: its locks are gone before this descriptor is, and SQLite asks for the file when it closes it.
    file: DatabaseFile,
    _location: Location,
}

impl Database {
    /// Opens the database at `location`, which `file` is, and begins the transaction that everything is read in. `path` and
    /// `stat` are those of the store's own file.
    pub fn open(
        location: Location,
        file: DatabaseFile,
        path: &Path,
        stat: FileStat,
        stop: Arc<AtomicBool>,
    ) -> Result<Database, SourceError> {
        let conn = open_read_only(location.path(), path, &stop)?;
        let failed = |error| source_error(path, &stop, error);
        let bytes = conn
            .query_row(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                [],
                |row| row.get::<_, i64>(0),
            )
            .map_err(failed)?;
        let most_rows = usize::try_from(bytes / 4).unwrap_or(usize::MAX);
        let tables = ordinary_tables(&conn, most_rows, path, &stop)?;
        Ok(Database {
            conn,
            path: path.to_owned(),
            stat,
            tables,
            most_rows,
            file,
            _location: location,
            stop,
        })
    }

    /// Whether another process is inside a write transaction, or waits to commit one.
    pub fn writer_inside(&self) -> bool {
        self.file.writer_inside()
    }

    /// Bytes of what this connection sees.
    pub fn bytes(&self) -> Result<u64, SourceError> {
        Ok(self
            .figure("page_count")?
            .saturating_mul(self.figure("page_size")?))
    }

    /// Writes what this connection sees into the new database `to`; calls `grown` with the number of bytes it wrote.
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
                _ => {
                    return Err(SourceError::busy(
                        &self.path,
                        "another process is writing to it",
                    ));
                }
            }
        }
    }

    /// The columns of `table` (lower case); empty if there is no such ordinary table.
    pub fn columns(&self, table: &str) -> Result<BTreeSet<String>, SourceError> {
        if !self.tables.contains(table) {
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
        self.tables.contains(table)
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

    /// As [`Database::rows`], of a table that the caller can do without.
    pub fn try_rows<T>(
        &self,
        sql: &str,
        mut row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StatementError> {
        let failed = |error| self.statement_error(error);
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
            return Err(endless(&self.path));
        }
        Ok(())
    }

    /// SQLite's error as the store's.
    pub fn failed(&self, error: rusqlite::Error) -> SourceError {
        source_error(&self.path, &self.stop, error)
    }

    /// SQLite's error about a table that can be read in part.
    pub fn statement_error(&self, error: rusqlite::Error) -> StatementError {
        statement_error(&self.path, &self.stop, error)
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
        SourceError::damaged(&self.path, None, what)
    }

    /// A table that cannot be read, but is needed.
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

/// The names of the ordinary tables, in lower case: SQLite compares names without regard to case. No release of Chroma
/// makes a view.
fn ordinary_tables(
    conn: &Connection,
    most_rows: usize,
    path: &Path,
    stop: &AtomicBool,
) -> Result<BTreeSet<String>, SourceError> {
    let failed = |error| source_error(path, stop, error).in_table("sqlite_schema");
    let sql = "SELECT lower(name), type, sql FROM sqlite_master";
    let mut statement = conn.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let (mut tables, mut views, mut count) = (BTreeSet::new(), Vec::new(), 0_usize);
    while let Some(row) = rows.next().map_err(failed)? {
        count = count.saturating_add(1);
        if count > most_rows {
            return Err(endless(path).in_table("sqlite_schema"));
        }
        let column = |at: usize| row.get_ref(at).map(text).map_err(failed);
        let (Some(name), Some(kind), sql) = (column(0)?, column(1)?, column(2)?) else {
            continue;
        };
        let declared = sql.unwrap_or_default().to_ascii_lowercase();
        match kind.as_str() {
            "table" if !declared.starts_with("create virtual") => {
                tables.insert(name);
            }
            "view" => views.push(name),
            _ => {}
        }
    }
    match views.first() {
        Some(name) => Err(SourceError::UnknownLayout {
            path: path.to_owned(),
            what: format!("it holds a view \"{name}\""),
        }),
        None => Ok(tables),
    }
}

fn endless(path: &Path) -> SourceError {
    SourceError::damaged(path, None, "a table holds more rows than there is room for")
}
