//! What the index and the queue together know of each id.
//!
//! Stage: source. Promise: held in memory are keys of ids, slots and sequence numbers. May import `queue::rows` and `key`.

use crate::key::{Key, KeyMap, KeyTable, Keys};
use crate::source::chroma::queue::rows::{Operation, QueueRow};

/// The slot of an id that the index does not have.
pub(super) const NOWHERE: u32 = u32::MAX;
/// The sequence number of what never happened.
pub(super) const NEVER: i64 = i64::MIN;

/// How the row of the queue counts that holds the newest vector of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueUse {
    /// There is no such row.
    Nothing,
    /// The index does not hold it yet.
    Newer,
    /// The index holds it.
    Older,
    /// It is an update of an id that was not there.
    Ignored,
}

/// What is known of one id.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdState {
    /// How the row counts.
    pub queue: QueueUse,
    /// Its sequence number.
    pub sequence: i64,
    /// Its vector has the collection's dimension.
    pub fits: bool,
    /// It is an add, which counts only if the id was not there.
    pub added: bool,
    /// The first add after that row, which seems to have found the id there; or `NEVER`.
    pub ignored_add: i64,
    /// Some row that the index does not hold yet is about this id.
    pub recent: bool,
    /// Where the index has it, or `NOWHERE`.
    pub slot: u32,
}

impl IdState {
    /// Nothing is known.
    pub const UNKNOWN: IdState = IdState {
        queue: QueueUse::Nothing,
        sequence: 0,
        fits: false,
        added: false,
        ignored_add: NEVER,
        recent: false,
        slot: NOWHERE,
    };
}

/// What is known of the ids of one collection.
pub(super) struct IdStates {
    keys: Keys,
    /// The index's ids with their slots.
    slots: KeyTable,
    /// What the queue says, and of deleted ids that are still in the index: nothing.
    states: KeyMap<IdState>,
    /// The last sequence number that the index holds.
    max_seq_id: Option<i64>,
    /// Bytes of a vector of the collection's dimension.
    bytes: Option<u64>,
    /// The index may lack ids that it had.
    unsure: bool,
    /// No row was ever removed from the queue.
    complete: bool,
}

/// What the index has, before any row of the queue is looked at.
pub(super) struct IndexIds {
    /// The keys of its ids.
    pub keys: Keys,
    /// The ids with their slots.
    pub slots: KeyTable,
    /// The last sequence number that it holds.
    pub max_seq_id: Option<i64>,
    /// It may lack ids that it had.
    pub unsure: bool,
}

impl IdStates {
    /// The ids of an index. `bytes`: of a vector of the collection's dimension; `complete`: no row was ever removed from the
    /// queue.
    pub fn new(index: IndexIds, bytes: Option<u64>, complete: bool) -> IdStates {
        IdStates {
            keys: index.keys,
            slots: index.slots,
            states: KeyMap::default(),
            max_seq_id: index.max_seq_id,
            bytes,
            unsure: index.unsure,
            complete,
        }
    }

    /// What is known of the id.
    pub fn of(&self, id: &str) -> IdState {
        self.get(self.keys.of(id)).unwrap_or(IdState::UNKNOWN)
    }

    /// The last sequence number that the index holds.
    pub fn max_seq_id(&self) -> Option<i64> {
        self.max_seq_id
    }

    /// Whether no row was ever removed from the queue.
    pub fn complete(&self) -> bool {
        self.complete
    }

    fn get(&self, key: Key) -> Option<IdState> {
        if let Some(state) = self.states.get(&key) {
            return Some(*state);
        }
        let slot = self.slot(key);
        (slot != NOWHERE).then_some(IdState {
            slot,
            ..IdState::UNKNOWN
        })
    }

    /// The slot of an id of the index; `NOWHERE` for others.
    fn slot(&self, key: Key) -> u32 {
        self.slots.get(key).unwrap_or(NOWHERE)
    }

    /// Takes a row of the queue into account.
    pub fn replay(&mut self, row: QueueRow) {
        let newer = self
            .max_seq_id
            .is_none_or(|max_seq_id| row.sequence > max_seq_id);
        let key = self.keys.of(row.id.as_str());
        let known = self.get(key);
        if row.operation == Operation::Delete {
            let left = match known {
                Some(state) if !newer => state.slot,
                _ => NOWHERE,
            };
            // What the index has of it must be hidden.
            if left != NOWHERE || self.slot(key) != NOWHERE {
                let slot = left;
                self.states.insert(
                    key,
                    IdState {
                        slot,
                        ..IdState::UNKNOWN
                    },
                );
            } else {
                self.states.remove(&key);
            }
            return;
        }
        let mut state = known.unwrap_or(IdState::UNKNOWN);
        let kept = matches!(state.queue, QueueUse::Newer | QueueUse::Older);
        let exists = kept || (newer && state.slot != NOWHERE);
        let taken = match (row.operation, row.vector) {
            (_, None) | (Operation::Delete, _) => None,
            (Operation::Add, _) if exists => None,
            // The row that inserted the id may be gone from a queue that is cleaned up; then the index has the id.
            (Operation::Update, _)
                if !exists && (self.complete || state.slot == NOWHERE && !self.unsure) =>
            {
                Some(QueueUse::Ignored)
            }
            _ if newer => Some(QueueUse::Newer),
            _ => Some(QueueUse::Older),
        };
        state.recent |= newer;
        let fits = row.vector.is_some() && (self.bytes.is_none() || self.bytes == row.vector);
        if taken.is_none() && row.operation == Operation::Add && fits && state.ignored_add == NEVER
        {
            state.ignored_add = row.sequence;
        }
        if let Some(queue) = taken {
            state.queue = queue;
            state.ignored_add = NEVER;
            state.sequence = row.sequence;
            state.added = row.operation == Operation::Add;
            state.fits = fits;
        }
        if taken.is_some() || known.is_some() || state.recent {
            self.states.insert(key, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(max_seq_id: Option<i64>) -> IdStates {
        let keys = Keys::default();
        IdStates {
            slots: KeyTable::new(vec![(keys.of("old"), 3)]),
            states: KeyMap::default(),
            keys,
            max_seq_id,
            bytes: Some(8),
            unsure: false,
            complete: true,
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

    fn state(states: &IdStates, id: &str) -> IdState {
        states.get(states.keys.of(id)).unwrap_or(IdState::UNKNOWN)
    }

    fn place(states: &IdStates, id: &str) -> Option<(QueueUse, i64, u32)> {
        let state = state(states, id);
        let known = state.queue != QueueUse::Nothing || state.slot != NOWHERE;
        known.then_some((state.queue, state.sequence, state.slot))
    }

    #[test]
    fn the_tail_follows_chromas_meaning() {
        let mut found = states(Some(10));
        found.replay(row(11, Operation::Add, "old", Some(8)));
        assert_eq!(place(&found, "old"), Some((QueueUse::Nothing, 0, 3)));
        found.replay(row(12, Operation::Update, "old", Some(8)));
        assert_eq!(place(&found, "old"), Some((QueueUse::Newer, 12, 3)));
        found.replay(row(13, Operation::Update, "old", None));
        assert_eq!(place(&found, "old"), Some((QueueUse::Newer, 12, 3)));
        found.replay(row(14, Operation::Delete, "old", None));
        assert_eq!(place(&found, "old"), None);
        found.replay(row(15, Operation::Update, "new", Some(8)));
        found.replay(row(16, Operation::Add, "new", Some(8)));
        assert_eq!(place(&found, "new"), Some((QueueUse::Newer, 16, NOWHERE)));
        found.replay(row(17, Operation::Upsert, "short", Some(4)));
        assert!(state(&found, "new").fits && !state(&found, "short").fits);
    }

    #[test]
    fn an_add_after_an_update_is_remembered() {
        let mut found = states(Some(10));
        found.replay(row(11, Operation::Update, "old", Some(8)));
        found.replay(row(12, Operation::Add, "old", Some(8)));
        found.replay(row(13, Operation::Add, "old", Some(8)));
        assert_eq!(place(&found, "old"), Some((QueueUse::Newer, 11, 3)));
        assert_eq!(state(&found, "old").ignored_add, 12);
        found.replay(row(14, Operation::Upsert, "old", Some(8)));
        assert_eq!(state(&found, "old").ignored_add, NEVER);
    }

    #[test]
    fn an_update_of_nothing_is_no_vector_for_an_add_to_find() {
        // What a queue that is cleaned up still has: the row of `max_seq_id`, and those after it.
        let mut found = states(Some(10));
        found.complete = false;
        found.replay(row(10, Operation::Update, "new", Some(8)));
        found.replay(row(11, Operation::Add, "new", Some(8)));
        assert_eq!(place(&found, "new"), Some((QueueUse::Newer, 11, NOWHERE)));
        // Of an id that the index has, the same row is the vector as it was given.
        found.replay(row(10, Operation::Update, "old", Some(8)));
        assert_eq!(place(&found, "old"), Some((QueueUse::Older, 10, 3)));
        // An index that was damaged proves nothing.
        found.unsure = true;
        found.replay(row(10, Operation::Update, "lost", Some(8)));
        assert_eq!(place(&found, "lost"), Some((QueueUse::Older, 10, NOWHERE)));
    }

    #[test]
    fn older_rows_repair_what_the_index_lost() {
        let mut found = states(Some(10));
        found.replay(row(1, Operation::Add, "lost", Some(8)));
        found.replay(row(2, Operation::Delete, "lost", None));
        found.replay(row(3, Operation::Add, "lost", Some(8)));
        found.replay(row(4, Operation::Add, "lost", Some(8)));
        assert_eq!(place(&found, "lost"), Some((QueueUse::Older, 3, NOWHERE)));
        found.replay(row(5, Operation::Delete, "old", None));
        assert_eq!(place(&found, "old"), Some((QueueUse::Nothing, 0, 3)));
    }
}
