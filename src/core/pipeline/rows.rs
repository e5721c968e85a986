//! Records as encoded rows, and as rejections. `feeding` drives it, `known` tells what the target has.

use std::borrow::Cow;
use std::ops::Range;

use super::known::Look;
use super::pool::Pool;
use crate::encode::{
    Column, ColumnType, ContentColumn, EntityColumn, VectorType, canonical_key, check_vector,
    content_tuple, entity_tuple, vector_field,
};
use crate::key::Key;
use crate::map::filter::Filter;
use crate::map::{ContentRow, Owner, Shape, map_record, owner_of};
use crate::reason::{Reason, Rejection};
use crate::record::{Collection, Grade, Record};
use crate::sample::{Pair, Sampling};
use crate::seen::{KnownKeys, RowKeys};

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
    /// What makes two rows one.
    pub row_keys: RowKeys,
    /// The keys that the target has, where they are known beforehand.
    pub known: Option<KnownKeys>,
    /// Records that the target has are to be overwritten: they are mapped, too.
    pub overwrites: bool,
    /// Any damage counts: all of the store is read, also what is not needed.
    pub strict: bool,
    /// Which texts to hand over with their stored vectors, to be compared with a model's; `None`: none.
    pub sampling: Option<Sampling>,
    /// A batch is handed over when it holds this many bytes.
    pub batch_bytes: usize,
    /// Where the batches' buffers come from; the consumer gives them back.
    pub pool: Pool,
}

impl Plan {
    /// A run into an empty target that takes every record with an owner and its stored vector, and no entities.
    pub fn stored(
        collections: Vec<Collection>,
        content: Vec<Column<ContentColumn>>,
        batch_bytes: usize,
    ) -> Plan {
        Plan {
            collections,
            content,
            entity: Vec::new(),
            vector: VectorType {
                half: false,
                dimension: None,
            },
            mode: Mode::Stored,
            has_model: false,
            user: None,
            default_user: None,
            keep_orphans: false,
            filter: None,
            row_keys: RowKeys::new(true, false),
            known: None,
            overwrites: false,
            strict: false,
            sampling: None,
            batch_bytes,
            pool: Pool::default(),
        }
    }
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
    /// Two rows with this key take one place in the target.
    pub place: Key,
    /// The target has the key; `None`: not known.
    pub exists: Option<bool>,
    /// Where in [`Batch::tuples`] the content tuple is; without its last field, the embedding, unless the store has
    /// it. Empty for a record that is not wanted, as the target has it.
    pub tuple: Range<usize>,
    /// The tuple holds the store's vector; else embed `text`.
    pub has_vector: bool,
    /// The store's vector was multiplied back by its length.
    pub restored: bool,
    /// The record changed after the last state of its vector that the store still has.
    pub stale: bool,
    /// Its vector was wanted, and the store has none.
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
        /// Its vector was wanted, and the store has none.
        missing: bool,
        /// Why.
        rejection: Rejection,
    },
    /// Something about the store that a person should know.
    Warning(String),
}

impl Item {
    /// What the item takes, about, without its tuple.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Item::Row(row) => {
                let entities: usize = row
                    .entities
                    .iter()
                    .map(|e| e.tuple.len() + e.text.len() + 64)
                    .sum();
                row.text.len() + 2 * row.record_id.len() + entities + 256
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

/// Items, and the tuples of those that are rows, one behind the other: in one piece, as a million small ones would
/// cost more to allocate than to fill.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of the records.
    pub items: Vec<Item>,
    /// Records read so far, those that nobody asked for included.
    pub read: u64,
    /// What [`Row::tuple`] points into.
    pub tuples: Vec<u8>,
    /// What [`Plan::sampling`] has taken.
    pub samples: Vec<Pair>,
}

impl Plan {
    /// The item that `record` becomes; `None` if the caller did not ask for it.
    pub(super) fn item(
        &self,
        index: usize,
        collection: &Collection,
        record: Record,
        look: &Look,
        tuples: &mut Vec<u8>,
    ) -> Option<Item> {
        if let Some(what) = &record.damage {
            return self.damaged(index, &record, what);
        }
        if !look.asked {
            return None;
        }
        let exists = look.exists;
        let (user, problem) = self.owner(&record);
        let missing = record.missing;
        let row = match problem {
            Some(rejection) => Err(rejection),
            None if self.leaves_out(exists) => self.there(index, &record, user.as_deref()),
            None => self.row(index, collection, &record, user.as_deref(), exists, tuples),
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

    /// The rejection of a record that is not whole. What cannot be read of it might make it one that was asked for,
    /// so it is left out only if it is known to belong to somebody else.
    fn damaged(&self, index: usize, record: &Record, what: &str) -> Option<Item> {
        let user = match owner_of(record, None) {
            Owner::Known(raw) => {
                Some(canonical_key(self.user_type(), &raw).map_or(raw.clone(), Cow::into_owned))
            }
            Owner::None | Owner::Bad(_) => None,
        };
        if self.user.is_some() && user.is_some() && self.user != user {
            return None;
        }
        Some(Item::Rejected {
            collection: index,
            record_id: record.id.clone(),
            user,
            missing: false,
            rejection: Rejection::new(Reason::Damaged, what),
        })
    }

    /// Whether the caller asked for the record: its metadata, its owner.
    pub(super) fn asks_for(&self, record: &Record) -> bool {
        let filtered = self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.matches(&record.metadata));
        if filtered {
            return false;
        }
        self.user.as_ref().is_none_or(|wanted| {
            let (user, problem) = self.owner(record);
            problem.is_none() && user.as_ref() == Some(wanted)
        })
    }

    /// A record that the target has, without what is in it.
    fn there(&self, index: usize, record: &Record, user: Option<&str>) -> Result<Row, Rejection> {
        let key = self.key(record)?;
        Ok(Row {
            collection: index,
            record_id: record.id.clone(),
            place: self.row_keys.of(index, &key, user),
            key,
            user: user.map(str::to_owned),
            exists: Some(true),
            tuple: 0..0,
            has_vector: true,
            restored: false,
            stale: false,
            missing: record.missing,
            text: String::new(),
            entities: Vec::new(),
        })
    }

    /// The record's id as the column spells it.
    fn key(&self, record: &Record) -> Result<String, Rejection> {
        let key = canonical_key(self.column_type(ContentColumn::Id), &record.id);
        key.map(Cow::into_owned).map_err(|why| {
            let reason = if record.id.contains('\0') {
                Reason::BadText
            } else {
                Reason::BadId
            };
            Rejection::new(reason, format!("id: {why}"))
        })
    }

    /// The owner as the column spells it, or the raw one with what is wrong about it.
    pub(super) fn owner(&self, record: &Record) -> (Option<String>, Option<Rejection>) {
        match owner_of(record, self.default_user.as_deref()) {
            Owner::Known(raw) => match canonical_key(self.user_type(), &raw) {
                Ok(user) => (Some(user.into_owned()), None),
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

    pub(super) fn user_type(&self) -> ColumnType {
        self.column_type(ContentColumn::UserId)
    }

    pub(super) fn column_type(&self, wanted: ContentColumn) -> ColumnType {
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
        exists: Option<bool>,
        tuples: &mut Vec<u8>,
    ) -> Result<Row, Rejection> {
        let key = self.key(record)?;
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
        let start = tuples.len();
        content_tuple(&content, &key, user, &self.content, tuples)?;
        if let Some(values) = vector {
            vector_field(values, self.vector, tuples).inspect_err(|_| tuples.truncate(start))?;
        }
        Ok(Row {
            collection: index,
            record_id: record.id.clone(),
            place: self.row_keys.of(index, &key, user),
            key,
            user: user.map(str::to_owned),
            exists,
            tuple: start..tuples.len(),
            has_vector: vector.is_some(),
            restored: vector.is_some()
                && record
                    .vector
                    .as_ref()
                    .is_some_and(|v| v.grade == Grade::Restored),
            stale: vector.is_some() && record.stale,
            missing: record.missing,
            text,
            entities,
        })
    }

    /// The stored vector, which fits, or the text to embed instead.
    fn vector<'r>(
        &self,
        record: &'r Record,
        content: &ContentRow<'_>,
    ) -> Result<(Option<&'r [f32]>, String), Rejection> {
        if self.mode != Mode::Generate {
            if let Some(vector) = &record.vector {
                check_vector(&vector.values, self.vector)?;
                return Ok((Some(&vector.values), String::new()));
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
