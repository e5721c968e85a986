//! The metadata as one JSON object, as a word of the mapping wants it.
//!
//! Promise: no key is lost and none changes its type; keys are in `jsonb`'s order. May import what `row` may.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::json::{self, Objection};
use super::row::{RowParts, bad_text};
use crate::mapping::MetadataWord;
use crate::mapping::metadata::Added;
use crate::nul::NulCharacters;
use crate::reason::{Reason, Rejection};
use crate::record::{Metadata, Value};

/// `text` without U+0000.
pub(super) fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(NulCharacters::Remove.text(&text).into_owned()),
        false => text,
    }
}

/// The record's metadata as the word wants it.
///
/// # Errors
/// [`Reason::BadText`] for U+0000, [`Reason::BadContent`] for more than `jsonb` holds.
pub(super) fn of_metadata(row: &RowParts<'_>, how: &MetadataWord) -> Result<String, Rejection> {
    let holds_nul = |(key, value): (&str, &Value)| key.contains('\0') || value.holds_nul();
    let metadata = match row.record.metadata.iter().find(|pair| holds_nul(*pair)) {
        None => Cow::Borrowed(&row.record.metadata),
        Some(_) if how.without_nul => Cow::Owned(cleaned(&row.record.metadata)),
        Some((key, _)) if key.contains('\0') => {
            return Err(bad_text(&format!("metadata key {key:?}")));
        }
        Some((key, _)) => return Err(bad_text(&format!("metadata value of {key:?}"))),
    };
    let text = match how.is_plain() {
        true => json::metadata_object(&metadata, None),
        false => object(row, &metadata, how)?,
    };
    match json::may_outgrow(&text).then(|| json::jsonb_objection(&text)) {
        Some(Some(objection)) => {
            let message = format!("metadata {}", Objection::as_str(objection));
            Err(Rejection::new(Reason::BadContent, message))
        }
        _ => Ok(text),
    }
}

/// The metadata without U+0000 in keys and values. Of keys that become one the first stays.
fn cleaned(metadata: &Metadata) -> Metadata {
    let mut all = Metadata::default();
    for (key, value) in metadata.iter() {
        let key = NulCharacters::Remove.text(key).into_owned();
        if all.get(&key).is_none() {
            all.set(key, clean_value(value));
        }
    }
    all
}

fn clean_value(value: &Value) -> Value {
    match value {
        Value::Str(text) => Value::Str(NulCharacters::Remove.text(text).into_owned()),
        Value::List(values) => Value::List(values.iter().map(clean_value).collect()),
        other => other.clone(),
    }
}

/// What a key of the object has.
enum Piece<'a> {
    Value(&'a Value),
    Text(Cow<'a, str>),
    Null,
    Object(BTreeMap<&'a str, Piece<'a>>),
}

fn object(
    row: &RowParts<'_>,
    metadata: &Metadata,
    how: &MetadataWord,
) -> Result<String, Rejection> {
    let wanted = metadata
        .iter()
        .filter(|(key, _)| !how.own.iter().any(|own| own == key));
    let mut pieces: BTreeMap<&str, Piece<'_>> = wanted
        .map(|(key, value)| (key, Piece::Value(value)))
        .collect();
    for nest in &how.nested {
        // What the record has of its own where that object would be stays, and so does the key.
        let taken = nest
            .path
            .first()
            .is_some_and(|root| metadata.get(root).is_some());
        if let Some(value) = metadata.get(&nest.key).filter(|_| !taken) {
            pieces.remove(&*nest.key);
            put(&mut pieces, &nest.path, value);
        }
    }
    for (key, added) in &how.added {
        pieces.insert(key, added_piece(row, *added, how)?);
    }
    let mut text = String::with_capacity(64 * pieces.len() + 2);
    write(&mut text, &Piece::Object(pieces));
    Ok(text)
}

/// Puts a value at the end of a path of objects.
fn put<'a>(pieces: &mut BTreeMap<&'a str, Piece<'a>>, path: &'a [String], value: &'a Value) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        pieces.insert(first, Piece::Value(value));
        return;
    }
    let inner = pieces
        .entry(first)
        .or_insert_with(|| Piece::Object(BTreeMap::new()));
    if let Piece::Object(inner) = inner {
        put(inner, rest, value);
    }
}

fn added_piece<'a>(
    row: &RowParts<'a>,
    added: Added,
    how: &MetadataWord,
) -> Result<Piece<'a>, Rejection> {
    let (place, text) = match added {
        Added::Id => ("id", Some(Cow::Borrowed(&*row.record.id))),
        Added::Document => ("document", row.document()),
        Added::Uri => ("uri", row.record.uri.as_deref().map(Cow::Borrowed)),
        Added::Collection => (
            "collection name",
            Some(Cow::Borrowed(&*row.collection.name)),
        ),
    };
    Ok(match text {
        None => Piece::Null,
        Some(text) if text.contains('\0') && !how.without_nul => return Err(bad_text(place)),
        Some(text) => Piece::Text(without_nul(text)),
    })
}

fn write(out: &mut String, piece: &Piece<'_>) {
    match piece {
        Piece::Value(value) => json::push_value(out, value),
        Piece::Text(text) => json::push_string(out, text),
        Piece::Null => out.push_str("null"),
        Piece::Object(pieces) => {
            let mut pairs: Vec<_> = pieces.iter().collect();
            pairs.sort_by_key(|(key, _)| key.len());
            out.push('{');
            for (at, (key, piece)) in pairs.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json::push_string(out, key);
                out.push(':');
                write(out, piece);
            }
            out.push('}');
        }
    }
}
