//! The keys that a run has met, so that two records that would take one key are told; and the keys that the target
//! has already. May import `key`.

use crate::key::{Key, KeySet, Keys};

/// A set of keys, 16 bytes each.
#[derive(Debug, Default)]
pub struct SeenKeys {
    keys: Keys,
    seen: KeySet,
}

impl SeenKeys {
    /// Adds a key; `false` if it was there.
    pub fn insert<'a>(&mut self, key: impl Iterator<Item = Option<&'a str>>) -> bool {
        self.seen.insert(self.keys.of_parts(key))
    }
}

/// The keys that the target has already.
#[derive(Debug, Default)]
pub struct KnownKeys {
    keys: Keys,
    there: KeySet,
    per_collection: bool,
    per_user: bool,
}

impl KnownKeys {
    /// None yet. The parts that the target's key has besides the id are told.
    pub fn new(per_collection: bool, per_user: bool) -> KnownKeys {
        KnownKeys {
            per_collection,
            per_user,
            ..KnownKeys::default()
        }
    }

    /// Whether the owner is part of the key.
    pub fn per_user(&self) -> bool {
        self.per_user
    }

    /// Whether the target has no key at all.
    pub fn is_empty(&self) -> bool {
        self.there.is_empty()
    }

    /// Adds a key: collection, id and owner as the target's columns spell them.
    pub fn insert(&mut self, collection: &str, id: &str, user: Option<&str>) {
        let key = self.key(collection, id, user);
        self.there.insert(key);
    }

    /// Whether the target has a key.
    pub fn contains(&self, collection: &str, id: &str, user: Option<&str>) -> bool {
        !self.is_empty() && self.there.contains(&self.key(collection, id, user))
    }

    fn key(&self, collection: &str, id: &str, user: Option<&str>) -> Key {
        let collection = self.per_collection.then_some(collection);
        let user = self.per_user.then_some(user).flatten();
        self.keys.of(&(collection, id, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_seen_once_and_its_parts_do_not_run_together() {
        let mut seen = SeenKeys::default();
        assert!(seen.insert([Some("a"), Some("bc")].into_iter()));
        assert!(seen.insert([Some("ab"), Some("c")].into_iter()));
        assert!(seen.insert([Some("a"), None].into_iter()));
        assert!(!seen.insert([Some("ab"), Some("c")].into_iter()));
    }

    #[test]
    fn parts_that_the_key_does_not_have_do_not_count() {
        let mut known = KnownKeys::new(true, false);
        assert!(!known.contains("c", "1", None));
        known.insert("c", "1", Some("u"));
        assert!(known.contains("c", "1", None) && !known.contains("d", "1", Some("u")));
        let mut known = KnownKeys::new(false, true);
        known.insert("c", "1", Some("u"));
        assert!(known.contains("d", "1", Some("u")) && !known.contains("c", "1", None));
    }
}
