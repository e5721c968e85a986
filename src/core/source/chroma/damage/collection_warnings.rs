//! Sentences for the user about what of a collection cannot be used or shown.
//!
//! Stage: source. Promise: nothing is left out without a sentence that names the collection. May import `record` and `nul`.

use serde_json::Value as Json;

use crate::nul::NulCharacters;
use crate::record::{Collection, Metadata, Value};

/// The sentence about a collection without one of its two segments.
pub(crate) fn missing_segments(name: &str, metadata: bool, vector: bool) -> Option<String> {
    let what = match (metadata, vector) {
        (true, true) => return None,
        (true, false) => "has no vector segment: only vectors of the write-ahead queue are read",
        (false, _) => "has no metadata segment: none of its records can be read",
    };
    Some(format!("collection {name:?} {what}"))
}

/// The sentence about a configuration in the column `column` that is not JSON.
pub(crate) fn broken_configuration(name: &str, column: &str) -> String {
    format!(
        "collection {name:?} is read as if it had no configuration in {column:?}, which is not JSON"
    )
}

/// Puts U+FFFD in the place of each U+0000, which PostgreSQL's JSON cannot hold, in the collection's own configuration and
/// metadata, and says so; records are looked at one by one when they are migrated. Not said is a metadata key of its
/// records, which Chroma lists in the configuration: `metadata_keys` has it, and nothing of the configuration is another.
pub(crate) fn replace_what_json_cannot_hold(collection: &mut Collection) -> Vec<String> {
    let name = collection.qualified_name();
    let mut sentences = Vec::new();
    if let Some(Json::Object(keys)) = collection.configuration.get_mut("keys") {
        *keys = std::mem::take(keys)
            .into_iter()
            .map(|(key, value)| (without_nul(&key), value))
            .collect();
    }
    if holds_nul(&collection.configuration) {
        collection.configuration = json_without_nul(std::mem::take(&mut collection.configuration));
        sentences.push(format!(
            "the configuration of collection {name:?} holds U+0000 and is shown with U+FFFD in its place"
        ));
    }
    let mut shown = Metadata::default();
    for (key, value) in collection.metadata.iter() {
        if key.contains('\0') || value.holds_nul() {
            sentences.push(format!(
                "metadata {key:?} of collection {name:?} holds U+0000 and is shown with U+FFFD in its place"
            ));
        }
        let value = match value {
            Value::Str(text) => Value::Str(without_nul(text)),
            other => other.clone(),
        };
        shown.set(without_nul(key), value);
    }
    collection.metadata = shown;
    sentences
}

fn without_nul(text: &str) -> String {
    NulCharacters::Replace.text(text).into_owned()
}

/// The depth is bounded by the parser's.
fn holds_nul(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(holds_nul),
        Json::Object(object) => object
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// The depth is bounded by the parser's.
fn json_without_nul(json: Json) -> Json {
    match json {
        Json::String(text) => Json::String(without_nul(&text)),
        Json::Array(items) => items.into_iter().map(json_without_nul).collect(),
        Json::Object(object) => object
            .into_iter()
            .map(|(key, value)| (without_nul(&key), json_without_nul(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::Space;

    fn collection(configuration: Json) -> Collection {
        let mut metadata = Metadata::default();
        metadata.set("topic", Value::Str("a\0b".to_owned()));
        metadata.set("to\0pic", Value::Int(1));
        metadata.set("whole", Value::Str("c".to_owned()));
        Collection {
            tenant: "default_tenant".to_owned(),
            database: "default_database".to_owned(),
            name: "pdfs".to_owned(),
            id: String::new(),
            dimension: None,
            space: Space::L2,
            configuration,
            metadata,
        }
    }

    #[test]
    fn a_key_of_the_records_is_shown_with_the_replacement_character_and_not_talked_about() {
        let mut found = collection(json!({"keys": {"au\0thor": {"string": {}}, "n": {}}}));
        found.metadata = Metadata::default();
        assert_eq!(
            replace_what_json_cannot_hold(&mut found),
            Vec::<String>::new()
        );
        let shown = json!({"keys": {"au\u{FFFD}thor": {"string": {}}, "n": {}}});
        assert_eq!(found.configuration, shown);
    }

    #[test]
    fn everything_else_is_shown_with_the_replacement_character_and_said() {
        let mut found = collection(json!({"keys": {}, "name": ["a\0"], "a\0": 1}));
        let told = replace_what_json_cannot_hold(&mut found);
        let shown = json!({"keys": {}, "name": ["a\u{FFFD}"], "a\u{FFFD}": 1});
        assert_eq!(found.configuration, shown);
        let metadata: Vec<_> = found.metadata.iter().collect();
        let text = |text: &str| Value::Str(text.to_owned());
        let expected = [
            ("topic", text("a\u{FFFD}b")),
            ("to\u{FFFD}pic", Value::Int(1)),
            ("whole", text("c")),
        ];
        assert_eq!(metadata.len(), expected.len());
        for (key, value) in &expected {
            assert_eq!(found.metadata.get(key), Some(value), "{key}");
        }
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("the configuration of collection \"pdfs\" holds U+0000"));
        assert!(told[1].starts_with("metadata \"to\\0pic\" of collection \"pdfs\" holds U+0000"));
    }
}
