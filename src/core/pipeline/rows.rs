//! Records as encoded rows, and as rejections.

use std::borrow::Cow;

use super::items::{EncodedRow, EntityTuple, Item};
use super::plan::{EmbeddingMode, Identity, Plan, PlannedCollection};
use super::precheck::Precheck;
use super::remarks::Watch;
use crate::encode::{canonical_key, check_vector, row_tuple, vector_field};
use crate::map::{Owner, RowParts, document, map_record, owner_of};
use crate::nul::holds_nul;
use crate::reason::{Reason, Rejection};
use crate::record::{Grade, Record};

/// A record that may become a row.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    /// The collection's number in the run.
    collection: usize,
    /// The collection.
    planned: &'a PlannedCollection,
    record: &'a Record,
    /// The record's id in Chroma.
    id: &'a str,
    user: Option<&'a str>,
    /// The target has it; `None`: not known.
    exists: Option<bool>,
    /// It was changed as to U+0000.
    nul: bool,
}

impl Plan {
    /// The item that `record` becomes; `None` if the caller did not ask for it. `collection`: the collection's number
    /// in the run.
    pub(super) fn item(
        &self,
        collection: usize,
        planned: &PlannedCollection,
        mut record: Record,
        precheck: &Precheck,
        watch: &mut Watch,
        tuples: &mut Vec<u8>,
    ) -> Option<Item> {
        let id = (self.nul.changes().then(|| shown_id(&record.id))).flatten();
        if record.damage.is_some() {
            self.nul.clean(&mut record);
            return self.damaged(collection, &record, id);
        }
        if !precheck.asked {
            return None;
        }
        if precheck.nul {
            self.nul.clean(&mut record);
        }
        let left_out = precheck.left_out;
        if !left_out {
            watch.look(self, &record);
        }
        let (user, problem) = self.owner(planned, &record);
        let missing = record.missing;
        let candidate = Candidate {
            collection,
            planned,
            record: &record,
            id: id.as_deref().unwrap_or(&record.id),
            user: user.as_deref(),
            exists: precheck.exists,
            nul: precheck.nul,
        };
        let row = match problem {
            Some(rejection) => Err(rejection),
            None if left_out => self.there(candidate),
            None => self.row(candidate, tuples),
        };
        Some(match row {
            Ok(row) => Item::Row(row),
            Err(rejection) => Item::Rejected {
                collection,
                record_id: id.unwrap_or(record.id),
                user,
                missing,
                rejection,
            },
        })
    }

    /// The rejection of a record that is not whole. What cannot be read of it might make it one that was asked for,
    /// so it is left out only if it is known to belong to somebody else.
    fn damaged(&self, collection: usize, record: &Record, id: Option<String>) -> Option<Item> {
        let what = record.damage.as_deref()?;
        let user = match owner_of(record, &self.owner_key, None) {
            Owner::Known(raw) => {
                Some(canonical_key(self.user_type(), &raw).map_or(raw.clone(), Cow::into_owned))
            }
            Owner::None | Owner::Bad(_) => None,
        };
        if self.user.is_some() && user.is_some() && self.user != user {
            return None;
        }
        Some(Item::Rejected {
            collection,
            record_id: id.unwrap_or_else(|| record.id.clone()),
            user,
            missing: false,
            rejection: Rejection::new(Reason::Damaged, what),
        })
    }

    /// A record that the target has, without what is in it.
    fn there(&self, candidate: Candidate<'_>) -> Result<EncodedRow, Rejection> {
        let Candidate { record, user, .. } = candidate;
        let key = self.key(record)?;
        Ok(EncodedRow {
            collection: candidate.collection,
            record_id: candidate.id.to_owned(),
            place: self.row_keys.of(candidate.collection, &key, user),
            id: key.clone(),
            key,
            user: user.map(str::to_owned),
            exists: Some(true),
            tuple: 0..0,
            has_vector: true,
            restored: false,
            stale: false,
            sequence: record.sequence,
            missing: record.missing,
            nul: candidate.nul,
            text: String::new(),
            entities: Vec::new(),
        })
    }

    fn row(&self, candidate: Candidate<'_>, tuples: &mut Vec<u8>) -> Result<EncodedRow, Rejection> {
        let Candidate { record, user, .. } = candidate;
        let id = self.key(record)?;
        let text = document(record, self.text_key.as_deref());
        if let (None, Some(why)) = (&text, &self.needs_document) {
            let message = format!("the record has no document: {why}");
            return Err(Rejection::new(Reason::NoText, message));
        }
        let fields = &candidate.planned.fields;
        let item = match self.has_items() {
            true => Some(map_record(&fields.qualified, record, self.shape())?),
            false => None,
        };
        let text = match &item {
            Some(item) => &*item.searchable_text,
            None => text.as_deref().unwrap_or_default(),
        };
        let (vector, text) = self.vector(record, text)?;
        let uuid = self.new_uuid();
        let key = match self.identity {
            Identity::Record => id.clone(),
            Identity::NewUuid => uuid.clone(),
            Identity::Number => String::new(),
        };
        let parts = RowParts {
            record,
            collection: fields,
            key: &id,
            user,
            text_key: self.text_key.as_deref(),
            item: item.as_ref(),
            entity: None,
            uuid: &uuid,
        };
        let entities = item.iter().flat_map(|item| &item.entities);
        let entities = entities
            .map(|entity| {
                let parts = RowParts {
                    entity: Some(entity),
                    ..parts
                };
                let mut tuple = Vec::with_capacity(256);
                row_tuple(&parts, &self.entity, &mut tuple)?;
                Ok(EntityTuple {
                    tuple,
                    text: entity.text.clone(),
                })
            })
            .collect::<Result<_, Rejection>>()?;
        let start = tuples.len();
        row_tuple(&parts, &self.content, tuples)?;
        if let Some(values) = vector {
            vector_field(values, self.vector, tuples).inspect_err(|_| tuples.truncate(start))?;
        }
        let stripped = self.strips_nul() && holds_nul(record);
        Ok(EncodedRow {
            collection: candidate.collection,
            record_id: candidate.id.to_owned(),
            place: self.row_keys.of(candidate.collection, &id, user),
            id,
            key,
            user: user.map(str::to_owned),
            exists: candidate.exists,
            tuple: start..tuples.len(),
            has_vector: vector.is_some(),
            restored: vector.is_some()
                && record
                    .vector
                    .as_ref()
                    .is_some_and(|v| v.grade == Grade::Restored),
            stale: vector.is_some() && record.stale,
            sequence: record.sequence,
            missing: record.missing,
            nul: candidate.nul || stripped || item.as_ref().is_some_and(|item| item.nul),
            text,
            entities,
        })
    }

    /// A random uuid, if a column takes one.
    fn new_uuid(&self) -> String {
        match self.draws_uuids() {
            true => uuid::Uuid::new_v4().hyphenated().to_string(),
            false => String::new(),
        }
    }

    /// The stored vector, which fits, or the text to embed instead.
    fn vector<'r>(
        &self,
        record: &'r Record,
        text: &str,
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
        if text.trim().is_empty() {
            return Err(Rejection::new(
                Reason::NoText,
                "the record has no text to embed",
            ));
        }
        Ok((None, text.to_owned()))
    }
}

/// An id that has U+0000 as the ledger shows it, with the symbol for it (U+2400): what it is in Chroma, where two ids may
/// become one in the table.
fn shown_id(id: &str) -> Option<String> {
    id.contains('\0').then(|| id.replace('\0', "\u{2400}"))
}
