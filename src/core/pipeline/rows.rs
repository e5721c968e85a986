//! Records as encoded rows, and as rejections.

use std::borrow::Cow;

use super::items::{EncodedRow, EntityTuple, Item};
use super::plan::{EmbeddingMode, Plan};
use super::precheck::Precheck;
use crate::encode::{
    ContentColumn, canonical_key, check_vector, content_tuple, entity_tuple, vector_field,
};
use crate::map::{ContentRow, Owner, Shape, map_record, owner_of};
use crate::reason::{Reason, Rejection};
use crate::record::{Collection, Grade, Record};

impl Plan {
    /// The item that `record` becomes; `None` if the caller did not ask for it.
    pub(super) fn item(
        &self,
        index: usize,
        collection: &Collection,
        record: Record,
        precheck: &Precheck,
        tuples: &mut Vec<u8>,
    ) -> Option<Item> {
        if let Some(what) = &record.damage {
            return self.damaged(index, &record, what);
        }
        if !precheck.asked {
            return None;
        }
        let exists = precheck.exists;
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

    /// A record that the target has, without what is in it.
    fn there(
        &self,
        index: usize,
        record: &Record,
        user: Option<&str>,
    ) -> Result<EncodedRow, Rejection> {
        let key = self.key(record)?;
        Ok(EncodedRow {
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

    fn row(
        &self,
        index: usize,
        collection: &Collection,
        record: &Record,
        user: Option<&str>,
        exists: Option<bool>,
        tuples: &mut Vec<u8>,
    ) -> Result<EncodedRow, Rejection> {
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
        Ok(EncodedRow {
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
        if self.mode != EmbeddingMode::Generate {
            if let Some(vector) = &record.vector {
                check_vector(&vector.values, self.vector)?;
                return Ok((Some(&vector.values), String::new()));
            }
            if self.mode == EmbeddingMode::Stored || !self.has_model {
                let why = match self.mode {
                    EmbeddingMode::Stored => "the store has no vector for this record",
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
