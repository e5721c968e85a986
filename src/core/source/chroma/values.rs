//! The values of records: `embedding_metadata`, and the elements of arrays in `embedding_metadata_array`.
//!
//! Stage: source. Promise: all rows of a record, or the word that they are not all. May import `record` and this
//! folder.

use rusqlite::types::Type;
use rusqlite::{Rows, Statement};

use super::content::{spoiled, typed};
use super::database::{Database, text};
use super::error::SourceError;
use super::listing::Places;
use super::metadata::Depth;
use super::salvage::{Trouble, readable};
use crate::record::Value;

/// Keys with their values, as the rows come.
pub(super) type Pairs = Vec<(String, Option<Value>)>;

/// One of the two tables.
pub(super) struct Values<'a> {
    database: &'a Database,
    table: &'static str,
    /// The columns and the table, without a condition.
    select: String,
    bools: bool,
    range: Statement<'a>,
    /// Read only where pages of the table or its index cannot be.
    places: Option<Places>,
}

impl<'a> Values<'a> {
    /// `embedding_metadata`, which has one row a key.
    pub fn scalars(
        database: &'a Database,
        bools: bool,
        depth: Depth,
    ) -> Result<Values<'a>, SourceError> {
        let (string, only) = match depth {
            Depth::Full => ("string_value", ""),
            Depth::Counts => (
                "CASE WHEN key = 'chroma:document' AND string_value IS NOT NULL THEN '' ELSE string_value END",
                "AND +key IN ('chroma:document', 'user_id') ",
            ),
        };
        let bool_value = if bools { ", bool_value" } else { "" };
        let select = format!(
            "SELECT id, key, {string}, int_value, float_value{bool_value} FROM embedding_metadata"
        );
        let order = "id";
        Values::new(database, "embedding_metadata", select, only, order, bools)
    }

    /// `embedding_metadata_array`, which has one row an element.
    pub fn arrays(database: &'a Database) -> Result<Values<'a>, SourceError> {
        let select = "SELECT id, key, string_value, int_value, float_value, bool_value FROM embedding_metadata_array";
        let table = "embedding_metadata_array";
        Values::new(database, table, select.to_owned(), "", "id, rowid", true)
    }

    fn new(
        database: &'a Database,
        table: &'static str,
        select: String,
        only: &'static str,
        order: &str,
        bools: bool,
    ) -> Result<Values<'a>, SourceError> {
        let range = database.prepare(&format!(
            "{select} WHERE id BETWEEN ?1 AND ?2 {only}ORDER BY {order}"
        ))?;
        Ok(Values {
            database,
            table,
            select,
            bools,
            range,
            places: None,
        })
    }

    /// The rows of the records `first` to `last`.
    pub fn range(&mut self, first: i64, last: i64) -> Result<Cursor<'_>, Trouble> {
        let rows = self.range.query([first, last]);
        Ok(Cursor {
            rows: rows.map_err(|error| Trouble::of(self.database, error))?,
            database: self.database,
            bools: self.bools,
            ahead: None,
        })
    }

    /// All rows of the record `number`, one of `numbers`; `None` if some of them cannot be read, or may be where
    /// nothing can be.
    pub fn of(&mut self, number: i64, numbers: &[i64]) -> Result<Option<Pairs>, SourceError> {
        let places = match self.places.take() {
            Some(places) => places,
            None => Places::read(self.database, self.table, numbers)?,
        };
        let pairs = match places.of(number) {
            Some(own) => self.at(number, own)?,
            None => {
                let straight = self.range(number, number);
                readable(straight.and_then(|mut cursor| cursor.all(number)))?
            }
        };
        self.places = Some(places);
        Ok(pairs)
    }

    /// The rows of the record `number` at `places`; `None` if one of them cannot be read.
    fn at(
        &self,
        number: i64,
        places: impl Iterator<Item = i64>,
    ) -> Result<Option<Pairs>, SourceError> {
        let sql = format!("{} WHERE rowid = ?1", self.select);
        let mut statement = self.database.prepare(&sql)?;
        let mut pairs = Pairs::new();
        for place in places {
            let rows = statement
                .query([place])
                .map_err(|error| Trouble::of(self.database, error));
            let found = rows.and_then(|rows| self.cursor(rows).all(number));
            match readable(found)? {
                Some(found) if found.len() == 1 => pairs.extend(found),
                _ => return Ok(None),
            }
        }
        Ok(Some(pairs))
    }

    /// The `user_id` of the record `number`, if it can be read.
    pub fn user(&self, number: i64) -> Result<Pairs, SourceError> {
        let sql = format!("{} WHERE id = ?1 AND key = 'user_id'", self.select);
        let mut statement = self.database.prepare(&sql)?;
        let rows = statement
            .query([number])
            .map_err(|error| Trouble::of(self.database, error));
        let found = rows.and_then(|rows| self.cursor(rows).all(number));
        Ok(readable(found)?.unwrap_or_default())
    }

    fn cursor<'s>(&'s self, rows: Rows<'s>) -> Cursor<'s> {
        Cursor {
            rows,
            database: self.database,
            bools: self.bools,
            ahead: None,
        }
    }
}

/// Rows of (number, key, value) in ascending order of the number.
pub(super) struct Cursor<'s> {
    rows: Rows<'s>,
    database: &'s Database,
    bools: bool,
    ahead: Option<(i64, String, Option<Value>)>,
}

impl Cursor<'_> {
    /// The keys and values of `number`; earlier numbers are passed over.
    pub fn all(&mut self, number: i64) -> Result<Pairs, Trouble> {
        self.some(number, None)
    }

    /// The keys and values of `number`, or just those of the key `only`; earlier numbers are passed over.
    pub fn some(&mut self, number: i64, only: Option<&str>) -> Result<Pairs, Trouble> {
        let left_out = |key: &str| only.is_some_and(|only| only != key);
        let failed = |error| Trouble::of(self.database, error);
        let mut pairs = Pairs::new();
        loop {
            match self.ahead.take() {
                Some((at, key, _)) if at == number && left_out(&key) => {}
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
            let key = row.get_ref(1).map_err(failed)?;
            if at == number && key.as_str().is_ok_and(left_out) {
                continue;
            }
            let string = row.get_ref(2).map_err(failed)?;
            // A key is never NULL.
            if key.data_type() != Type::Text || spoiled(key) || spoiled(string) {
                return Err(Trouble::Page);
            }
            let key = text(key).unwrap_or_default();
            self.ahead = Some((at, key, typed(row, 2, self.bools).map_err(failed)?));
        }
    }
}

/// Elements of arrays as arrays, by key.
pub(super) fn lists(elements: Pairs) -> impl Iterator<Item = (String, Value)> {
    let mut lists: Vec<(String, Vec<Value>)> = Vec::new();
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
