//! The metadata tables of a segment, streamed in the order of insertion.
//!
//! Stage: source. Promise: one pass over `embeddings`, `embedding_metadata` and `embedding_metadata_array` side by
//! side, each read by ranges of the row number; what is held is one record and the collection's row numbers. May
//! import `record` and this folder.
//!
//! | table | key | order |
//! | --- | --- | --- |
//! | `embeddings` | `id` | ascending: the order of insertion |
//! | `embedding_metadata` | (`id`, `key`) | one value a key |
//! | `embedding_metadata_array` (1.5.0) | `id`, `key` | one row an element, in the order of `rowid` |

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use rusqlite::{Rows, Statement};

use super::catalog::Entry;
use super::content::{Content, timestamp, typed};
use super::database::{Database, sequence, text};
use super::error::SourceError;
use super::schema::Schema;
use super::spans::{ends, spans};
use crate::record::Value;

/// A record as the metadata tables have it.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The application's id.
    pub id: String,
    /// Sequence number of the last write applied to it.
    pub sequence: i64,
    /// Microseconds since 1970.
    pub created_at: Option<i64>,
    /// Document, uri and metadata.
    pub content: Content,
}

/// How much of a record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// All of it.
    Full,
    /// Whether it has a document, and its `user_id`.
    Counts,
}

/// Reads the metadata tables of one collection.
pub(super) struct Tables<'a> {
    database: &'a Database,
    segment: &'a str,
    keys: Option<&'a BTreeSet<String>>,
    bools: bool,
    records: Statement<'a>,
    values: Statement<'a>,
    arrays: Option<Statement<'a>>,
}

impl<'a> Tables<'a> {
    /// Prepares to read `entry`; `None` if it has no metadata segment.
    pub fn new(
        database: &'a Database,
        schema: &Schema,
        entry: &'a Entry,
        depth: Depth,
    ) -> Result<Option<Tables<'a>>, SourceError> {
        let Some(segment) = entry.metadata_segment.as_deref() else {
            return Ok(None);
        };
        let (string, only) = match depth {
            Depth::Full => ("string_value", ""),
            Depth::Counts => (
                "CASE WHEN key = 'chroma:document' AND string_value IS NOT NULL THEN '' ELSE string_value END",
                "AND +key IN ('chroma:document', 'user_id') ",
            ),
        };
        let bools = if schema.bools { ", bool_value" } else { "" };
        let arrays = match depth {
            Depth::Full if schema.arrays => Some(database.prepare(
                "SELECT id, key, string_value, int_value, float_value, bool_value FROM embedding_metadata_array \
                 WHERE id BETWEEN ?1 AND ?2 ORDER BY id, rowid",
            )?),
            _ => None,
        };
        Ok(Some(Tables {
            database,
            segment,
            keys: entry.keys.as_ref(),
            bools: schema.bools,
            records: database.prepare(
                "SELECT id, embedding_id, seq_id, created_at FROM embeddings WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            )?,
            values: database.prepare(&format!(
                "SELECT id, key, {string}, int_value, float_value{bools} FROM embedding_metadata \
                 WHERE id BETWEEN ?1 AND ?2 {only}ORDER BY id"
            ))?,
            arrays,
        }))
    }

    /// Gives every row to `each`, in the order of insertion, until it breaks.
    pub fn read(
        &mut self,
        mut each: impl FnMut(Row) -> Result<ControlFlow<()>, SourceError>,
    ) -> Result<ControlFlow<()>, SourceError> {
        let numbers = numbers(self.database, self.segment)?;
        for span in spans(&numbers) {
            let (first, last) = ends(span);
            let failed = |error| self.database.failed(error);
            let mut records = self.records.query([first, last]).map_err(failed)?;
            let mut values = Cursor::new(
                self.values.query([first, last]).map_err(failed)?,
                self.bools,
            );
            let mut arrays = match &mut self.arrays {
                Some(statement) => Some(Cursor::new(
                    statement.query([first, last]).map_err(failed)?,
                    true,
                )),
                None => None,
            };
            let mut wanted = span.iter().copied().peekable();
            while let Some(row) = records.next().map_err(failed)? {
                let number: i64 = row.get(0).map_err(failed)?;
                if wanted.next_if_eq(&number).is_none() {
                    continue;
                }
                self.database.check_stop()?;
                let mut found = Row {
                    id: row.get_ref(1).ok().and_then(text).unwrap_or_default(),
                    sequence: sequence(row.get_ref(2).map_err(failed)?)
                        .map_err(|what| self.database.damaged(what))?
                        .unwrap_or(i64::MIN),
                    created_at: row.get_ref(3).ok().and_then(timestamp),
                    content: Content::default(),
                };
                while let Some((key, value)) = values.of(number).map_err(failed)? {
                    if value.is_some() {
                        found.content.put(key, value);
                    }
                }
                if let Some(arrays) = &mut arrays {
                    for (key, items) in collect(self.database, arrays, number)? {
                        // Rows of a deleted collection stay behind, and their row numbers are given out again.
                        let known = self.keys.is_none_or(|keys| keys.contains(&key));
                        if known && !found.content.has(&key) {
                            found.content.put(key, Some(Value::List(items)));
                        }
                    }
                }
                if each(found)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The row numbers of a segment's records, ascending.
fn numbers(database: &Database, segment: &str) -> Result<Vec<i64>, SourceError> {
    let mut statement = database.prepare("SELECT id FROM embeddings WHERE segment_id = ?1")?;
    let mut rows = statement
        .query([segment])
        .map_err(|error| database.failed(error))?;
    let mut numbers = Vec::new();
    while let Some(row) = rows.next().map_err(|error| database.failed(error))? {
        numbers.push(
            row.get::<_, i64>(0)
                .map_err(|error| database.failed(error))?,
        );
        database.check_count(numbers.len())?;
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Rows of (number, key, value) in ascending order of the number.
struct Cursor<'s> {
    rows: Rows<'s>,
    bools: bool,
    ahead: Option<(i64, String, Option<Value>)>,
}

impl<'s> Cursor<'s> {
    fn new(rows: Rows<'s>, bools: bool) -> Cursor<'s> {
        Cursor {
            rows,
            bools,
            ahead: None,
        }
    }

    /// The next key and value of `number`; earlier numbers are passed over.
    fn of(&mut self, number: i64) -> rusqlite::Result<Option<(String, Option<Value>)>> {
        loop {
            match self.ahead.take() {
                Some((at, key, value)) if at == number => return Ok(Some((key, value))),
                Some(ahead) if ahead.0 > number => {
                    self.ahead = Some(ahead);
                    return Ok(None);
                }
                _ => {}
            }
            let Some(row) = self.rows.next()? else {
                return Ok(None);
            };
            let at: i64 = row.get(0)?;
            if at < number {
                continue;
            }
            let key = text(row.get_ref(1)?).unwrap_or_default();
            self.ahead = Some((at, key, typed(row, 2, self.bools)?));
        }
    }
}

/// The arrays of record `number`, by key.
fn collect(
    database: &Database,
    cursor: &mut Cursor<'_>,
    number: i64,
) -> Result<Vec<(String, Vec<Value>)>, SourceError> {
    let mut arrays: Vec<(String, Vec<Value>)> = Vec::new();
    let mut count = 0_usize;
    while let Some((key, value)) = cursor.of(number).map_err(|error| database.failed(error))? {
        count = count.saturating_add(1);
        database.check_count(count)?;
        let Some(value) = value else { continue };
        match arrays.iter_mut().find(|(there, _)| *there == key) {
            Some((_, items)) => items.push(value),
            None => arrays.push((key, vec![value])),
        }
    }
    Ok(arrays)
}
