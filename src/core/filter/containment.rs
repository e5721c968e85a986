//! A filter without operators: what `jsonb @>` would answer.
//!
//! Promise: the same answer as PostgreSQL gives for `metadata @> filter` on the row's `metadata` column
//! (as if it still had `full_content`). May import `record`, and how `map` spells numbers.

use serde_json::Value as Json;

use crate::map::number::Decimal;
use crate::map::{finite_text, infinite_text};
use crate::record::{Metadata, Value};

/// A condition on metadata: every key of a JSON object with its value, as `jsonb @>` compares them.
#[derive(Debug, Clone)]
pub struct Containment(serde_json::Map<String, Json>);

impl Containment {
    /// All of `wanted` has to be in the metadata.
    pub(super) fn new(wanted: serde_json::Map<String, Json>) -> Containment {
        Containment(wanted)
    }

    /// Whether `metadata` contains the filter. The empty filter is in every metadata.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        self.0.iter().all(|(key, wanted)| {
            metadata
                .get(key)
                .is_some_and(|value| contains(value, wanted))
        })
    }
}

/// Containment below the top level, where an array does not contain a bare scalar. Metadata holds no
/// objects and no nulls, so none is ever contained.
fn contains(value: &Value, wanted: &Json) -> bool {
    match (value, wanted) {
        (Value::Bool(value), Json::Bool(wanted)) => value == wanted,
        (Value::Str(value), Json::String(wanted)) => value == wanted,
        (Value::Int(value), Json::Number(wanted)) => same_number(&value.to_string(), wanted),
        (Value::Float(value), Json::Number(wanted)) if value.is_finite() => {
            same_number(&finite_text(*value), wanted)
        }
        (Value::Float(value), Json::String(wanted)) if !value.is_finite() => {
            infinite_text(*value) == wanted
        }
        // As sets: order and number of equal elements do not count.
        (Value::List(values), Json::Array(wanted)) => wanted
            .iter()
            .all(|wanted| values.iter().any(|value| contains(value, wanted))),
        _ => false,
    }
}

fn same_number(value: &str, wanted: &serde_json::Number) -> bool {
    let wanted = wanted.to_string();
    match (Decimal::parse(value), Decimal::parse(&wanted)) {
        (Some(value), Some(wanted)) => value.equals(&wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(filter: &str) -> Containment {
        match serde_json::from_str(filter) {
            Ok(Json::Object(wanted)) => Containment::new(wanted),
            other => panic!("{other:?}"),
        }
    }

    fn matches(filter: &str, value: Value) -> bool {
        let mut metadata = Metadata::default();
        metadata.set("a", value);
        parse(filter).matches(&metadata)
    }

    fn text(text: &str) -> Value {
        Value::Str(text.to_string())
    }

    #[test]
    fn the_empty_filter_is_in_every_metadata() {
        assert!(matches("{}", text("x")));
        assert!(parse("{}").matches(&Metadata::default()));
    }

    #[test]
    fn every_key_must_be_there() {
        assert!(matches(r#"{"a":"x"}"#, text("x")));
        assert!(!matches(r#"{"a":"y"}"#, text("x")));
        assert!(!matches(r#"{"b":"x"}"#, text("x")));
        assert!(!matches(r#"{"a":"x","b":1}"#, text("x")));
    }

    #[test]
    fn types_are_never_converted() {
        assert!(!matches(r#"{"a":7}"#, text("7")));
        assert!(!matches(r#"{"a":"7"}"#, Value::Int(7)));
        assert!(!matches(r#"{"a":1}"#, Value::Bool(true)));
        assert!(!matches(r#"{"a":"true"}"#, Value::Bool(true)));
        assert!(!matches(r#"{"a":null}"#, text("")));
        assert!(!matches(r#"{"a":{}}"#, text("x")));
    }

    #[test]
    fn numbers_are_equal_by_value() {
        assert!(matches(r#"{"a":1.0}"#, Value::Int(1)));
        assert!(matches(r#"{"a":1}"#, Value::Float(1.0)));
        assert!(matches(r#"{"a":1e2}"#, Value::Int(100)));
        assert!(matches(r#"{"a":0.10}"#, Value::Float(0.1)));
        assert!(matches(r#"{"a":0}"#, Value::Float(-0.0)));
    }

    #[test]
    fn numbers_are_compared_exactly() {
        assert!(matches(
            r#"{"a":9007199254740993}"#,
            Value::Int(9_007_199_254_740_993)
        ));
        assert!(!matches(
            r#"{"a":9007199254740992}"#,
            Value::Int(9_007_199_254_740_993)
        ));
        assert!(!matches(
            r#"{"a":0.1000000000000000055511151231257827}"#,
            Value::Float(0.1)
        ));
    }

    #[test]
    fn arrays_contain_as_sets() {
        let list = || Value::List(vec![text("x"), text("y"), text("z")]);
        assert!(matches(r#"{"a":["z","x"]}"#, list()));
        assert!(matches(r#"{"a":["x","x"]}"#, list()));
        assert!(matches(r#"{"a":[]}"#, list()));
        assert!(!matches(r#"{"a":["x","w"]}"#, list()));
        assert!(!matches(r#"{"a":[["x"]]}"#, list()));
    }

    #[test]
    fn an_array_below_the_top_does_not_contain_a_bare_value() {
        assert!(!matches(r#"{"a":"x"}"#, Value::List(vec![text("x")])));
        assert!(!matches(r#"{"a":["x"]}"#, text("x")));
    }

    #[test]
    fn infinities_are_the_strings_of_the_metadata_column() {
        assert!(matches(r#"{"a":"Infinity"}"#, Value::Float(f64::INFINITY)));
        assert!(!matches(
            r#"{"a":"Infinity"}"#,
            Value::Float(f64::NEG_INFINITY)
        ));
    }
}
