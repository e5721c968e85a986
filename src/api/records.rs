//! `chroma_records`: Chroma as a table.

use std::ops::ControlFlow;
use std::sync::Arc;

use pgrx::JsonB;
use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use pgrx::prelude::*;
use vector_migrate_core::map::filter::Filter;
use vector_migrate_core::map::metadata_json;
use vector_migrate_core::pipeline::{Outbox, Sender};
use vector_migrate_core::record::{Collection, Record};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Consumer, Source, SourceError};

use crate::error::Error;
use crate::reader::{self, Reader};
use crate::run;
use crate::{access, guc};

/// Records, each with its collection's index, and what there is to say about the store.
type Batch = (Vec<(usize, Record)>, Vec<String>);

/// Records as they come from the reader's thread.
struct Records {
    reader: Reader<Batch>,
    collections: Arc<Vec<Collection>>,
    batch: std::vec::IntoIter<(usize, Record)>,
}

impl Records {
    fn next_record(&mut self) -> Result<Option<(usize, Record)>, Error> {
        loop {
            if let Some(next) = self.batch.next() {
                return Ok(Some(next));
            }
            match reader::next(&mut self.reader)? {
                Some((batch, warnings)) => {
                    for warning in warnings {
                        warning!("{warning}");
                    }
                    self.batch = batch.into_iter();
                }
                None => return Ok(None),
            }
        }
    }
}

/// Records on their way to the backend, in batches.
struct Batches<'a> {
    index: usize,
    filter: Option<&'a Filter>,
    /// The record to come has the metadata that was asked for.
    wanted: bool,
    limit: usize,
    batch: Vec<(usize, Record)>,
    bytes: usize,
    outbox: Outbox<'a, Batch>,
}

impl Consumer for Batches<'_> {
    fn knows(&mut self, _: &str) -> bool {
        false
    }

    fn wants_vector(&mut self, record: &Record) -> bool {
        self.wanted = self
            .filter
            .is_none_or(|filter| filter.matches(&record.metadata));
        self.wanted
    }

    fn take(&mut self, record: Record) -> ControlFlow<()> {
        // The store's notice counts the damaged ones.
        if record.damage.is_some() || !self.wanted {
            return ControlFlow::Continue(());
        }
        let numbers = record
            .vector
            .as_ref()
            .map_or(0, |vector| vector.values.len());
        self.bytes += 4 * numbers + record.document.as_ref().map_or(0, String::len) + 512;
        self.batch.push((self.index, record));
        if self.bytes >= self.limit {
            self.bytes = 0;
            self.outbox
                .put((std::mem::take(&mut self.batch), Vec::new()));
        }
        match self.outbox.gone() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn ready(&mut self) -> bool {
        self.outbox.ready()
    }
}

fn produce(
    store: ChromaStore,
    collections: &[Collection],
    filter: Option<&Filter>,
    limit: usize,
    sender: &Sender<Batch>,
) -> Result<(), SourceError> {
    let mut batches = Batches {
        index: 0,
        filter,
        wanted: false,
        limit,
        batch: Vec::new(),
        bytes: 0,
        outbox: Outbox::new(sender),
    };
    for (index, collection) in collections.iter().enumerate() {
        batches.index = index;
        store.feed(collection, &mut batches)?;
    }
    let notices = store.take_notices();
    // A writer need not wait for the last batch to be taken.
    drop(store);
    sender.send((batches.batch, notices));
    Ok(())
}

/// Every record of the Chroma persist directory at `path`, in Chroma's own order, vectors bit for bit where
/// Chroma kept them so. `collection`: only this one; `filter`: only records whose metadata contains this.
///
/// A text with U+0000 is an error, as PostgreSQL cannot show it; `filter` can leave such a record out.
#[pg_extern(volatile, parallel_unsafe)]
fn chroma_records(
    path: Option<&str>,
    collection: default!(Option<&str>, "NULL"),
    filter: default!(Option<JsonB>, "NULL"),
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
            name!(metadata, Option<JsonB>),
            name!(embedding, Option<Vec<f32>>),
            name!(created_at, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let filter = filter.map(|json| run::parse_filter(&json.0)).transpose()?;
    let path = access::check(path)?;
    let reader::Opened { store, stop, .. } = reader::open(path)?;
    for warning in store.warnings() {
        warning!("{warning}");
    }
    let shown = store.directory().display().to_string();
    let chosen = Arc::new(run::choose(&shown, store.collections(), collection)?);
    let for_thread = chosen.clone();
    let batch_bytes =
        usize::try_from(guc::batch_bytes().min(guc::max_memory_bytes() / 4)).unwrap_or(0);
    let reader = reader::start(stop, move |sender| {
        produce(store, &for_thread, filter.as_ref(), batch_bytes, &sender)
    })?;
    let mut records = Records {
        reader,
        collections: chosen,
        batch: Vec::new().into_iter(),
    };
    Ok(TableIterator::new(std::iter::from_fn(move || {
        // An iterator cannot return an error: raised here, inside pgrx's guard.
        let next = records.next_record().map_err(ErrorReport::from);
        let (index, record) = next.unwrap_or_report()?;
        let collection = records.collections.get(index)?.clone();
        let row = row(collection, record).map_err(ErrorReport::from);
        Some(row.unwrap_or_report())
    })))
}

type Row = (
    String,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<JsonB>,
    Option<Vec<f32>>,
    Option<TimestampWithTimeZone>,
);

fn row(collection: Collection, record: Record) -> Result<Row, Error> {
    let text = metadata_json(&record.metadata);
    let metadata = serde_json::from_str(&text).map_err(|e| Error::Bug(e.to_string()))?;
    let texts = [
        Some(&record.id),
        record.document.as_ref(),
        record.uri.as_ref(),
    ];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) || holds_nul(&metadata) {
        return Err(Error::NulInText {
            record: record.id.replace('\0', "\u{2400}"),
            collection: collection.qualified_name(),
        });
    }
    // As in Chroma, where a record without metadata has none, and never an empty one.
    let metadata = (!record.metadata.is_empty()).then_some(JsonB(metadata));
    Ok((
        collection.tenant,
        collection.database,
        collection.name,
        record.id,
        record.document,
        record.uri,
        metadata,
        record.vector.map(|vector| vector.values),
        record.created_at.and_then(timestamp),
    ))
}

/// Whether a key or text has the character itself; `\u0000` within JSON that is kept as text is harmless.
fn holds_nul(json: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object, String};
    match json {
        String(text) => text.contains('\0'),
        Array(values) => values.iter().any(holds_nul),
        Object(entries) => entries
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// Microseconds since 1970-01-01 as PostgreSQL's type, which counts from 2000-01-01.
fn timestamp(micros: i64) -> Option<TimestampWithTimeZone> {
    micros.checked_sub(946_684_800_000_000)?.try_into().ok()
}
