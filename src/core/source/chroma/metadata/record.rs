//! A record as the metadata tables and the queue have it, without its vector.
//!
//! Stage: source. May import `content`, `damage` and `record`.

use super::content::Content;
use crate::record::Record;
use crate::source::chroma::damage::losses::Damage;

/// A record as the metadata tables have it.
#[derive(Debug, Default)]
pub(crate) struct StoredRecord {
    /// The application's id.
    pub id: String,
    /// Sequence number of the last write applied to it.
    pub sequence: i64,
    /// Microseconds since 1970.
    pub created_at: Option<i64>,
    /// Document, uri and metadata.
    pub content: Content,
    /// What of it cannot be read.
    pub damage: Option<Damage>,
}

impl StoredRecord {
    /// The record without its vector.
    pub fn into_record(self) -> Record {
        Record {
            id: self.id,
            document: self.content.document,
            uri: self.content.uri,
            metadata: self.content.metadata,
            vector: None,
            missing: false,
            created_at: self.created_at,
            stale: false,
            damage: self.damage.map(|damage| damage.what),
        }
    }

    /// Marks the record as not whole; the first cause stays.
    pub fn mark_damaged(&mut self, table: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.damage.get_or_insert(Damage { table, what });
    }
}

/// How much of a record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All of it.
    Full,
    /// Whether it has a document, and its `user_id`.
    Counts,
}
