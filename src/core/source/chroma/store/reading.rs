//! The records of a collection: rows of the tables, what the queue changes about them, and their vectors.
//!
//! Stage: source. Promise: every live record once, in the order of insertion, also where the reading goes on in a private
//! copy; what is lost is said. May import this folder and those below it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::chroma_store::ChromaStore;
use super::metadata_keys::KeyCounter;
use super::vector_counts::{VectorCounts, count};
use crate::record::{Collection, Inventory, Value};
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::damage::losses::Losses;
use crate::source::chroma::damage::unreadable_rows::UnreadableRows;
use crate::source::chroma::metadata::content::canonical_text;
use crate::source::chroma::metadata::record::{Depth, StoredRecord, Wanted};
use crate::source::chroma::metadata::tables::{Knows, MetadataTables};
use crate::source::chroma::queue::contents::QueueContents;
use crate::source::chroma::queue::pending::{Outcome, PendingWrites, apply};
use crate::source::chroma::snapshot::state::StoreState;
use crate::source::chroma::vectors::of_collection::WantedVector;
use crate::source::error::SourceError;
use crate::source::{Consumer, Source};

/// How often a waiting writer is looked for.
const POLL: Duration = Duration::from_millis(20);

/// Takes a live record, with access to the queue's contents.
pub(crate) type EachRecord<'a> =
    dyn FnMut(StoredRecord, &mut QueueContents<'_>) -> Result<ControlFlow<()>, SourceError> + 'a;

impl ChromaStore {
    /// Gives every live record of `entry` to `each`: those of the tables, then those that only the queue has.
    pub(crate) fn stored_records(
        &self,
        state: &StoreState,
        entry: &CatalogEntry,
        wanted: Wanted<'_>,
        knows: &mut Knows<'_>,
        each: &mut EachRecord<'_>,
    ) -> Result<(), SourceError> {
        let database = &state.database;
        let mut looked = Instant::now();
        let pending = PendingWrites::replay(database, &self.queue, entry)?;
        let mut contents = QueueContents::new(database)?;
        let losses = RefCell::new(Losses::default());
        let mut give = |mut row: StoredRecord, numbers: &[i64]| {
            if pending.unsure(&row.id) {
                row.mark_damaged(
                    "embeddings",
                    "whether table embeddings has the record cannot be told",
                );
            }
            if let Some(doubt) = apply(&mut row, numbers, &mut contents)?
                && wanted.told
            {
                let name = entry.collection.qualified_name();
                self.add_notice(format!(
                    "record {:?} of collection {name:?}: {doubt}",
                    row.id
                ));
            }
            if looked.elapsed() >= POLL {
                self.check_for_writer(state)?;
                looked = Instant::now();
            }
            losses.borrow_mut().count(row.damage.as_ref());
            let flow = each(row, &mut contents);
            losses.borrow_mut().vectors = contents.lost;
            flow
        };
        let mut lost_writes = self.queue.unreadable_after(entry.metadata_max_seq_id);
        lost_writes.extend(pending.lost.iter().copied().map(UnreadableRows::one));
        let about = |unreadable: &[UnreadableRows]| {
            if !wanted.told {
                return;
            }
            let name = entry.collection.qualified_name();
            let losses = losses.borrow();
            self.add_notices(losses.sentences(&database.path, &name, unreadable, &lost_writes));
        };
        let mut unreadable = Vec::new();
        let (depth, key, rowids) = (wanted.depth, wanted.owner_key, self.rowids(entry));
        if let Some(mut tables) =
            MetadataTables::new(database, &self.schema, entry, depth, key, rowids)?
        {
            let flow = tables.read(knows, |row| match pending.outcome(&row.id) {
                Outcome::Kept(numbers) => {
                    let numbers = numbers.to_vec();
                    give(row, &numbers)
                }
                Outcome::Removed => Ok(ControlFlow::Continue(())),
            })?;
            unreadable.extend_from_slice(tables.unreadable());
            if flow.is_break() {
                about(&unreadable);
                return Ok(());
            }
        }
        for (id, numbers) in pending.inserted() {
            database.check_stop()?;
            let row = StoredRecord {
                id: id.to_owned(),
                ..StoredRecord::default()
            };
            if give(row, numbers)?.is_break() {
                break;
            }
        }
        about(&unreadable);
        Ok(())
    }
}

impl Source for ChromaStore {
    fn collections(&self) -> &[Collection] {
        &self.collections
    }

    fn feed(
        &self,
        collection: &Collection,
        consumer: &mut dyn Consumer,
    ) -> Result<(), SourceError> {
        let (mut given, mut counts) = (0_u64, VectorCounts::default());
        let mut whole = false;
        let owner_key = consumer.owner_key().to_owned();
        let reading = Wanted {
            owner_key: &owner_key,
            ..Wanted::FULL
        };
        self.retried_in_copy(|state| {
            let entry = state.entry(collection)?;
            // Found when the first one is wanted.
            let mut vectors = None;
            let mut again = given;
            whole = true;
            let consumer = RefCell::new(&mut *consumer);
            let knows = &mut |id: &str| consumer.borrow_mut().knows(id);
            self.stored_records(state, entry, reading, knows, &mut |row, contents| {
                let mut consumer = consumer.borrow_mut();
                if again > 0 {
                    again -= 1;
                    return Ok(ControlFlow::Continue(()));
                }
                let sequence = row.sequence;
                let mut record = row.into_record();
                if record.damage.is_none() && consumer.wants_vector(&record) {
                    let vectors = match &mut vectors {
                        Some(vectors) => vectors,
                        None => vectors.insert(self.vectors(state, entry)?),
                    };
                    let wanted = WantedVector {
                        id: &record.id,
                        sequence,
                        created_at: record.created_at,
                    };
                    (record.vector, record.stale) = vectors.fetch(wanted, contents)?;
                    record.missing = record.vector.is_none();
                }
                given = given.saturating_add(1);
                counts.count(record.missing, record.stale);
                let flow = consumer.take(record);
                whole = flow.is_continue();
                while whole && !consumer.ready() {
                    state.database.check_stop()?;
                    self.check_for_writer(state)?;
                }
                Ok(flow)
            })
        })?;
        if whole {
            self.add_notices(counts.sentences(&collection.qualified_name()));
        }
        Ok(())
    }

    fn inventory(&self, collection: &Collection) -> Result<Inventory, SourceError> {
        self.retried_in_copy(|state| {
            let entry = state.entry(collection)?;
            let mut vectors = self.vectors(state, entry)?;
            let mut found = Inventory::default();
            let mut users = BTreeSet::new();
            let mut keys = KeyCounter::default();
            let dimension = entry.collection.dimension;
            self.stored_records(
                state,
                entry,
                Wanted {
                    depth: Depth::Counts,
                    ..Wanted::FULL
                },
                &mut |_| false,
                &mut |row, contents| {
                    if row.damage.is_none() {
                        let wanted = WantedVector {
                            id: &row.id,
                            sequence: row.sequence,
                            created_at: row.created_at,
                        };
                        let (vector, stale) = vectors.fetch(wanted, contents)?;
                        count(&mut found, vector.as_ref(), stale, dimension);
                    }
                    found.records = found.records.saturating_add(1);
                    found.documents = found
                        .documents
                        .saturating_add(u64::from(row.content.document.is_some()));
                    keys.count(&row.content.metadata);
                    // A blank user_id names nobody, nor does an array, as in `map::owner_of`.
                    let user = match row.content.metadata.get("user_id") {
                        None | Some(Value::List(_)) => None,
                        Some(value) => Some(canonical_text(value)),
                    };
                    users.extend(user.filter(|user| !user.trim().is_empty()));
                    Ok(ControlFlow::Continue(()))
                },
            )?;
            found.users = u64::try_from(users.len()).unwrap_or(u64::MAX);
            found.metadata_keys = keys.into_keys();
            self.add_notices(VectorCounts::of(&found).sentences(&collection.qualified_name()));
            found.queued = self.queued(entry, vectors.max_seq_id());
            self.last_vectors
                .replace(Some((entry.collection.id.clone(), vectors)));
            Ok(found)
        })
    }
}
