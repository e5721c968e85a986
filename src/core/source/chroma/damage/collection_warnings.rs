//! Sentences for the user about what of a collection cannot be used or shown.
//!
//! Stage: source. Promise: nothing is left out without a sentence that names the collection. May import `record`.

use serde_json::Value as Json;

use crate::record::{Collection, Metadata};

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

/// Removes from the collection's own configuration and metadata what PostgreSQL's JSON cannot hold, and says so; records are
/// checked one by one when they are migrated.
pub(crate) fn remove_what_json_cannot_hold(collection: &mut Collection) -> Vec<String> {
    let name = collection.qualified_name();
    let mut sentences = Vec::new();
    if holds_nul(&collection.configuration) {
        collection.configuration = Json::Null;
        sentences.push(format!(
            "the configuration of collection {name:?} holds U+0000 and is not shown"
        ));
    }
    let mut kept = Metadata::default();
    for (key, value) in collection.metadata.iter() {
        if key.contains('\0') || value.holds_nul() {
            sentences.push(format!(
                "metadata {key:?} of collection {name:?} holds U+0000 and is not shown"
            ));
        } else {
            kept.set(key.to_owned(), value.clone());
        }
    }
    collection.metadata = kept;
    sentences
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
