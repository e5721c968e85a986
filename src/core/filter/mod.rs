//! Which records are wanted: Chroma's `where` and `where_document`, and filters without operators.
//!
//! Promise: what is accepted, and what it finds, is what chromadb 1.5.9 accepts and finds in a local store; what is refused
//! is a sentence that says what Chroma would accept. No filter takes time that grows faster than the text it looks at. May
//! import `record`, and how `map` spells numbers.

mod containment;
mod document;
mod jsonpath;
mod operand;
mod pattern;
mod record_filter;
mod where_clause;
mod where_parse;

pub use document::DocumentFilter;
pub use record_filter::Filter;
pub use where_clause::Where;

/// Why a filter is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No JSON object, or one nested too deep: what is wrong with it, without an end.
    #[error("{0}")]
    Json(String),
    /// Chroma has no such filter: a sentence, without an end.
    #[error("{0}")]
    Language(String),
}

/// The text of a `jsonb` value as JSON, if it is an object.
fn object(
    name: &str,
    text: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, FilterError> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        Ok(_) => Err(FilterError::Json(format!("{name} must be a JSON object"))),
        Err(cause) => Err(FilterError::Json(format!(
            "{name} is not valid JSON: {cause}"
        ))),
    }
}

/// The only pair of an object.
fn single(
    object: &serde_json::Map<String, serde_json::Value>,
) -> Option<(&str, &serde_json::Value)> {
    let mut pairs = object.iter();
    match (pairs.next(), pairs.next()) {
        (Some((key, value)), None) => Some((key, value)),
        _ => None,
    }
}

/// JSON as a message shows it.
fn shown(json: &serde_json::Value) -> String {
    const MOST: usize = 60;
    let text = json.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
