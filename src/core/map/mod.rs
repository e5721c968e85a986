//! A record as the rows it becomes: one content row and its entity rows.
//!
//! Promise: pure and total; what PostgreSQL cannot store is a [`Rejection`], never a cut value. Knows the
//! columns by name and nothing of the target's types (that is `encode`'s business). May import `record`,
//! `nul` and `reason` only.

mod content;
mod entity;
mod fields;
mod json;
pub(crate) mod number;
mod object;
mod row;
#[cfg(test)]
mod testing;
mod text;
mod time;
mod user;

use std::borrow::Cow;

pub use json::NUL_WAY_OUT;
pub(crate) use json::{finite_text, infinite_text};
pub use row::{CollectionFields, Field, RowParts, document, value_json, value_text, value_time};
pub use user::{Owner, key_name, owner_of};

use crate::nul::NulCharacters;
use crate::reason::Rejection;
use crate::record::{Metadata, Record};

/// What the target's table is like and what the caller says of the records, as far as mapping must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape<'a> {
    /// The table has our own `metadata` column, so `full_content` need not repeat metadata and document.
    pub has_metadata: bool,
    /// Entity rows are wanted (an entity target exists or will be created).
    pub wants_entities: bool,
    /// The metadata key whose value is the text of a record without a document.
    pub text_key: Option<&'a str>,
    /// What is done about U+0000 that JSON in a text escapes. The record's own texts are as they are to be.
    pub nul: NulCharacters,
}

/// A content row by column name. `None` is SQL NULL. JSON columns hold JSON text.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentRow<'a> {
    /// Column `id`: the record's id.
    pub id: &'a str,
    /// Column `title`: content, else metadata, else `Untitled`.
    pub title: Cow<'a, str>,
    /// Column `content_type`, `other` if the record has none.
    pub content_type: Cow<'a, str>,
    /// Column `mode`, `general` if the record has none.
    pub mode: Cow<'a, str>,
    /// Column `summary`.
    pub summary: Option<Cow<'a, str>>,
    /// Column `topics`: a JSON array.
    pub topics: Option<String>,
    /// Column `tags`: a JSON array.
    pub tags: Option<String>,
    /// Column `collections`: a JSON array.
    pub collections: Option<String>,
    /// Column `source_url`.
    pub source_url: Option<Cow<'a, str>>,
    /// Column `has_transcript`: the content has a transcript that is not empty.
    pub has_transcript: bool,
    /// Column `full_content`: a JSON object, the application's own text where there is one.
    pub full_content: Cow<'a, str>,
    /// Column `file_size_bytes`, in bytes.
    pub file_size_bytes: Option<i64>,
    /// Column `searchable_text`: the document, else the text of [`Shape::text_key`], else the recipe. Also what is
    /// embedded.
    pub searchable_text: Cow<'a, str>,
    /// Column `created_at`: metadata or content, else Chroma's own; microseconds since 1970-01-01 UTC.
    pub created_at: Option<i64>,
    /// Column `updated_at`: metadata or content, else `created_at`; microseconds since 1970-01-01 UTC.
    pub updated_at: Option<i64>,
    /// Column `chroma_collection`: the name that the run gives to the collection.
    pub chroma_collection: &'a str,
    /// Column `metadata`: a JSON object of every Chroma key with its type, except a `full_content` that parsed.
    pub metadata: String,
    /// Column `uri`.
    pub uri: Option<&'a str>,
    /// The entity rows that go with it.
    pub entities: Vec<EntityRow>,
    /// JSON in a text of the record escaped U+0000, and was changed.
    pub nul: bool,
}

/// An entity row by column name; owner, content and collection are the content row's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityRow {
    /// Column `entity_name`.
    pub name: String,
    /// Column `entity_type`.
    pub kind: Option<String>,
    /// What is embedded: name, type and description, joined by spaces, missing ones left out.
    pub text: String,
}

/// Maps `record` of the collection that is called `collection` to its content row and entity rows.
///
/// # Errors
/// [`Reason::BadText`](crate::reason::Reason::BadText) for U+0000 in a text,
/// [`Reason::BadContent`](crate::reason::Reason::BadContent) for a `full_content` that `jsonb` cannot hold.
pub fn map_record<'a>(
    collection: &'a str,
    record: &'a Record,
    shape: Shape<'_>,
) -> Result<ContentRow<'a>, Rejection> {
    content::map_record(collection, record, shape)
}

/// `metadata` as a JSON object: every key with its type, infinities as the strings `Infinity` and `-Infinity`.
pub fn metadata_json(metadata: &Metadata) -> String {
    json::metadata_object(metadata, None)
}
