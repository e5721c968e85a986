//! Records as the rows and bytes that they would be in new tables.
//!
//! Promise: the rows are those of a run with default options and a model; the bytes are an estimate, meant to be
//! within a third of what the tables have when they are loaded. May import `record`, `map` and `encode`.
//!
//! What a run leaves out is left out: records without a `user_id` or with one that is no bigint, records that map to
//! no row, records without text in a collection without vectors. Whether a record's own vector is there is not
//! looked at.
//!
//! The bytes are those of heap, TOAST and indexes of `content_vectors` and `entity_vectors`. The values of each row
//! have their real lengths; JSON counts an eighth more as `jsonb`. What does not fit into a row is compressed and
//! moved out as the server would (`toast`); by how much texts shrink is measured on some of them (`sample`).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::pages::{Pages, Tree, indexed};
use super::sample::{Sample, width};
use super::toast::{self, Field, Toast, stored};
use crate::encode::{ColumnType, canonical_key};
use crate::map::{ContentRow, EntityRow, Owner, Shape, map_record, owner_of};
use crate::record::{Collection, Record};

/// Header of a row with its NULL bitmap, bigints, timestamps, boolean, and the gaps before them.
const CONTENT_FIXED: u64 = 32 + 8 + 8 + 16 + 1 + 12;
const ENTITY_FIXED: u64 = 24 + 8 + 8 + 8 + 4;
/// Dimensions of the vectors of a collection that has none yet: those of the model that comes with the extension.
const MODEL_DIMENSION: u32 = 384;
/// Most dimensions that pgvector's `vector` can have.
const MOST_DIMENSIONS: u32 = 16_000;
/// Different entities that are told apart.
const MOST_ENTITIES: usize = 100_000;
/// Rows with the same vector that one element of an HNSW index holds.
const ROWS_AN_ELEMENT: u32 = 10;

/// What records come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Unicode characters of all documents.
    pub document_characters: u64,
    /// Rows of the content table.
    pub content_rows: u64,
    /// Rows of the entity table.
    pub entity_rows: u64,
    /// Bytes of both tables with TOAST and indexes.
    pub bytes: u64,
}

/// `toast_tuple_target` of the content tables that we create: rows up to so many bytes stay on their page, vector and
/// text included. Moving them out makes a load half as fast and every distance a second lookup; `docs/storage.md` has
/// the figures.
pub const CONTENT_TOAST_TARGET: u32 = 8160;

/// A table with the indexes that each of ours has.
#[derive(Debug, Default)]
struct Table {
    rows: u64,
    heap: Pages,
    toast: Toast,
    primary_key: Tree,
    vectors: Pages,
    has_vectors: bool,
}

/// Adds records up.
#[derive(Debug)]
pub struct Estimator {
    characters: u64,
    content: Table,
    entity: Table,
    content_ids: Tree,
    /// Rows with each entity's text, by its hash.
    entities: HashMap<u64, u32>,
    hasher: RandomState,
    samples: [Sample; 3],
}

impl Default for Estimator {
    fn default() -> Estimator {
        Estimator {
            characters: 0,
            content: Table {
                toast: Toast::with_target(CONTENT_TOAST_TARGET.into()),
                ..Table::default()
            },
            entity: Table::default(),
            content_ids: Tree::default(),
            entities: HashMap::new(),
            hasher: RandomState::default(),
            samples: Default::default(),
        }
    }
}

impl Estimator {
    /// Adds `record` of `collection`; its vector is not looked at.
    pub fn add(&mut self, collection: &Collection, record: &Record) {
        // A damaged record is not migrated, and what is left of it says nothing.
        if record.damage.is_some() {
            return;
        }
        if let Some(document) = &record.document {
            let characters = u64::try_from(document.chars().count()).unwrap_or(u64::MAX);
            self.characters = self.characters.saturating_add(characters);
        }
        let dimension = collection.dimension.unwrap_or(MODEL_DIMENSION);
        let owned = matches!(owner_of(record, None), Owner::Known(user)
            if canonical_key(ColumnType::Int8, &user).is_ok());
        if !owned || !(1..=MOST_DIMENSIONS).contains(&dimension) {
            return;
        }
        let shape = Shape {
            has_metadata: true,
            wants_entities: true,
        };
        let Ok(row) = map_record(collection, record, shape) else {
            return;
        };
        if collection.dimension.is_none() && row.searchable_text.trim().is_empty() {
            return;
        }
        self.content_row(&row, dimension.into());
        for entity in &row.entities {
            self.entity_row(&row, entity, dimension.into());
        }
    }

    /// The sum.
    pub fn size(&self) -> Size {
        let bytes = self.content.bytes().saturating_add(self.entity.bytes());
        let more = match self.entity.rows {
            0 => 0,
            _ => self.content_ids.bytes(),
        };
        Size {
            document_characters: self.characters,
            content_rows: self.content.rows,
            entity_rows: self.entity.rows,
            bytes: bytes.saturating_add(more),
        }
    }

    fn content_row(&mut self, row: &ContentRow<'_>, dimension: u64) {
        let [texts, contents, others] = &mut self.samples;
        let list = |list: &Option<String>| Field::plain(list.as_ref().map(|text| json(text)));
        let text = |text: Option<&str>| Field::plain(text.map(length));
        let mut fields = [
            text(Some(&*row.chroma_collection)),
            text(Some(row.id)),
            text(Some(&*row.title)),
            text(Some(&*row.content_type)),
            text(Some(&*row.mode)),
            text(row.source_url.as_deref()),
            text(row.uri),
            list(&row.topics),
            list(&row.tags),
            list(&row.collections),
            others.field(row.summary.as_deref().unwrap_or_default(), length),
            texts.field(&row.searchable_text, length),
            contents.field(&row.full_content, json),
            others.field(&row.metadata, json),
            Field::plain(Some(vector(dimension))),
        ];
        let table = &mut self.content;
        table.put(CONTENT_FIXED, &mut fields, dimension);
        let key = stored(length(&row.chroma_collection)).saturating_add(stored(length(row.id)));
        table.primary_key.put(key, 1);
        table.index(dimension);
    }

    fn entity_row(&mut self, row: &ContentRow<'_>, entity: &EntityRow, dimension: u64) {
        let collection = length(&row.chroma_collection);
        let mut fields = [
            Field::plain(Some(collection)),
            Field::plain(Some(length(row.id))),
            Field::plain(Some(length(&entity.name))),
            Field::plain(entity.kind.as_deref().map(length)),
            Field::plain(Some(vector(dimension))),
        ];
        let table = &mut self.entity;
        table.put(ENTITY_FIXED, &mut fields, dimension);
        table.primary_key.put(8, 1);
        if row.entities.first() == Some(entity) {
            self.content_ids.put(stored(length(row.id)), 1);
        } else {
            self.content_ids.put_again(1);
        }
        // The same text has the same vector, and rows with the same vector share an element.
        let hash = self.hasher.hash_one(&entity.text);
        let room = self.entities.len() < MOST_ENTITIES;
        let before = match self.entities.get_mut(&hash) {
            Some(rows) => {
                *rows = rows.saturating_add(1);
                *rows - 1
            }
            None if room => {
                self.entities.insert(hash, 1);
                0
            }
            None => 0,
        };
        if before.is_multiple_of(ROWS_AN_ELEMENT) {
            table.index(dimension);
        }
    }
}

impl Table {
    fn put(&mut self, fixed: u64, fields: &mut [Field], dimension: u64) {
        self.rows = self.rows.saturating_add(1);
        let bytes = toast::row(fixed, fields, &mut self.toast);
        self.heap.put(bytes);
        self.has_vectors |= indexed(dimension).is_some();
    }

    fn index(&mut self, dimension: u64) {
        if let Some(bytes) = indexed(dimension) {
            self.vectors.put_element(bytes);
        }
    }

    fn bytes(&self) -> u64 {
        if self.rows == 0 {
            return 0;
        }
        let mut chunks = Tree::default();
        chunks.put(8, self.toast.chunks());
        let mut users = Tree::default();
        users.put_again(self.rows);
        let vectors = if self.has_vectors {
            self.vectors.index_bytes()
        } else {
            0
        };
        [
            self.heap.bytes(),
            self.toast.bytes(),
            chunks.bytes(),
            self.primary_key.bytes(),
            users.bytes(),
            vectors,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// Bytes of a vector's value.
fn vector(dimension: u64) -> u64 {
    4 * dimension + 4
}

fn length(text: &str) -> u64 {
    width(text.len())
}

/// Bytes of a JSON text as `jsonb`.
fn json(text: &str) -> u64 {
    let bytes = length(text);
    bytes.saturating_add(bytes / 8).saturating_add(4)
}
