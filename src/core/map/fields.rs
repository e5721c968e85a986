//! One field of a row, looked up in the content and then in the metadata.
//!
//! Promise: a value that says nothing (missing, null, blank) gives way to the next source; no value is cut.
//! May import `record` and `reason` only.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::number::Decimal;
use super::{json, time};
use crate::record::{Metadata, Value};

/// The object that `full_content` holds.
pub(super) type Object = serde_json::Map<String, Json>;

/// Where the fields of a record come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a, 'c> {
    /// The parsed `full_content`, if it is an object.
    pub(super) content: Option<&'c Object>,
    /// The record's metadata.
    pub(super) metadata: &'a Metadata,
}

impl<'a, 'c> Fields<'a, 'c> {
    /// A text: content, else metadata. Blank only if no source has more to say.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        let content = self.content(key).and_then(json_text);
        let metadata = self.metadata.get(key).map(value_text);
        match (content, metadata) {
            (Some(text), _) if !is_blank(&text) => Some(Cow::Owned(text.into_owned())),
            (_, Some(text)) if !is_blank(&text) => Some(text),
            (content, metadata) => content
                .map(|text| Cow::Owned(text.into_owned()))
                .or(metadata),
        }
    }

    /// A text that is not blank.
    pub(super) fn said(&self, key: &str) -> Option<Cow<'a, str>> {
        self.text(key).filter(|text| !is_blank(text))
    }

    /// The text of the metadata key `key`, whatever the content says; nothing if it is blank.
    pub(super) fn of_metadata(&self, key: &str) -> Option<Cow<'a, str>> {
        let text = self.metadata.get(key).map(value_text);
        text.filter(|text| !is_blank(text))
    }

    /// A JSON array as text: content, else metadata. Empty only if no source has elements. A text that is no JSON has its
    /// elements between commas, as people write keywords.
    pub(super) fn list(&self, key: &str) -> Option<String> {
        let content = self
            .content(key)
            .and_then(|it| json_list(it, Plain::Keywords));
        if content.as_deref().is_some_and(|list| !is_empty_list(list)) {
            return content;
        }
        let metadata = self.metadata.get(key);
        let metadata = metadata.and_then(|it| value_list(it, Plain::Keywords));
        match metadata {
            Some(list) if !is_empty_list(&list) => Some(list),
            empty => content.or(empty),
        }
    }

    /// A JSON array as text, from the content if there is one and from the metadata if there is none.
    pub(super) fn list_of_content(&self, key: &str) -> Option<String> {
        match self.content {
            Some(content) => content.get(key).and_then(|it| json_list(it, Plain::One)),
            None => (self.metadata.get(key)).and_then(|it| value_list(it, Plain::One)),
        }
    }

    /// A whole number: content, else metadata; of a number, a string of one, or a float without fraction.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        let content = match self.content(key) {
            Some(Json::Number(number)) => text_integer(&number.to_string()),
            Some(Json::String(text)) => text_integer(text),
            _ => None,
        };
        content.or_else(|| match self.metadata.get(key)? {
            Value::Int(number) => Some(*number),
            Value::Float(number) => text_integer(&number.to_string()),
            Value::Str(text) => text_integer(text),
            Value::Bool(_) | Value::List(_) => None,
        })
    }

    /// A point in time in microseconds since 1970: metadata, else content.
    pub(super) fn time(&self, key: &str) -> Option<i64> {
        let metadata = match self.metadata.get(key) {
            Some(Value::Str(text)) => time::from_text(text),
            Some(Value::Int(count)) => time::from_int(*count),
            Some(Value::Float(count)) => time::from_float(*count),
            Some(Value::Bool(_) | Value::List(_)) | None => None,
        };
        metadata.or_else(|| match self.content(key)? {
            Json::String(text) => time::from_text(text),
            Json::Number(number) => match number.as_i64() {
                Some(count) => time::from_int(count),
                None => time::from_float(number.as_f64()?),
            },
            _ => None,
        })
    }

    /// The transcript as text, if there is one that is not blank; of the content if there is one, else of
    /// the metadata. One kept in segments is their texts with spaces between.
    pub(super) fn transcript(&self) -> Option<Cow<'_, str>> {
        let text = match self.content {
            Some(content) => match content.get("transcript")? {
                Json::String(text) => Cow::Borrowed(text.as_str()),
                Json::Array(items) => Cow::Owned(join(items, &["text"], " ")),
                Json::Object(object) if !object.is_empty() => {
                    item_text(content.get("transcript")?, &["text"])?
                }
                _ => return None,
            },
            None => match self.metadata.get("transcript")? {
                Value::Str(text) => Cow::Borrowed(text.as_str()),
                list @ Value::List(_) => {
                    Cow::Owned(join_list(&value_list(list, Plain::One)?, &["text"], " "))
                }
                _ => return None,
            },
        };
        Some(text).filter(|text| !is_blank(text))
    }

    fn content(&self, key: &str) -> Option<&'c Json> {
        self.content.and_then(|content| content.get(key))
    }
}

/// Whether a text says nothing.
pub(super) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// A JSON value as a text column takes it: a string as it is, anything else as JSON; nothing for null.
pub(super) fn json_text(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// What an item of a list says: the first of `keys` that an object has, else the item itself.
pub(super) fn item_text<'j>(item: &'j Json, keys: &[&str]) -> Option<Cow<'j, str>> {
    let named = keys.iter().find_map(|key| {
        item.get(key)
            .and_then(json_text)
            .filter(|text| !is_blank(text))
    });
    named
        .or_else(|| json_text(item))
        .filter(|text| !is_blank(text))
}

/// What the items of a JSON array in text form say, joined.
pub(super) fn join_list(list: &str, keys: &[&str], separator: &str) -> String {
    let items: Vec<Json> = serde_json::from_str(list).unwrap_or_default();
    join(&items, keys, separator)
}

fn join(items: &[Json], keys: &[&str], separator: &str) -> String {
    let texts: Vec<_> = items
        .iter()
        .filter_map(|item| item_text(item, keys))
        .collect();
    texts.join(separator)
}

/// A metadata value as a text column takes it.
fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        Value::Float(number) if !number.is_finite() => Cow::Borrowed(json::infinite_text(*number)),
        other => {
            let mut text = String::new();
            json::push_value(&mut text, other);
            Cow::Owned(text)
        }
    }
}

/// What a text is that is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    /// One element.
    One,
    /// Elements between commas.
    Keywords,
}

fn json_list(value: &Json, plain: Plain) -> Option<String> {
    match value {
        Json::Null => None,
        Json::Array(_) => Some(value.to_string()),
        Json::String(text) => text_list(text, plain),
        other => Some(format!("[{other}]")),
    }
}

fn value_list(value: &Value, plain: Plain) -> Option<String> {
    match value {
        Value::Str(text) => text_list(text, plain),
        other => {
            let mut list = String::new();
            json::push_value(&mut list, other);
            Some(if matches!(other, Value::List(_)) {
                list
            } else {
                format!("[{list}]")
            })
        }
    }
}

/// The array that a text holds as JSON, in its own spelling; of one element if it holds something else; of what `plain` says
/// if it is no JSON.
fn text_list(text: &str, plain: Plain) -> Option<String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return None;
    }
    let only = match serde_json::from_str(trimmed) {
        Ok(Json::Array(_)) => return Some(trimmed.to_string()),
        Ok(Json::Null) => return None,
        Ok(Json::String(inner)) if is_blank(&inner) => return None,
        Ok(_) => trimmed.to_string(),
        Err(_) if plain == Plain::Keywords => {
            let words = text.split(',').map(str::trim);
            let words: Vec<String> = words.filter(|it| !it.is_empty()).map(quoted).collect();
            return (!words.is_empty()).then(|| format!("[{}]", words.join(",")));
        }
        Err(_) => quoted(text),
    };
    Some(format!("[{only}]"))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    json::push_string(&mut quoted, text);
    quoted
}

fn is_empty_list(list: &str) -> bool {
    list.trim_start_matches('[')
        .trim_end_matches(']')
        .trim()
        .is_empty()
}

fn text_integer(text: &str) -> Option<i64> {
    Decimal::parse(text.trim())?.to_i64()
}
