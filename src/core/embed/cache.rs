//! Vectors made before, by the text's key: texts that come again are not embedded again.
//!
//! Promise: no more than the given bytes, the map's own included; what was asked for lately stays. Must not import
//! other stages.

use std::mem;
use std::sync::Arc;

use crate::key::{Key, KeyMap};

/// A text's vector.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// The vector.
    pub vector: Arc<[f32]>,
    /// The text was longer than the model takes.
    pub truncated: bool,
}

/// Bytes of an entry beside its vector: key, value, the map's slack, the allocation's header.
const ENTRY: usize = 128;

/// Two generations: when the young one is full the old one is forgotten, and young becomes old.
#[derive(Debug, Default)]
pub(super) struct Cache {
    young: KeyMap<Made>,
    old: KeyMap<Made>,
    young_bytes: usize,
    old_bytes: usize,
    limit: usize,
}

impl Cache {
    /// Changes the limit, in bytes; 0 remembers nothing.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
        if self.bytes() > bytes {
            *self = Cache {
                limit: bytes,
                ..Cache::default()
            };
        }
    }

    /// The vector of a text, if it is remembered.
    pub fn get(&mut self, key: Key) -> Option<Made> {
        if let Some(made) = self.young.get(&key) {
            return Some(made.clone());
        }
        let made = self.old.remove(&key)?;
        self.old_bytes = self.old_bytes.saturating_sub(size(&made));
        self.insert(key, made.clone());
        Some(made)
    }

    /// Remembers a vector.
    pub fn insert(&mut self, key: Key, made: Made) {
        let size = size(&made);
        if size > self.limit / 2 {
            return;
        }
        if self.young_bytes + size > self.limit / 2 {
            self.old = mem::take(&mut self.young);
            self.old_bytes = mem::take(&mut self.young_bytes);
        }
        if self.young.insert(key, made).is_none() {
            self.young_bytes += size;
        }
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.young_bytes + self.old_bytes
    }
}

fn size(made: &Made) -> usize {
    mem::size_of_val::<[f32]>(&made.vector) + ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Keys;

    fn made(number: u16) -> Made {
        Made {
            vector: vec![f32::from(number); 384].into(),
            truncated: false,
        }
    }

    #[test]
    fn what_is_asked_for_stays_and_the_bytes_are_bounded() {
        let keys = Keys::default();
        let mut cache = Cache::default();
        cache.set_limit(64 * 1024);
        for number in 0..1000u16 {
            cache.insert(keys.of(&number), made(number));
            assert!(cache.bytes() <= 64 * 1024);
            let first = cache.get(keys.of(&0u16)).expect("asked for all the time");
            assert_eq!(first.vector.first(), Some(&0.0));
        }
        assert!(cache.get(keys.of(&1u16)).is_none());
        assert!(cache.get(keys.of(&999u16)).is_some());
    }

    #[test]
    fn a_limit_of_nothing_remembers_nothing() {
        let keys = Keys::default();
        let mut cache = Cache::default();
        cache.insert(keys.of("a"), made(1));
        assert!(cache.get(keys.of("a")).is_none());
        cache.set_limit(1 << 20);
        cache.insert(keys.of("a"), made(1));
        assert!(cache.get(keys.of("a")).is_some());
        cache.set_limit(0);
        assert!(cache.get(keys.of("a")).is_none());
        assert_eq!(cache.bytes(), 0);
    }
}
