//! The vectors of one collection.
//!
//! Stage: source. Promise: the newest vector that the store still has, as the folder's notes say. May import this folder,
//! `hnsw`, `queue`, `catalog`, `damage`, `sqlite`, `files` and `record`.

use super::id_states::{IdState, IdStates, IndexIds, NEVER, NOWHERE, QueueUse};
use super::persisted_index::PersistedIndex;
use crate::key::{KeyTable, Keys};
use crate::record::{Grade, Space, Vector};
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::damage::unreadable_rows::UnreadableRows;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::hnsw::index::HnswIndex;
use crate::source::chroma::hnsw::rounding::{normalised, rounded, same};
use crate::source::chroma::hnsw::segment::unusable_index;
use crate::source::chroma::queue::contents::QueueContents;
use crate::source::chroma::queue::rows::{Queue, read_rows};
use crate::source::chroma::sqlite::database::Database;
use crate::source::error::SourceError;

/// Where a vector is.
enum VectorSource {
    Nowhere,
    /// In this row of the queue.
    Queue(i64),
    /// In this slot of the index, perhaps also in this row of the queue.
    Index(u32, Option<i64>),
}

/// A record whose vector is wanted, as the metadata tables and the queue have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WantedVector<'a> {
    /// Its id.
    pub id: &'a str,
    /// Sequence number of the last write applied to it.
    pub sequence: i64,
    /// Microseconds since 1970.
    pub created_at: Option<i64>,
}

/// The vectors of one collection.
pub(crate) struct Vectors {
    ids: IdStates,
    index: Option<HnswIndex>,
    cosine: bool,
    mixed: bool,
    /// Rows of the queue that cannot be read.
    unreadable: Vec<UnreadableRows>,
    /// What was found wrong, as sentences.
    pub notices: Vec<String>,
}

impl Vectors {
    /// Finds the vectors of `entry`. `complete`: no row was ever removed from the queue.
    pub fn find(
        database: &Database,
        directory: &Folder,
        queue: &Queue,
        complete: bool,
        entry: &CatalogEntry,
    ) -> Result<Vectors, SourceError> {
        let keys = Keys::default();
        let (opened, mut notices) =
            match PersistedIndex::open(directory, entry, &keys, database.stop()) {
                Ok(opened) => (opened, Vec::new()),
                Err(error @ (SourceError::Damaged { .. } | SourceError::NotFound { .. })) => {
                    (None, vec![unusable_index(entry, &error)])
                }
                Err(error) => return Err(error),
            };
        let (index, slots, written) = match opened {
            Some(opened) => {
                notices.extend(opened.notices);
                (Some(opened.index), opened.slots, opened.max_seq_id)
            }
            None => (None, KeyTable::default(), None),
        };
        let ids = IndexIds {
            keys,
            slots,
            max_seq_id: entry.vector_max_seq_id.or(written),
            unsure: !notices.is_empty() || (index.is_none() && entry.vector_max_seq_id.is_some()),
        };
        let bytes = entry.collection.dimension;
        let bytes = bytes.map(|dimension| u64::from(dimension) * 4);
        let mut ids = IdStates::new(ids, bytes, complete);
        let lost = read_rows(database, queue.of(&entry.collection.id), |row| {
            ids.replay(row);
            Ok(())
        })?;
        let mut unreadable = queue.unreadable.clone();
        unreadable.extend(lost.into_iter().map(UnreadableRows::one));
        Ok(Vectors {
            ids,
            index,
            cosine: entry.collection.space == Space::Cosine,
            mixed: entry.mixed,
            unreadable,
            notices,
        })
    }

    /// The last sequence number that the index holds.
    pub fn max_seq_id(&self) -> Option<i64> {
        self.ids.max_seq_id()
    }

    /// The vector of the record `row`; and whether it may be older than the record.
    pub fn fetch(
        &mut self,
        row: WantedVector<'_>,
        contents: &mut QueueContents<'_>,
    ) -> Result<(Option<Vector>, bool), SourceError> {
        let mut other = false;
        let state = self.ids.of(row.id);
        let source = self.source(state, row, contents)?;
        let overtaken = self.overtaken(&source, row);
        let vector = match source {
            VectorSource::Nowhere => None,
            VectorSource::Queue(at) => contents.vector(at)?.map(exact),
            VectorSource::Index(slot, older) => {
                let given = match older {
                    Some(at) => contents.vector(at)?,
                    None => None,
                };
                let (vector, confirmed) = self.stored(slot, given)?;
                // A complete queue shows which vector was the last, and the index may have an older one: Chroma before 1.0
                // forgets vectors that are deleted and added in one batch.
                other = older.is_some() && self.ids.complete() && !confirmed;
                vector
            }
        };
        let newer = self
            .ids
            .max_seq_id()
            .is_some_and(|max_seq_id| row.sequence > max_seq_id);
        let stale = vector.is_some() && (newer && !state.recent || other || overtaken);
        Ok((vector, stale))
    }

    /// Whether a row of the queue that cannot be read may hold a newer vector of the record `row`.
    fn overtaken(&self, source: &VectorSource, row: WantedVector<'_>) -> bool {
        let since = match source {
            VectorSource::Nowhere => return false,
            VectorSource::Queue(at) => Some(*at),
            VectorSource::Index(..) => self.ids.max_seq_id(),
        };
        self.unreadable
            .iter()
            .any(|rows| rows.first <= row.sequence && since.is_none_or(|since| rows.last > since))
    }

    /// Where the newest vector is that the store still has.
    fn source(
        &mut self,
        state: IdState,
        row: WantedVector<'_>,
        contents: &mut QueueContents<'_>,
    ) -> Result<VectorSource, SourceError> {
        if state.ignored_add != NEVER && self.was_an_insert(state, row, contents)? {
            return Ok(VectorSource::Queue(state.ignored_add));
        }
        let in_row = state.queue != QueueUse::Nothing && counts(&state, row, contents)?;
        let in_slot = state.slot != NOWHERE
            && state.queue != QueueUse::Newer
            && self
                .index
                .as_ref()
                .is_some_and(|index| !self.cosine || index.length(state.slot).is_some());
        Ok(if in_slot {
            // Only a cosine space stores another vector than it was given; only a complete queue proves one wrong.
            let asked = self.cosine || self.ids.complete();
            let older = asked && in_row && state.fits && state.queue == QueueUse::Older;
            VectorSource::Index(state.slot, older.then_some(state.sequence))
        } else if in_row {
            VectorSource::Queue(state.sequence)
        } else {
            VectorSource::Nowhere
        })
    }

    /// Whether the add that seemed to be ignored did insert the record. Index files of a killed writer may be newer than
    /// `max_seq_id` says; then an update before the add seems to have found the id, which was not there yet.
    fn was_an_insert(
        &mut self,
        state: IdState,
        row: WantedVector<'_>,
        contents: &mut QueueContents<'_>,
    ) -> Result<bool, SourceError> {
        let added = state.ignored_add;
        if state.queue != QueueUse::Newer
            || self
                .ids
                .max_seq_id()
                .is_some_and(|max_seq_id| added <= max_seq_id)
        {
            return Ok(false);
        }
        if row.sequence == added {
            return Ok(true);
        }
        let Some(index) = self.index.as_mut().filter(|_| state.slot != NOWHERE) else {
            return Ok(false);
        };
        let Some(given) = contents.vector(added)? else {
            return Ok(false);
        };
        let raw = index.raw(state.slot)?;
        let kept = match index.length(state.slot) {
            Some(length) if self.cosine => {
                let restored: Vec<f32> = raw.iter().map(|component| component * length).collect();
                same(&rounded(&given), &restored)
            }
            _ => same(&given, &raw),
        };
        Ok(kept)
    }

    /// The vector of `slot`; and whether it is the one that the queue has for it, `given`.
    fn stored(
        &mut self,
        slot: u32,
        given: Option<Vec<f32>>,
    ) -> Result<(Option<Vector>, bool), SourceError> {
        let Some(index) = &mut self.index else {
            return Ok((None, false));
        };
        let raw = index.raw(slot)?;
        let length = index
            .length(slot)
            .filter(|_| self.cosine && (!self.mixed || normalised(&raw)));
        let Some(length) = length else {
            let confirmed = given.is_some_and(|given| same(&given, &raw));
            return Ok((Some(exact(raw)), confirmed));
        };
        let mut restored = raw;
        restored
            .iter_mut()
            .for_each(|component| *component *= length);
        Ok(match given {
            Some(given) if same(&rounded(&given), &restored) => (Some(exact(given)), true),
            _ => {
                let vector = Vector {
                    values: restored,
                    grade: Grade::Restored,
                };
                (Some(vector), false)
            }
        })
    }
}

fn exact(values: Vec<f32>) -> Vector {
    Vector {
        values,
        grade: Grade::Exact,
    }
}

/// Whether the row of `state` took effect on the record `row`. An add does not if the id was there already. Where
/// the index does not show that, the record does: it was changed last before the row was written, or created before.
fn counts(
    state: &IdState,
    row: WantedVector<'_>,
    contents: &mut QueueContents<'_>,
) -> Result<bool, SourceError> {
    if !state.added || row.sequence == state.sequence {
        return Ok(true);
    }
    if row.sequence < state.sequence {
        return Ok(false);
    }
    let written = contents.time(state.sequence)?;
    Ok(row
        .created_at
        .zip(written)
        .is_none_or(|(created, written)| created >= written))
}
