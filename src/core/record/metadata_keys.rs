//! The metadata keys of a collection's records, with types and counts.
//!
//! Promise: what is shown of them is bounded, and JSON that PostgreSQL takes. May import the model only.

use super::Value;

/// The type of a metadata value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// A string.
    String,
    /// An integer.
    Int,
    /// A double.
    Float,
    /// A boolean.
    Bool,
    /// An array of strings.
    Strings,
    /// An array of integers.
    Ints,
    /// An array of doubles.
    Floats,
    /// An array of booleans.
    Bools,
}

impl ValueType {
    /// All of them.
    pub const ALL: [ValueType; 8] = [
        ValueType::String,
        ValueType::Int,
        ValueType::Float,
        ValueType::Bool,
        ValueType::Strings,
        ValueType::Ints,
        ValueType::Floats,
        ValueType::Bools,
    ];

    /// The type of `value`; that of its first element names an array's. `None` for an empty array, which Chroma never has.
    pub fn of(value: &Value) -> Option<ValueType> {
        match value {
            Value::Str(_) => Some(ValueType::String),
            Value::Int(_) => Some(ValueType::Int),
            Value::Float(_) => Some(ValueType::Float),
            Value::Bool(_) => Some(ValueType::Bool),
            Value::List(items) => match items.first()? {
                Value::Str(_) => Some(ValueType::Strings),
                Value::Int(_) => Some(ValueType::Ints),
                Value::Float(_) => Some(ValueType::Floats),
                Value::Bool(_) => Some(ValueType::Bools),
                Value::List(_) => None,
            },
        }
    }

    /// The word that results show: `string`, `int`, `float`, `bool`, and with `[]` for an array of them.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::String => "string",
            ValueType::Int => "int",
            ValueType::Float => "float",
            ValueType::Bool => "bool",
            ValueType::Strings => "string[]",
            ValueType::Ints => "int[]",
            ValueType::Floats => "float[]",
            ValueType::Bools => "bool[]",
        }
    }
}

/// A metadata key of some records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCounts {
    /// The key; may hold U+0000.
    pub key: String,
    /// How many records have a value of a type, for each type that occurs.
    pub types: Vec<(ValueType, u64)>,
}

impl KeyCounts {
    /// How many records have the key.
    pub fn records(&self) -> u64 {
        let counts = self.types.iter().map(|(_, count)| *count);
        counts.fold(0, u64::saturating_add)
    }
}

/// The metadata keys of a collection's records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataKeys {
    /// At most [`MetadataKeys::MOST`]: those of most records first, then in the order of their names.
    pub keys: Vec<KeyCounts>,
    /// Keys that were counted and are not listed.
    pub more: u64,
    /// There are yet others, which were not counted: the different keys are too many.
    pub and_others: bool,
}

impl MetadataKeys {
    /// Most keys that are listed.
    pub const MOST: usize = 200;

    /// The keys as a JSON object: each key with an object of its types and their counts, U+FFFD in the place of U+0000. If there are
    /// more keys than are listed, a last member `"..."` says so in a sentence. `None` if no record has metadata.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        if self.keys.is_empty() && !self.and_others {
            return None;
        }
        let mut object = serde_json::Map::new();
        for found in &self.keys {
            let types = object
                .entry(found.key.replace('\0', "\u{FFFD}"))
                .or_insert_with(|| serde_json::Map::new().into());
            for (ty, count) in &found.types {
                let there = types.get(ty.as_str()).and_then(serde_json::Value::as_u64);
                if let Some(types) = types.as_object_mut() {
                    let sum = there.unwrap_or(0).saturating_add(*count);
                    types.insert(ty.as_str().to_owned(), sum.into());
                }
            }
        }
        let remark = match (self.more, self.and_others) {
            (0, false) => return Some(object.into()),
            (1, false) => "1 more key".to_owned(),
            (more, false) => format!("{more} more keys"),
            (more, true) => format!(
                "more than {more} more keys: there are too many different ones to count them all"
            ),
        };
        // Chroma takes any key.
        let mut name = "...".to_owned();
        while object.contains_key(&name) {
            name.push('.');
        }
        object.insert(name, remark.into());
        Some(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(key: &str, types: &[(ValueType, u64)]) -> KeyCounts {
        KeyCounts {
            key: key.to_owned(),
            types: types.to_vec(),
        }
    }

    fn shown(keys: Vec<KeyCounts>, more: u64, and_others: bool) -> Option<serde_json::Value> {
        let keys = MetadataKeys {
            keys,
            more,
            and_others,
        };
        keys.to_json()
    }

    #[test]
    fn keys_are_json_with_their_types_and_counts() {
        let found = vec![
            key("page", &[(ValueType::Int, 9), (ValueType::Float, 1)]),
            key("tags", &[(ValueType::Strings, 4)]),
        ];
        let expected = json!({"page": {"int": 9, "float": 1}, "tags": {"string[]": 4}});
        assert_eq!(shown(found, 0, false), Some(expected));
        assert_eq!(shown(Vec::new(), 0, false), None);
    }

    #[test]
    fn keys_that_differ_in_u_0000_only_are_shown_as_one() {
        let one = [(ValueType::Int, 2)];
        let found = vec![
            key("a\0", &one),
            key("a\u{FFFD}", &[(ValueType::Int, 3), (ValueType::Bool, 1)]),
        ];
        let expected = json!({"a\u{FFFD}": {"int": 5, "bool": 1}});
        assert_eq!(shown(found, 0, false), Some(expected));
    }

    #[test]
    fn what_is_left_out_is_said_under_a_name_that_no_key_has() {
        let one = [(ValueType::Int, 2)];
        assert_eq!(
            shown(vec![key("a", &one)], 57, false),
            Some(json!({"a": {"int": 2}, "...": "57 more keys"}))
        );
        assert_eq!(
            shown(vec![key("...", &one)], 1, false),
            Some(json!({"...": {"int": 2}, "....": "1 more key"}))
        );
        assert_eq!(
            shown(Vec::new(), 9_800, true),
            Some(json!({
                "...": "more than 9800 more keys: there are too many different ones to count them all"
            }))
        );
    }
}
