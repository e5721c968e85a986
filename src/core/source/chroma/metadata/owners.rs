//! The owner (the value of one metadata key) of records of which the consumer needs nothing else, from indexes alone where that is possible.
//!
//! Stage: source. Promise: the value that the table has. May import `values`, `sqlite` and `record`.
//!
//! The owner's row in `embedding_metadata` is stored beside those with the record's document: to read it costs a page
//! of the file for every few records. The table's primary key has the row's rowid, and the index by values, which
//! releases since 0.5.6 make, has all rowids of each owner one after the other. What the latter does not have (old
//! stores, other types, pages that cannot be read) is read from the table.

use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Rows, Statement, params};

use super::values::KeyValue;
use crate::record::Value;
use crate::source::chroma::sqlite::columns::{intact_text, typed};
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

/// Bytes of owners' names that are kept at most.
const MOST_BYTES: usize = 4 << 20;

/// Finds owners.
pub(crate) struct Owners<'a> {
    database: &'a Database,
    key: Arc<str>,
    /// The owners' rows of a range of records that `embeddings` has. Joined from there by primary key: to step over the keys of
    /// all records takes longer.
    range: Statement<'a>,
    /// One of these rows.
    row: RowLookup<'a>,
    /// Records of the collection.
    records: usize,
    /// Read when the first owner is found.
    by_rowid: Option<OwnersByRowid>,
}

impl<'a> Owners<'a> {
    /// Prepares to find owners: the values of the metadata key `key`.
    pub fn new(database: &'a Database, bools: bool, key: &str) -> Result<Owners<'a>, SourceError> {
        let bool_value = if bools { ", bool_value" } else { "" };
        Ok(Owners {
            database,
            key: key.into(),
            range: database.prepare(
                "SELECT e.id, m.rowid FROM embeddings e CROSS JOIN embedding_metadata m \
                 WHERE e.id BETWEEN ?1 AND ?2 AND m.id = e.id AND m.key = ?3 ORDER BY e.id",
            )?,
            row: RowLookup {
                statement: database.prepare(&format!(
                    "SELECT string_value, int_value, float_value{bool_value} FROM embedding_metadata WHERE rowid = ?1"
                ))?,
                bools,
            },
            records: 0,
            by_rowid: None,
        })
    }

    /// Tells how many records the collection has.
    pub fn expect(&mut self, records: usize) {
        self.records = records;
    }

    /// The owners of the records `first` to `last`.
    pub fn range(&mut self, first: i64, last: i64) -> Result<OwnerCursor<'_, 'a>, StatementError> {
        let database = self.database;
        let rows = self.range.query(params![first, last, &*self.key]);
        Ok(OwnerCursor {
            database,
            key: &self.key,
            rows: rows.map_err(|error| database.statement_error(error))?,
            row: &mut self.row,
            records: self.records,
            by_rowid: &mut self.by_rowid,
            ahead: None,
        })
    }

    /// The owner of the record with id `number` in `embeddings`, whether `embeddings` has it or not; `None` if there is none or it cannot be
    /// read.
    pub fn of(&mut self, number: i64) -> Result<Option<KeyValue>, SourceError> {
        let sql = "SELECT rowid FROM embedding_metadata WHERE id = ?1 AND key = ?2";
        let mut statement = self.database.prepare(sql)?;
        let rowid = statement.query_row(params![number, &*self.key], |row| row.get(0));
        let Ok(rowid) = rowid else { return Ok(None) };
        let value = unless_corrupt(self.row.value(self.database, rowid))?.flatten();
        Ok(value.map(|value| (self.key.clone(), Some(value))))
    }
}

/// The owners of some records, in ascending order of their ids in `embeddings`.
pub(crate) struct OwnerCursor<'s, 'a> {
    database: &'a Database,
    key: &'s Arc<str>,
    rows: Rows<'s>,
    row: &'s mut RowLookup<'a>,
    records: usize,
    by_rowid: &'s mut Option<OwnersByRowid>,
    /// A record with its owner's row.
    ahead: Option<(i64, i64)>,
}

impl OwnerCursor<'_, '_> {
    /// The owner of `number`; earlier numbers are passed over.
    pub fn of(&mut self, number: i64) -> Result<Option<KeyValue>, StatementError> {
        let failed = |error| self.database.statement_error(error);
        loop {
            match self.ahead {
                Some((at, _)) if at > number => return Ok(None),
                Some((at, rowid)) if at == number => {
                    self.ahead = None;
                    let value = match self.by_rowid()?.of(rowid) {
                        Some(value) => Some(value.clone()),
                        None => self.row.value(self.database, rowid)?,
                    };
                    return Ok(Some((self.key.clone(), value)));
                }
                _ => {}
            }
            let Some(row) = self.rows.next().map_err(failed)? else {
                return Ok(None);
            };
            self.ahead = Some((row.get(0).map_err(failed)?, row.get(1).map_err(failed)?));
        }
    }

    fn by_rowid(&mut self) -> Result<&mut OwnersByRowid, StatementError> {
        let found = match self.by_rowid.take() {
            Some(found) => found,
            None => {
                let found = OwnersByRowid::read(self.database, self.key, self.records);
                unless_corrupt(found)?.unwrap_or_default()
            }
        };
        Ok(self.by_rowid.insert(found))
    }
}

/// Finds rows in the table.
struct RowLookup<'a> {
    statement: Statement<'a>,
    bools: bool,
}

impl RowLookup<'_> {
    /// The value in the row `rowid`.
    fn value(&mut self, database: &Database, rowid: i64) -> Result<Option<Value>, StatementError> {
        let failed = |error| database.statement_error(error);
        let mut rows = self.statement.query([rowid]).map_err(failed)?;
        // The index has it.
        let row = rows
            .next()
            .map_err(failed)?
            .ok_or(StatementError::Corrupt)?;
        match row.get_ref(0).map_err(failed)? {
            ValueRef::Text(bytes) => Ok(Some(text(bytes).ok_or(StatementError::Corrupt)?)),
            _ => typed(row, 0, self.bools).map_err(failed),
        }
    }
}

fn text(bytes: &[u8]) -> Option<Value> {
    Some(Value::Str(intact_text(bytes)?.to_owned()))
}

/// Owners by the rowid of their row, as far as the indexes by values have them.
#[derive(Default)]
struct OwnersByRowid {
    /// Rowids, ascending, each with its owner's position in `owners`.
    rows: Vec<(i64, u32)>,
    owners: Vec<Value>,
    /// Where the next row is looked for first: most records lie in the order in which their metadata do.
    next: usize,
}

impl OwnersByRowid {
    /// Reads the indexes, if there are not many more owners than `records`: other collections have theirs there too.
    fn read(
        database: &Database,
        key: &str,
        records: usize,
    ) -> Result<OwnersByRowid, StatementError> {
        let most = records.saturating_mul(2).saturating_add(1000);
        let mut found = OwnersByRowid::default();
        // The order of precedence: a row has one value.
        for column in ["string_value", "int_value"] {
            if found.take(database, key, column, most)?.is_break() {
                break;
            }
        }
        // Of two owners of one row the one that was read first is the first.
        found.rows.sort_unstable();
        found.rows.dedup_by_key(|(row, _)| *row);
        Ok(found)
    }

    /// Takes what the index by `column` has; breaks if it is too much.
    fn take(
        &mut self,
        database: &Database,
        key: &str,
        column: &str,
        most: usize,
    ) -> Result<ControlFlow<()>, StatementError> {
        let failed = |error| database.statement_error(error);
        // Without such an index there is nothing to prepare, and a value of the next column may not be the row's.
        let Ok(mut statement) = database.prepare(&format!(
            "SELECT rowid, {column} FROM embedding_metadata INDEXED BY embedding_metadata_{column} \
             WHERE key = ?1 AND {column} IS NOT NULL"
        )) else {
            return Ok(ControlFlow::Break(()));
        };
        let (mut rows, mut bytes) = (statement.query([key]).map_err(failed)?, 0_usize);
        while let Some(row) = rows.next().map_err(failed)? {
            let rowid = row.get(0).map_err(failed)?;
            let value = row.get_ref(1).map_err(failed)?;
            let again = self.owners.last().is_some_and(|last| is(last, value));
            if !again {
                let owner = match value {
                    ValueRef::Text(bytes) => text(bytes),
                    ValueRef::Integer(number) => Some(Value::Int(number)),
                    _ => None,
                };
                let Some(owner) = owner else { continue };
                bytes = bytes.saturating_add(owner.as_str().map_or(0, str::len));
                self.owners.push(owner);
            }
            let at = self.owners.len().saturating_sub(1);
            let full = self.rows.len() >= most || bytes > MOST_BYTES;
            match u32::try_from(at) {
                Ok(at) if !full => self.rows.push((rowid, at)),
                _ => return Ok(ControlFlow::Break(())),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The owner in the row `rowid`, if it is known.
    fn of(&mut self, rowid: i64) -> Option<&Value> {
        let found = match self.rows.get(self.next) {
            Some((row, _)) if *row == rowid => self.next,
            _ => self
                .rows
                .binary_search_by_key(&rowid, |(row, _)| *row)
                .ok()?,
        };
        self.next = found.saturating_add(1);
        let (_, owner) = self.rows.get(found)?;
        self.owners.get(usize::try_from(*owner).ok()?)
    }
}

/// Whether `value` is what `owner` was made of.
fn is(owner: &Value, value: ValueRef<'_>) -> bool {
    match (owner, value) {
        (Value::Str(text), ValueRef::Text(bytes)) => text.as_bytes() == bytes,
        (Value::Int(one), ValueRef::Integer(other)) => *one == other,
        _ => false,
    }
}
