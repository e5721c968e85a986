//! What one pass over a collection lost, as sentences.
//!
//! Stage: source. Promise: one sentence a table, which names the file, the table, the collection and the number. May
//! import this folder.

use std::collections::BTreeMap;
use std::path::Path;

use super::unreadable_rows::{Hole, listed};
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::metadata::tables::Row;
use crate::source::chroma::queue::pending::Tail;
use crate::source::chroma::queue::rows::Queue;

/// Counts what was lost.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    records: u64,
    damaged: BTreeMap<&'static str, u64>,
    /// Vectors of the queue that could not be read.
    pub vectors: u64,
}

impl Losses {
    /// Counts a record.
    pub fn count(&mut self, row: &Row) {
        self.records = self.records.saturating_add(1);
        if let Some(damage) = &row.damage {
            let count = self.damaged.entry(damage.table).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// The sentences about the collection of `entry`. `holes`: rows of `embeddings` of which nothing is known.
    pub fn told(
        &self,
        path: &Path,
        entry: &CatalogEntry,
        holes: &[Hole],
        queue: &Queue,
        tail: &Tail,
    ) -> Vec<String> {
        let name = entry.collection.qualified_name();
        let mut told = Vec::new();
        for (table, count) in &self.damaged {
            let verb = if *count == 1 { "is" } else { "are" };
            told.push(format!(
                "{path:?}: parts of table {table} cannot be read: {count} of {} records of collection {name:?} {verb} \
                 damaged and cannot be migrated",
                self.records
            ));
        }
        told.extend(missing(path, entry, holes));
        if self.vectors > 0 {
            told.push(format!(
                "{path:?}: parts of table embeddings_queue cannot be read: {} vectors of collection {name:?} are lost",
                self.vectors
            ));
        }
        let mut writes = queue.holes_after(entry.tables_mark);
        writes.extend(tail.lost.iter().map(|at| Hole {
            first: *at,
            last: *at,
        }));
        if !writes.is_empty() {
            told.push(format!(
                "{path:?}: parts of table embeddings_queue cannot be read, {}: what they changed in collection {name:?} \
                 is missing",
                listed(&writes)
            ));
        }
        told
    }
}

/// The sentence about rows of `embeddings` of which nothing is known.
pub(crate) fn missing(path: &Path, entry: &CatalogEntry, holes: &[Hole]) -> Option<String> {
    let name = entry.collection.qualified_name();
    (!holes.is_empty()).then(|| {
        format!(
            "{path:?}: neither table embeddings nor its index can be read in {}: records of collection {name:?} that \
             lie there are missing",
            listed(holes)
        )
    })
}
