//! A record as a row: what each word of the table's mapping stands for.
//!
//! Promise: a field is the record's own value, whole, or a [`Rejection`] that names it. Knows nothing of the column's type,
//! which is `encode`'s business. May import `mapping`'s words, `record`, `nul` and `reason`.

use std::borrow::Cow;

use super::fields::Fields;
use super::json::{self, Objection};
use super::{ContentRow, EntityRow, object, time};
use crate::mapping::{EntityField, ItemField, Word};
use crate::reason::{Reason, Rejection};
use crate::record::{Collection, Record, Value};

/// A value on its way into a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Field<'a> {
    /// NULL.
    Null,
    /// A key as its column spells it.
    Key(Cow<'a, str>),
    /// The same of an owner.
    Owner(&'a str),
    /// A text without U+0000.
    Text(Cow<'a, str>),
    /// An array or object as JSON.
    Json(Cow<'a, str>),
    /// A yes or no.
    Bool(bool),
    /// A number of bytes.
    Count(i64),
    /// Microseconds since 1970-01-01 UTC.
    Time(i64),
    /// The value of this metadata key, or a text in its place.
    Value(&'a str, Cow<'a, Value>),
    /// A number that is drawn later: room for one.
    Number,
}

/// What all rows of a collection have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectionFields {
    /// The collection's name.
    pub name: String,
    /// The name that the run gives it: with tenant and database where they are not Chroma's defaults.
    pub qualified: String,
    /// Chroma's uuid of it.
    pub uuid: String,
    /// Its tenant.
    pub tenant: String,
    /// Its database.
    pub database: String,
    /// Its distance.
    pub space: &'static str,
    /// The key of its row in the table that the target refers to.
    pub parent: Option<String>,
}

impl CollectionFields {
    /// Those of `collection`, which the run calls `qualified`.
    pub fn new(collection: &Collection, qualified: String, parent: Option<String>) -> Self {
        CollectionFields {
            name: collection.name.clone(),
            qualified,
            uuid: collection.id.clone(),
            tenant: collection.tenant.clone(),
            database: collection.database.clone(),
            space: collection.space.as_str(),
            parent,
        }
    }

    /// What a row of the collection has for a word that is the same in all of them.
    pub fn of_word(&self, word: &Word) -> Option<&str> {
        Some(match word {
            Word::Collection { qualified: true } => &self.qualified,
            Word::Collection { qualified: false } => &self.name,
            Word::CollectionUuid => &self.uuid,
            Word::Tenant => &self.tenant,
            Word::Database => &self.database,
            Word::Space => self.space,
            Word::Parent(_) => self.parent.as_deref()?,
            _ => return None,
        })
    }
}

/// A record with everything that its rows are made of.
#[derive(Debug, Clone, Copy)]
pub struct RowParts<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its collection.
    pub collection: &'a CollectionFields,
    /// Its id as the key column spells it.
    pub key: &'a str,
    /// Its owner as the column spells it.
    pub user: Option<&'a str>,
    /// The metadata key of the text of records without a document.
    pub text_key: Option<&'a str>,
    /// The content library's item; `None` where no column takes a field of it.
    pub item: Option<&'a ContentRow<'a>>,
    /// The item's entity, of a row of the entity table.
    pub entity: Option<&'a EntityRow>,
    /// A random uuid of its own.
    pub uuid: &'a str,
}

impl<'a> RowParts<'a> {
    /// What `word` stands for, in the column of this name.
    ///
    /// # Errors
    /// [`Reason::BadText`] for U+0000, [`Reason::BadContent`] for metadata that `jsonb` cannot hold.
    pub fn field(&self, column: &'a str, word: &'a Word) -> Result<Field<'a>, Rejection> {
        Ok(match word {
            Word::Id => Field::Key(Cow::Borrowed(self.key)),
            Word::Owner => self.user.map_or(Field::Null, Field::Owner),
            Word::Document {
                or_empty,
                without_nul,
            } => match self.document() {
                Some(text) if *without_nul => Field::Text(object::without_nul(text)),
                Some(text) => self.text("document", text)?,
                None if *or_empty => Field::Text(Cow::Borrowed("")),
                None => Field::Null,
            },
            Word::Metadata(how) => {
                let text = object::of_metadata(self, how)?;
                Field::Json(Cow::Owned(text))
            }
            Word::Key(key) => self.value(key.as_deref().unwrap_or(column))?,
            Word::Const(value) => {
                let value = Value::Str(value.clone());
                Field::Value(column, Cow::Owned(value))
            }
            Word::Collection { .. } | Word::Tenant | Word::Database | Word::Space => {
                let text = self.collection.of_word(word).unwrap_or_default();
                self.text("collection name", Cow::Borrowed(text))?
            }
            Word::CollectionUuid => Field::Key(Cow::Borrowed(&*self.collection.uuid)),
            Word::Parent(_) => match &self.collection.parent {
                Some(key) => Field::Key(Cow::Borrowed(&**key)),
                None => Field::Null,
            },
            Word::NewUuid => Field::Key(Cow::Borrowed(self.uuid)),
            Word::Number => Field::Number,
            Word::Uri => match &self.record.uri {
                Some(uri) => self.text("uri", Cow::Borrowed(&**uri))?,
                None => Field::Null,
            },
            Word::CreatedAt => self
                .record
                .created_at
                .and_then(time::in_range)
                .map_or(Field::Null, Field::Time),
            Word::Item(field) => self.item.map_or(Field::Null, |item| of_item(item, *field)),
            Word::Entity(field) => self
                .entity
                .map_or(Field::Null, |entity| of_entity(entity, *field)),
            // The embedding comes last, and a default is the server's own.
            Word::Vector { .. } | Word::Default => Field::Null,
        })
    }

    /// The document, or the text that the caller's key names instead.
    pub fn document(&self) -> Option<Cow<'a, str>> {
        document(self.record, self.text_key)
    }

    fn text(&self, place: &str, text: Cow<'a, str>) -> Result<Field<'a>, Rejection> {
        match text.contains('\0') {
            true => Err(bad_text(place)),
            false => Ok(Field::Text(text)),
        }
    }

    fn value(&self, key: &'a str) -> Result<Field<'a>, Rejection> {
        match self.record.metadata.get(key) {
            Some(value) if value.holds_nul() => {
                Err(bad_text(&format!("metadata value of {key:?}")))
            }
            Some(value) => Ok(Field::Value(key, Cow::Borrowed(value))),
            None => Ok(Field::Null),
        }
    }
}

/// The document of `record`, or the text of its metadata key `text_key` instead.
pub fn document<'a>(record: &'a Record, text_key: Option<&str>) -> Option<Cow<'a, str>> {
    if let Some(text) = &record.document {
        return Some(Cow::Borrowed(text));
    }
    let fields = Fields {
        content: None,
        metadata: &record.metadata,
    };
    fields.of_metadata(text_key?)
}

/// A text that holds U+0000.
pub(super) fn bad_text(place: &str) -> Rejection {
    let message = format!("{place} {}", Objection::Nul.as_str());
    Rejection::new(Reason::BadText, message)
}

fn of_item<'a>(item: &'a ContentRow<'_>, field: ItemField) -> Field<'a> {
    let text = |text: &'a str| Field::Text(Cow::Borrowed(text));
    let optional = |it: Option<&'a str>| it.map_or(Field::Null, text);
    let list = |it: &'a Option<String>| match it {
        Some(list) => Field::Json(Cow::Borrowed(&**list)),
        None => Field::Null,
    };
    let moment = |it: Option<i64>| it.map_or(Field::Null, Field::Time);
    match field {
        ItemField::Title => text(&item.title),
        ItemField::ContentType => text(&item.content_type),
        ItemField::Mode => text(&item.mode),
        ItemField::Summary => optional(item.summary.as_deref()),
        ItemField::Topics => list(&item.topics),
        ItemField::Tags => list(&item.tags),
        ItemField::Collections => list(&item.collections),
        ItemField::SourceUrl => optional(item.source_url.as_deref()),
        ItemField::HasTranscript => Field::Bool(item.has_transcript),
        ItemField::FullContent => Field::Json(Cow::Borrowed(&*item.full_content)),
        ItemField::FileSizeBytes => item.file_size_bytes.map_or(Field::Null, Field::Count),
        ItemField::SearchableText => text(&item.searchable_text),
        ItemField::Metadata => Field::Json(Cow::Borrowed(&*item.metadata)),
        ItemField::CreatedAt => moment(item.created_at),
        ItemField::UpdatedAt => moment(item.updated_at),
    }
}

fn of_entity(entity: &EntityRow, field: EntityField) -> Field<'_> {
    match field {
        EntityField::Name => Field::Text(Cow::Borrowed(&*entity.name)),
        EntityField::Type => match &entity.kind {
            Some(kind) => Field::Text(Cow::Borrowed(&**kind)),
            None => Field::Null,
        },
    }
}

/// A metadata value as a text column takes it: a list with spaces behind its commas, as `jsonb` shows it.
pub fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        Value::Float(number) if !number.is_finite() => Cow::Borrowed(json::infinite_text(*number)),
        Value::List(values) => {
            let parts: Vec<String> = values.iter().map(value_json).collect();
            Cow::Owned(format!("[{}]", parts.join(", ")))
        }
        other => Cow::Owned(value_json(other)),
    }
}

/// A metadata value as JSON.
pub fn value_json(value: &Value) -> String {
    let mut text = String::new();
    json::push_value(&mut text, value);
    text
}

/// A metadata value as a moment in microseconds since 1970-01-01 UTC: ISO 8601, or a count since then; `None` if it is none.
pub fn value_time(value: &Value) -> Option<i64> {
    match value {
        Value::Str(text) => time::from_text(text),
        Value::Int(count) => time::from_int(*count),
        Value::Float(count) => time::from_float(*count),
        Value::Bool(_) | Value::List(_) => None,
    }
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
