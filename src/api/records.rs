//! `chroma_records`: Chroma as a table.

use std::sync::Arc;

use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use pgrx::prelude::*;
use vector_migrate_core::pipeline::{self, Shown, ShownBatch, ShownRecord};
use vector_migrate_core::record::Collection;
use vector_migrate_core::source::Source as _;

use crate::error::Error;
use crate::image::{Jsonb, Reals};
use crate::jsonb::JsonbText;
use crate::message::warning;
use crate::reader::{self, Reader};
use crate::run;
use crate::{access, guc};

/// Records as they come from the reader's thread.
struct Records {
    reader: Reader<ShownBatch>,
    collections: Arc<Vec<Collection>>,
    lines: std::vec::IntoIter<Shown>,
}

impl Records {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        loop {
            if let Some(next) = self.lines.next() {
                return self.row(next);
            }
            match reader::next(&mut self.reader)? {
                Some(ShownBatch { lines, notices }) => {
                    for notice in notices {
                        warning!("{notice}");
                    }
                    self.lines = lines.into_iter();
                }
                None => return Ok(None),
            }
        }
    }

    fn row(&self, shown: Shown) -> Result<Option<Row>, Error> {
        let of = |index: usize| self.collections.get(index);
        match shown {
            Shown::Record(line) => Ok(of(line.collection).map(|collection| row(collection, line))),
            Shown::TooLarge { collection, id } => Err(Error::RecordTooLarge {
                record: id,
                collection: of(collection).map_or_else(String::new, Collection::qualified_name),
            }),
        }
    }
}

/// Every record of the Chroma persist directory at `path`, in Chroma's own order, vectors bit for bit where
/// Chroma kept them so. `collection`: only this one; `filter`: only records that Chroma's `where` finds, or, without an
/// operator, whose metadata contains it.
///
/// U+0000, which PostgreSQL's texts cannot hold, is shown as U+FFFD; one WARNING counts such records and names the first.
#[pg_extern(volatile, parallel_unsafe)]
fn chroma_records(
    path: Option<&str>,
    collection: default!(Option<&str>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(tenant, String),
            name!(database, String),
            name!(collection, String),
            name!(id, String),
            name!(document, Option<String>),
            name!(uri, Option<String>),
            name!(metadata, Option<Jsonb>),
            name!(embedding, Option<Reals>),
            name!(created_at, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let filter = filter.map(|json| run::parse_filter(&json.0)).transpose()?;
    let place = access::check(path)?;
    let reader::Opened { store, stop, .. } = reader::open(place)?;
    for warning in store.warnings() {
        warning!("{warning}");
    }
    let shown = store.directory().display().to_string();
    let chosen = Arc::new(run::choose(&shown, store.collections(), collection)?);
    let for_thread = chosen.clone();
    let batch_bytes =
        usize::try_from(guc::batch_bytes().min(guc::max_memory_bytes() / 4)).unwrap_or(0);
    let reader = reader::start(stop, move |sender| {
        let filter = filter.as_ref();
        let mut last = pipeline::show(&store, &for_thread, filter, batch_bytes, &sender)?;
        last.notices.extend(store.take_notices());
        // A writer need not wait for the last batch to be taken.
        drop(store);
        sender.send(last);
        Ok(())
    })?;
    let mut records = Records {
        reader,
        collections: chosen,
        lines: Vec::new().into_iter(),
    };
    Ok(TableIterator::new(std::iter::from_fn(move || {
        // An iterator cannot return an error: raised here, inside pgrx's guard.
        records.next().map_err(ErrorReport::from).unwrap_or_report()
    })))
}

type Row = (
    String,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<Jsonb>,
    Option<Reals>,
    Option<TimestampWithTimeZone>,
);

fn row(collection: &Collection, line: ShownRecord) -> Row {
    (
        collection.tenant.clone(),
        collection.database.clone(),
        collection.name.clone(),
        line.id,
        line.document,
        line.uri,
        line.metadata.map(Jsonb),
        line.embedding.map(Reals),
        line.created_at.and_then(timestamp),
    )
}

/// Microseconds since 1970-01-01 as PostgreSQL's type, which counts from 2000-01-01.
fn timestamp(micros: i64) -> Option<TimestampWithTimeZone> {
    micros.checked_sub(946_684_800_000_000)?.try_into().ok()
}
