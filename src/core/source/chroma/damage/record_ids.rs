//! Which records there are, and where their values lie, told without the indexes that cannot be read.
//!
//! Stage: source. Promise: nothing here runs while SQLite reports no damage; held in memory are ids and row numbers.
//! May import this folder.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;

use super::scan::scan;
use super::unreadable_rows::Hole;
use crate::source::chroma::sqlite::columns::text;
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::chroma::sqlite::rowids::ends;
use crate::source::error::SourceError;

/// The records of a segment as far as `embeddings` and its index tell.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The application's ids by row number.
    pub ids: BTreeMap<i64, String>,
    /// Rows that may be records of the segment, but no id is known of them.
    pub holes: Vec<Hole>,
}

impl Listing {
    /// Reads the index from both ends; if that does not give all of it, the table too.
    pub fn read(database: &Database, segment: &str) -> Result<Listing, SourceError> {
        let mut listing = Listing::default();
        for order in ["ASC", "DESC"] {
            let sql = format!(
                "SELECT id, embedding_id FROM embeddings WHERE segment_id = ?1 ORDER BY embedding_id {order}"
            );
            if unless_corrupt(listing.take(database, &sql, segment))?.is_some() {
                return Ok(listing);
            }
        }
        let rows = "SELECT id, segment_id, embedding_id FROM embeddings NOT INDEXED WHERE id >= ?1 ORDER BY id";
        let ids = &mut listing.ids;
        listing.holes = scan(database, rows, |number, row| {
            let own = row.get_ref(1).ok().and_then(text).as_deref() == Some(segment);
            if let (true, Some(id)) = (own, row.get_ref(2).ok().and_then(text)) {
                ids.insert(number, id);
            }
        })?;
        Ok(listing)
    }

    fn take(
        &mut self,
        database: &Database,
        sql: &str,
        segment: &str,
    ) -> Result<(), StatementError> {
        let failed = |error| database.statement_error(error);
        let mut statement = database.prepare(sql)?;
        let mut rows = statement.query([segment]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            database.check_stop()?;
            let number = row.get(0).map_err(failed)?;
            let id = text(row.get_ref(1).map_err(failed)?).unwrap_or_default();
            self.ids.insert(number, id);
        }
        Ok(())
    }
}

/// Where the rows of records are, as the table or its index has it from one end to the other. A search in a page
/// that is overwritten in part may miss rows without an error; reading all of it does not.
#[derive(Debug, Default)]
pub(crate) struct Places {
    rows: Vec<(i64, i64)>,
    whole: bool,
}

impl Places {
    /// The most rows that are kept in memory.
    const MOST: usize = 8_000_000;

    /// Finds the rows of the records `numbers` (ascending) in `table`.
    pub fn read(database: &Database, table: &str, numbers: &[i64]) -> Result<Places, SourceError> {
        let (first, last) = ends(numbers);
        let by_index = format!(
            "SELECT id, id, rowid FROM {table} WHERE id BETWEEN {first} AND {last} ORDER BY id"
        );
        let by_table = format!("SELECT rowid, id, rowid FROM {table} NOT INDEXED ORDER BY rowid");
        let mut places = Places::default();
        for sql in [by_index, by_table] {
            places.rows.clear();
            places.whole = unless_corrupt(places.fill(database, &sql, numbers))?.unwrap_or(false);
            if places.whole {
                places.rows.sort_unstable();
                break;
            }
        }
        Ok(places)
    }

    /// Takes rows of what they are ordered by, record and row number.
    fn fill(
        &mut self,
        database: &Database,
        sql: &str,
        numbers: &[i64],
    ) -> Result<bool, StatementError> {
        let failed = |error| database.statement_error(error);
        let mut statement = database.prepare(sql)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut before = i64::MIN;
        while let Some(row) = rows.next().map_err(failed)? {
            database.check_stop()?;
            let number = |at: usize| match row.get_ref(at) {
                Ok(ValueRef::Integer(number)) => Ok(number),
                _ => Err(StatementError::Corrupt),
            };
            let (order, record, place) = (number(0)?, number(1)?, number(2)?);
            if order < before {
                return Err(StatementError::Corrupt);
            }
            before = order;
            if numbers.binary_search(&record).is_err() {
                continue;
            }
            if self.rows.len() >= Places::MOST {
                return Ok(false);
            }
            self.rows.push((record, place));
        }
        Ok(true)
    }

    /// The rows of record `number`; `None` if neither the table nor its index could be read to the end.
    pub fn of(&self, number: i64) -> Option<impl Iterator<Item = i64> + '_> {
        let first = self.rows.partition_point(|(at, _)| *at < number);
        let own = self.rows.get(first..).unwrap_or(&[]);
        let own = own.iter().take_while(move |(at, _)| *at == number);
        self.whole.then(|| own.map(|(_, place)| *place))
    }
}
