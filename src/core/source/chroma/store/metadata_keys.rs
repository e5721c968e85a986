//! Which metadata keys the records of a collection have, counted by the type of their value.
//!
//! Stage: source. Promise: bounded memory, whatever the keys are. May import `record`.

use std::collections::HashMap;

use crate::record::{KeyCounts, Metadata, MetadataKeys, ValueType};

/// Different keys that are counted at most, and the bytes of their names.
const MOST_KEYS: usize = 10_000;
const MOST_BYTES: usize = 4 << 20;

/// Counts keys.
#[derive(Debug, Default)]
pub(super) struct KeyCounter {
    keys: HashMap<String, [u64; ValueType::ALL.len()]>,
    bytes: usize,
    /// A key was not counted.
    full: bool,
}

impl KeyCounter {
    /// Counts the keys of a record.
    pub fn count(&mut self, metadata: &Metadata) {
        for (key, value) in metadata.iter() {
            let Some(at) = ValueType::of(value).map(place) else {
                continue;
            };
            let counts = match self.keys.get_mut(key) {
                Some(counts) => counts,
                None => {
                    let bytes = self.bytes.saturating_add(key.len());
                    if self.keys.len() >= MOST_KEYS || bytes > MOST_BYTES {
                        self.full = true;
                        continue;
                    }
                    self.bytes = bytes;
                    self.keys.entry(key.to_owned()).or_default()
                }
            };
            if let Some(count) = counts.get_mut(at) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// The keys: those of most records first, then in the order of their names.
    pub fn into_keys(self) -> MetadataKeys {
        let mut all: Vec<KeyCounts> = self
            .keys
            .into_iter()
            .map(|(key, counts)| KeyCounts {
                key,
                types: ValueType::ALL
                    .into_iter()
                    .zip(counts)
                    .filter(|(_, count)| *count > 0)
                    .collect(),
            })
            .collect();
        all.sort_by(|left, right| {
            let by_count = right.records().cmp(&left.records());
            by_count.then_with(|| left.key.cmp(&right.key))
        });
        let more = all.len().saturating_sub(MetadataKeys::MOST);
        all.truncate(MetadataKeys::MOST);
        MetadataKeys {
            keys: all,
            more: u64::try_from(more).unwrap_or(u64::MAX),
            and_others: self.full,
        }
    }
}

fn place(ty: ValueType) -> usize {
    let all = ValueType::ALL.iter();
    all.take_while(|each| **each != ty).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    fn counted(records: impl IntoIterator<Item = Vec<(String, Value)>>) -> MetadataKeys {
        let mut counter = KeyCounter::default();
        for record in records {
            let mut metadata = Metadata::default();
            for (key, value) in record {
                metadata.set(key, value);
            }
            counter.count(&metadata);
        }
        counter.into_keys()
    }

    #[test]
    fn keys_are_counted_by_type_and_those_of_most_records_come_first() {
        let text = |key: &str| (key.to_owned(), Value::Str(String::new()));
        let list = |key: &str, item| (key.to_owned(), Value::List(vec![item]));
        let found = counted([
            vec![text("rare"), ("page".to_owned(), Value::Int(1))],
            vec![text("b"), ("page".to_owned(), Value::Float(1.0))],
            vec![list("b", Value::Bool(true)), list("a", Value::Int(1))],
            vec![
                list("a", Value::Float(1.0)),
                list("a", Value::Str("x".into())),
            ],
            vec![("rare".to_owned(), Value::List(Vec::new()))],
        ]);
        let shown: Vec<_> = found
            .keys
            .iter()
            .map(|found| {
                let types = found.types.iter().map(|(ty, count)| (ty.as_str(), *count));
                (found.key.as_str(), types.collect::<Vec<_>>())
            })
            .collect();
        let expected = [
            ("a", vec![("string[]", 1), ("int[]", 1)]),
            ("b", vec![("string", 1), ("bool[]", 1)]),
            ("page", vec![("int", 1), ("float", 1)]),
            ("rare", vec![("string", 1)]),
        ];
        assert_eq!(shown, expected);
        assert_eq!((found.more, found.and_others), (0, false));
    }

    #[test]
    fn so_many_keys_are_shown_and_so_many_counted() {
        let key = |at: usize| vec![(format!("key {at:06}"), Value::Int(1))];
        let found = counted((0..257).map(key).chain([key(200)]));
        assert_eq!((found.keys.len(), found.more), (200, 57));
        assert_eq!(found.keys[0].key, "key 000200");
        assert!(!found.and_others);
        let found = counted((0..MOST_KEYS + 1).map(key));
        assert_eq!((found.more, found.and_others), (9_800, true));
        let long = |at: usize| vec![("x".repeat(1_000_000 + at), Value::Int(1))];
        let found = counted((0..9).map(long));
        assert_eq!((found.keys.len(), found.and_others), (4, true));
    }
}
