//! What is read of a collection before anybody asks for its records: while the caller is busy with its own tables.
//!
//! Stage: source. Promise: reading afterwards gives the same as without; what was read is forgotten when the store
//! moves to a private copy. May import `record` and this folder.

use std::mem::size_of;
use std::ops::ControlFlow;
use std::time::Instant;

use super::catalog::Entry;
use super::error::SourceError;
use super::metadata::{Depth, Row, Tables};
use super::reading::POLL;
use super::store::{ChromaStore, entry};
use crate::record::{Collection, Value};

/// What was read of one collection.
#[derive(Default)]
pub(super) struct Ahead {
    /// The collection's id.
    collection: String,
    /// The row numbers of its records, ascending, if they can be read.
    pub numbers: Option<Vec<i64>>,
    /// The records of the first of these numbers, as a consumer gets them that knows them.
    pub rows: Vec<Row>,
}

impl ChromaStore {
    /// Finds the records of `collection`, and reads ids and owners of the first ones until `enough`, which is told how
    /// many bytes they take, says so: for the reading that follows, by a consumer that knows most of them.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn warm(
        &self,
        collection: &Collection,
        enough: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), SourceError> {
        self.politely(|state| {
            let entry = entry(state, collection)?;
            let Some(mut tables) = Tables::new(&state.database, &self.schema, entry, Depth::Full)?
            else {
                return Ok(());
            };
            let mut ahead = Ahead {
                collection: entry.collection.id.clone(),
                numbers: tables.numbers()?,
                rows: Vec::new(),
            };
            if let Some(numbers) = ahead.numbers.as_deref().filter(|_| !enough(0)) {
                let (mut held, mut looked) = (0_usize, Instant::now());
                let _ = tables.read_from(0, numbers, &mut |_| true, &mut |row| {
                    if looked.elapsed() >= POLL {
                        self.give_way(state)?;
                        looked = Instant::now();
                    }
                    held = held.saturating_add(bytes_of(&row));
                    ahead.rows.push(row);
                    Ok(match enough(held) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    })
                })?;
            }
            self.ahead.replace(Some(ahead));
            Ok(())
        })
    }

    /// Makes way for a writer that waits, if there is one: for a caller that does not read meanwhile.
    ///
    /// # Errors
    /// As [`ChromaStore::make_way`].
    pub fn oblige(&self) -> Result<(), SourceError> {
        self.politely(|state| self.give_way(state))
    }

    /// Finds the vectors of `collection`, for the reading of it that follows.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn warm_vectors(&self, collection: &Collection) -> Result<(), SourceError> {
        self.politely(|state| {
            let entry = entry(state, collection)?;
            let vectors = self.vectors(state, entry)?;
            self.found
                .replace(Some((entry.collection.id.clone(), vectors)));
            Ok(())
        })
    }

    /// What was read of `entry`.
    pub(super) fn ahead(&self, entry: &Entry) -> Ahead {
        let ahead = self.ahead.take();
        let own = ahead.filter(|ahead| ahead.collection == entry.collection.id);
        own.unwrap_or_default()
    }
}

/// What a row takes in memory, about.
fn bytes_of(row: &Row) -> usize {
    /// What an allocation costs beside what is in it.
    const ALLOCATION: usize = 32;
    let values = row.content.metadata.iter();
    let texts: usize = values
        .map(|(_, value)| 2 * ALLOCATION + text_of(value))
        .sum();
    let own = [&row.content.document, &row.content.uri]
        .into_iter()
        .flatten()
        .map(String::len)
        .sum::<usize>();
    size_of::<Row>() + row.id.len() + ALLOCATION + own + texts
}

fn text_of(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.len(),
        Value::List(items) => items
            .iter()
            .map(|item| size_of::<Value>() + text_of(item))
            .sum(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
    }
}
