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

    /// The key of values in their order.
    pub fn of_parts<T: Hash>(&self, parts: impl Iterator<Item = T>) -> Key {
        let (mut first, mut second) = (self.0.build_hasher(), self.1.build_hasher());
        for part in parts {
            part.hash(&mut first);
            part.hash(&mut second);
        }
        Key(first.finish(), second.finish())
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

/// Values by key.
pub type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<KeyHasher>>;

/// A set of keys.
pub type KeySet = HashSet<Key, BuildHasherDefault<KeyHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

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
