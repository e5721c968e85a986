//! The queue's rows that the metadata tables do not hold yet, replayed as Chroma does.
//!
//! Stage: source. Promise: held in memory are ids and sequence numbers. May import this folder, `metadata`, `catalog`,
//! `damage` and `sqlite`.
//!
//! | operation | the id exists | it does not |
//! | --- | --- | --- |
//! | add | ignored | inserted |
//! | update | keys are merged, a null removes one | ignored |
//! | upsert | as update | inserted |
//! | delete | removed | nothing |

use std::collections::{HashMap, HashSet};

use rusqlite::Statement;

use super::contents::QueueContents;
use super::json;
use super::rows::{Operation, Queue, read_rows};
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::damage::record_ids::RecordIds;
use crate::source::chroma::metadata::record::StoredRecord;
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::unless_corrupt;
use crate::source::error::SourceError;

const QUEUE: &str = "embeddings_queue";

/// Where an id's record comes from after the replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordOrigin {
    /// The tables.
    Tables,
    /// This row of the queue.
    Queue(i64),
    /// There is no such record.
    Deleted,
}

#[derive(Debug)]
struct PendingRecord {
    origin: RecordOrigin,
    in_tables: bool,
    /// Pages of the tables cannot be read, so it is not known whether they have it.
    unsure: bool,
    rows: Vec<i64>,
}

/// What the pending rows of the queue do to a collection's records.
#[derive(Debug, Default)]
pub(crate) struct PendingWrites {
    records: HashMap<String, PendingRecord>,
    /// Rows whose id cannot be read.
    pub lost: Vec<i64>,
}

/// What becomes of a row of the tables.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// It stays, and these rows of the queue change it.
    Kept(&'a [i64]),
    /// It is deleted, or inserted again by a later row.
    Removed,
}

impl PendingWrites {
    /// Replays the rows of `entry` that its tables do not hold yet.
    pub fn replay(
        database: &Database,
        queue: &Queue,
        entry: &CatalogEntry,
    ) -> Result<PendingWrites, SourceError> {
        let numbers = queue.after(&entry.collection.id, entry.metadata_max_seq_id);
        let Some(segment) = entry
            .metadata_segment
            .as_deref()
            .filter(|_| !numbers.is_empty())
        else {
            return Ok(PendingWrites::default());
        };
        let mut records: HashMap<String, PendingRecord> = HashMap::new();
        let mut table_ids = TableIds::new(database, segment)?;
        let lost = read_rows(database, numbers, |row| {
            if !records.contains_key(&row.id) {
                let there = table_ids.has(&row.id)?;
                let in_tables = there == Some(true);
                let origin = if in_tables {
                    RecordOrigin::Tables
                } else {
                    RecordOrigin::Deleted
                };
                records.insert(
                    row.id.clone(),
                    PendingRecord {
                        origin,
                        in_tables,
                        unsure: there.is_none(),
                        rows: Vec::new(),
                    },
                );
            }
            let Some(record) = records.get_mut(&row.id) else {
                return Ok(());
            };
            match (row.operation, record.origin == RecordOrigin::Deleted) {
                (Operation::Add | Operation::Upsert, true) => {
                    record.origin = RecordOrigin::Queue(row.sequence);
                    record.rows = vec![row.sequence];
                }
                (Operation::Update | Operation::Upsert, false) => record.rows.push(row.sequence),
                (Operation::Delete, false) => {
                    record.origin = RecordOrigin::Deleted;
                    record.rows.clear();
                }
                (Operation::Add, false) | (Operation::Update | Operation::Delete, true) => {}
            }
            Ok(())
        })?;
        Ok(PendingWrites { records, lost })
    }

    /// What becomes of the tables' record `id`.
    pub fn outcome(&self, id: &str) -> Outcome<'_> {
        match self.records.get(id) {
            None => Outcome::Kept(&[]),
            Some(PendingRecord {
                origin: RecordOrigin::Tables,
                rows,
                ..
            }) => Outcome::Kept(rows),
            Some(_) => Outcome::Removed,
        }
    }

    /// Records that only the queue has, in the order of insertion: ids with the rows that make them.
    pub fn inserted(&self) -> Vec<(&str, &[i64])> {
        let mut inserted: Vec<_> = self
            .records
            .iter()
            .filter_map(|(id, record)| match record.origin {
                RecordOrigin::Queue(at) => Some((at, id.as_str(), record.rows.as_slice())),
                RecordOrigin::Tables | RecordOrigin::Deleted => None,
            })
            .collect();
        inserted.sort_unstable();
        inserted
            .into_iter()
            .map(|(_, id, rows)| (id, rows))
            .collect()
    }

    /// Whether it is not known if the tables have `id`.
    pub fn unsure(&self, id: &str) -> bool {
        self.records.get(id).is_some_and(|record| record.unsure)
    }

    /// By how many records they change the number of the tables' records: more and fewer.
    pub fn count_change(&self) -> (u64, u64) {
        let (mut more, mut fewer) = (0_u64, 0_u64);
        for record in self.records.values() {
            match (record.in_tables, record.origin) {
                (false, RecordOrigin::Queue(_)) => more = more.saturating_add(1),
                (true, RecordOrigin::Deleted) => fewer = fewer.saturating_add(1),
                _ => {}
            }
        }
        (more, fewer)
    }
}

/// The ids that the tables have.
struct TableIds<'a> {
    database: &'a Database,
    segment: &'a str,
    lookup: Statement<'a>,
    /// All of them, where pages of the index cannot be read; and whether they are all.
    all: Option<(HashSet<String>, bool)>,
}

impl<'a> TableIds<'a> {
    fn new(database: &'a Database, segment: &'a str) -> Result<TableIds<'a>, SourceError> {
        Ok(TableIds {
            database,
            segment,
            lookup: database
                .prepare("SELECT 1 FROM embeddings WHERE segment_id = ?1 AND embedding_id = ?2")?,
            all: None,
        })
    }

    /// Whether the tables have `id`; `None` if that is not known.
    fn has(&mut self, id: &str) -> Result<Option<bool>, SourceError> {
        if self.all.is_none() {
            let found = self.lookup.exists([self.segment, id]);
            let found = found.map_err(|error| self.database.statement_error(error));
            if let Some(found) = unless_corrupt(found)? {
                return Ok(Some(found));
            }
        }
        let (ids, whole) = match &self.all {
            Some(all) => all,
            None => {
                let RecordIds { ids, unreadable } = RecordIds::read(self.database, self.segment)?;
                let ids = ids.into_values().collect();
                self.all.insert((ids, unreadable.is_empty()))
            }
        };
        Ok(match ids.contains(id) {
            true => Some(true),
            false => whole.then_some(false),
        })
    }
}

/// Applies rows of the queue to `record`; gives a sentence about what could not be understood.
pub(crate) fn apply(
    record: &mut StoredRecord,
    numbers: &[i64],
    contents: &mut QueueContents<'_>,
) -> Result<Option<String>, SourceError> {
    let mut doubt = None;
    for number in numbers {
        record.sequence = *number;
        let Some(body) = contents.body(*number)? else {
            record.mark_damaged(
                QUEUE,
                format!("row {number} of table {QUEUE} cannot be read"),
            );
            continue;
        };
        record.created_at = record.created_at.or(body.created_at);
        let Some(text) = body.metadata else { continue };
        match json::changes(&text) {
            Ok(changes) => {
                for (key, value) in changes.keys {
                    record.content.put(key, value);
                }
                if let Some(key) = changes.unreadable.first() {
                    doubt = Some(format!(
                        "key {key:?} holds a value of a kind that Chroma cannot store"
                    ));
                }
            }
            Err(what) => {
                let sentence = format!("its metadata in the queue cannot be read: {what}");
                record.mark_damaged(QUEUE, sentence.as_str());
                doubt = Some(sentence);
            }
        }
    }
    Ok(doubt)
}
