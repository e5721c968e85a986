//! The readable rows of a table with pages that cannot be read.
//!
//! Stage: source. Promise: a row is either found, or in a range that is returned; the number of searches is bounded. May
//! import `unreadable_rows` and `sqlite`.
//!
//! SQLite ends a statement at the first page that it cannot read. The rows behind that page are found by searching for
//! larger rowids, which goes around it.

use rusqlite::{Row, Statement};

use super::unreadable_rows::UnreadableRows;
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

/// The most searches for rows behind unreadable pages of one table.
const SEARCHES: u32 = 100_000;

/// Gives every readable row of a table to `each`, ascending by the rowid in its first column.
///
/// `rows` takes the least rowid as its parameter. The answer is where rows may be that cannot be read.
pub(crate) fn scan_readable(
    database: &Database,
    rows: &str,
    mut each: impl FnMut(i64, &Row<'_>),
) -> Result<Vec<UnreadableRows>, SourceError> {
    let mut statement = database.prepare(rows)?;
    let mut unreadable: Vec<UnreadableRows> = Vec::new();
    let mut searches = None;
    let mut next = i64::MIN;
    loop {
        match pass(database, &mut statement, &mut next, &mut each) {
            Ok(()) => return Ok(unreadable),
            Err(StatementError::Corrupt) => {}
            Err(StatementError::Other(error)) => return Err(error),
        }
        let search = match &mut searches {
            Some(search) => search,
            None => searches.insert(RowSearch::new(database, rows)?),
        };
        let behind = search.behind(next)?;
        // A range that begins where the last one ends is the same one.
        match unreadable.last_mut() {
            Some(last) if last.last.checked_add(1) == Some(next) => last.last = behind.last,
            _ => unreadable.push(UnreadableRows {
                first: next,
                last: behind.last,
            }),
        }
        match behind.last.checked_add(1) {
            Some(number) if !behind.at_end => next = number,
            _ => return Ok(unreadable),
        }
    }
}

/// Reads on from `next` until the end or a page that cannot be read; `next` is then the first number not given.
fn pass(
    database: &Database,
    statement: &mut Statement<'_>,
    next: &mut i64,
    each: &mut impl FnMut(i64, &Row<'_>),
) -> Result<(), StatementError> {
    let failed = |error| database.statement_error(error);
    let mut rows = statement.query([*next]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let number = row.get(0).map_err(failed)?;
        // A page that is overwritten in part may give rows that are none.
        if number < *next {
            return Err(StatementError::Corrupt);
        }
        each(number, row);
        *next = number.saturating_add(1);
    }
    Ok(())
}

/// Where an unreadable range ends.
struct RangeEnd {
    last: i64,
    /// No row follows.
    at_end: bool,
}

/// Searches for the first row that can be read behind a page that cannot.
struct RowSearch<'a> {
    database: &'a Database,
    first: Statement<'a>,
    left: u32,
}

impl<'a> RowSearch<'a> {
    fn new(database: &'a Database, rows: &str) -> Result<RowSearch<'a>, SourceError> {
        Ok(RowSearch {
            database,
            first: database.prepare(&format!("{rows} LIMIT 1"))?,
            left: SEARCHES,
        })
    }

    /// The first row from `number` on, if there is one; `Corrupt` if a page on the way there cannot be read.
    fn at(&mut self, number: i64) -> Result<Option<i64>, StatementError> {
        self.database.check_stop()?;
        self.left = self.left.saturating_sub(1);
        let failed = |error| self.database.statement_error(error);
        let mut rows = self.first.query([number]).map_err(failed)?;
        match rows.next().map_err(failed)? {
            Some(row) => row.get(0).map(Some).map_err(failed),
            None => Ok(None),
        }
    }

    /// Where the unreadable range that begins at `start` ends. A readable row is searched at growing distances, each only a bit
    /// larger than the last, so that a page between two unreadable ones is seldom missed; then between the last two.
    fn behind(&mut self, start: i64) -> Result<RangeEnd, SourceError> {
        let nothing = RangeEnd {
            last: i64::MAX,
            at_end: true,
        };
        // SQLite gives out numbers from 1 on.
        let from = start.max(0);
        let (mut bad, mut distance) = (from, 1_i64);
        let mut good = loop {
            let at = from.saturating_add(distance);
            if self.left == 0 || bad == i64::MAX {
                return Ok(nothing);
            }
            match unless_corrupt(self.at(at))? {
                Some(found) => break (at, found),
                None => bad = at,
            }
            distance = distance.saturating_add((distance / 16).max(1));
        };
        while good.0.saturating_sub(bad) > 1 {
            let middle = bad.midpoint(good.0);
            match unless_corrupt(self.at(middle))? {
                Some(found) => good = (middle, found),
                None => bad = middle,
            }
        }
        Ok(match good {
            (_, Some(row)) => RangeEnd {
                last: row.saturating_sub(1),
                at_end: false,
            },
            (number, None) => RangeEnd {
                last: number.saturating_sub(1),
                at_end: true,
            },
        })
    }
}
