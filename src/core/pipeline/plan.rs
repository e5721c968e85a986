//! What a run wants: which records, what their rows look like, and what both are called in the target.

use std::borrow::Cow;

use super::pool::Pool;
use crate::encode::{Column, ColumnType, VectorType, canonical_key};
use crate::filter::Filter;
use crate::map::{CollectionFields, NUL_WAY_OUT, Owner, Shape, key_name, owner_of};
use crate::mapping::{ItemField, MetadataWord, Word};
use crate::nul::NulCharacters;
use crate::reason::{Reason, Rejection};
use crate::record::{Collection, Record, Space};
use crate::sample::Sampling;
use crate::seen::{KnownKeys, RowKeys};
use crate::share::Share;

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
    /// What its rows have in common; [`CollectionFields::qualified`] is its name in results and ledger.
    pub fields: CollectionFields,
    /// What the target's key has for the collection, if it has a column for it.
    pub key: String,
    /// Its records without an owner are migrated, with a NULL owner.
    pub keeps_orphans: bool,
    /// Which of its records are mapped though the target has them.
    pub picked: Share,
}

impl PlannedCollection {
    /// A collection under its qualified name.
    pub fn qualified(collection: Collection, keeps_orphans: bool) -> PlannedCollection {
        let name = collection.qualified_name();
        PlannedCollection {
            key: name.clone(),
            fields: CollectionFields::new(&collection, name, None),
            collection,
            keeps_orphans,
            picked: Share::NONE,
        }
    }
}

/// What tells a row of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The record's id, in the key column.
    Record,
    /// A random uuid: the target has no column for the record's id.
    NewUuid,
    /// A number that is drawn when the row is put in, as above; the tuple's first field.
    Number,
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
    /// The content target's columns, the vector's last.
    pub content: Vec<Column>,
    /// The entity target's columns, the vector's last; empty when no entities are wanted.
    pub entity: Vec<Column>,
    /// The content target's vector column.
    pub vector: VectorType,
    /// The type of its key column.
    pub key: ColumnType,
    /// What tells its rows.
    pub identity: Identity,
    /// What helps if an id does not fit, as a sentence.
    pub id_hint: Option<String>,
    /// Records have owners.
    pub has_owner: bool,
    /// Why a record without a document is left out; `None`: it is not.
    pub needs_document: Option<String>,
    /// The distance that whoever searches the target asks with, if it matters.
    pub asks: Option<Space>,
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
    /// Only the records that it finds.
    pub filter: Option<Filter>,
    /// What makes two rows one.
    pub row_keys: RowKeys,
    /// The keys that the target has, where they are known beforehand.
    pub known: Option<KnownKeys>,
    /// Those of them whose records are mapped all the same, besides [`PlannedCollection::picked`].
    pub picked: KnownKeys,
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
    pub fn stored(collections: Vec<Collection>, content: Vec<Column>, batch_bytes: usize) -> Plan {
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
                padded: false,
            },
            key: ColumnType::Text,
            identity: Identity::Record,
            id_hint: None,
            has_owner: true,
            needs_document: None,
            asks: None,
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
            picked: KnownKeys::default(),
            overwrites: false,
            strict: false,
            sampling: None,
            batch_bytes,
            pool: Pool::default(),
        }
    }

    /// What mapping must know.
    pub(super) fn shape(&self) -> Shape<'_> {
        Shape {
            has_metadata: self.fills(|word| *word == Word::Item(ItemField::Metadata)),
            wants_entities: !self.entity.is_empty(),
            text_key: self.text_key.as_deref(),
            nul: self.nul,
        }
    }

    /// Whether a column takes a field of the content library's item.
    pub(super) fn has_items(&self) -> bool {
        self.fills(|word| matches!(word, Word::Item(_)))
    }

    /// Whether a column takes the record's text.
    pub(super) fn has_text(&self) -> bool {
        let document = |word: &Word| matches!(word, Word::Item(_) | Word::Document { .. });
        self.fills(document)
    }

    /// Whether a column's word takes U+0000 out.
    pub(super) fn strips_nul(&self) -> bool {
        self.fills(|word| {
            matches!(
                word,
                Word::Document {
                    without_nul: true,
                    ..
                } | Word::Metadata(MetadataWord {
                    without_nul: true,
                    ..
                })
            )
        })
    }

    /// Whether a column takes a random uuid.
    pub(super) fn draws_uuids(&self) -> bool {
        self.fills(|word| *word == Word::NewUuid)
    }

    fn fills(&self, which: impl Fn(&Word) -> bool) -> bool {
        self.content.iter().any(|column| which(&column.word))
    }

    /// Whether the caller asked for the record: its metadata, its owner.
    pub(super) fn asks_for(&self, planned: &PlannedCollection, record: &Record) -> bool {
        let filtered = self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.matches(record));
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
        let key = canonical_key(self.id_type(), &record.id);
        key.map(Cow::into_owned)
            .map_err(|why| match (record.id.contains('\0'), &self.id_hint) {
                (true, _) => Rejection::new(Reason::BadText, format!("id: {why}: {NUL_WAY_OUT}")),
                (false, None) => Rejection::new(Reason::BadId, format!("id: {why}")),
                (false, Some(hint)) => Rejection::new(Reason::BadId, format!("id: {why}. {hint}")),
            })
    }

    /// The owner as the column spells it, or the raw one with what is wrong about it.
    pub(super) fn owner(
        &self,
        planned: &PlannedCollection,
        record: &Record,
    ) -> (Option<String>, Option<Rejection>) {
        if !self.has_owner {
            return (None, None);
        }
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

    /// The type that ids are spelled for.
    pub(super) fn id_type(&self) -> ColumnType {
        match self.identity {
            Identity::Record => self.key,
            // The record's id is known to the ledger only.
            Identity::NewUuid | Identity::Number => ColumnType::Text,
        }
    }

    /// The type of the owner's column.
    pub(super) fn user_type(&self) -> ColumnType {
        let owner = self.content.iter().find(|it| it.word == Word::Owner);
        owner.map_or(ColumnType::Text, |column| column.ty)
    }
}
