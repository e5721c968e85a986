//! The queue's rows that the metadata tables do not hold yet, replayed with Chroma's own meaning.
//!
//! Stage: source. Promise: held in memory are ids and row numbers, not contents. May import this folder.
//!
//! | operation | the id exists | it does not |
//! | --- | --- | --- |
//! | add | ignored | inserted |
//! | update | keys are merged, a null removes one | ignored |
//! | upsert | as update | inserted |
//! | delete | removed | nothing |

use std::collections::{HashMap, HashSet};

use rusqlite::Statement;

use super::json;
use super::rows::{Contents, Operation, Queue, scan};
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::damage::record_ids::Listing;
use crate::source::chroma::metadata::tables::Row;
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::unless_corrupt;
use crate::source::error::SourceError;

const QUEUE: &str = "embeddings_queue";

/// Where an id's record comes from after the replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// The tables.
    Tables,
    /// This row of the queue.
    Row(i64),
    /// There is no such record.
    Gone,
}

#[derive(Debug)]
struct Fate {
    base: Base,
    in_tables: bool,
    /// Whether the tables have it cannot be told.
    unsure: bool,
    rows: Vec<i64>,
}

/// What the tail of the queue does to a collection's records.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    fates: HashMap<String, Fate>,
    /// Rows whose id cannot be read.
    pub lost: Vec<i64>,
}

/// What becomes of a row of the tables.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// It stays, and these rows of the queue change it.
    Stays(&'a [i64]),
    /// It is removed, or inserted anew further on.
    Goes,
}

impl Tail {
    /// Replays the rows of `entry` after its tables' mark.
    pub fn replay(
        database: &Database,
        queue: &Queue,
        entry: &CatalogEntry,
    ) -> Result<Tail, SourceError> {
        let mut tail = Tail::default();
        let numbers = queue.after(&entry.collection.id, entry.tables_mark);
        let Some(segment) = entry
            .metadata_segment
            .as_deref()
            .filter(|_| !numbers.is_empty())
        else {
            return Ok(tail);
        };
        let mut known = Known::new(database, segment)?;
        let lost = scan(database, numbers, |row| {
            if !tail.fates.contains_key(&row.id) {
                let there = known.has(&row.id)?;
                let in_tables = there == Some(true);
                let base = if in_tables { Base::Tables } else { Base::Gone };
                tail.fates.insert(
                    row.id.clone(),
                    Fate {
                        base,
                        in_tables,
                        unsure: there.is_none(),
                        rows: Vec::new(),
                    },
                );
            }
            let Some(fate) = tail.fates.get_mut(&row.id) else {
                return Ok(());
            };
            match (row.operation, fate.base == Base::Gone) {
                (Operation::Add | Operation::Upsert, true) => {
                    fate.base = Base::Row(row.sequence);
                    fate.rows = vec![row.sequence];
                }
                (Operation::Update | Operation::Upsert, false) => fate.rows.push(row.sequence),
                (Operation::Delete, false) => {
                    fate.base = Base::Gone;
                    fate.rows.clear();
                }
                (Operation::Add, false) | (Operation::Update | Operation::Delete, true) => {}
            }
            Ok(())
        })?;
        tail.lost = lost;
        Ok(tail)
    }

    /// What becomes of the tables' record `id`.
    pub fn outcome(&self, id: &str) -> Outcome<'_> {
        match self.fates.get(id) {
            None => Outcome::Stays(&[]),
            Some(Fate {
                base: Base::Tables,
                rows,
                ..
            }) => Outcome::Stays(rows),
            Some(_) => Outcome::Goes,
        }
    }

    /// Records that only the queue has, in the order of insertion: ids with the rows that make them.
    pub fn fresh(&self) -> Vec<(&str, &[i64])> {
        let mut fresh: Vec<_> = self
            .fates
            .iter()
            .filter_map(|(id, fate)| match fate.base {
                Base::Row(at) => Some((at, id.as_str(), fate.rows.as_slice())),
                Base::Tables | Base::Gone => None,
            })
            .collect();
        fresh.sort_unstable();
        fresh.into_iter().map(|(_, id, rows)| (id, rows)).collect()
    }

    /// Whether it cannot be told what the tables have of `id`.
    pub fn unsure(&self, id: &str) -> bool {
        self.fates.get(id).is_some_and(|fate| fate.unsure)
    }

    /// By how many records the tail changes the number of the tables' records: more and fewer.
    pub fn balance(&self) -> (u64, u64) {
        let (mut more, mut fewer) = (0_u64, 0_u64);
        for fate in self.fates.values() {
            match (fate.in_tables, fate.base) {
                (false, Base::Row(_)) => more = more.saturating_add(1),
                (true, Base::Gone) => fewer = fewer.saturating_add(1),
                _ => {}
            }
        }
        (more, fewer)
    }
}

/// The ids that the tables have.
struct Known<'a> {
    database: &'a Database,
    segment: &'a str,
    lookup: Statement<'a>,
    /// All of them, where pages of the index cannot be read; and whether they are all.
    all: Option<(HashSet<String>, bool)>,
}

impl<'a> Known<'a> {
    fn new(database: &'a Database, segment: &'a str) -> Result<Known<'a>, SourceError> {
        Ok(Known {
            database,
            segment,
            lookup: database
                .prepare("SELECT 1 FROM embeddings WHERE segment_id = ?1 AND embedding_id = ?2")?,
            all: None,
        })
    }

    /// Whether the tables have `id`; `None` if that cannot be told.
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
                let Listing { ids, holes } = Listing::read(self.database, self.segment)?;
                let ids = ids.into_values().collect();
                self.all.insert((ids, holes.is_empty()))
            }
        };
        Ok(match ids.contains(id) {
            true => Some(true),
            false => whole.then_some(false),
        })
    }
}

/// Applies rows of the queue to `row`; gives a sentence about what could not be understood.
pub(crate) fn apply(
    row: &mut Row,
    numbers: &[i64],
    contents: &mut Contents<'_>,
) -> Result<Option<String>, SourceError> {
    let mut trouble = None;
    for number in numbers {
        row.sequence = *number;
        let Some(body) = contents.body(*number)? else {
            row.lose(
                QUEUE,
                format!("row {number} of table {QUEUE} cannot be read"),
            );
            continue;
        };
        row.created_at = row.created_at.or(body.created_at);
        let Some(text) = body.metadata else { continue };
        match json::changes(&text) {
            Ok(changes) => {
                for (key, value) in changes.keys {
                    row.content.put(key, value);
                }
                if let Some(key) = changes.unreadable.first() {
                    trouble = Some(format!(
                        "key {key:?} holds a value of a kind that Chroma cannot store"
                    ));
                }
            }
            Err(what) => {
                let sentence = format!("its metadata in the queue cannot be read: {what}");
                row.lose(QUEUE, sentence.as_str());
                trouble = Some(sentence);
            }
        }
    }
    Ok(trouble)
}
