//! The producer of `chroma_records`: records with their values as the server keeps them.
//!
//! Promise: nothing is cut; a record that is too large comes as one that is not shown, and what PostgreSQL's texts cannot hold
//! is replaced and counted.

use std::ops::ControlFlow;

use super::worker::{Outbox, Sender};
use crate::encode::{JsonbImage, RealsImage};
use crate::filter::Filter;
use crate::map::metadata_json;
use crate::nul::NulCharacters;
use crate::record::{Collection, Record};
use crate::source::{Consumer, Source, SourceError};

/// A record, ready to be shown.
#[derive(Debug)]
pub struct ShownRecord {
    /// Index into the collections.
    pub collection: usize,
    /// The record's id.
    pub id: String,
    /// The document.
    pub document: Option<String>,
    /// The uri.
    pub uri: Option<String>,
    /// The metadata; `None` for a record without any, which Chroma never keeps as an empty object.
    pub metadata: Option<JsonbImage>,
    /// The vector.
    pub embedding: Option<RealsImage>,
    /// Microseconds since 1970-01-01 UTC.
    pub created_at: Option<i64>,
}

/// What comes of a record.
#[derive(Debug)]
pub enum Shown {
    /// All of it.
    Record(ShownRecord),
    /// Nothing: its metadata or its vector are more than a value can be.
    TooLarge {
        /// Index into the collections.
        collection: usize,
        /// The record's id.
        id: String,
    },
}

/// Records of a store in their order, and what there is to say about it at the end.
#[derive(Debug, Default)]
pub struct ShownBatch {
    /// The records.
    pub lines: Vec<Shown>,
    /// Sentences for the user.
    pub notices: Vec<String>,
}

/// Reads `collections` and hands the records over that `filter` matches, in batches of `limit` bytes; gives
/// the last batch back, for a caller that wants to close the source before it waits for room again. Damaged records
/// are left out; the source's notices count them.
///
/// # Errors
/// What the source refuses. A consumer that is gone is not an error.
pub fn show(
    source: &dyn Source,
    collections: &[Collection],
    filter: Option<&Filter>,
    limit: usize,
    sender: &Sender<ShownBatch>,
) -> Result<ShownBatch, SourceError> {
    let mut batches = RecordProducer {
        index: 0,
        filter,
        wanted: false,
        limit,
        lines: Vec::new(),
        bytes: 0,
        name: String::new(),
        replaced: None,
        outbox: Outbox::new(sender),
    };
    for (index, collection) in collections.iter().enumerate() {
        batches.index = index;
        batches.name = collection.qualified_name();
        source.feed(collection, &mut batches)?;
    }
    Ok(ShownBatch {
        lines: batches.lines,
        notices: batches
            .replaced
            .into_iter()
            .map(|it| it.sentence())
            .collect(),
    })
}

/// Records of which not every character could be shown.
struct Replaced {
    records: u64,
    /// The first one's id, as it is shown, and its collection.
    first: (String, String),
}

impl Replaced {
    fn sentence(&self) -> String {
        let (id, collection) = &self.first;
        format!(
            "{} record{} U+0000, which PostgreSQL's texts cannot hold: U+FFFD is shown in its place (first: {id:?} of collection \
             {collection:?})",
            self.records,
            if self.records == 1 { " has" } else { "s have" },
        )
    }
}

/// Records on their way to the backend, in batches.
struct RecordProducer<'a> {
    index: usize,
    filter: Option<&'a Filter>,
    /// The record to come has the metadata that was asked for.
    wanted: bool,
    limit: usize,
    lines: Vec<Shown>,
    bytes: usize,
    /// The collection's qualified name.
    name: String,
    replaced: Option<Replaced>,
    outbox: Outbox<'a, ShownBatch>,
}

impl Consumer for RecordProducer<'_> {
    fn wants_vector(&mut self, record: &Record) -> bool {
        self.wanted = self.filter.is_none_or(|filter| filter.matches(record));
        self.wanted
    }

    fn take(&mut self, mut record: Record) -> ControlFlow<()> {
        if record.damage.is_some() || !self.wanted {
            return ControlFlow::Continue(());
        }
        if NulCharacters::Replace.clean(&mut record) {
            let first = || (record.id.clone(), self.name.clone());
            let replaced = self.replaced.get_or_insert_with(|| Replaced {
                records: 0,
                first: first(),
            });
            replaced.records += 1;
        }
        let shown = shown(self.index, record);
        self.bytes = self.bytes.saturating_add(bytes(&shown));
        self.lines.push(shown);
        if self.bytes >= self.limit {
            self.bytes = 0;
            self.outbox.put(ShownBatch {
                lines: std::mem::take(&mut self.lines),
                notices: Vec::new(),
            });
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

/// What a record takes in memory, about.
fn bytes(shown: &Shown) -> usize {
    let Shown::Record(line) = shown else {
        return 256;
    };
    let texts = [&line.document, &line.uri].into_iter().flatten();
    let metadata = line.metadata.as_ref().map_or(0, |it| it.bytes().len());
    let embedding = line.embedding.as_ref().map_or(0, |it| it.bytes().len());
    256 + line.id.len() + texts.map(String::len).sum::<usize>() + metadata + embedding
}

fn shown(collection: usize, record: Record) -> Shown {
    match values(&record) {
        Some((metadata, embedding)) => Shown::Record(ShownRecord {
            collection,
            id: record.id,
            document: record.document,
            uri: record.uri,
            metadata,
            embedding,
            created_at: record.created_at,
        }),
        None => Shown::TooLarge {
            collection,
            id: record.id,
        },
    }
}

type Images = (Option<JsonbImage>, Option<RealsImage>);

/// Metadata and vector; `None` if one of them is too large.
fn values(record: &Record) -> Option<Images> {
    let metadata = match record.metadata.is_empty() {
        true => None,
        false => Some(JsonbImage::of(&metadata_json(&record.metadata))?),
    };
    let embedding = match &record.vector {
        None => None,
        Some(vector) => Some(RealsImage::of(&vector.values)?),
    };
    Some((metadata, embedding))
}
