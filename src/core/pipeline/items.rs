//! What the reader's thread hands over.

use std::ops::Range;

use super::remarks::Remark;
use crate::key::Key;
use crate::reason::Rejection;
use crate::sample::Pair;

#[cfg(doc)]
use super::Plan;

/// An entity row: its tuple without the embedding, and the text to embed.
#[derive(Debug)]
pub struct EntityTuple {
    /// The tuple without its last field.
    pub tuple: Vec<u8>,
    /// What to embed.
    pub text: String,
}

/// A record that is ready for the target, but for an embedding perhaps.
#[derive(Debug)]
pub struct EncodedRow {
    /// The collection's number in the run: [`Plan::first`] and its index in [`Plan::collections`].
    pub collection: usize,
    /// The record's id in Chroma; where [`Plan::nul`] changes texts, with the symbol U+2400 for each U+0000.
    pub record_id: String,
    /// The id as the target's column spells it, or as it is where the target has no column for it.
    pub id: String,
    /// What the target's key column has for the row: the id, or what [`Plan::identity`] says; empty as long as a number is to be
    /// drawn.
    pub key: String,
    /// The owner as the target's column spells it.
    pub user: Option<String>,
    /// Two rows with this key take one place in the target.
    pub place: Key,
    /// The target has the key; `None`: not known.
    pub exists: Option<bool>,
    /// Where in [`Batch::tuples`] the content tuple is; without its last field, the embedding, unless the store has
    /// it. Empty for a record that is not wanted, as the target has it.
    pub tuple: Range<usize>,
    /// The tuple holds the store's vector; else embed `text`.
    pub has_vector: bool,
    /// The store's vector was multiplied back by its length.
    pub restored: bool,
    /// The record changed after the last state of its vector that the store still has.
    pub stale: bool,
    /// Sequence number of the last write applied to the record; `None`: not known.
    pub sequence: Option<i64>,
    /// Its vector was wanted, and the store has none.
    pub missing: bool,
    /// It has U+0000 in Chroma, which [`Plan::nul`] has changed.
    pub nul: bool,
    /// What to embed; empty if there is a vector.
    pub text: String,
    /// The entity rows.
    pub entities: Vec<EntityTuple>,
}

/// What the reader found.
#[derive(Debug)]
pub enum Item {
    /// A record to migrate.
    Row(EncodedRow),
    /// A record that cannot or shall not be migrated.
    Rejected {
        /// The collection's number in the run.
        collection: usize,
        /// The record's id.
        record_id: String,
        /// Its owner, as far as known.
        user: Option<String>,
        /// Its vector was wanted, and the store has none.
        missing: bool,
        /// Why.
        rejection: Rejection,
    },
    /// Something about the store that a person should know.
    Warning(String),
}

impl Item {
    /// What the item takes, about, without its tuple.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Item::Row(row) => {
                let entities: usize = row
                    .entities
                    .iter()
                    .map(|e| e.tuple.len() + e.text.len() + 64)
                    .sum();
                row.text.len() + 2 * row.record_id.len() + entities + 256
            }
            Item::Rejected {
                record_id,
                rejection,
                ..
            } => record_id.len() + rejection.message.len() + 128,
            Item::Warning(text) => text.len(),
        }
    }
}

/// Items, and the tuples of those that are rows, one behind the other: in one piece, as a million small ones would
/// cost more to allocate than to fill.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of the records.
    pub items: Vec<Item>,
    /// Records that the run has read so far, those that nobody asked for included.
    pub read: u64,
    /// What [`EncodedRow::tuple`] points into.
    pub tuples: Vec<u8>,
    /// What [`Plan::sampling`] has taken.
    pub samples: Vec<Pair>,
    /// No batch of the plan comes after it.
    pub last: bool,
    /// Of collections that were read to their end.
    pub remarks: Vec<Remark>,
}
