//! Ids as keys of 128 bits: what the core remembers of each record, whatever the length of its id.
//!
//! Promise: two hashes with random seeds, so that nobody can make a store whose ids collide; by chance two of a
//! thousand million ids do with a probability of less than 1 in 10^20. Imports nothing of this crate.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

/// A key; tells nothing of the id outside the [`Keys`] that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64, u64);

impl Key {
    /// About where the key is among `count` ascending ones: keys are spread evenly.
    pub fn place(self, count: usize) -> usize {
        let count = u128::try_from(count).unwrap_or(0);
        usize::try_from((u128::from(self.0) * count) >> 64).unwrap_or(0)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.1);
    }
}

/// Makes keys. Clones make the same ones.
#[derive(Debug, Clone, Default)]
pub struct Keys(RandomState, RandomState);

impl Keys {
    /// The key of `value`.
    pub fn of<T: Hash + ?Sized>(&self, value: &T) -> Key {
        Key(self.0.hash_one(value), self.1.hash_one(value))
    }
}

/// Takes a key for its own hash.
#[derive(Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Numbers by key, made once: about 25 bytes an entry, where a map takes up to twice that.
#[derive(Debug, Default)]
pub struct KeyTable {
    /// Ascending.
    entries: Vec<(Key, u32)>,
    /// Where the entries of each part of the keys' range begin, and at its end their number.
    starts: Vec<u32>,
}

impl KeyTable {
    /// Entries that share a part, on average.
    const SHARE: usize = 8;

    /// A table of these entries; of several of one key the one with the lowest number counts.
    pub fn new(mut entries: Vec<(Key, u32)>) -> KeyTable {
        entries.sort_unstable();
        entries.dedup_by_key(|(key, _)| *key);
        let parts = entries.len() / Self::SHARE + 1;
        let mut starts = Vec::with_capacity(parts + 1);
        for (at, (key, _)) in (0_u32..).zip(&entries) {
            while starts.len() <= key.place(parts) {
                starts.push(at);
            }
        }
        starts.resize(parts + 1, u32::try_from(entries.len()).unwrap_or(u32::MAX));
        KeyTable { entries, starts }
    }

    /// The number of `key`.
    pub fn get(&self, key: Key) -> Option<u32> {
        let part = key.place(self.starts.len().checked_sub(1)?);
        let edge = |at: usize| usize::try_from(*self.starts.get(at)?).ok();
        let near = self.entries.get(edge(part)?..edge(part + 1)?)?;
        let found = near.iter().find(|(there, _)| *there == key);
        found.map(|(_, number)| *number)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Values by key.
pub type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<KeyHasher>>;

/// A set of keys.
pub type KeySet = HashSet<Key, BuildHasherDefault<KeyHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_finds_every_key_and_no_other() {
        let keys = Keys::default();
        for count in [0_u32, 1, 7, 8, 1000] {
            let entries = (0..count).map(|number| (keys.of(&number), number));
            let table = KeyTable::new(entries.collect());
            assert_eq!(
                (table.len(), table.is_empty()),
                (count as usize, count == 0)
            );
            for number in 0..2 * count + 1 {
                let found = (number < count).then_some(number);
                assert_eq!(table.get(keys.of(&number)), found);
            }
        }
        let table = KeyTable::new(vec![(keys.of("a"), 2), (keys.of("a"), 1)]);
        assert_eq!((table.get(keys.of("a")), table.len()), (Some(1), 1));
    }

    #[test]
    fn equal_ids_have_equal_keys_and_others_do_not() {
        let keys = Keys::default();
        let mut set = KeySet::default();
        for id in 0..10_000 {
            assert!(set.insert(keys.of(&format!("id {id}"))));
        }
        assert!(!set.insert(keys.clone().of("id 7")));
        assert_ne!(Keys::default().of("id 7"), keys.of("id 7"));
    }
}
