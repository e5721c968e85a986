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
            sequence: Some(self.sequence).filter(|it| *it != i64::MIN),
            damage: self.damage.map(|damage| damage.what),
        }
    }

    /// Marks the record as not whole; the first cause stays.
    pub fn mark_damaged(&mut self, table: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.damage.get_or_insert(Damage { table, what });
    }
}

/// What of the records is read, and whether it is talked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// How much.
    pub depth: Depth,
    /// The metadata key of owners: of a record that is known only its value is read.
    pub owner_key: &'a str,
    /// Whether sentences about what is lost are added to the store's notices: not where another reading of the same
    /// records will add them.
    pub told: bool,
}

impl Wanted<'_> {
    /// All of each record.
    pub const FULL: Wanted<'static> = Wanted {
        depth: Depth::Full,
        owner_key: "user_id",
        told: true,
    };
}

/// How much of a record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All of it.
    Full,
    /// Whether it has a document, its `user_id`, and of its other metadata the types: their strings are empty.
    Counts,
}
