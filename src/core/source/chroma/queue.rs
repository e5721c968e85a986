//! The write-ahead queue, `embeddings_queue`.
//!
//! Stage: source. Promise: the table is scanned once for where each collection's rows are; ids, vectors and
//! metadata are fetched when they are needed. May import `record` and this folder.
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

use super::content::timestamp;
use super::database::{Database, text};
use super::error::SourceError;
use super::spans::{ends, spans};

/// What a row does to its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
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
pub(super) struct QueueRow {
    /// Its number.
    pub sequence: i64,
    /// What it does.
    pub operation: Operation,
    /// To which id.
    pub id: String,
    /// Bytes of its vector, if it has one.
    pub vector: Option<u64>,
}

/// Where each collection's rows are.
#[derive(Debug, Default)]
pub(super) struct Queue {
    rows: HashMap<String, Vec<i64>>,
    /// The largest sequence number.
    pub last: Option<i64>,
}

impl Queue {
    /// Scans the table once.
    pub fn index(database: &Database) -> Result<Queue, SourceError> {
        let mut queue = Queue::default();
        let mut statement =
            database.prepare("SELECT seq_id, topic FROM embeddings_queue ORDER BY seq_id")?;
        let mut rows = statement
            .query([])
            .map_err(|error| database.failed(error))?;
        let mut count = 0_usize;
        while let Some(row) = rows.next().map_err(|error| database.failed(error))? {
            count = count.saturating_add(1);
            database.check_count(count)?;
            let sequence: i64 = row.get(0).map_err(|error| database.failed(error))?;
            queue.last = Some(sequence);
            let Ok(ValueRef::Text(topic)) = row.get_ref(1) else {
                continue;
            };
            let Some(collection) = topic
                .rsplit(|byte| *byte == b'/')
                .next()
                .and_then(|name| std::str::from_utf8(name).ok())
            else {
                continue;
            };
            match queue.rows.get_mut(collection) {
                Some(numbers) => numbers.push(sequence),
                None => {
                    queue.rows.insert(collection.to_owned(), vec![sequence]);
                }
            }
        }
        Ok(queue)
    }

    /// The rows of a collection, ascending.
    pub fn of(&self, collection: &str) -> &[i64] {
        self.rows.get(collection).map_or(&[], Vec::as_slice)
    }

    /// The rows of a collection after `mark`; all of them if nothing is marked.
    pub fn after(&self, collection: &str, mark: Option<i64>) -> &[i64] {
        let all = self.of(collection);
        let covered = mark.map_or(0, |mark| all.partition_point(|sequence| *sequence <= mark));
        all.get(covered..).unwrap_or(&[])
    }
}

/// Gives the rows `numbers` (ascending) to `each`, without their contents.
pub(super) fn scan(
    database: &Database,
    numbers: &[i64],
    mut each: impl FnMut(QueueRow) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let mut statement = database.prepare(
        "SELECT seq_id, operation, id, length(vector) FROM embeddings_queue \
         WHERE seq_id BETWEEN ?1 AND ?2 ORDER BY seq_id",
    )?;
    for span in spans(numbers) {
        let (first, last) = ends(span);
        let mut wanted = span.iter().copied().peekable();
        let mut rows = statement
            .query([first, last])
            .map_err(|error| database.failed(error))?;
        while let Some(row) = rows.next().map_err(|error| database.failed(error))? {
            let sequence: i64 = row.get(0).map_err(|error| database.failed(error))?;
            if wanted.next_if_eq(&sequence).is_none() {
                continue;
            }
            database.check_stop()?;
            let operation = match row.get_ref(1) {
                Ok(ValueRef::Integer(0)) => Operation::Add,
                Ok(ValueRef::Integer(1)) => Operation::Update,
                Ok(ValueRef::Integer(2)) => Operation::Upsert,
                Ok(ValueRef::Integer(3)) => Operation::Delete,
                _ => continue,
            };
            let bytes: Option<i64> = row.get(3).map_err(|error| database.failed(error))?;
            each(QueueRow {
                sequence,
                operation,
                id: row.get_ref(2).ok().and_then(text).unwrap_or_default(),
                vector: bytes
                    .and_then(|bytes| u64::try_from(bytes).ok())
                    .filter(|bytes| *bytes > 0),
            })?;
        }
    }
    Ok(())
}

/// Metadata and time of one row.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// The JSON text.
    pub metadata: Option<String>,
    /// Microseconds since 1970.
    pub created_at: Option<i64>,
}

/// Fetches contents of single rows.
pub(super) struct Contents<'a> {
    database: &'a Database,
    vectors: Statement<'a>,
    bodies: Statement<'a>,
}

impl<'a> Contents<'a> {
    /// Prepares to fetch.
    pub fn new(database: &'a Database) -> Result<Contents<'a>, SourceError> {
        Ok(Contents {
            database,
            vectors: database
                .prepare("SELECT vector, encoding FROM embeddings_queue WHERE seq_id = ?1")?,
            bodies: database
                .prepare("SELECT metadata, created_at FROM embeddings_queue WHERE seq_id = ?1")?,
        })
    }

    /// The vector of row `sequence`; `None` if it has none that is a whole number of f32.
    pub fn vector(&mut self, sequence: i64) -> Result<Option<Vec<f32>>, SourceError> {
        let failed = |error| self.database.failed(error);
        let mut rows = self.vectors.query([sequence]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else {
            return Ok(None);
        };
        let plain = match row.get_ref(1).map_err(failed)? {
            ValueRef::Null => true,
            ValueRef::Text(word) => word == b"FLOAT32",
            _ => false,
        };
        match row.get_ref(0).map_err(failed)? {
            ValueRef::Blob(bytes) if plain && !bytes.is_empty() => Ok(floats(bytes)),
            _ => Ok(None),
        }
    }

    /// Metadata and time of row `sequence`.
    pub fn body(&mut self, sequence: i64) -> Result<Body, SourceError> {
        let failed = |error| self.database.failed(error);
        let mut rows = self.bodies.query([sequence]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else {
            return Ok(Body::default());
        };
        Ok(Body {
            metadata: text(row.get_ref(0).map_err(failed)?),
            created_at: timestamp(row.get_ref(1).map_err(failed)?),
        })
    }
}

/// Little-endian f32 values; `None` if the bytes are not a whole number of them.
pub(super) fn floats(bytes: &[u8]) -> Option<Vec<f32>> {
    let (words, rest) = bytes.as_chunks::<4>();
    rest.is_empty()
        .then(|| words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}
