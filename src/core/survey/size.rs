//! Records as the rows and bytes that they would be in new tables.
//!
//! Promise: the rows are those of a run with default options and a model; the bytes are an estimate, within 20% of what
//! the tables have when they are loaded, for texts of a language and usual metadata. May import `record`, `nul`,
//! `map` and `encode`.
//!
//! What a run leaves out is left out: records whose `user_id` cannot be a name, records without one in a collection where others
//! have one, records that map to no row, records without text in a collection without vectors. Whether a record's own
//! vector is there is not looked at.
//!
//! The bytes are those of heap, TOAST and indexes of the tables, two for each dimension: the lengths of each row's values, by
//! `ratios`.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use super::ratios::{self, PAGE};
use crate::encode::{ColumnType, canonical_key};
use crate::map::{ContentRow, EntityRow, Owner, Shape, map_record, owner_of};
use crate::nul::NulCharacters;
use crate::record::{Collection, Record};

/// Header of a row with its NULL bitmap, bigints, timestamps, boolean, and the gaps before them; without its owner.
const CONTENT_FIXED: u64 = 32 + 8 + 16 + 1 + 12;
const ENTITY_FIXED: u64 = 24 + 8 + 8 + 4;
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
    /// Rows of the content tables.
    pub content_rows: u64,
    /// Rows of the entity tables.
    pub entity_rows: u64,
    /// Bytes of all tables with TOAST and indexes.
    pub bytes: u64,
}

/// `toast_tuple_target` of the content tables that we create: rows up to so many bytes stay on their page, vector and
/// text included. Moving them out makes a load half as fast and every distance a second lookup; `docs/storage.md` has
/// the figures.
pub const CONTENT_TOAST_TARGET: u32 = 8160;
/// The server's own.
const DEFAULT_TOAST_TARGET: u64 = 2_032;
/// A table and its indexes with one small row.
const TABLE: u64 = 8 * PAGE;
/// Bytes that a row takes in an index on a column with few values.
const REPEATED: u64 = 8;

/// Adds records up.
#[derive(Debug, Default)]
pub struct Estimator {
    size: Size,
    /// Dimensions of the content tables that have rows, and of the entity tables.
    content_tables: BTreeSet<u32>,
    entity_tables: BTreeSet<u32>,
    /// Rows with each entity's text in the table of a dimension, by the hash of both.
    entities: HashMap<u64, u32>,
    hasher: RandomState,
}

impl Estimator {
    /// Adds `record` of `collection`, in which some record names an owner (`owned`) or none does; its vector is not looked at.
    pub fn add(&mut self, collection: &Collection, owned: bool, record: &Record) {
        // A damaged record is not migrated, and what is left of it says nothing.
        if record.damage.is_some() {
            return;
        }
        if let Some(document) = &record.document {
            let characters = u64::try_from(document.chars().count()).unwrap_or(u64::MAX);
            let sum = &mut self.size.document_characters;
            *sum = sum.saturating_add(characters);
        }
        let dimension = collection.dimension.unwrap_or(MODEL_DIMENSION);
        let user = match owner_of(record, "user_id", None) {
            Owner::Known(user) if canonical_key(ColumnType::Int8, &user).is_ok() => 8,
            Owner::Known(user) => length(&user).saturating_add(1),
            Owner::None if !owned => 0,
            Owner::None | Owner::Bad(_) => return,
        };
        if !(1..=MOST_DIMENSIONS).contains(&dimension) {
            return;
        }
        let shape = Shape {
            has_metadata: true,
            wants_entities: true,
            text_key: None,
            nul: NulCharacters::Error,
        };
        let name = collection.qualified_name();
        let Ok(row) = map_record(&name, record, shape) else {
            return;
        };
        if collection.dimension.is_none() && row.searchable_text.trim().is_empty() {
            return;
        }
        self.content_row(&row, user, dimension);
        for entity in &row.entities {
            self.entity_row(&row, entity, user, dimension);
        }
    }

    /// The sum.
    pub fn size(&self) -> Size {
        self.size
    }

    /// `user`: bytes of the owner.
    fn content_row(&mut self, row: &ContentRow<'_>, user: u64, dimension: u32) {
        let first = u64::from(self.content_tables.insert(dimension)) * TABLE;
        let dimension = dimension.into();
        let short = [
            Some(row.chroma_collection),
            Some(row.id),
            Some(&*row.title),
            Some(&*row.content_type),
            Some(&*row.mode),
            row.source_url.as_deref(),
            row.uri,
            row.topics.as_deref(),
            row.tags.as_deref(),
            row.collections.as_deref(),
        ];
        let mut long = [
            (row.summary.as_deref().map_or(0, length), true),
            (length(&row.searchable_text), true),
            (length(&row.full_content), true),
            (length(&row.metadata), true),
            (4 * dimension + 8, false),
        ];
        let key = length(row.chroma_collection).saturating_add(length(row.id));
        let target = CONTENT_TOAST_TARGET.into();
        self.size.content_rows += 1;
        self.add_bytes(&[
            ratios::row(
                sum(CONTENT_FIXED.saturating_add(user), &short),
                &mut long,
                target,
            ),
            ratios::key(key),
            REPEATED,
            ratios::element(dimension),
            first,
        ]);
    }

    fn entity_row(&mut self, row: &ContentRow<'_>, entity: &EntityRow, user: u64, dimension: u32) {
        let first = u64::from(self.entity_tables.insert(dimension)) * TABLE;
        let is_new = u64::from(self.is_new_element(&entity.text, dimension));
        let dimension: u64 = dimension.into();
        let short = [
            Some(row.chroma_collection),
            Some(row.id),
            Some(&*entity.name),
            entity.kind.as_deref(),
        ];
        let mut long = [(4 * dimension + 8, false)];
        let fixed = ENTITY_FIXED.saturating_add(user);
        let bytes = ratios::row(sum(fixed, &short), &mut long, DEFAULT_TOAST_TARGET);
        // The rows of one content follow each other, and share its key in the index on it.
        let content = match row.entities.first() == Some(entity) {
            true => ratios::key(length(row.id)),
            false => REPEATED,
        };
        let element = is_new * ratios::element(dimension);
        self.size.entity_rows += 1;
        self.add_bytes(&[bytes, ratios::key(8), content, REPEATED, element, first]);
    }

    fn add_bytes(&mut self, bytes: &[u64]) {
        let sum = self.size.bytes;
        self.size.bytes = bytes
            .iter()
            .fold(sum, |sum, more| sum.saturating_add(*more));
    }

    /// Whether the vector of `text` needs an element of its own in the table of this dimension: the same text has the same
    /// vector, and rows with the same vector share an element.
    fn is_new_element(&mut self, text: &str, dimension: u32) -> bool {
        let hash = self.hasher.hash_one((text, dimension));
        if self.entities.len() >= MOST_ENTITIES && !self.entities.contains_key(&hash) {
            return true;
        }
        let rows = self.entities.entry(hash).or_default();
        *rows = rows.saturating_add(1);
        rows.saturating_sub(1).is_multiple_of(ROWS_AN_ELEMENT)
    }
}

/// Bytes of short texts with their lengths, beside `fixed`.
fn sum(fixed: u64, texts: &[Option<&str>]) -> u64 {
    (texts.iter().flatten()).fold(fixed, |sum, text| sum.saturating_add(length(text) + 1))
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}
