//! Rows as tuples, the embedding left for the end.

use super::buffer::TupleBuffer;
use super::column::{Column, ContentColumn, EntityColumn};
use super::field;
use crate::map::{ContentRow, EntityRow};
use crate::reason::{Reason, Rejection};

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
    into: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let start = into.len();
    let mut out = TupleBuffer::behind(std::mem::take(into));
    out.begin(columns.len());
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
            ContentColumn::ChromaCollection => out.text(Some(row.chroma_collection))?,
            ContentColumn::Id => field::key(out, ty, key, Reason::BadId)?,
            ContentColumn::UserId => match user {
                Some(user) => field::key(out, ty, user, Reason::BadUserId)?,
                None => out.null(),
            },
            ContentColumn::Title => out.text(Some(&row.title))?,
            ContentColumn::ContentType => out.text(Some(&row.content_type))?,
            ContentColumn::Mode => out.text(Some(&row.mode))?,
            ContentColumn::Summary => out.text(row.summary.as_deref())?,
            ContentColumn::Topics => list(out, &row.topics)?,
            ContentColumn::Tags => list(out, &row.tags)?,
            ContentColumn::Collections => list(out, &row.collections)?,
            ContentColumn::SourceUrl => out.text(row.source_url.as_deref())?,
            ContentColumn::HasTranscript => out.field(&[u8::from(row.has_transcript)])?,
            ContentColumn::FullContent => field::json(out, ty, &row.full_content)?,
            ContentColumn::FileSizeBytes => match row.file_size_bytes {
                Some(bytes) => field::count(out, ty, bytes)?,
                None => out.null(),
            },
            ContentColumn::SearchableText => out.text(Some(&row.searchable_text))?,
            ContentColumn::Metadata => field::json(out, ty, &row.metadata)?,
            ContentColumn::Uri => out.text(row.uri)?,
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
    let mut out = TupleBuffer::behind(Vec::with_capacity(256));
    out.begin(columns.len());
    for &Column { column, ty } in columns {
        match column {
            EntityColumn::ChromaCollection => out.field(content.chroma_collection.as_bytes())?,
            EntityColumn::UserId => match user {
                Some(user) => field::key(&mut out, ty, user, Reason::BadUserId)?,
                None => out.null(),
            },
            EntityColumn::ContentId => field::key(&mut out, ty, key, Reason::BadId)?,
            EntityColumn::Name => out.field(entity.name.as_bytes())?,
            EntityColumn::Type => out.text(entity.kind.as_deref())?,
            EntityColumn::CreatedAt => match content.created_at {
                Some(micros) => field::time(&mut out, ty, micros)?,
                None => out.null(),
            },
            EntityColumn::Embedding => {}
        }
    }
    Ok(out.into_bytes())
}
