//! What a record says besides its vector: document, uri and typed metadata.
//!
//! Stage: source. Promise: Chroma's own keys do not appear as the user's. May import `record`.

use std::sync::Arc;

use crate::record::{Metadata, Value};

const DOCUMENT: &str = "chroma:document";
const URI: &str = "chroma:uri";
/// No release returns keys that begin so, whoever wrote them.
const OWN: &str = "chroma:";

/// Whether `key` is Chroma's own: never one of the user's metadata.
pub(crate) fn is_own(key: &str) -> bool {
    key.starts_with(OWN)
}

/// Document, uri and metadata of one record.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Content {
    /// The document.
    pub document: Option<String>,
    /// The uri.
    pub uri: Option<String>,
    /// The user's metadata.
    pub metadata: Metadata,
}

impl Content {
    /// Sets `key`, or removes it if there is no value.
    pub fn put(&mut self, key: impl Into<Arc<str>>, value: Option<Value>) {
        let key = key.into();
        match (&*key, value) {
            (DOCUMENT, value) => self.document = value.map(text_of),
            (URI, value) => self.uri = value.map(text_of),
            (own, _) if is_own(own) => {}
            (_, Some(value)) => self.metadata.set(key, value),
            (_, None) => {
                self.metadata.remove(&key);
            }
        }
    }

    /// Whether `key` has a value.
    pub fn has(&self, key: &str) -> bool {
        match key {
            DOCUMENT => self.document.is_some(),
            URI => self.uri.is_some(),
            _ => self.metadata.get(key).is_some(),
        }
    }
}

/// A value as text, without copying one that is.
fn text_of(value: Value) -> String {
    match value {
        Value::Str(text) => text,
        other => canonical_text(&other),
    }
}

/// A value as one canonical text: 7, 7.0 and "7" are the same.
pub(crate) fn canonical_text(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::Bool(on) => on.to_string(),
        Value::Int(number) => number.to_string(),
        // Rust writes the shortest text that reads back: 7.0 as "7".
        Value::Float(number) => number.to_string(),
        Value::List(items) => items
            .iter()
            .map(canonical_text)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_written_as_number_or_text_is_one_user() {
        let all = [Value::Int(7), Value::Float(7.0), Value::Str("7".to_owned())];
        assert!(all.iter().all(|value| canonical_text(value) == "7"));
        assert_eq!(canonical_text(&Value::Float(7.5)), "7.5");
    }

    #[test]
    fn chromas_own_keys_are_not_metadata() {
        let mut content = Content::default();
        content.put("chroma:document", Some(Value::Str(String::new())));
        content.put("chroma:uri", Some(Value::Str("file:///a".to_owned())));
        content.put("k", Some(Value::Int(1)));
        content.put("gone", Some(Value::Int(1)));
        content.put("gone", None);
        content.put("chroma:other", Some(Value::Int(1)));
        assert_eq!(content.document.as_deref(), Some(""));
        assert_eq!(content.uri.as_deref(), Some("file:///a"));
        assert_eq!(content.metadata.len(), 1);
        content.put("chroma:document", None);
        assert_eq!(content.document, None);
    }
}
