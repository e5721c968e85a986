//! The rowids of records' metadata, where a page of their table or its index cannot be read.
//!
//! Stage: source. Promise: nothing here runs while SQLite reports no damage; held in memory are rowids. May import `sqlite`.

use rusqlite::types::ValueRef;

use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::chroma::sqlite::rowids::first_and_last;
use crate::source::error::SourceError;

/// Where the rows of records are, as the table or its index has it from one end to the other. A search in a page
/// that is overwritten in part may miss rows without an error; reading all of it does not.
#[derive(Debug, Default)]
pub(crate) struct ValueRowids {
    /// Record and rowid, ascending.
    rows: Vec<(i64, i64)>,
    whole: bool,
}

impl ValueRowids {
    /// The most rows that are kept in memory.
    const MOST: usize = 8_000_000;

    /// Finds the rows of the records `numbers` (ascending) in `table`.
    pub fn read(
        database: &Database,
        table: &str,
        numbers: &[i64],
    ) -> Result<ValueRowids, SourceError> {
        let (first, last) = first_and_last(numbers);
        let by_index = format!(
            "SELECT id, id, rowid FROM {table} WHERE id BETWEEN {first} AND {last} ORDER BY id"
        );
        let by_table = format!("SELECT rowid, id, rowid FROM {table} NOT INDEXED ORDER BY rowid");
        let mut found = ValueRowids::default();
        for sql in [by_index, by_table] {
            found.rows.clear();
            found.whole = unless_corrupt(found.fill(database, &sql, numbers))?.unwrap_or(false);
            if found.whole {
                found.rows.sort_unstable();
                break;
            }
        }
        Ok(found)
    }

    /// Takes rows of three columns: what they are ordered by, record, rowid; whether those are all.
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
            let (order, record, rowid) = (number(0)?, number(1)?, number(2)?);
            if order < before {
                return Err(StatementError::Corrupt);
            }
            before = order;
            if numbers.binary_search(&record).is_err() {
                continue;
            }
            if self.rows.len() >= ValueRowids::MOST {
                return Ok(false);
            }
            self.rows.push((record, rowid));
        }
        Ok(true)
    }

    /// The rows of record `number`; `None` if neither the table nor its index could be read to the end.
    pub fn of(&self, number: i64) -> Option<impl Iterator<Item = i64> + '_> {
        let first = self.rows.partition_point(|(at, _)| *at < number);
        let own = self.rows.get(first..).unwrap_or(&[]);
        let own = own.iter().take_while(move |(at, _)| *at == number);
        self.whole.then(|| own.map(|(_, rowid)| *rowid))
    }
}
