//! What a sink is told once: the tables, and what to do with records.

use std::rc::Rc;

use vector_migrate_core::seen::KnownKeys;

use crate::ledger::Origins;
use crate::tables::Target;

/// What to do with a record whose key the target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Leave the row, skip the record.
    Skip,
    /// Overwrite the row, unless it came from another store.
    Update,
    /// Overwrite the row, wherever it came from.
    Overwrite,
    /// Stop with an error.
    Error,
}

impl OnConflict {
    /// Whether rows that are there are overwritten.
    pub fn overwrites(self) -> bool {
        matches!(self, OnConflict::Update | OnConflict::Overwrite)
    }
}

/// The run's tables, as they are described.
#[derive(Debug, Clone)]
pub struct Described {
    /// The content table, in which keys are looked up.
    pub content: Rc<Target>,
    /// The entity table.
    pub entity: Option<Rc<Target>>,
}

/// What a sink does with records.
#[derive(Debug)]
pub struct Rules {
    /// With keys that are there.
    pub on_conflict: OnConflict,
    /// Any damage in the store stops the run.
    pub strict: bool,
    /// Entity texts are embedded; else their embedding is NULL.
    pub embeds_entities: bool,
    /// Records that it may get.
    pub records: u64,
    /// Which rows of the target came from another store.
    pub origins: Origins,
    /// The target's keys with the collection of their rows, where the key does not have it and it is known.
    pub of_collections: Option<KnownKeys>,
    /// Nothing stays.
    pub dry_run: bool,
}
