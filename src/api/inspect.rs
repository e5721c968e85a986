//! `chroma_collections` and `chroma_store`: what a store holds, without touching a table.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{JsonB, Uuid};
use vector_migrate_core::map::metadata_json;
use vector_migrate_core::record::{Collection, Inventory};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Source, SourceError};
use vector_migrate_core::survey::{Survey, survey};

use super::bigint;
use crate::error::Error;
use crate::message::warning;
use crate::{access, reader};

/// Opens the store at `path` on a thread of its own, has `look` look at it there, and waits for the
/// answer, obeying interrupts.
fn look_at<T: Send + 'static>(
    path: Option<&str>,
    look: impl FnOnce(&ChromaStore) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, Error> {
    let place = access::check(path)?;
    let stop = Arc::new(AtomicBool::new(false));
    let options = reader::options(stop.clone());
    let mut answers = reader::start(stop, move |sender| {
        let store = ChromaStore::open_with(place, options)?;
        let answer = look(&store)?;
        sender.send((answer, store.take_notices()));
        Ok(())
    })?;
    let (answer, notices) = reader::next(&mut answers)?
        .ok_or_else(|| Error::Bug("the reader's thread gave no answer".into()))?;
    reader::end(answers);
    for notice in notices {
        warning!("{notice}");
    }
    Ok(answer)
}

/// One row a collection of the Chroma persist directory at `path`, ordered by tenant, database and name.
///
/// `queued`: writes that are still only in Chroma's queue. `vectors`: records that have a usable one, which is
/// `exact` (bit for bit what Chroma was given) or `restored` (cosine: kept normalised, multiplied back).
/// `missing`: records for which the store has none. `stale`: of `vectors`, those that may be older than the rest
/// of their record. `metadata_keys`: the metadata keys of the live records, each with the types of its values and how
/// many records have one (`{"page": {"int": 9, "float": 1}, "tags": {"string[]": 4}}`; `string`, `int`, `float`, `bool`
/// and arrays of them), without Chroma's own keys and with U+FFFD in the place of U+0000; NULL where no record has
/// metadata. Of more than 200 keys the 200 of most records are shown, and a last member `"..."` says in a sentence how many
/// there are besides; of 10,000 different ones no further is counted.
#[pg_extern(volatile, parallel_unsafe)]
fn chroma_collections(
    path: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(tenant, String),
            name!(database, String),
            name!(collection, String),
            name!(id, Option<Uuid>),
            name!(dimension, Option<i32>),
            name!(space, String),
            name!(records, i64),
            name!(vectors, i64),
            name!(documents, i64),
            name!(users, i64),
            name!(queued, i64),
            name!(configuration, Option<JsonB>),
            name!(metadata, Option<JsonB>),
            name!(exact, i64),
            name!(restored, i64),
            name!(missing, i64),
            name!(stale, i64),
            name!(metadata_keys, Option<JsonB>),
        ),
    >,
    ErrorReport,
> {
    let (found, warnings): (Vec<(Collection, Inventory)>, _) = look_at(path, |store| {
        let counted =
            |collection: &Collection| Ok((collection.clone(), store.inventory(collection)?));
        let rows = store.collections().iter().map(counted);
        Ok((rows.collect::<Result<_, _>>()?, store.warnings().to_vec()))
    })?;
    for warning in warnings {
        warning!("{warning}");
    }
    let rows = found.into_iter().map(|(collection, counts)| {
        // As in Chroma: no metadata is none, and never an empty one.
        let metadata = (!collection.metadata.is_empty())
            .then(|| serde_json::from_str(&metadata_json(&collection.metadata)).unwrap_or_default())
            .map(JsonB);
        let configuration = Some(collection.configuration).filter(|json| !json.is_null());
        (
            collection.tenant,
            collection.database,
            collection.name,
            uuid(&collection.id),
            collection.dimension.and_then(|n| i32::try_from(n).ok()),
            collection.space.to_string(),
            bigint(counts.records),
            bigint(counts.vectors),
            bigint(counts.documents),
            bigint(counts.users),
            bigint(counts.queued),
            configuration.map(JsonB),
            metadata,
            bigint(counts.exact),
            bigint(counts.restored),
            bigint(counts.missing),
            bigint(counts.stale),
            counts.metadata_keys.to_json().map(JsonB),
        )
    });
    Ok(TableIterator::new(rows))
}

/// A uuid's text as the type; `None` if it is none.
fn uuid(text: &str) -> Option<Uuid> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| digits.len() == 32)?;
    Some(Uuid::from_bytes(number.to_be_bytes()))
}

/// One row about the Chroma persist directory at `path` as a whole. Sizes are in bytes, counts those of the live
/// records, after the queue's newer writes.
///
/// `schema_version` and `written_by`: the versions of Chroma's three schemas, and the releases that have them.
/// `queued`: writes that are still only in Chroma's queue. `free_pages`: pages of the SQLite file that hold nothing.
/// `orphan_segments`: folders of deleted collections. `document_characters`: Unicode characters of all documents.
/// `estimated_rows`: content and entity rows that `migrate_chroma(path)` would write into new tables: of a collection in which
/// no record names an owner all records, of the others those that name one.
/// `estimated_bytes`: heap, TOAST and indexes of these rows, in tables of their own for each dimension; how they are estimated is said in
/// `vector_migrate_core::survey`. The last three are NULL if the records cannot be read at all, as `warnings` then
/// says; damaged records do not count in them.
#[pg_extern(volatile, parallel_unsafe)]
fn chroma_store(
    path: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(schema_version, String),
            name!(written_by, String),
            name!(sqlite_bytes, i64),
            name!(segment_bytes, i64),
            name!(tenants, i32),
            name!(databases, i32),
            name!(collections, i32),
            name!(records, i64),
            name!(queued, i64),
            name!(orphan_segments, i32),
            name!(orphan_bytes, i64),
            name!(page_size, i32),
            name!(free_pages, i64),
            name!(document_characters, Option<i64>),
            name!(estimated_rows, Option<i64>),
            name!(estimated_bytes, Option<i64>),
            name!(warnings, Vec<String>),
        ),
    >,
    ErrorReport,
> {
    let int = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
    let Survey { store, size } = look_at(path, survey)?;
    Ok(TableIterator::once((
        store.schema_version,
        store.written_by,
        bigint(store.sqlite_bytes),
        bigint(store.segment_bytes),
        int(store.tenants),
        int(store.databases),
        int(store.collections),
        bigint(store.records),
        bigint(store.queued),
        int(store.orphan_segments),
        bigint(store.orphan_bytes),
        int(store.page_size),
        bigint(store.free_pages),
        size.map(|size| bigint(size.document_characters)),
        size.map(|size| bigint(size.content_rows.saturating_add(size.entity_rows))),
        size.map(|size| bigint(size.bytes)),
        store.warnings,
    )))
}
