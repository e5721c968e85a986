//! Rows as tuples: a field count, then each field, the embedding left for the end.
//!
//! | | count of fields | before a field | NULL | field |
//! | --- | --- | --- | --- | --- |
//! | [`Form::Copy`] | 2 bytes, big-endian | its length in 4 bytes, big-endian | length -1 | what the type's receive function takes |
//! | [`Form::Heap`] | 4 bytes | the header of a value of variable length | header 0 | the value as the server keeps it; numbers and times as in `Copy` |
//!
//! In `Heap` everything begins at a multiple of four bytes, and words are in the machine's byte order.

use super::column::{Column, ContentColumn, EntityColumn};
use super::field;
use super::vector::{VectorType, append_vector};
use super::{jsonb, varlena};
use crate::map::{ContentRow, EntityRow};
use crate::reason::{Reason, Rejection};

/// How a tuple's fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As COPY's binary format has them.
    Copy,
    /// As the server keeps them in a table, for rows that are put there without COPY.
    Heap,
}

/// A tuple under construction.
#[derive(Debug)]
pub struct TupleBuffer {
    bytes: Vec<u8>,
    form: Form,
}

impl TupleBuffer {
    /// A tuple of `fields` fields for COPY, none written yet.
    pub fn new(fields: i16) -> TupleBuffer {
        TupleBuffer::behind(Vec::with_capacity(1024), Form::Copy, fields)
    }

    /// A tuple of `fields` fields behind what `bytes` holds: whole tuples of the same form.
    pub fn behind(bytes: Vec<u8>, form: Form, fields: i16) -> TupleBuffer {
        let mut buffer = TupleBuffer { bytes, form };
        buffer.next_tuple(fields);
        buffer
    }

    /// Begins another tuple of `fields` fields in the same bytes, after a whole one.
    pub fn next_tuple(&mut self, fields: i16) {
        match self.form {
            Form::Copy => self.bytes.extend_from_slice(&fields.to_be_bytes()),
            Form::Heap => self
                .bytes
                .extend_from_slice(&i32::from(fields).to_ne_bytes()),
        }
    }

    /// Appends NULL.
    pub fn null(&mut self) {
        let word = match self.form {
            Form::Copy => (-1i32).to_be_bytes(),
            Form::Heap => [0; 4],
        };
        self.bytes.extend_from_slice(&word);
    }

    /// Appends a field of these bytes.
    ///
    /// # Errors
    /// [`Reason::Constraint`] beyond 1 GB.
    pub fn field(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        self.field_parts(&[bytes])
    }

    /// Appends one field made of several parts.
    ///
    /// # Errors
    /// [`Reason::Constraint`] beyond 1 GB.
    pub fn field_parts(&mut self, parts: &[&[u8]]) -> Result<(), Rejection> {
        let length = parts.iter().map(|part| part.len()).sum();
        self.bytes
            .extend_from_slice(&header_word(self.form, length)?);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.end_field();
        Ok(())
    }

    /// Appends a `jsonb` field of valid JSON text.
    ///
    /// # Errors
    /// [`Reason::BadContent`] if `jsonb` cannot hold it, which the mapping has seen to; [`Reason::Constraint`] beyond 1 GB.
    pub fn jsonb(&mut self, text: &str) -> Result<(), Rejection> {
        if self.form == Form::Copy {
            // jsonb_recv: a version byte, always 1, before the text.
            return self.field_parts(&[&[1], text.as_bytes()]);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        jsonb::append(text, &mut self.bytes)
            .ok_or_else(|| Rejection::new(Reason::BadContent, "a value does not fit jsonb"))?;
        let header = header_word(self.form, self.bytes.len() - start - 4)?;
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&header);
        }
        self.end_field();
        Ok(())
    }

    fn end_field(&mut self) {
        if self.form == Form::Heap {
            let end = self.bytes.len().next_multiple_of(4);
            self.bytes.resize(end, 0);
        }
    }

    /// The tuple's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What stands before a field of `length` bytes.
fn header_word(form: Form, length: usize) -> Result<[u8; 4], Rejection> {
    match form {
        Form::Copy => field::length_word(length),
        Form::Heap => {
            varlena::header(length.saturating_add(4)).ok_or_else(|| field::too_long(length))
        }
    }
}

/// Appends the embedding, the last field, to a tuple.
///
/// # Errors
/// As [`check_vector`](super::check_vector); then nothing is appended.
pub fn vector_field(
    values: &[f32],
    ty: VectorType,
    form: Form,
    tuple: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let start = tuple.len();
    tuple.extend_from_slice(&header_word(form, ty.bytes(values.len()))?);
    let appended = append_vector(values, ty, form, tuple);
    if appended.is_err() {
        tuple.truncate(start);
    } else if form == Form::Heap {
        tuple.resize(tuple.len().next_multiple_of(4), 0);
    }
    appended
}

fn field_count(columns: usize) -> Result<i16, Rejection> {
    i16::try_from(columns)
        .map_err(|_| Rejection::new(Reason::Constraint, "the table has too many columns"))
}

/// Appends the content row's tuple without its last field, the embedding, to `into`; nothing if it fails.
///
/// `key` and `user` are spelled by [`canonical_key`](super::canonical_key) for their columns.
///
/// # Errors
/// What a column's type cannot hold.
pub fn content_tuple(
    row: &ContentRow<'_>,
    key: &str,
    user: Option<&str>,
    columns: &[Column<ContentColumn>],
    form: Form,
    into: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let (start, count) = (into.len(), field_count(columns.len())?);
    let mut out = TupleBuffer::behind(std::mem::take(into), form, count);
    let written = content_fields(row, key, user, columns, &mut out);
    *into = out.into_bytes();
    if written.is_err() {
        into.truncate(start);
    }
    written
}

fn content_fields(
    row: &ContentRow<'_>,
    key: &str,
    user: Option<&str>,
    columns: &[Column<ContentColumn>],
    out: &mut TupleBuffer,
) -> Result<(), Rejection> {
    let text = |out: &mut TupleBuffer, value: Option<&str>| match value {
        Some(value) => out.field(value.as_bytes()),
        None => {
            out.null();
            Ok(())
        }
    };
    for &Column { column, ty } in columns {
        let list = |out: &mut TupleBuffer, value: &Option<String>| match value {
            Some(value) => field::json(out, ty, value),
            None => {
                out.null();
                Ok(())
            }
        };
        let time = |out: &mut TupleBuffer, value: Option<i64>| match value {
            Some(value) => field::time(out, ty, value),
            None => {
                out.null();
                Ok(())
            }
        };
        match column {
            ContentColumn::ChromaCollection => text(out, Some(&row.chroma_collection))?,
            ContentColumn::Id => field::key(out, ty, key, Reason::BadId)?,
            ContentColumn::UserId => match user {
                Some(user) => field::key(out, ty, user, Reason::BadUserId)?,
                None => out.null(),
            },
            ContentColumn::Title => text(out, Some(&row.title))?,
            ContentColumn::ContentType => text(out, Some(&row.content_type))?,
            ContentColumn::Mode => text(out, Some(&row.mode))?,
            ContentColumn::Summary => text(out, row.summary.as_deref())?,
            ContentColumn::Topics => list(out, &row.topics)?,
            ContentColumn::Tags => list(out, &row.tags)?,
            ContentColumn::Collections => list(out, &row.collections)?,
            ContentColumn::SourceUrl => text(out, row.source_url.as_deref())?,
            ContentColumn::HasTranscript => out.field(&[u8::from(row.has_transcript)])?,
            ContentColumn::FullContent => field::json(out, ty, &row.full_content)?,
            ContentColumn::FileSizeBytes => match row.file_size_bytes {
                Some(bytes) => field::count(out, ty, bytes)?,
                None => out.null(),
            },
            ContentColumn::SearchableText => text(out, Some(&row.searchable_text))?,
            ContentColumn::Metadata => field::json(out, ty, &row.metadata)?,
            ContentColumn::Uri => text(out, row.uri)?,
            ContentColumn::CreatedAt => time(out, row.created_at)?,
            ContentColumn::UpdatedAt => time(out, row.updated_at)?,
            ContentColumn::Embedding => {}
        }
    }
    Ok(())
}

/// An entity row's tuple without its last field, the embedding.
///
/// `key` is the content row's, spelled for the column `content_id`.
///
/// # Errors
/// What a column's type cannot hold.
pub fn entity_tuple(
    entity: &EntityRow,
    content: &ContentRow<'_>,
    key: &str,
    user: Option<&str>,
    columns: &[Column<EntityColumn>],
) -> Result<Vec<u8>, Rejection> {
    let mut out = TupleBuffer::new(field_count(columns.len())?);
    for &Column { column, ty } in columns {
        match column {
            EntityColumn::ChromaCollection => out.field(content.chroma_collection.as_bytes())?,
            EntityColumn::UserId => match user {
                Some(user) => field::key(&mut out, ty, user, Reason::BadUserId)?,
                None => out.null(),
            },
            EntityColumn::ContentId => field::key(&mut out, ty, key, Reason::BadId)?,
            EntityColumn::Name => out.field(entity.name.as_bytes())?,
            EntityColumn::Type => match &entity.kind {
                Some(kind) => out.field(kind.as_bytes())?,
                None => out.null(),
            },
            EntityColumn::CreatedAt => match content.created_at {
                Some(micros) => field::time(&mut out, ty, micros)?,
                None => out.null(),
            },
            EntityColumn::Embedding => {}
        }
    }
    Ok(out.into_bytes())
}
