//! A record as its content row.
//!
//! Promise: the application's own `full_content` text goes through untouched; a record that PostgreSQL
//! cannot store is rejected whole, with the field named. May import `record`,
//! `nul` and `reason` only.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::fields::{Fields, Object};
use super::json::{self, Objection};
use super::{ContentRow, Shape, entity, text, time};
use crate::nul::NulCharacters;
use crate::reason::{Reason, Rejection};
use crate::record::{Record, Value};

/// The metadata key whose string is the whole item as JSON.
const FULL_CONTENT: &str = "full_content";

/// See [`super::map_record`].
pub(super) fn map_record<'a>(
    collection: &'a str,
    record: &'a Record,
    shape: Shape<'_>,
) -> Result<ContentRow<'a>, Rejection> {
    let content = parse_content(record, shape.nul)?;
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
        Some((text, _)) => text.clone(),
        None => Cow::Owned(stand_in(record, &title, &metadata, shape)),
    };
    let created_at = fields
        .time("created_at")
        .or(record.created_at.and_then(time::in_range));
    let nul = matches!(&content, Some((Cow::Owned(_), _)));
    let mut row = ContentRow {
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
        searchable_text: match document(record) {
            Some(document) => Cow::Borrowed(document),
            None => (shape.text_key.and_then(|key| fields.of_metadata(key)))
                .unwrap_or_else(|| Cow::Owned(text::recipe(&fields))),
        },
        created_at,
        updated_at: fields.time("updated_at").or(created_at),
        chroma_collection: collection,
        metadata,
        uri: record.uri.as_deref(),
        entities: match object {
            Some(object) if shape.wants_entities => entity::entities(object),
            _ => Vec::new(),
        },
        title,
        nul,
    };
    if shape.nul.changes() {
        change_nul(&mut row, shape.nul);
    }
    check_row(&row, record, shape)?;
    Ok(row)
}

/// The document, if there is one that is not empty.
fn document(record: &Record) -> Option<&str> {
    record.document.as_deref().filter(|text| !text.is_empty())
}

/// Changes the U+0000 that JSON in texts escapes: the lists are read as JSON by the server, entities and text were by
/// us. The column `metadata` keeps such a text as it is: there it is harmless.
fn change_nul(row: &mut ContentRow<'_>, how: NulCharacters) {
    let lists = [&mut row.topics, &mut row.tags, &mut row.collections];
    for list in lists.into_iter().flatten() {
        if let Cow::Owned(changed) = how.json(list) {
            (*list, row.nul) = (changed, true);
        }
    }
    for entity in &mut row.entities {
        let texts = [Some(&mut entity.name), entity.kind.as_mut()];
        for text in texts.into_iter().flatten().chain([&mut entity.text]) {
            if let Cow::Owned(changed) = how.text(text) {
                (*text, row.nul) = (changed, true);
            }
        }
    }
    // A borrowed one is the record's own, which has none.
    if let Cow::Owned(text) = &row.searchable_text
        && let Cow::Owned(changed) = how.text(text)
    {
        (row.searchable_text, row.nul) = (Cow::Owned(changed), true);
    }
}

/// `full_content` as its own text, or one that is changed as to U+0000, and the object that it holds; nothing if it holds
/// none.
fn parse_content(
    record: &Record,
    nul: NulCharacters,
) -> Result<Option<(Cow<'_, str>, Object)>, Rejection> {
    match record.metadata.get(FULL_CONTENT).and_then(Value::as_str) {
        Some(text) => parse_object(Cow::Borrowed(text), nul),
        None => Ok(None),
    }
}

fn parse_object(
    text: Cow<'_, str>,
    nul: NulCharacters,
) -> Result<Option<(Cow<'_, str>, Object)>, Rejection> {
    match serde_json::from_str(&text) {
        Ok(Json::Object(object)) => match json::jsonb_objection(&text) {
            Some(Objection::Nul) if nul.changes() => {
                let changed = nul.json(&text).into_owned();
                parse_object(Cow::Owned(changed), NulCharacters::Error)
            }
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
fn stand_in(record: &Record, title: &str, metadata: &str, shape: Shape<'_>) -> String {
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
fn check_row(row: &ContentRow<'_>, record: &Record, shape: Shape<'_>) -> Result<(), Rejection> {
    if row.chroma_collection.contains('\0') {
        return Err(Rejection::new(
            Reason::BadText,
            "collection name holds U+0000, which PostgreSQL cannot store",
        ));
    }
    let texts = [
        ("id", Some(row.id)),
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
        return Err(nul(match document(record) {
            Some(_) => "document",
            None => "searchable_text",
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

#[cfg(test)]
#[path = "content_options_tests.rs"]
mod options_tests;
