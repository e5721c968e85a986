//! Where each id's vector is: in the index files, in the queue, or nowhere.
//!
//! Stage: source. Promise: the newest vector that the store still has; held in memory are ids and places, not
//! vectors. May import `record` and this folder.
//!
//! The order of trust for one id:
//!
//! 1. a row of the queue after the index's mark;
//! 2. the index, for cosine spaces multiplied back by the kept length; where an older row of the queue gives the
//!    same vector after Chroma's own rounding, that row, which is the original bit for bit;
//! 3. an older row of the queue (releases that lost vectors from the index still had them there);
//! 4. an update that Chroma ignored, as nothing else is known.

use std::thread::{self, ScopedJoinHandle};

use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::ELEMENTS;
use crate::source::chroma::hnsw::index::Index;
use crate::source::chroma::queue::contents::QueueContents;
use crate::source::chroma::queue::rows::{Operation, Queue, QueueRow, read_rows};
use crate::source::chroma::sqlite::database::Database;
use crate::source::error::SourceError;

use crate::key::{Key, KeyMap, KeyTable, Keys};
use crate::record::{Grade, Space, Vector};
use crate::source::chroma::damage::unreadable_rows::Hole;
use crate::source::chroma::hnsw::rounding::{normalised, rounded, same};
use crate::source::chroma::hnsw::segment::{Files, broken};

const NOWHERE: u32 = u32::MAX;
const NEVER: i64 = i64::MIN;

/// How a row of the queue counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// No row.
    Nothing,
    /// A row that the index does not cover.
    Newer,
    /// A row that the index covers.
    Older,
    /// An update of an id that was not there.
    Ignored,
}

/// What is known of one id.
#[derive(Debug, Clone, Copy)]
struct Trace {
    sequence: i64,
    /// The first add after that row, which seems to have found the id there; or `NEVER`.
    passed_over: i64,
    slot: u32,
    from: From,
    /// The row's vector has the collection's dimension.
    fits: bool,
    /// The row is an add, which counts only if the id was not there.
    added: bool,
    /// Some row after the index's mark is about this id.
    recent: bool,
}

/// Where a vector is.
enum Place {
    Nowhere,
    /// In this row of the queue.
    Row(i64),
    /// In this slot of the index, perhaps also in this row of the queue.
    Slot(u32, Option<i64>),
}

/// A record whose vector is wanted, as the metadata tables and the queue's tail have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Its id.
    pub id: &'a str,
    /// Sequence number of the last write applied to it.
    pub sequence: i64,
    /// Microseconds since 1970.
    pub created_at: Option<i64>,
}

const UNKNOWN: Trace = Trace {
    sequence: 0,
    passed_over: NEVER,
    slot: NOWHERE,
    from: From::Nothing,
    fits: false,
    added: false,
    recent: false,
};

/// The vectors of one collection.
pub(crate) struct Vectors {
    keys: Keys,
    /// The index's ids with their slots.
    slots: KeyTable,
    /// What the queue says, and of ids that it says nothing of: nothing.
    traces: KeyMap<Trace>,
    index: Option<Index>,
    covered: Option<i64>,
    cosine: bool,
    mixed: bool,
    bytes: Option<u64>,
    /// The index may lack ids that it had.
    unsure: bool,
    /// No row was ever removed from the queue.
    complete: bool,
    /// Rows of the queue that cannot be read.
    holes: Vec<Hole>,
    /// What was found wrong, as sentences.
    pub notices: Vec<String>,
}

impl Vectors {
    /// Finds the vectors of `entry`.
    pub fn find(
        database: &Database,
        directory: &Folder,
        queue: &Queue,
        complete: bool,
        entry: &CatalogEntry,
    ) -> Result<Vectors, SourceError> {
        let mut vectors = Vectors {
            keys: Keys::default(),
            slots: KeyTable::default(),
            traces: KeyMap::default(),
            index: None,
            covered: entry.index_mark,
            cosine: entry.collection.space == Space::Cosine,
            mixed: entry.mixed,
            bytes: entry
                .collection
                .dimension
                .map(|dimension| u64::from(dimension) * 4),
            unsure: false,
            complete,
            holes: Vec::new(),
            notices: Vec::new(),
        };
        match vectors.open(database, directory, entry) {
            Ok(()) => {}
            Err(error @ (SourceError::Damaged { .. } | SourceError::NotFound { .. })) => {
                vectors.index = None;
                vectors.slots = KeyTable::default();
                vectors.notices.push(broken(entry, &error));
            }
            Err(error) => return Err(error),
        }
        vectors.unsure =
            !vectors.notices.is_empty() || (vectors.index.is_none() && entry.index_mark.is_some());
        vectors.holes.clone_from(&queue.holes);
        let lost = read_rows(database, queue.of(&entry.collection.id), |row| {
            vectors.replay(row);
            Ok(())
        })?;
        vectors.holes.extend(lost.into_iter().map(|at| Hole {
            first: at,
            last: at,
        }));
        Ok(vectors)
    }

    fn open(
        &mut self,
        database: &Database,
        directory: &Folder,
        entry: &CatalogEntry,
    ) -> Result<(), SourceError> {
        let Some(files) = Files::of(directory, entry)? else {
            return Ok(());
        };
        let Some(header) = files.checked(entry)? else {
            return Ok(());
        };
        let index = Index::open(header, &files.folder, self.cosine);
        // Both files are read whole, before the first record is given: at once, as each takes its time.
        let (stop, keys) = (database.stop(), &self.keys);
        let (persisted, labels) = thread::scope(|scope| {
            let labels = index.as_ref().ok().and_then(|index| {
                let other = thread::Builder::new().name("vector_migrate labels".to_owned());
                other.spawn_scoped(scope, || index.labels(stop)).ok()
            });
            (
                files.persisted(header, keys, stop),
                labels.map(ScopedJoinHandle::join),
            )
        });
        let (persisted, index) = (persisted?, index?);
        let (labels, doubled) = match labels {
            Some(Ok(labels)) => labels?,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => index.labels(stop)?,
        };
        self.covered = entry.index_mark.or(persisted.max_seq_id);
        let name = entry.collection.qualified_name();
        if u64::from(index.slots) < header.count {
            self.notices.push(format!(
                "the vector index of collection {name:?} holds {} of {} elements: {:?} is cut off",
                index.slots,
                header.count,
                files.path(ELEMENTS)
            ));
        }
        let mut lost = 0_u64;
        let mut slots = Vec::with_capacity(persisted.labels.len());
        for (key, label) in persisted.labels {
            match labels.slot(label) {
                Some(slot) => slots.push((key, slot)),
                None => lost = lost.saturating_add(1),
            }
        }
        self.slots = KeyTable::new(slots);
        if lost > 0 || doubled > 0 {
            self.notices.push(format!(
                "the vector index of collection {name:?} has no element for {lost} ids and {doubled} elements of \
                 equal label"
            ));
        }
        self.index = Some(index);
        Ok(())
    }

    /// The slot of an id of the index; `NOWHERE` for others.
    fn slot(&self, key: Key) -> u32 {
        self.slots.get(key).unwrap_or(NOWHERE)
    }

    /// What is known of an id, if anything is.
    fn known(&self, key: Key) -> Option<Trace> {
        if let Some(trace) = self.traces.get(&key) {
            return Some(*trace);
        }
        let slot = self.slot(key);
        (slot != NOWHERE).then_some(Trace { slot, ..UNKNOWN })
    }

    /// Takes a row of the queue into account.
    fn replay(&mut self, row: QueueRow) {
        let newer = self.covered.is_none_or(|mark| row.sequence > mark);
        let key = self.keys.of(row.id.as_str());
        let known = self.known(key);
        if row.operation == Operation::Delete {
            let left = match known {
                Some(trace) if !newer => trace.slot,
                _ => NOWHERE,
            };
            // What the index has of it must be hidden.
            if left != NOWHERE || self.slot(key) != NOWHERE {
                let slot = left;
                self.traces.insert(key, Trace { slot, ..UNKNOWN });
            } else {
                self.traces.remove(&key);
            }
            return;
        }
        let mut trace = known.unwrap_or(UNKNOWN);
        let kept = matches!(trace.from, From::Newer | From::Older);
        let exists = kept || (newer && trace.slot != NOWHERE);
        let taken = match (row.operation, row.vector) {
            (_, None) | (Operation::Delete, _) => None,
            (Operation::Add, _) if exists => None,
            // The row that inserted the id may be gone from a queue that is cleaned up; then the index has the id.
            (Operation::Update, _)
                if !exists && (self.complete || trace.slot == NOWHERE && !self.unsure) =>
            {
                Some(From::Ignored)
            }
            _ if newer => Some(From::Newer),
            _ => Some(From::Older),
        };
        trace.recent |= newer;
        let fits = row.vector.is_some() && (self.bytes.is_none() || self.bytes == row.vector);
        if taken.is_none() && row.operation == Operation::Add && fits && trace.passed_over == NEVER
        {
            trace.passed_over = row.sequence;
        }
        if let Some(from) = taken {
            trace.from = from;
            trace.passed_over = NEVER;
            trace.sequence = row.sequence;
            trace.added = row.operation == Operation::Add;
            trace.fits = fits;
        }
        if taken.is_some() || known.is_some() || trace.recent {
            self.traces.insert(key, trace);
        }
    }

    /// The last sequence number that the index holds.
    pub fn covered(&self) -> Option<i64> {
        self.covered
    }

    /// The vector of the record `row`; and whether it may be older than the record.
    pub fn fetch(
        &mut self,
        row: Wanted<'_>,
        contents: &mut QueueContents<'_>,
    ) -> Result<(Option<Vector>, bool), SourceError> {
        let mut other = false;
        let trace = self.known(self.keys.of(row.id));
        let trace = trace.unwrap_or(UNKNOWN);
        let place = self.place(trace, row, contents)?;
        let overtaken = self.overtaken(&place, row);
        let vector = match place {
            Place::Nowhere => None,
            Place::Row(at) => contents.vector(at)?.map(exact),
            Place::Slot(slot, older) => {
                let given = match older {
                    Some(at) => contents.vector(at)?,
                    None => None,
                };
                let (vector, confirmed) = self.stored(slot, given)?;
                // A whole history knows better than the index which vector was the last: Chroma before 1.0 forgets
                // vectors that are deleted and added in one batch.
                other = older.is_some() && self.complete && !confirmed;
                vector
            }
        };
        let newer = self.covered.is_some_and(|mark| row.sequence > mark);
        let stale = vector.is_some() && (newer && !trace.recent || other || overtaken);
        Ok((vector, stale))
    }

    /// Whether a row of the queue that cannot be read may hold a newer vector of the record `row`.
    fn overtaken(&self, place: &Place, row: Wanted<'_>) -> bool {
        let since = match place {
            Place::Nowhere => return false,
            Place::Row(at) => Some(*at),
            Place::Slot(..) => self.covered,
        };
        self.holes
            .iter()
            .any(|hole| hole.first <= row.sequence && since.is_none_or(|since| hole.last > since))
    }

    fn place(
        &mut self,
        trace: Trace,
        row: Wanted<'_>,
        contents: &mut QueueContents<'_>,
    ) -> Result<Place, SourceError> {
        if trace.passed_over != NEVER && self.was_an_insert(trace, row, contents)? {
            return Ok(Place::Row(trace.passed_over));
        }
        let in_row = trace.from != From::Nothing && counts(&trace, row, contents)?;
        let in_slot = trace.slot != NOWHERE
            && trace.from != From::Newer
            && self
                .index
                .as_ref()
                .is_some_and(|index| !self.cosine || index.length(trace.slot).is_some());
        Ok(if in_slot {
            // Only a cosine space stores another vector than it was given; only a whole history proves one wrong.
            let asked = self.cosine || self.complete;
            let older = asked && in_row && trace.fits && trace.from == From::Older;
            Place::Slot(trace.slot, older.then_some(trace.sequence))
        } else if in_row {
            Place::Row(trace.sequence)
        } else {
            Place::Nowhere
        })
    }

    /// Whether the add that was passed over inserted the record after all. Index files of a killed writer may be
    /// newer than their mark; then an update before the add seems to have found the id, which was not there yet.
    fn was_an_insert(
        &mut self,
        trace: Trace,
        row: Wanted<'_>,
        contents: &mut QueueContents<'_>,
    ) -> Result<bool, SourceError> {
        let added = trace.passed_over;
        if trace.from != From::Newer || self.covered.is_some_and(|mark| added <= mark) {
            return Ok(false);
        }
        if row.sequence == added {
            return Ok(true);
        }
        let Some(index) = self.index.as_mut().filter(|_| trace.slot != NOWHERE) else {
            return Ok(false);
        };
        let Some(given) = contents.vector(added)? else {
            return Ok(false);
        };
        let raw = index.raw(trace.slot)?;
        let kept = match index.length(trace.slot) {
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

/// Whether the row of `trace` took effect on the record `row`. An add does not if the id was there already, which
/// shows where the index cannot tell: the record was last changed before, or created before.
fn counts(
    trace: &Trace,
    row: Wanted<'_>,
    contents: &mut QueueContents<'_>,
) -> Result<bool, SourceError> {
    if !trace.added || row.sequence == trace.sequence {
        return Ok(true);
    }
    if row.sequence < trace.sequence {
        return Ok(false);
    }
    let written = contents.time(trace.sequence)?;
    Ok(row
        .created_at
        .zip(written)
        .is_none_or(|(created, written)| created >= written))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(covered: Option<i64>) -> Vectors {
        let keys = Keys::default();
        Vectors {
            slots: KeyTable::new(vec![(keys.of("old"), 3)]),
            traces: KeyMap::default(),
            keys,
            index: None,
            covered,
            cosine: false,
            mixed: false,
            bytes: Some(8),
            unsure: false,
            complete: true,
            holes: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn row(sequence: i64, operation: Operation, id: &str, vector: Option<u64>) -> QueueRow {
        QueueRow {
            sequence,
            operation,
            id: id.to_owned(),
            vector,
        }
    }

    fn trace(vectors: &Vectors, id: &str) -> Trace {
        vectors.known(vectors.keys.of(id)).unwrap_or(UNKNOWN)
    }

    fn place(vectors: &Vectors, id: &str) -> Option<(From, i64, u32)> {
        let trace = trace(vectors, id);
        let known = trace.from != From::Nothing || trace.slot != NOWHERE;
        known.then_some((trace.from, trace.sequence, trace.slot))
    }

    #[test]
    fn the_tail_follows_chromas_meaning() {
        let mut found = vectors(Some(10));
        found.replay(row(11, Operation::Add, "old", Some(8)));
        assert_eq!(place(&found, "old"), Some((From::Nothing, 0, 3)));
        found.replay(row(12, Operation::Update, "old", Some(8)));
        assert_eq!(place(&found, "old"), Some((From::Newer, 12, 3)));
        found.replay(row(13, Operation::Update, "old", None));
        assert_eq!(place(&found, "old"), Some((From::Newer, 12, 3)));
        found.replay(row(14, Operation::Delete, "old", None));
        assert_eq!(place(&found, "old"), None);
        found.replay(row(15, Operation::Update, "new", Some(8)));
        found.replay(row(16, Operation::Add, "new", Some(8)));
        assert_eq!(place(&found, "new"), Some((From::Newer, 16, NOWHERE)));
        found.replay(row(17, Operation::Upsert, "short", Some(4)));
        assert!(trace(&found, "new").fits && !trace(&found, "short").fits);
    }

    #[test]
    fn an_add_after_an_update_is_remembered() {
        let mut found = vectors(Some(10));
        found.replay(row(11, Operation::Update, "old", Some(8)));
        found.replay(row(12, Operation::Add, "old", Some(8)));
        found.replay(row(13, Operation::Add, "old", Some(8)));
        assert_eq!(place(&found, "old"), Some((From::Newer, 11, 3)));
        assert_eq!(trace(&found, "old").passed_over, 12);
        found.replay(row(14, Operation::Upsert, "old", Some(8)));
        assert_eq!(trace(&found, "old").passed_over, NEVER);
    }

    #[test]
    fn an_update_of_nothing_is_no_vector_for_an_add_to_find() {
        // All that a queue that is cleaned up still has: the row at the mark, and what came after.
        let mut found = vectors(Some(10));
        found.complete = false;
        found.replay(row(10, Operation::Update, "new", Some(8)));
        found.replay(row(11, Operation::Add, "new", Some(8)));
        assert_eq!(place(&found, "new"), Some((From::Newer, 11, NOWHERE)));
        // Of an id that the index has, the same row is the vector as it was given.
        found.replay(row(10, Operation::Update, "old", Some(8)));
        assert_eq!(place(&found, "old"), Some((From::Older, 10, 3)));
        // An index that was damaged proves nothing.
        found.unsure = true;
        found.replay(row(10, Operation::Update, "lost", Some(8)));
        assert_eq!(place(&found, "lost"), Some((From::Older, 10, NOWHERE)));
    }

    #[test]
    fn older_rows_repair_what_the_index_lost() {
        let mut found = vectors(Some(10));
        found.replay(row(1, Operation::Add, "lost", Some(8)));
        found.replay(row(2, Operation::Delete, "lost", None));
        found.replay(row(3, Operation::Add, "lost", Some(8)));
        found.replay(row(4, Operation::Add, "lost", Some(8)));
        assert_eq!(place(&found, "lost"), Some((From::Older, 3, NOWHERE)));
        found.replay(row(5, Operation::Delete, "old", None));
        assert_eq!(place(&found, "old"), Some((From::Nothing, 0, 3)));
    }
}
