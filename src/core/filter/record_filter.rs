//! The `filter` argument: Chroma's language, or containment.
//!
//! Promise: an object without operators means what it always has, `jsonb @>`. May import `record` only.

use serde_json::Value as Json;

use super::containment::Containment;
use super::where_clause::Where;
use super::where_parse::OPERATORS;
use super::{FilterError, object};
use crate::record::Record;

/// Which records a caller wants.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Those whose metadata contains an object.
    Containment(Containment),
    /// Those that Chroma's `where` finds.
    Where(Where),
}

impl Filter {
    /// Reads a filter from the text of a `jsonb` value. It is Chroma's `where` if it has an operator anywhere, or a key with `$`
    /// below the first level, where metadata has no keys.
    ///
    /// # Errors
    /// A sentence if `text` is not a JSON object, or if Chroma would not accept it.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        let wanted = object("filter", text)?;
        let has_operator = wanted.iter().any(|(key, value)| {
            matches!(key.as_str(), "$and" | "$or")
                || OPERATORS.contains(&key.as_str())
                || has_key(value)
        });
        match has_operator {
            true => super::where_parse::parse(&wanted).map(Filter::Where),
            false => Ok(Filter::Containment(Containment::new(wanted))),
        }
    }

    /// Whether the record is wanted: its metadata, document and uri are looked at.
    pub fn matches(&self, record: &Record) -> bool {
        match self {
            Filter::Containment(wanted) => wanted.matches(&record.metadata),
            Filter::Where(wanted) => wanted.matches(record),
        }
    }
}

/// Whether any key within begins with `$`.
fn has_key(json: &Json) -> bool {
    match json {
        Json::Object(object) => {
            (object.iter()).any(|(key, value)| key.starts_with('$') || has_key(value))
        }
        Json::Array(list) => list.iter().any(has_key),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_an_object_and_nothing_else() {
        for wrong in ["[]", "1", "null", "\"a\"", "true"] {
            let why = Filter::parse(wrong).unwrap_err();
            assert_eq!(
                why,
                FilterError::Json("filter must be a JSON object".to_string())
            );
        }
        let why = Filter::parse("{").unwrap_err().to_string();
        assert!(why.starts_with("filter is not valid JSON: "), "{why}");
    }

    #[test]
    fn an_operator_anywhere_makes_it_the_language() {
        for filter in [
            r#"{"a": {"$gt": 1}}"#,
            r#"{"$and": [{"a": 1}, {"b": 2}]}"#,
            r#"{"$or": [{"a": 1}, {"$and": [{"b": "x"}, {"c": true}]}]}"#,
        ] {
            assert!(
                matches!(Filter::parse(filter), Ok(Filter::Where(_))),
                "{filter}"
            );
        }
        for filter in [
            "{}",
            r#"{"a": 1, "b": ["x"], "c": {"d": 1}}"#,
            r#"{"a": "$gt"}"#,
            r#"{"$price": 1}"#,
        ] {
            assert!(
                matches!(Filter::parse(filter), Ok(Filter::Containment(_))),
                "{filter}"
            );
        }
    }

    #[test]
    fn a_mixed_form_and_an_unknown_operator_are_refused_as_chroma_refuses_them() {
        for (filter, says) in [
            (r#"{"a": 1, "b": {"$gt": 2}}"#, "elements of one $and"),
            (r#"{"a": {"$gt": 1, "$lt": 2}}"#, "elements of one $and"),
            (r#"{"a": {"$like": "x"}}"#, "not \"$like\""),
            (
                r#"{"$adn": [{"a": {"$gt": 1}}, {"b": 2}]}"#,
                "$adn cannot stand",
            ),
            (r#"{"$gt": 1}"#, "$gt cannot stand"),
        ] {
            match Filter::parse(filter) {
                Err(FilterError::Language(why)) => assert!(why.contains(says), "{why}"),
                other => panic!("{filter}: {other:?}"),
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| {
            let open = r#"{"$and": [{"a": 1}, "#.repeat(depth);
            format!("{open}{{\"b\": 2}}{}", "]}".repeat(depth))
        };
        assert!(Filter::parse(&nested(60)).is_ok());
        assert!(matches!(
            Filter::parse(&nested(100_000)),
            Err(FilterError::Json(_))
        ));
    }
}
