//! The producer of `migrate_chroma`: records in, encoded rows and rejections out.

use std::ops::ControlFlow;

use super::worker::{Outbox, Sender};
use crate::encode::{
    Column, ColumnType, ContentColumn, EntityColumn, VectorType, canonical_key, content_tuple,
    encode_vector, entity_tuple,
};
use crate::map::filter::Filter;
use crate::map::{ContentRow, Owner, Shape, map_record, owner_of};
use crate::reason::{Reason, Rejection};
use crate::record::{Collection, Grade, Record};
use crate::source::{Consumer, Source, SourceError};

/// Where vectors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The store's vector; where it has none, the text is embedded if there is a model.
    Auto,
    /// The store's vectors only.
    Stored,
    /// Every text is embedded; the store's vectors are not read.
    Generate,
}

/// What the rows shall look like and which records are wanted.
#[derive(Debug)]
pub struct Plan {
    /// The collections to read, in order.
    pub collections: Vec<Collection>,
    /// The content target's columns, the embedding last.
    pub content: Vec<Column<ContentColumn>>,
    /// The entity target's columns, the embedding last; empty when no entities are wanted.
    pub entity: Vec<Column<EntityColumn>>,
    /// The content target's embedding column.
    pub vector: VectorType,
    /// Where vectors come from.
    pub mode: Mode,
    /// Whether a missing vector can be embedded (in [`Mode::Auto`]).
    pub has_model: bool,
    /// Only this user's records; spelled by [`canonical_key`].
    pub user: Option<String>,
    /// Who owns records without a `user_id`.
    pub default_user: Option<String>,
    /// Records without an owner are wanted, with a NULL `user_id`.
    pub keep_orphans: bool,
    /// Only records whose metadata contains this.
    pub filter: Option<Filter>,
    /// A batch is handed over when it holds this many bytes.
    pub batch_bytes: usize,
}

/// An entity row: its tuple without the embedding, and the text to embed.
#[derive(Debug)]
pub struct EntityTuple {
    /// The tuple without its last field.
    pub tuple: Vec<u8>,
    /// What to embed.
    pub text: String,
}

/// A record that is ready for the target, but for an embedding perhaps.
#[derive(Debug)]
pub struct Row {
    /// Index into [`Plan::collections`].
    pub collection: usize,
    /// The record's id in Chroma.
    pub record_id: String,
    /// The id as the target's column spells it.
    pub key: String,
    /// The owner as the target's column spells it.
    pub user: Option<String>,
    /// The content tuple without its last field.
    pub tuple: Vec<u8>,
    /// The vector in binary; `None`: embed `text`.
    pub vector: Option<Vec<u8>>,
    /// The store's vector was multiplied back by its length.
    pub restored: bool,
    /// The record changed after the last state of its vector that the store still has.
    pub stale: bool,
    /// The store has no vector for the record.
    pub missing: bool,
    /// What to embed; empty if there is a vector.
    pub text: String,
    /// The entity rows.
    pub entities: Vec<EntityTuple>,
}

/// What the reader found.
#[derive(Debug)]
pub enum Item {
    /// A record to migrate.
    Row(Row),
    /// A record that cannot or shall not be migrated.
    Rejected {
        /// Index into [`Plan::collections`].
        collection: usize,
        /// The record's id.
        record_id: String,
        /// Its owner, as far as known.
        user: Option<String>,
        /// The store has no vector for the record.
        missing: bool,
        /// Why.
        rejection: Rejection,
    },
    /// Something about the store that a person should know.
    Warning(String),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Item::Row(row) => {
                let entities: usize = row
                    .entities
                    .iter()
                    .map(|e| e.tuple.len() + e.text.len() + 64)
                    .sum();
                row.tuple.len()
                    + row.vector.as_ref().map_or(0, Vec::len)
                    + row.text.len()
                    + 2 * row.record_id.len()
                    + entities
                    + 256
            }
            Item::Rejected {
                record_id,
                rejection,
                ..
            } => record_id.len() + rejection.message.len() + 128,
            Item::Warning(text) => text.len(),
        }
    }
}

/// Reads every collection of the plan and hands items over in batches; gives the last one back, for a caller that
/// wants to close the source before it waits for room again.
///
/// # Errors
/// What the source refuses. A consumer that is gone is not an error.
pub fn run(
    source: &dyn Source,
    plan: &Plan,
    sender: &Sender<Vec<Item>>,
) -> Result<Vec<Item>, SourceError> {
    let mut batches = Batches {
        plan,
        index: 0,
        batch: Vec::new(),
        bytes: 0,
        outbox: Outbox::new(sender),
    };
    for (index, collection) in plan.collections.iter().enumerate() {
        batches.index = index;
        source.feed(collection, &mut batches)?;
        if batches.outbox.gone() {
            break;
        }
    }
    Ok(batches.batch)
}

/// Items of records, in batches of [`Plan::batch_bytes`].
struct Batches<'a> {
    plan: &'a Plan,
    index: usize,
    batch: Vec<Item>,
    bytes: usize,
    outbox: Outbox<'a, Vec<Item>>,
}

impl Consumer for Batches<'_> {
    fn take(&mut self, record: Record) -> ControlFlow<()> {
        let Some(collection) = self.plan.collections.get(self.index) else {
            return ControlFlow::Break(());
        };
        if let Some(item) = self.plan.item(self.index, collection, record) {
            self.bytes += item.bytes();
            self.batch.push(item);
            if self.bytes >= self.plan.batch_bytes {
                self.bytes = 0;
                self.outbox.put(std::mem::take(&mut self.batch));
            }
        }
        if self.outbox.gone() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn ready(&mut self) -> bool {
        self.outbox.ready()
    }
}

impl Plan {
    /// The item that `record` becomes; `None` if the caller did not ask for it.
    fn item(&self, index: usize, collection: &Collection, record: Record) -> Option<Item> {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.matches(&record.metadata))
        {
            return None;
        }
        let (user, problem) = self.owner(&record);
        if let Some(wanted) = &self.user
            && (problem.is_some() || user.as_ref() != Some(wanted))
        {
            return None;
        }
        let missing = record.vector.is_none();
        let row = match problem {
            Some(rejection) => Err(rejection),
            None => self.row(index, collection, &record, user.as_deref()),
        };
        Some(match row {
            Ok(row) => Item::Row(row),
            Err(rejection) => Item::Rejected {
                collection: index,
                record_id: record.id,
                user,
                missing,
                rejection,
            },
        })
    }

    /// The owner as the column spells it, or the raw one with what is wrong about it.
    fn owner(&self, record: &Record) -> (Option<String>, Option<Rejection>) {
        match owner_of(record, self.default_user.as_deref()) {
            Owner::Known(raw) => match canonical_key(self.user_type(), &raw) {
                Ok(user) => (Some(user), None),
                Err(why) => (
                    Some(raw),
                    Some(Rejection::new(Reason::BadUserId, format!("user_id {why}"))),
                ),
            },
            Owner::None if self.keep_orphans => (None, None),
            Owner::None => (
                None,
                Some(Rejection::new(
                    Reason::NoUserId,
                    "the record's metadata has no user_id",
                )),
            ),
            Owner::Bad(why) => (None, Some(Rejection::new(Reason::BadUserId, why))),
        }
    }

    fn user_type(&self) -> ColumnType {
        self.column_type(ContentColumn::UserId)
    }

    fn column_type(&self, wanted: ContentColumn) -> ColumnType {
        self.content
            .iter()
            .find(|column| column.column == wanted)
            .map_or(ColumnType::Text, |column| column.ty)
    }

    fn row(
        &self,
        index: usize,
        collection: &Collection,
        record: &Record,
        user: Option<&str>,
    ) -> Result<Row, Rejection> {
        let key =
            canonical_key(self.column_type(ContentColumn::Id), &record.id).map_err(|why| {
                let reason = if record.id.contains('\0') {
                    Reason::BadText
                } else {
                    Reason::BadId
                };
                Rejection::new(reason, format!("id: {why}"))
            })?;
        let has_metadata = self
            .content
            .iter()
            .any(|column| column.column == ContentColumn::Metadata);
        let shape = Shape {
            has_metadata,
            wants_entities: !self.entity.is_empty(),
        };
        let content = map_record(collection, record, shape)?;
        let (vector, text) = self.vector(record, &content)?;
        let tuple = content_tuple(&content, &key, user, &self.content)?;
        let entities = content
            .entities
            .iter()
            .map(|entity| {
                let tuple = entity_tuple(entity, &content, &key, user, &self.entity)?;
                Ok(EntityTuple {
                    tuple,
                    text: entity.text.clone(),
                })
            })
            .collect::<Result<_, Rejection>>()?;
        Ok(Row {
            collection: index,
            record_id: record.id.clone(),
            key,
            user: user.map(str::to_owned),
            tuple,
            restored: vector.is_some()
                && record
                    .vector
                    .as_ref()
                    .is_some_and(|v| v.grade == Grade::Restored),
            stale: vector.is_some() && record.stale,
            missing: record.vector.is_none(),
            vector,
            text,
            entities,
        })
    }

    /// The encoded vector, or the text to embed instead.
    fn vector(
        &self,
        record: &Record,
        content: &ContentRow<'_>,
    ) -> Result<(Option<Vec<u8>>, String), Rejection> {
        if self.mode != Mode::Generate {
            if let Some(vector) = &record.vector {
                return Ok((
                    Some(encode_vector(&vector.values, self.vector)?),
                    String::new(),
                ));
            }
            if self.mode == Mode::Stored || !self.has_model {
                let why = match self.mode {
                    Mode::Stored => "the store has no vector for this record",
                    _ => {
                        "the store has no vector for this record, and no model is installed to embed it \
                         (vector_migrate.model_path)"
                    }
                };
                return Err(Rejection::new(Reason::NoVector, why));
            }
        }
        if content.searchable_text.trim().is_empty() {
            return Err(Rejection::new(
                Reason::NoText,
                "the record has no text to embed",
            ));
        }
        Ok((None, content.searchable_text.clone().into_owned()))
    }
}
