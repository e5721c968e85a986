//! The rows of the write-ahead queue, `embeddings_queue`.
//!
//! Stage: source. Promise: the table is scanned once for the sequence numbers of each collection's rows. May import `damage` and
//! `sqlite`.
//!
//! | column | meaning |
//! | --- | --- |
//! | `seq_id` | counter over all collections |
//! | `operation` | 0 add, 1 update, 2 upsert, 3 delete; others have no effect |
//! | `topic` | `persistent://default/default/<collection uuid>`; only the last part counts |
//! | `id` | the application's id |
//! | `vector` | dimension x f32, little-endian; NULL if the write has none |
//! | `encoding` | `FLOAT32` |
//! | `metadata` | JSON: the keys that change, `chroma:document` and `chroma:uri` among them |

use std::collections::HashMap;

use rusqlite::Statement;
use rusqlite::types::ValueRef;

use crate::source::chroma::damage::scan::scan_readable;
use crate::source::chroma::damage::unreadable_rows::{UnreadableRows, list_ranges};
use crate::source::chroma::sqlite::columns::{is_damaged_text, text};
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::chroma::sqlite::rowids::{first_and_last, ranges};
use crate::source::error::SourceError;

/// What a row does to its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Inserts; ignored if the id exists.
    Add,
    /// Changes; ignored if the id does not exist.
    Update,
    /// Inserts or changes.
    Upsert,
    /// Removes.
    Delete,
}

/// A row without its contents.
#[derive(Debug)]
pub(crate) struct QueueRow {
    /// Its sequence number.
    pub sequence: i64,
    /// What it does.
    pub operation: Operation,
    /// To which id.
    pub id: String,
    /// Bytes of its vector, if it has one.
    pub vector: Option<u64>,
}

/// The sequence numbers of each collection's rows.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    rows: HashMap<String, Vec<i64>>,
    /// Sequence numbers whose rows cannot be read.
    pub unreadable: Vec<UnreadableRows>,
    /// The largest sequence number.
    pub last: Option<i64>,
}

impl Queue {
    /// Scans the table once.
    pub fn index(database: &Database) -> Result<Queue, SourceError> {
        let mut queue = Queue::default();
        let sql = "SELECT seq_id, topic FROM embeddings_queue WHERE seq_id >= ?1 ORDER BY seq_id";
        queue.unreadable = scan_readable(database, sql, |sequence, row| {
            queue.last = Some(sequence);
            let Ok(ValueRef::Text(topic)) = row.get_ref(1) else {
                return;
            };
            let Some(collection) = topic
                .rsplit(|byte| *byte == b'/')
                .next()
                .and_then(|name| std::str::from_utf8(name).ok())
            else {
                return;
            };
            match queue.rows.get_mut(collection) {
                Some(numbers) => numbers.push(sequence),
                None => {
                    queue.rows.insert(collection.to_owned(), vec![sequence]);
                }
            }
        })?;
        Ok(queue)
    }

    /// What cannot be read of it, as a sentence.
    pub fn warning(&self, database: &Database) -> Option<String> {
        (!self.unreadable.is_empty()).then(|| {
            format!(
                "{:?}: parts of table embeddings_queue cannot be read, {}: vectors that only they hold are missing, \
                 and a vector may be older than its record",
                database.path,
                list_ranges(&self.unreadable)
            )
        })
    }

    /// What cannot be read of it after the sequence number `max_seq_id`.
    pub fn unreadable_after(&self, max_seq_id: Option<i64>) -> Vec<UnreadableRows> {
        let after =
            |rows: &&UnreadableRows| max_seq_id.is_none_or(|max_seq_id| rows.last > max_seq_id);
        self.unreadable.iter().filter(after).copied().collect()
    }

    /// The rows of a collection, ascending.
    pub fn of(&self, collection: &str) -> &[i64] {
        self.rows.get(collection).map_or(&[], Vec::as_slice)
    }

    /// The rows of a collection after the sequence number `max_seq_id`; all of them if there is none.
    pub fn after(&self, collection: &str, max_seq_id: Option<i64>) -> &[i64] {
        let all = self.of(collection);
        let held = max_seq_id.map_or(0, |max_seq_id| {
            all.partition_point(|sequence| *sequence <= max_seq_id)
        });
        all.get(held..).unwrap_or(&[])
    }
}

/// Gives the rows `numbers` (ascending) to `each`, without their contents; the answer is those that cannot be read.
pub(crate) fn read_rows(
    database: &Database,
    numbers: &[i64],
    mut each: impl FnMut(QueueRow) -> Result<(), SourceError>,
) -> Result<Vec<i64>, SourceError> {
    let mut statement = database.prepare(
        "SELECT seq_id, operation, id, length(vector) FROM embeddings_queue \
         WHERE seq_id BETWEEN ?1 AND ?2 ORDER BY seq_id",
    )?;
    let mut lost = Vec::new();
    for range in ranges(numbers) {
        let mut rest = range;
        while let Some((first, later)) = rest.split_first() {
            if unless_corrupt(read_range(database, &mut statement, &mut rest, &mut each))?.is_none()
            {
                // The row that cannot be read, or the one before it once more.
                if rest.len() == later.len().saturating_add(1) {
                    lost.push(*first);
                    rest = later;
                }
            }
        }
    }
    Ok(lost)
}

/// Gives the rows `rest`, which are one range, and removes from `rest` those that were given.
fn read_range(
    database: &Database,
    statement: &mut Statement<'_>,
    rest: &mut &[i64],
    each: &mut impl FnMut(QueueRow) -> Result<(), SourceError>,
) -> Result<(), StatementError> {
    let failed = |error| database.statement_error(error);
    let (first, last) = first_and_last(rest);
    let mut rows = statement.query([first, last]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let sequence: i64 = row.get(0).map_err(failed)?;
        if rest.first() != Some(&sequence) {
            continue;
        }
        database.check_stop()?;
        let bytes: Option<i64> = row.get(3).map_err(failed)?;
        let id = row.get_ref(2).map_err(failed)?;
        if is_damaged_text(id) {
            return Err(StatementError::Corrupt);
        }
        *rest = rest.get(1..).unwrap_or(&[]);
        let operation = match row.get_ref(1) {
            Ok(ValueRef::Integer(0)) => Operation::Add,
            Ok(ValueRef::Integer(1)) => Operation::Update,
            Ok(ValueRef::Integer(2)) => Operation::Upsert,
            Ok(ValueRef::Integer(3)) => Operation::Delete,
            _ => continue,
        };
        each(QueueRow {
            sequence,
            operation,
            id: text(id).unwrap_or_default(),
            vector: bytes
                .and_then(|bytes| u64::try_from(bytes).ok())
                .filter(|bytes| *bytes > 0),
        })?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(StatementError::Corrupt)
    }
}
