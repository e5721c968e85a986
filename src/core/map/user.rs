//! Whose record it is.
//!
//! Promise: one user has one text, whether Chroma kept the number 7 or the string "7". Whether the target's
//! column can hold it is decided in `encode`. May import `record` only.

use std::borrow::Cow;

use super::json;
use crate::record::{Record, Value};

/// The owner of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The user's id as text: a string as it is, a whole number without fraction.
    Known(String),
    /// The record names no user, and no default is set.
    None,
    /// The owner's key is of a type that names nobody; the sentence says which.
    Bad(String),
}

/// The owner that the metadata key `key` names, else `default_user_id`.
///
/// A blank string names nobody, so the default applies; a boolean or an array is [`Owner::Bad`].
pub fn owner_of(record: &Record, key: &str, default_user_id: Option<&str>) -> Owner {
    let known = match record.metadata.get(key) {
        Some(Value::Str(text)) if text.contains('\0') => {
            return Owner::Bad(format!(
                "{} {}",
                key_name(key),
                json::Objection::Nul.as_str()
            ));
        }
        Some(Value::Str(text)) if !text.trim().is_empty() => Some(text.clone()),
        Some(Value::Int(number)) => Some(number.to_string()),
        Some(Value::Float(number)) if number.is_finite() => Some(number.to_string()),
        Some(Value::Float(number)) => Some(json::infinite_text(*number).to_string()),
        Some(value @ Value::Bool(_)) => return bad(key, "a boolean", value),
        Some(value @ Value::List(_)) => return bad(key, "an array", value),
        Some(Value::Str(_)) | None => None,
    };
    match known.or_else(|| default_user_id.map(str::to_string)) {
        Some(user) => Owner::Known(user),
        None => Owner::None,
    }
}

/// The owner's key as messages name it: the usual one bare, as the column of the same name.
pub fn key_name(key: &str) -> Cow<'_, str> {
    match key {
        "user_id" => Cow::Borrowed(key),
        _ => Cow::Owned(format!("{key:?}")),
    }
}

/// Names the type, and the value as far as a message has room for it.
fn bad(key: &str, kind: &str, value: &Value) -> Owner {
    let mut text = String::new();
    json::push_value(&mut text, value);
    if text.chars().count() > 80 {
        text = text.chars().take(80).chain("...".chars()).collect();
    }
    Owner::Bad(format!("{} is {kind}: {text}", key_name(key)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::record_with;
    use super::*;

    fn owner(value: Value) -> Owner {
        owner_of(&record_with([("user_id", value)]), "user_id", None)
    }

    fn known(text: &str) -> Owner {
        Owner::Known(text.to_string())
    }

    #[test]
    fn a_string_is_the_user_as_it_is() {
        assert_eq!(owner(Value::Str("7".into())), known("7"));
        assert_eq!(owner(Value::Str(" 7 ".into())), known(" 7 "));
    }

    #[test]
    fn whole_numbers_have_no_fraction_whatever_their_type() {
        assert_eq!(owner(Value::Int(7)), known("7"));
        assert_eq!(owner(Value::Float(7.0)), known("7"));
        assert_eq!(owner(Value::Int(i64::MIN)), known("-9223372036854775808"));
    }

    #[test]
    fn other_floats_are_their_text() {
        assert_eq!(owner(Value::Float(7.5)), known("7.5"));
        assert_eq!(owner(Value::Float(f64::INFINITY)), known("Infinity"));
    }

    #[test]
    fn no_user_or_a_blank_one_gives_way_to_the_default() {
        let blank = record_with([("user_id", Value::Str(" ".into()))]);
        assert_eq!(owner_of(&blank, "user_id", None), Owner::None);
        assert_eq!(owner_of(&blank, "user_id", Some("9")), known("9"));
        assert_eq!(owner_of(&record_with([]), "user_id", None), Owner::None);
        assert_eq!(owner_of(&record_with([]), "user_id", Some("9")), known("9"));
    }

    #[test]
    fn the_default_never_replaces_a_user() {
        let record = record_with([("user_id", Value::Int(7))]);
        assert_eq!(owner_of(&record, "user_id", Some("9")), known("7"));
    }

    #[test]
    fn booleans_and_arrays_name_nobody_even_with_a_default() {
        let record = record_with([("user_id", Value::Bool(true))]);
        assert_eq!(
            owner_of(&record, "user_id", Some("9")),
            Owner::Bad("user_id is a boolean: true".into())
        );
        let long = Value::List(vec![Value::Str("x".repeat(200))]);
        let Owner::Bad(message) = owner(long) else {
            panic!("accepted an array")
        };
        assert!(message.starts_with("user_id is an array: [\"xxx") && message.ends_with("xxx..."));
    }

    #[test]
    fn a_nul_makes_a_user_bad_and_the_message_says_what_helps() {
        assert_eq!(
            owner(Value::Str("7\0".into())),
            Owner::Bad(
                "user_id holds U+0000, which PostgreSQL cannot store: nul_characters => 'remove' or 'replace' migrates it"
                    .into()
            )
        );
    }

    #[test]
    fn another_key_names_the_owner_and_messages_name_that_key() {
        let record = record_with([
            ("created_by", Value::Str("ada".into())),
            ("user_id", Value::Int(7)),
            ("x\"y", Value::Bool(true)),
        ]);
        assert_eq!(owner_of(&record, "created_by", None), known("ada"));
        assert_eq!(owner_of(&record, "owner", None), Owner::None);
        assert_eq!(owner_of(&record, "owner", Some("9")), known("9"));
        let bad = Owner::Bad(r#""x\"y" is a boolean: true"#.into());
        assert_eq!(owner_of(&record, "x\"y", None), bad);
    }
}
