//! What is lost of a collection, counted and said.
//!
//! Stage: source. Promise: one sentence a table, which names the file, the table, the collection and the number. May
//! import `unreadable_rows`.

use std::collections::BTreeMap;
use std::path::Path;

use super::unreadable_rows::{UnreadableRows, list_ranges};

/// Why a record is not whole.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The table that cannot be read in part.
    pub table: &'static str,
    /// What is missing, as a sentence.
    pub what: String,
}

/// Counts what was lost.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    records: u64,
    damaged: BTreeMap<&'static str, u64>,
    /// Vectors of the queue that could not be read.
    pub vectors: u64,
}

impl Losses {
    /// Counts a record with what is lost of it.
    pub fn count(&mut self, damage: Option<&Damage>) {
        self.records = self.records.saturating_add(1);
        if let Some(damage) = damage {
            let count = self.damaged.entry(damage.table).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// The sentences about the collection `name`. `records`: rows of `embeddings` of which nothing is known; `writes`: rows of
    /// the queue that cannot be read.
    pub fn sentences(
        &self,
        path: &Path,
        name: &str,
        records: &[UnreadableRows],
        writes: &[UnreadableRows],
    ) -> Vec<String> {
        let mut sentences = Vec::new();
        for (table, count) in &self.damaged {
            let verb = if *count == 1 { "is" } else { "are" };
            sentences.push(format!(
                "{path:?}: parts of table {table} cannot be read: {count} of {} records of collection {name:?} {verb} \
                 damaged and cannot be migrated",
                self.records
            ));
        }
        sentences.extend(missing_records(path, name, records));
        if self.vectors > 0 {
            sentences.push(format!(
                "{path:?}: parts of table embeddings_queue cannot be read: {} vectors of collection {name:?} are lost",
                self.vectors
            ));
        }
        if !writes.is_empty() {
            sentences.push(format!(
                "{path:?}: parts of table embeddings_queue cannot be read, {}: what they changed in collection {name:?} \
                 is missing",
                list_ranges(writes)
            ));
        }
        sentences
    }
}

/// The sentence about rows of `embeddings` of which nothing is known.
pub(crate) fn missing_records(
    path: &Path,
    name: &str,
    records: &[UnreadableRows],
) -> Option<String> {
    (!records.is_empty()).then(|| {
        format!(
            "{path:?}: neither table embeddings nor its index can be read in {}: records of collection {name:?} that \
             lie there are missing",
            list_ranges(records)
        )
    })
}
