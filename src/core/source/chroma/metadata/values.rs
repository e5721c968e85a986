//! The values of records: `embedding_metadata`, and the elements of arrays in `embedding_metadata_array`.
//!
//! Stage: source. Promise: all rows of a record, or `None` if some cannot be read. May import `record`, `damage` and
//! `sqlite`.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Rows, Statement};

use super::record::Depth;
use crate::record::Value;
use crate::source::chroma::damage::value_rowids::ValueRowids;
use crate::source::chroma::sqlite::columns::{intact_text, number_or_bool, typed};
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

/// A key with its value.
pub(crate) type KeyValue = (Arc<str>, Option<Value>);

/// Keys with their values, as the rows come.
pub(crate) type KeyValues = Vec<KeyValue>;

/// One of the two tables.
pub(crate) struct Values<'a> {
    database: &'a Database,
    table: &'static str,
    /// The columns and the table, without a condition.
    select: String,
    bools: bool,
    range: Statement<'a>,
    /// Read only where a page of the table or its index cannot be read.
    rowids: Option<ValueRowids>,
}

impl<'a> Values<'a> {
    /// `embedding_metadata`, which has one row a key.
    pub fn scalars(
        database: &'a Database,
        bools: bool,
        depth: Depth,
    ) -> Result<Values<'a>, SourceError> {
        let string = string(depth);
        let bool_value = if bools { ", bool_value" } else { "" };
        let select = format!(
            "SELECT id, key, {string}, int_value, float_value{bool_value} FROM embedding_metadata"
        );
        Values::new(database, "embedding_metadata", select, "id", bools)
    }

    /// `embedding_metadata_array`, which has one row an element.
    pub fn arrays(database: &'a Database, depth: Depth) -> Result<Values<'a>, SourceError> {
        let string = string(depth);
        let select = format!(
            "SELECT id, key, {string}, int_value, float_value, bool_value FROM embedding_metadata_array"
        );
        let table = "embedding_metadata_array";
        Values::new(database, table, select, "id, rowid", true)
    }

    fn new(
        database: &'a Database,
        table: &'static str,
        select: String,
        order: &str,
        bools: bool,
    ) -> Result<Values<'a>, SourceError> {
        let range = database.prepare(&format!(
            "{select} WHERE id BETWEEN ?1 AND ?2 ORDER BY {order}"
        ))?;
        Ok(Values {
            database,
            table,
            select,
            bools,
            range,
            rowids: None,
        })
    }

    /// The rows of the records `first` to `last`.
    pub fn range(&mut self, first: i64, last: i64) -> Result<ValueCursor<'_>, StatementError> {
        let rows = self.range.query([first, last]);
        Ok(ValueCursor {
            rows: rows.map_err(|error| self.database.statement_error(error))?,
            database: self.database,
            bools: self.bools,
            ahead: None,
            names: KeyCache::default(),
        })
    }

    /// All rows of the record `number`, one of `numbers`; `None` if some of them cannot be read, or may be on a page that
    /// cannot.
    pub fn of(&mut self, number: i64, numbers: &[i64]) -> Result<Option<KeyValues>, SourceError> {
        let rowids = match self.rowids.take() {
            Some(rowids) => rowids,
            None => ValueRowids::read(self.database, self.table, numbers)?,
        };
        let pairs = match rowids.of(number) {
            Some(own) => self.at(number, own)?,
            None => {
                let straight = self.range(number, number);
                unless_corrupt(straight.and_then(|mut cursor| cursor.all(number)))?
            }
        };
        self.rowids = Some(rowids);
        Ok(pairs)
    }

    /// The rows of the record `number` at `rowids`; `None` if one of them cannot be read.
    fn at(
        &self,
        number: i64,
        rowids: impl Iterator<Item = i64>,
    ) -> Result<Option<KeyValues>, SourceError> {
        let sql = format!("{} WHERE rowid = ?1", self.select);
        let mut statement = self.database.prepare(&sql)?;
        let mut pairs = KeyValues::new();
        for rowid in rowids {
            let rows = statement
                .query([rowid])
                .map_err(|error| self.database.statement_error(error));
            let found = rows.and_then(|rows| self.cursor(rows).all(number));
            match unless_corrupt(found)? {
                Some(found) if found.len() == 1 => pairs.extend(found),
                _ => return Ok(None),
            }
        }
        Ok(Some(pairs))
    }

    fn cursor<'s>(&'s self, rows: Rows<'s>) -> ValueCursor<'s> {
        ValueCursor {
            rows,
            database: self.database,
            bools: self.bools,
            ahead: None,
            names: KeyCache::default(),
        }
    }
}

/// The strings that are read: a long one is on pages of its own, which are left alone.
fn string(depth: Depth) -> &'static str {
    match depth {
        Depth::Full => "string_value",
        Depth::Counts => {
            "CASE WHEN key = 'user_id' THEN string_value WHEN string_value IS NOT NULL THEN '' END"
        }
    }
}

/// Rows of (id, key, value) in ascending order of the id, which is the record's rowid in `embeddings`.
pub(crate) struct ValueCursor<'s> {
    rows: Rows<'s>,
    database: &'s Database,
    bools: bool,
    ahead: Option<(i64, Arc<str>, Option<Value>)>,
    names: KeyCache,
}

/// Keys that were read before. Nearly all records have the same ones, and in the same order.
#[derive(Default)]
struct KeyCache {
    known: Vec<Arc<str>>,
    /// Where the next one is looked for first.
    next: usize,
}

impl KeyCache {
    /// So many are kept.
    const MOST: usize = 64;

    /// The key of these bytes; `None` if it is damaged (see [`intact_text`]).
    fn of(&mut self, bytes: &[u8]) -> Option<Arc<str>> {
        let is = |name: &Arc<str>| name.as_bytes() == bytes;
        let at = match self.known.get(self.next) {
            Some(name) if is(name) => Some(self.next),
            _ => self.known.iter().position(is),
        };
        if let Some(at) = at {
            self.next = at.saturating_add(1);
            return self.known.get(at).cloned();
        }
        let name: Arc<str> = intact_text(bytes)?.into();
        if self.known.len() < Self::MOST {
            self.known.push(name.clone());
        }
        self.next = self.known.len();
        Some(name)
    }
}

impl ValueCursor<'_> {
    /// The keys and values of `number`; earlier numbers are passed over.
    pub fn all(&mut self, number: i64) -> Result<KeyValues, StatementError> {
        let failed = |error| self.database.statement_error(error);
        let mut pairs = KeyValues::with_capacity(16);
        loop {
            match self.ahead.take() {
                Some((at, key, value)) if at == number => {
                    pairs.push((key, value));
                    self.database.check_count(pairs.len())?;
                }
                Some(ahead) if ahead.0 > number => {
                    self.ahead = Some(ahead);
                    return Ok(pairs);
                }
                _ => {}
            }
            let Some(row) = self.rows.next().map_err(failed)? else {
                return Ok(pairs);
            };
            let at: i64 = row.get(0).map_err(failed)?;
            if at < number {
                continue;
            }
            // A key is never NULL.
            let ValueRef::Text(key) = row.get_ref(1).map_err(failed)? else {
                return Err(StatementError::Corrupt);
            };
            let key = self.names.of(key).ok_or(StatementError::Corrupt)?;
            let value = match row.get_ref(2).map_err(failed)? {
                ValueRef::Text(bytes) => {
                    let text = intact_text(bytes).ok_or(StatementError::Corrupt)?;
                    Some(Value::Str(text.to_owned()))
                }
                ValueRef::Null => number_or_bool(row, 3, self.bools).map_err(failed)?,
                _ => typed(row, 2, self.bools).map_err(failed)?,
            };
            self.ahead = Some((at, key, value));
        }
    }
}

/// Elements of arrays as arrays, by key.
pub(crate) fn lists(elements: KeyValues) -> impl Iterator<Item = (Arc<str>, Value)> {
    let mut lists: Vec<(Arc<str>, Vec<Value>)> = Vec::new();
    for (key, value) in elements {
        let Some(value) = value else { continue };
        match lists.iter_mut().find(|(there, _)| *there == key) {
            Some((_, items)) => items.push(value),
            None => lists.push((key, vec![value])),
        }
    }
    lists
        .into_iter()
        .map(|(key, items)| (key, Value::List(items)))
}
