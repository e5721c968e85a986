//! Whose the records are, for those who want to know nothing else of them.
//!
//! Stage: source. Promise: the owners of [`Source::feed`](crate::source::Source::feed) in the same order and from the same
//! state; documents and vectors are not read. What is lost is not said here: the reading of the records says it. May
//! import this folder and those below it.

use std::ops::ControlFlow;

use rusqlite::types::ValueRef;

use super::chroma_store::ChromaStore;
use crate::record::{Collection, Value};
use crate::source::chroma::metadata::content::is_own;
use crate::source::chroma::metadata::indexed_values::IndexedValues;
use crate::source::chroma::metadata::record::Wanted;
use crate::source::chroma::snapshot::state::StoreState;
use crate::source::chroma::sqlite::columns::{intact_text, typed};
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

/// Takes the value that a record has under the owner's key; `None` if it has none.
pub type EachOwner<'a> = dyn FnMut(Option<&Value>) -> ControlFlow<()> + 'a;

/// Records that a sample looks at.
const SAMPLE: u32 = 100;

impl ChromaStore {
    /// Gives the value that each live record of `collection` has under the metadata key `key` to `each`, until it breaks;
    /// `None` of a record without. Damaged records are left out.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn read_owners(
        &self,
        collection: &Collection,
        key: &str,
        each: &mut EachOwner<'_>,
    ) -> Result<(), SourceError> {
        let mut given = 0_u64;
        let wanted = Wanted {
            owner_key: key,
            told: false,
            ..Wanted::FULL
        };
        self.retried_in_copy(|state| {
            let entry = state.entry(collection)?;
            let mut again = given;
            self.stored_records(state, entry, wanted, &mut |_| true, &mut |row, _| {
                if again > 0 {
                    again -= 1;
                    return Ok(ControlFlow::Continue(()));
                }
                given = given.saturating_add(1);
                if row.damage.is_some() {
                    return Ok(ControlFlow::Continue(()));
                }
                Ok(each(row.content.metadata.get(key)))
            })
        })
    }

    /// Gives the values that some records of `collection` have under the metadata key `key` to `each`, until it breaks: for
    /// those who look for one, as this takes the same short time for any collection. None is given where the tables alone do
    /// not tell.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn sample_owners(
        &self,
        collection: &Collection,
        key: &str,
        each: &mut EachOwner<'_>,
    ) -> Result<(), SourceError> {
        let values = self.retried_in_copy(|state| {
            Ok(unless_corrupt(self.sample(state, collection, key))?.unwrap_or_default())
        })?;
        for value in &values {
            if each(Some(value)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn sample(
        &self,
        state: &StoreState,
        collection: &Collection,
        key: &str,
    ) -> Result<Vec<Value>, StatementError> {
        let entry = state.entry(collection)?;
        let pending = self.queue.after(&collection.id, entry.metadata_max_seq_id);
        let Some(segment) = entry
            .metadata_segment
            .as_deref()
            .filter(|_| pending.is_empty() && !is_own(key))
        else {
            return Ok(Vec::new());
        };
        let database = &state.database;
        let failed = |error| database.statement_error(error);
        let bools = self.schema.bools;
        let bool_value = if bools { ", m.bool_value" } else { "" };
        let mut statement = database.prepare(&format!(
            "SELECT m.string_value, m.int_value, m.float_value{bool_value} \
             FROM (SELECT id FROM embeddings WHERE segment_id = ?1 LIMIT {SAMPLE}) e \
             CROSS JOIN embedding_metadata m WHERE m.id = e.id AND m.key = ?2"
        ))?;
        let mut rows = statement.query([segment, key]).map_err(failed)?;
        let mut values = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let value = match row.get_ref(0).map_err(failed)? {
                ValueRef::Text(bytes) => {
                    let text = intact_text(bytes).ok_or(StatementError::Corrupt)?;
                    Some(Value::Str(text.to_owned()))
                }
                _ => typed(row, 0, bools).map_err(failed)?,
            };
            values.extend(value);
        }
        Ok(values)
    }

    /// The values that the metadata key `key` has in the tables of the whole store, deleted collections included, if its indexes
    /// tell them and no write waits in the queue; `None` otherwise, or if there are more than `most` different strings or
    /// floats.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn owner_values(
        &self,
        key: &str,
        most: usize,
    ) -> Result<Option<IndexedValues>, SourceError> {
        if is_own(key) {
            return Ok(Some(IndexedValues::default()));
        }
        self.retried_in_copy(|state| {
            let waits = state.entries.iter().any(|entry| {
                let bookmark = entry.metadata_max_seq_id;
                !self.queue.after(&entry.collection.id, bookmark).is_empty()
            });
            if waits || !self.queue.unreadable.is_empty() {
                return Ok(None);
            }
            IndexedValues::read(&state.database, &self.schema, key, most)
        })
    }
}
