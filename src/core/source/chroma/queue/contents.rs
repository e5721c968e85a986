//! Vectors and metadata of single rows of the queue.
//!
//! Stage: source. May import `sqlite` and `files`.

use rusqlite::Statement;
use rusqlite::types::ValueRef;

use crate::source::chroma::files::floats::floats;
use crate::source::chroma::sqlite::columns::{is_damaged_text, text, timestamp};
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

/// Metadata and time of one row.
#[derive(Debug, Default)]
pub(crate) struct QueueBody {
    /// The JSON text.
    pub metadata: Option<String>,
    /// Microseconds since 1970.
    pub created_at: Option<i64>,
}

/// Fetches contents of single rows.
pub(crate) struct QueueContents<'a> {
    database: &'a Database,
    vectors: Statement<'a>,
    bodies: Statement<'a>,
    times: Statement<'a>,
    /// How many vectors could not be read.
    pub lost: u64,
}

impl<'a> QueueContents<'a> {
    /// Prepares to fetch.
    pub fn new(database: &'a Database) -> Result<QueueContents<'a>, SourceError> {
        Ok(QueueContents {
            database,
            vectors: database
                .prepare("SELECT vector, encoding FROM embeddings_queue WHERE seq_id = ?1")?,
            bodies: database
                .prepare("SELECT metadata, created_at FROM embeddings_queue WHERE seq_id = ?1")?,
            times: database.prepare("SELECT created_at FROM embeddings_queue WHERE seq_id = ?1")?,
            lost: 0,
        })
    }

    /// The vector of row `sequence`; `None` if it has none that is a whole number of f32, or it cannot be read.
    pub fn vector(&mut self, sequence: i64) -> Result<Option<Vec<f32>>, SourceError> {
        let found = unless_corrupt(self.find_vector(sequence))?;
        if found.is_none() {
            self.lost = self.lost.saturating_add(1);
        }
        Ok(found.flatten())
    }

    fn find_vector(&mut self, sequence: i64) -> Result<Option<Vec<f32>>, StatementError> {
        let failed = |error| self.database.statement_error(error);
        let mut rows = self.vectors.query([sequence]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else {
            return Ok(None);
        };
        let plain = match row.get_ref(1).map_err(failed)? {
            ValueRef::Null => true,
            ValueRef::Text(word) if is_damaged_word(word) => return Err(StatementError::Corrupt),
            ValueRef::Text(word) => word == b"FLOAT32",
            _ => false,
        };
        match row.get_ref(0).map_err(failed)? {
            ValueRef::Blob(bytes) if plain && !bytes.is_empty() => Ok(floats(bytes)),
            _ => Ok(None),
        }
    }

    /// Metadata and time of row `sequence`; `None` if they cannot be read.
    pub fn body(&mut self, sequence: i64) -> Result<Option<QueueBody>, SourceError> {
        unless_corrupt(self.find_body(sequence))
    }

    fn find_body(&mut self, sequence: i64) -> Result<QueueBody, StatementError> {
        let failed = |error| self.database.statement_error(error);
        let mut rows = self.bodies.query([sequence]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else {
            return Ok(QueueBody::default());
        };
        let metadata = row.get_ref(0).map_err(failed)?;
        if is_damaged_text(metadata) {
            return Err(StatementError::Corrupt);
        }
        Ok(QueueBody {
            metadata: text(metadata),
            created_at: timestamp(row.get_ref(1).map_err(failed)?),
        })
    }

    /// The time of row `sequence`, in microseconds since 1970.
    pub fn time(&mut self, sequence: i64) -> Result<Option<i64>, SourceError> {
        let failed = |error| self.database.statement_error(error);
        let mut rows = self
            .times
            .query([sequence])
            .map_err(|error| self.database.failed(error))?;
        let row = unless_corrupt(rows.next().map_err(failed))?.flatten();
        Ok(row.and_then(|row| row.get_ref(0).ok().and_then(timestamp)))
    }
}

/// Whether the name of an encoding, and so the end of the vector before it, is on a page that cannot be read.
fn is_damaged_word(word: &[u8]) -> bool {
    word.contains(&0) || !word.is_ascii()
}
