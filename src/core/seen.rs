//! The keys that a run has met, so that two records that would take one key are told. May import `key`.

use crate::key::{KeySet, Keys};

/// A set of keys, 16 bytes each.
#[derive(Debug, Default)]
pub struct SeenKeys {
    keys: Keys,
    seen: KeySet,
}

impl SeenKeys {
    /// Adds a key; `false` if it was there.
    pub fn insert(&mut self, key: &[Option<&str>]) -> bool {
        self.seen.insert(self.keys.of(key))
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
