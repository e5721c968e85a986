//! A record as its content row.
//!
//! Promise: the application's own `full_content` text goes through untouched; a record that PostgreSQL
//! cannot store is rejected whole, with the field named. May import `record` and `reason` only.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::fields::{Fields, Object};
use super::json::{self, Objection};
use super::{ContentRow, Shape, entity, text, time};
use crate::reason::{Reason, Rejection};
use crate::record::{Collection, Record, Value};

/// The metadata key whose string is the whole item as JSON.
const FULL_CONTENT: &str = "full_content";

/// See [`super::map_record`].
pub(super) fn map_record<'a>(
    collection: &Collection,
    record: &'a Record,
    shape: Shape,
) -> Result<ContentRow<'a>, Rejection> {
    let content = parse_content(record)?;
    if shape.has_metadata || content.is_none() {
        check_metadata(record, content.is_some())?;
    }
    let object = content.as_ref().map(|(_, object)| object);
    let fields = Fields {
        content: object,
        metadata: &record.metadata,
    };
    let title = fields.said("title").unwrap_or(Cow::Borrowed("Untitled"));
    let without = content.as_ref().map(|_| FULL_CONTENT);
    let metadata = json::metadata_object(&record.metadata, without);
    let full_content = match &content {
        Some((text, _)) => Cow::Borrowed(*text),
        None => Cow::Owned(stand_in(record, &title, &metadata, shape)),
    };
    let created_at = fields
        .time("created_at")
        .or(record.created_at.and_then(time::in_range));
    let row = ContentRow {
        id: &record.id,
        content_type: fields
            .said("content_type")
            .unwrap_or(Cow::Borrowed("other")),
        mode: fields.said("mode").unwrap_or(Cow::Borrowed("general")),
        summary: fields.text("summary"),
        topics: fields.list("topics"),
        tags: fields.list("tags"),
        collections: fields.list("collections"),
        source_url: fields.text("source_url"),
        has_transcript: has_transcript(&fields),
        full_content,
        file_size_bytes: fields.integer("file_size_bytes"),
        searchable_text: match record.document.as_deref() {
            Some(document) if !document.is_empty() => Cow::Borrowed(document),
            _ => Cow::Owned(text::recipe(&fields)),
        },
        created_at,
        updated_at: fields.time("updated_at").or(created_at),
        chroma_collection: Cow::Owned(collection.qualified_name()),
        metadata,
        uri: record.uri.as_deref(),
        entities: match object {
            Some(object) if shape.wants_entities => entity::entities(object),
            _ => Vec::new(),
        },
        title,
    };
    check_row(&row, shape)?;
    Ok(row)
}

/// `full_content` as its own text and the object that it holds; nothing if it holds none.
fn parse_content(record: &Record) -> Result<Option<(&str, Object)>, Rejection> {
    let Some(text) = record.metadata.get(FULL_CONTENT).and_then(Value::as_str) else {
        return Ok(None);
    };
    match serde_json::from_str(text) {
        Ok(Json::Object(object)) => match json::jsonb_objection(text) {
            Some(objection) => Err(bad_json(FULL_CONTENT, objection)),
            None => Ok(Some((text, object))),
        },
        Ok(_) => Ok(None),
        // Not damaged, just deeper than the parser goes: to take it for damaged would lose its fields.
        Err(cause) if text.trim_start().starts_with('{') && is_too_deep(&cause) => {
            Err(Rejection::new(
                Reason::BadContent,
                "full_content is nested too deeply: more than 127 levels",
            ))
        }
        Err(_) => Ok(None),
    }
}

/// The parser has no code for this error that could be asked for.
fn is_too_deep(cause: &serde_json::Error) -> bool {
    cause.to_string().starts_with("recursion limit exceeded")
}

/// What `full_content` holds when the record has none. With our own columns for them, neither metadata nor
/// document is stored twice.
fn stand_in(record: &Record, title: &str, metadata: &str, shape: Shape) -> String {
    let mut out = String::from("{\"id\":");
    json::push_string(&mut out, &record.id);
    out.push_str(",\"title\":");
    json::push_string(&mut out, title);
    if !shape.has_metadata {
        for (label, text) in [
            (",\"document\":", &record.document),
            (",\"uri\":", &record.uri),
        ] {
            out.push_str(label);
            match text {
                Some(text) => json::push_string(&mut out, text),
                None => out.push_str("null"),
            }
        }
        out.push_str(",\"metadata\":");
        out.push_str(metadata);
    }
    out.push('}');
    out
}

/// Content with a transcript that is not blank. Without content, metadata with one, or its own word for it.
fn has_transcript(fields: &Fields<'_, '_>) -> bool {
    match fields.content {
        Some(content) => match content.get("transcript") {
            Some(Json::String(text)) => !text.trim().is_empty(),
            Some(Json::Array(items)) => !items.is_empty(),
            Some(Json::Object(object)) => !object.is_empty(),
            _ => false,
        },
        None => {
            let said = fields.metadata.get("has_transcript") == Some(&Value::Bool(true));
            said || fields.transcript().is_some()
        }
    }
}

/// Rejects metadata that cannot go into a column, by the key that is at fault.
fn check_metadata(record: &Record, has_content: bool) -> Result<(), Rejection> {
    for (key, value) in record.metadata.iter() {
        if key.contains('\0') {
            return Err(nul(&format!("metadata key {key:?}")));
        }
        // What parsed as JSON holds no raw control character, and need not be searched again.
        let parsed = has_content && key == FULL_CONTENT;
        if !parsed && value.holds_nul() {
            return Err(nul(&format!("metadata value of {key:?}")));
        }
    }
    Ok(())
}

/// Rejects a row that PostgreSQL cannot store, by the column that is at fault.
fn check_row(row: &ContentRow<'_>, shape: Shape) -> Result<(), Rejection> {
    let texts = [
        ("id", Some(row.id)),
        ("collection name", Some(&*row.chroma_collection)),
        ("uri", row.uri),
        ("title", Some(&*row.title)),
        ("content_type", Some(&*row.content_type)),
        ("mode", Some(&*row.mode)),
        ("summary", row.summary.as_deref()),
        ("source_url", row.source_url.as_deref()),
    ];
    for (name, text) in texts {
        if text.is_some_and(|text| text.contains('\0')) {
            return Err(nul(name));
        }
    }
    let lists = [
        ("topics", &row.topics),
        ("tags", &row.tags),
        ("collections", &row.collections),
    ];
    for (name, list) in lists {
        if let Some(objection) = list.as_deref().and_then(json::jsonb_objection) {
            return Err(bad_json(name, objection));
        }
    }
    if row.entities.iter().any(|entity| entity.text.contains('\0')) {
        return Err(nul("entities"));
    }
    if row.searchable_text.contains('\0') {
        let document = matches!(row.searchable_text, Cow::Borrowed(_));
        return Err(nul(if document {
            "document"
        } else {
            "searchable_text"
        }));
    }
    let written = [
        (
            FULL_CONTENT,
            Some(&*row.full_content).filter(|_| matches!(row.full_content, Cow::Owned(_))),
        ),
        (
            "metadata",
            Some(&*row.metadata).filter(|_| shape.has_metadata),
        ),
    ];
    for (name, text) in written {
        if let Some(objection) = text
            .filter(|text| json::may_outgrow(text))
            .and_then(json::jsonb_objection)
        {
            return Err(bad_json(name, objection));
        }
    }
    Ok(())
}

fn nul(place: &str) -> Rejection {
    Rejection::new(
        Reason::BadText,
        format!("{place} {}", Objection::Nul.as_str()),
    )
}

/// U+0000 is a matter of text everywhere but in `full_content`, whose own word covers all of it.
fn bad_json(place: &str, objection: Objection) -> Rejection {
    let reason = match objection {
        Objection::Nul if place != FULL_CONTENT => Reason::BadText,
        _ => Reason::BadContent,
    };
    Rejection::new(reason, format!("{place} {}", objection.as_str()))
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
