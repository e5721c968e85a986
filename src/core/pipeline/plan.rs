//! What a run wants: which records, what their rows look like, and what both are called in the target.

use std::borrow::Cow;

use super::pool::Pool;
use crate::encode::{Column, ColumnType, ContentColumn, EntityColumn, VectorType, canonical_key};
use crate::map::filter::Filter;
use crate::map::{NUL_WAY_OUT, Owner, Shape, key_name, owner_of};
use crate::nul::NulCharacters;
use crate::reason::{Reason, Rejection};
use crate::record::{Collection, Record};
use crate::sample::Sampling;
use crate::seen::{KnownKeys, RowKeys};

/// Where vectors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingMode {
    /// The store's vector; where it has none, the text is embedded if there is a model.
    Auto,
    /// The store's vectors only.
    Stored,
    /// Every text is embedded; the store's vectors are not read.
    Generate,
}

/// A collection that a plan reads.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedCollection {
    /// The collection.
    pub collection: Collection,
    /// The name that is written into the column `chroma_collection`, results and ledger.
    pub name: String,
    /// Its records without an owner are migrated, with a NULL `user_id`.
    pub keeps_orphans: bool,
}

impl PlannedCollection {
    /// A collection under its qualified name.
    pub fn qualified(collection: Collection, keeps_orphans: bool) -> PlannedCollection {
        PlannedCollection {
            name: collection.qualified_name(),
            collection,
            keeps_orphans,
        }
    }
}

/// What the rows look like and which records are wanted.
#[derive(Debug)]
pub struct Plan {
    /// The collections to read, in order.
    pub collections: Vec<PlannedCollection>,
    /// The number of the first of them in its run, which may have several plans.
    pub first: usize,
    /// Records that earlier plans of the run have read.
    pub read: u64,
    /// The content target's columns, the embedding last.
    pub content: Vec<Column<ContentColumn>>,
    /// The entity target's columns, the embedding last; empty when no entities are wanted.
    pub entity: Vec<Column<EntityColumn>>,
    /// The content target's embedding column.
    pub vector: VectorType,
    /// Where vectors come from.
    pub mode: EmbeddingMode,
    /// Whether a missing vector can be embedded (in [`EmbeddingMode::Auto`]).
    pub has_model: bool,
    /// Only this user's records; spelled by [`canonical_key`].
    pub user: Option<String>,
    /// The metadata key that names a record's owner.
    pub owner_key: String,
    /// Who owns records without that key.
    pub default_user: Option<String>,
    /// The metadata key whose value is the text of a record without a document.
    pub text_key: Option<String>,
    /// What is done about U+0000, before anything else is done with a record.
    pub nul: NulCharacters,
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
        let planned = |collection| PlannedCollection::qualified(collection, false);
        Plan {
            collections: collections.into_iter().map(planned).collect(),
            first: 0,
            read: 0,
            content,
            entity: Vec::new(),
            vector: VectorType {
                half: false,
                dimension: None,
            },
            mode: EmbeddingMode::Stored,
            has_model: false,
            user: None,
            owner_key: "user_id".to_owned(),
            default_user: None,
            text_key: None,
            nul: NulCharacters::Error,
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

    /// What mapping must know.
    pub(super) fn shape(&self) -> Shape<'_> {
        let has = |column| self.content.iter().any(|it| it.column == column);
        Shape {
            has_metadata: has(ContentColumn::Metadata),
            wants_entities: !self.entity.is_empty(),
            text_key: self.text_key.as_deref(),
            nul: self.nul,
        }
    }

    /// Whether the caller asked for the record: its metadata, its owner.
    pub(super) fn asks_for(&self, planned: &PlannedCollection, record: &Record) -> bool {
        let filtered = self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.matches(&record.metadata));
        if filtered {
            return false;
        }
        self.user.as_ref().is_none_or(|wanted| {
            let (user, problem) = self.owner(planned, record);
            problem.is_none() && user.as_ref() == Some(wanted)
        })
    }

    /// The record's id as the column spells it.
    pub(super) fn key(&self, record: &Record) -> Result<String, Rejection> {
        let key = canonical_key(self.column_type(ContentColumn::Id), &record.id);
        key.map(Cow::into_owned)
            .map_err(|why| match record.id.contains('\0') {
                true => Rejection::new(Reason::BadText, format!("id: {why}: {NUL_WAY_OUT}")),
                false => Rejection::new(Reason::BadId, format!("id: {why}")),
            })
    }

    /// The owner as the column spells it, or the raw one with what is wrong about it.
    pub(super) fn owner(
        &self,
        planned: &PlannedCollection,
        record: &Record,
    ) -> (Option<String>, Option<Rejection>) {
        match owner_of(record, &self.owner_key, self.default_user.as_deref()) {
            Owner::Known(raw) => match canonical_key(self.user_type(), &raw) {
                Ok(user) => (Some(user.into_owned()), None),
                Err(why) => {
                    let message = format!("{} {why}", key_name(&self.owner_key));
                    (Some(raw), Some(Rejection::new(Reason::BadUserId, message)))
                }
            },
            Owner::None if planned.keeps_orphans => (None, None),
            Owner::None => {
                let key = key_name(&self.owner_key);
                let message = format!("the record's metadata has no {key}");
                (None, Some(Rejection::new(Reason::NoUserId, message)))
            }
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
}
