//! Which records of a batch become rows, and what is told of the others.

use std::collections::HashSet;
use std::rc::Rc;

use vector_migrate_core::key::KeySet;
use vector_migrate_core::pipeline::{Batch, EncodedRow, Item};
use vector_migrate_core::reason::{Reason, Rejection};
use vector_migrate_core::seen::KnownKeys;

use super::existing::{TargetKey, existing, key_of};
use super::numbers::RowNumbers;
use super::users::Users;
use super::{OnConflict, Recorder, Rules};
use crate::error::Error;
use crate::ledger::Origins;
use crate::message::warning;
use crate::tables::Target;

/// A row that is wanted in the target.
#[derive(Debug)]
pub struct WantedRow {
    /// The row.
    pub row: EncodedRow,
    /// The target has its key: overwrite.
    pub exists: bool,
}

/// The rows of a batch that are wanted.
#[derive(Debug)]
pub struct Sorted {
    /// The rows.
    pub rows: Vec<WantedRow>,
    /// What their tuples' ranges point into.
    pub tuples: Vec<u8>,
}

/// Sorts batches out.
#[derive(Debug)]
pub struct Sorter {
    content: Rc<Target>,
    on_conflict: OnConflict,
    strict: bool,
    /// Which rows of the target came from another store.
    origins: Origins,
    /// The target's keys with the collection of their rows, where the key does not have it and it is known.
    of_collections: Option<KnownKeys>,
    numbers: Option<RowNumbers>,
    users: Users,
    /// Places in the target that rows of this run take.
    seen: KeySet,
}

impl Sorter {
    /// For rows that the content table is to get.
    pub fn new(content: Rc<Target>, rules: Rules) -> Sorter {
        let numbers = RowNumbers::of(&content, rules.dry_run);
        let mut seen = KeySet::default();
        seen.reserve(usize::try_from(rules.records).unwrap_or(0));
        Sorter {
            content,
            on_conflict: rules.on_conflict,
            strict: rules.strict,
            origins: rules.origins,
            of_collections: rules.of_collections,
            numbers,
            users: Users::default(),
            seen,
        }
    }

    /// Whether sorting `batch` out takes a query, or may end the run: what is known of users and keys is not enough.
    pub fn needs_query(&self, batch: &Batch) -> bool {
        let asks = |item: &Item| match item {
            Item::Row(row) => {
                let stranger = |user: &str| self.content.users.is_some() && !self.users.knows(user);
                row.user.as_deref().is_some_and(stranger)
                    || (row.exists.is_none() && !self.content.created)
            }
            Item::Rejected { .. } => false,
            Item::Warning(_) => true,
        };
        batch.items.iter().any(asks)
    }

    /// Sorts a batch out; what is left out is in the report afterwards.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Damage`], and the server's own.
    pub fn sort(&mut self, batch: Batch, recorder: &mut Recorder) -> Result<Sorted, Error> {
        recorder.read(batch.read);
        let mut rows = Vec::with_capacity(batch.items.len());
        for item in batch.items {
            match item {
                Item::Row(row) => {
                    recorder.count_missing(row.collection, row.user.as_deref(), row.missing);
                    rows.push(row);
                }
                Item::Rejected {
                    collection,
                    record_id,
                    user,
                    missing,
                    rejection,
                } => {
                    recorder.count_missing(collection, user.as_deref(), missing);
                    recorder.reject(collection, record_id, user, rejection);
                }
                Item::Warning(text) if self.strict => return Err(Error::Damage(text)),
                Item::Warning(text) => warning!("{text}"),
            }
        }
        let rows = self.without_unknown_users(rows, recorder)?;
        let rows = self.without_collisions(rows, recorder);
        let mut rows = self.without_existing(rows, recorder)?;
        let mut tuples = batch.tuples;
        if let Some(numbers) = &self.numbers {
            numbers.give(&mut rows, &mut tuples)?;
        }
        Ok(Sorted { rows, tuples })
    }

    fn without_unknown_users(
        &mut self,
        rows: Vec<EncodedRow>,
        recorder: &mut Recorder,
    ) -> Result<Vec<EncodedRow>, Error> {
        let Some(table) = &self.content.users else {
            return Ok(rows);
        };
        self.users
            .learn(table, rows.iter().filter_map(|row| row.user.as_deref()))?;
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            match &row.user {
                Some(user) if !self.users.exists(user) => {
                    let message = format!("user {user} does not exist in {}", table.name);
                    recorder.reject_row(&row, Reason::UserNotFound, message);
                }
                _ => left.push(row),
            }
        }
        Ok(left)
    }

    fn without_collisions(
        &mut self,
        mut rows: Vec<EncodedRow>,
        recorder: &mut Recorder,
    ) -> Vec<EncodedRow> {
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
        // What would let in the records of another collection.
        let way_out = match (
            self.content.per_collection(),
            self.content.is_content_library,
        ) {
            (true, _) => "",
            (false, true) => {
                ", whose key has no chroma_collection: give it one, or migrate each collection into a target of its own"
            }
            (false, false) => ", whose key is the id alone",
        };
        for (collection, record_id, user, key) in doubles {
            let message = format!(
                "another record of this run takes the key \"{key}\" of {}{way_out}",
                self.content.name
            );
            let rejection = Rejection::new(Reason::IdCollision, message);
            recorder.reject(collection, record_id, user, rejection);
        }
        rows
    }

    /// Tells which rows the target has; those that are to be skipped are not among what is left.
    fn without_existing(
        &self,
        rows: Vec<EncodedRow>,
        recorder: &mut Recorder,
    ) -> Result<Vec<WantedRow>, Error> {
        if self.content.created {
            let new = |row| WantedRow { row, exists: false };
            return Ok(rows.into_iter().map(new).collect());
        }
        let mut there: HashSet<(usize, TargetKey)> = HashSet::new();
        let mut strangers: HashSet<(usize, TargetKey)> = HashSet::new();
        for group in rows.chunk_by(|a, b| a.collection == b.collection) {
            let Some(first) = group.first() else { continue };
            let group: Vec<&EncodedRow> = group.iter().filter(|row| row.exists.is_none()).collect();
            if group.is_empty() {
                continue;
            }
            let (of, key) = (first.collection, recorder.key(first.collection));
            let found = existing(&self.content, &self.content.key, key, &group)?;
            if let Some(beside) = self.content.key_with_collection()
                && !found.is_empty()
            {
                let ours = existing(&self.content, &beside, key, &group)?;
                strangers.extend(found.difference(&ours).map(|it| (of, it.clone())));
            }
            there.extend(found.into_iter().map(|key| (of, key)));
        }
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            let key = || (row.collection, key_of(&self.content, &row));
            let exists = row.exists.unwrap_or_else(|| there.contains(&key()));
            let of_another = exists
                && match (&self.of_collections, row.exists) {
                    (Some(known), Some(_)) => {
                        let collection = recorder.key(row.collection);
                        !known.contains(collection, &row.key, row.user.as_deref())
                    }
                    _ => strangers.contains(&key()),
                };
            if of_another {
                let message = format!(
                    "{} has a row of another collection with the key \"{}\"",
                    self.content.name, row.key
                );
                recorder.reject_row(&row, Reason::IdCollision, message);
                continue;
            }
            if exists
                && matches!(self.on_conflict, OnConflict::Skip | OnConflict::Update)
                && let Some(message) = self.in_other_store(&row)
            {
                recorder.reject_row(&row, Reason::IdCollision, message);
                continue;
            }
            match self.on_conflict {
                OnConflict::Skip if exists => {
                    let message = format!("{} has a row with this key", self.content.name);
                    recorder.reject_row(&row, Reason::AlreadyExists, message);
                }
                OnConflict::Error if exists => {
                    let elsewhere = self.in_other_store(&row);
                    return Err(already_exists(&self.content, &row, elsewhere, recorder));
                }
                _ => left.push(WantedRow { row, exists }),
            }
        }
        Ok(left)
    }
}

impl Sorter {
    /// That the row of this key came from another store, if it did.
    fn in_other_store(&self, row: &EncodedRow) -> Option<String> {
        let origin = self.origins.elsewhere(&row.place)?;
        let way_out = match self.content.key.collection.is_some() {
            true => "a target of its own or source_name => '...' keeps them apart",
            false => "a target of its own keeps them apart",
        };
        Some(format!(
            "the row \"{}\" of {} came from {}: {way_out}, on_conflict => 'overwrite' takes its place",
            row.key,
            self.content.name,
            origin.described()
        ))
    }
}

/// The error of a row whose key the target has; `elsewhere`: that it came from another store.
pub fn already_exists(
    content: &Target,
    row: &EncodedRow,
    elsewhere: Option<String>,
    recorder: &Recorder,
) -> Error {
    Error::AlreadyExists {
        record: row.record_id.clone(),
        collection: recorder.name(row.collection).to_owned(),
        target: content.name.clone(),
        elsewhere,
    }
}
