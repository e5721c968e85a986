//! A batch sorted out: rows that go into the tables, and what is told of the others.

use std::collections::HashSet;

use vector_migrate_core::pipeline::{Batch, Item, Row};
use vector_migrate_core::reason::{Reason, Rejection};

use super::batch::{OnConflict, Sink};
use super::existing::{Key, existing, key_of};
use crate::error::Error;
use crate::message::warning;

/// The rows of a batch that are wanted.
#[derive(Debug)]
pub struct Selected {
    /// Each with whether the target has it, to be overwritten then.
    pub rows: Vec<(Row, bool)>,
    /// What their tuples' ranges point into.
    pub tuples: Vec<u8>,
}

impl Sink {
    /// Whether sorting `batch` out takes no question to the server: what is known of users and keys is enough.
    pub(super) fn knows_all_of(&self, batch: &Batch) -> bool {
        let asks = |item: &Item| match item {
            Item::Row(row) => {
                let stranger = |user: &str| self.content.users.is_some() && !self.users.knows(user);
                row.user.as_deref().is_some_and(stranger)
                    || (row.exists.is_none() && !self.content.created)
            }
            Item::Rejected { .. } => false,
            Item::Warning(_) => true,
        };
        !batch.items.iter().any(asks)
    }

    /// Sorts a batch out; what is left out is in the report afterwards.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Damage`], and the server's own.
    pub(super) fn select(&mut self, batch: Batch) -> Result<Selected, Error> {
        self.read = batch.read;
        let mut rows = Vec::with_capacity(batch.items.len());
        for item in batch.items {
            match item {
                Item::Row(row) => {
                    self.count_missing(row.collection, row.user.as_deref(), row.missing);
                    rows.push(row);
                }
                Item::Rejected {
                    collection,
                    record_id,
                    user,
                    missing,
                    rejection,
                } => {
                    self.count_missing(collection, user.as_deref(), missing);
                    self.reject(collection, record_id, user, rejection);
                }
                Item::Warning(text) if self.strict => return Err(Error::Damage(text)),
                Item::Warning(text) => warning!("{text}"),
            }
        }
        let rows = self.without_unknown_users(rows)?;
        let rows = self.without_collisions(rows);
        Ok(Selected {
            rows: self.without_existing(rows)?,
            tuples: batch.tuples,
        })
    }

    fn without_unknown_users(&mut self, rows: Vec<Row>) -> Result<Vec<Row>, Error> {
        let Some(table) = self.content.users.clone() else {
            return Ok(rows);
        };
        self.users
            .learn(&table, rows.iter().filter_map(|row| row.user.as_deref()))?;
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            match &row.user {
                Some(user) if !self.users.exists(user) => {
                    let message = format!("user {user} does not exist in {}", table.name);
                    self.reject_row(&row, Reason::UserNotFound, message);
                }
                _ => left.push(row),
            }
        }
        Ok(left)
    }

    fn without_collisions(&mut self, mut rows: Vec<Row>) -> Vec<Row> {
        let mut doubles = Vec::new();
        rows.retain(|row| {
            let new = self.seen.insert(row.place);
            if !new {
                doubles.push((
                    row.collection,
                    row.record_id.clone(),
                    row.user.clone(),
                    row.key.clone(),
                ));
            }
            new
        });
        for (collection, record_id, user, key) in doubles {
            let message = format!(
                "another record of this run takes the key \"{key}\" of {}",
                self.content.name
            );
            let rejection = Rejection::new(Reason::IdCollision, message);
            self.reject(collection, record_id, user, rejection);
        }
        rows
    }

    /// Rows with whether the target has them; those that are to be skipped are not among them.
    fn without_existing(&mut self, rows: Vec<Row>) -> Result<Vec<(Row, bool)>, Error> {
        if self.content.created {
            return Ok(rows.into_iter().map(|row| (row, false)).collect());
        }
        let mut there: HashSet<(usize, Key)> = HashSet::new();
        for group in rows.chunk_by(|a, b| a.collection == b.collection) {
            let Some(first) = group.first() else { continue };
            let group: Vec<&Row> = group.iter().filter(|row| row.exists.is_none()).collect();
            if group.is_empty() {
                continue;
            }
            let found = existing(&self.content, self.name(first.collection), &group)?;
            there.extend(found.into_iter().map(|key| (first.collection, key)));
        }
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            let exists = row
                .exists
                .unwrap_or_else(|| there.contains(&(row.collection, key_of(&self.content, &row))));
            match self.on_conflict {
                OnConflict::Skip if exists => {
                    let message = format!("{} has a row with this key", self.content.name);
                    self.reject_row(&row, Reason::AlreadyExists, message);
                }
                OnConflict::Error if exists => return Err(self.already_exists(&row)),
                _ => left.push((row, exists)),
            }
        }
        Ok(left)
    }
    /// The error of a row whose key the target has.
    pub(super) fn already_exists(&self, row: &Row) -> Error {
        Error::AlreadyExists {
            record: row.record_id.clone(),
            collection: self.name(row.collection).to_owned(),
            target: self.content.name.clone(),
        }
    }
}
