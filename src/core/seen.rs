//! The keys that a run has met, so that two records that would take one key are told. Imports nothing of this crate.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// A set of keys, 16 bytes each: two hashes with random seeds, so that no store can be made to collide.
#[derive(Debug, Default)]
pub struct SeenKeys {
    seeds: (RandomState, RandomState),
    keys: HashSet<u128>,
}

impl SeenKeys {
    /// Adds a key; `false` if it was there.
    pub fn insert(&mut self, key: &[Option<&str>]) -> bool {
        let high = u128::from(self.seeds.0.hash_one(key));
        let low = u128::from(self.seeds.1.hash_one(key));
        self.keys.insert(high << 64 | low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_seen_once_and_its_parts_do_not_run_together() {
        let mut seen = SeenKeys::default();
        assert!(seen.insert(&[Some("a"), Some("bc")]));
        assert!(seen.insert(&[Some("ab"), Some("c")]));
        assert!(seen.insert(&[Some("a"), None]));
        assert!(!seen.insert(&[Some("ab"), Some("c")]));
    }
}
