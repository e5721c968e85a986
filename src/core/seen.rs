//! Keys of a run's rows, so that two records that would take one key are told; and the keys that the target has
//! already. May import `key`.

use crate::key::{Key, KeySet, Keys};

/// What makes two rows of a run one: the parts of the target's key, as a [`Key`] that the reader's thread makes.
#[derive(Debug, Clone, Default)]
pub struct RowKeys {
    keys: Keys,
    per_collection: bool,
    per_user: bool,
}

impl RowKeys {
    /// For a target whose key has these parts besides the id.
    pub fn new(per_collection: bool, per_user: bool) -> RowKeys {
        RowKeys {
            keys: Keys::default(),
            per_collection,
            per_user,
        }
    }

    /// The key of a row: number of its collection, id and owner as the target's columns spell them.
    pub fn of(&self, collection: usize, id: &str, user: Option<&str>) -> Key {
        let collection = self.per_collection.then_some(collection);
        let user = self.per_user.then_some(user).flatten();
        self.keys.of(&(collection, id, user))
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
    fn the_parts_of_a_row_do_not_run_together() {
        let keys = RowKeys::new(true, true);
        let key = keys.of(1, "a", Some("bc"));
        assert_eq!(key, keys.clone().of(1, "a", Some("bc")));
        for other in [
            keys.of(2, "a", Some("bc")),
            keys.of(1, "ab", Some("c")),
            keys.of(1, "a", None),
            keys.of(1, "abc", None),
        ] {
            assert_ne!(key, other);
        }
        let keys = RowKeys::new(false, false);
        assert_eq!(keys.of(1, "a", None), keys.of(2, "a", Some("u")));
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
