//! A batch from the reader: which of its rows go into the tables, and what is told of the others.
//! `ready` makes missing vectors, `load` puts the rows in.

use std::collections::HashSet;

use vector_migrate_core::encode::{ContentColumn, EntityColumn};
use vector_migrate_core::pipeline::{Batch, Item, Row};
use vector_migrate_core::reason::{Reason, Rejection};
use vector_migrate_core::report::Report;
use vector_migrate_core::seen::SeenKeys;

use super::existing::{Key, existing, key_of};
use super::fillers::Fillers;

use super::users::Users;
use crate::error::Error;
use crate::ledger::{self, FailedRecord, Journal};
use crate::tables::{KeyPart, Target};

/// What to do with a record whose key the target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Leave the row, skip the record.
    Skip,
    /// Overwrite the row.
    Update,
    /// Stop with an error.
    Error,
}

/// Rows loaded in one step where vectors are made: enough texts that sorting them by length pays, few enough that
/// progress is told.
const SLOW_STEP: usize = 256;

/// Takes items, fills the tables, keeps the counts.
pub struct Sink {
    /// The content table that conflicts are looked up in.
    pub content: Target<ContentColumn>,
    /// The entity table.
    pub entity: Option<Target<EntityColumn>>,
    /// Where content rows go: the content table, or its shadow in a dry run; `None`: nowhere.
    pub into_content: Option<Target<ContentColumn>>,
    /// Where entity rows go.
    pub into_entity: Option<Target<EntityColumn>>,
    /// The run in the ledger; `None` in a dry run.
    pub run: Option<i64>,
    /// A dry run that puts its rows into the tables themselves.
    pub dry_in_place: bool,
    /// What to do with keys that are there.
    pub on_conflict: OnConflict,
    /// Entity texts are embedded; else their embedding is NULL.
    pub embeds_entities: bool,
    /// Any damage in the store stops the run.
    pub strict: bool,
    /// The collections' names, by index.
    pub names: Vec<String>,
    /// The counts.
    pub report: Report,
    seen: SeenKeys,
    users: Users,
    failures: Vec<FailedRecord>,
    /// The ledger of the run; `None` in a dry run.
    pub(super) journal: Option<Journal>,
    pub(super) fillers: Fillers,
}

impl Sink {
    /// A sink that has taken nothing yet.
    pub fn new(
        content: Target<ContentColumn>,
        entity: Option<Target<EntityColumn>>,
        run: Option<i64>,
        on_conflict: OnConflict,
        embeds_entities: bool,
        names: Vec<String>,
    ) -> Sink {
        let journal = run.map(|run| {
            Journal::new(
                run,
                content.oid,
                content.key.contains(&KeyPart::User),
                content.has(ContentColumn::ChromaCollection),
                content.versioned,
            )
        });
        Sink {
            into_content: Some(content.clone()),
            into_entity: entity.clone(),
            content,
            entity,
            run,
            dry_in_place: false,
            on_conflict,
            embeds_entities,
            strict: false,
            names,
            report: Report::default(),
            seen: SeenKeys::default(),
            users: Users::default(),
            failures: Vec::new(),
            journal,
            fillers: Fillers::default(),
        }
    }

    /// Takes a batch; every item of them is in the report afterwards. `tick` is called between
    /// steps, with the report as it stands.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NoModel`], [`Error::Damage`], the model's, and the server's own.
    pub fn take(&mut self, batch: Batch, tick: &mut dyn FnMut(&Report)) -> Result<(), Error> {
        let mut rows = Vec::new();
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
                Item::Warning(text) => pgrx::warning!("{text}"),
            }
        }
        let rows = self.without_unknown_users(rows)?;
        let rows = self.without_collisions(rows);
        let mut rows = self.without_existing(rows)?;
        while !rows.is_empty() {
            let step = self.step(&rows).min(rows.len());
            let later = rows.split_off(step);
            let ready = self.with_vectors(rows, &batch.tuples)?;
            self.load(&ready)?;
            rows = later;
            tick(&self.report);
        }
        tick(&self.report);
        if let Some(run) = self.run {
            ledger::write_failures(run, &self.failures)?;
        }
        self.failures.clear();
        Ok(())
    }

    /// Ends the run's ledger: everything is in the tables afterwards.
    ///
    /// # Errors
    /// The server's own.
    pub fn close(&mut self) -> Result<(), Error> {
        match &mut self.journal {
            Some(journal) => journal.close(),
            None => Ok(()),
        }
    }

    /// Rows to load in one step: all, or few where the model takes its time, so that progress is told.
    fn step(&self, rows: &[(Row, bool)]) -> usize {
        let slow =
            |row: &Row| !row.has_vector || (self.embeds_entities && !row.entities.is_empty());
        if rows.iter().any(|(row, _)| slow(row)) {
            SLOW_STEP
        } else {
            rows.len()
        }
    }

    fn count_missing(&mut self, collection: usize, user: Option<&str>, missing: bool) {
        if missing {
            self.report.line(collection, user).missing += 1;
        }
    }

    fn reject(
        &mut self,
        collection: usize,
        record_id: String,
        user: Option<String>,
        rejection: Rejection,
    ) {
        self.report.reject(
            collection,
            user.as_deref(),
            rejection.reason,
            &rejection.message,
        );
        self.write_down(collection, record_id, user, rejection);
    }

    /// Keeps a rejection, or a remark, for `run_errors`.
    fn write_down(
        &mut self,
        collection: usize,
        record_id: String,
        user: Option<String>,
        rejection: Rejection,
    ) {
        if self.run.is_some() {
            let collection = self.name(collection).to_owned();
            self.failures.push(FailedRecord {
                collection,
                record_id,
                user,
                rejection,
            });
        }
    }

    /// Remarks on a row that was migrated with a vector that may be older than the rest of it.
    pub(super) fn mark_stale(&mut self, row: &Row) {
        let message =
            "migrated with a vector that may be older than its text: Chroma lost the newer one";
        self.write_down(
            row.collection,
            row.record_id.clone(),
            row.user.clone(),
            Rejection::new(Reason::Stale, message),
        );
    }

    pub(super) fn reject_row(&mut self, row: &Row, reason: Reason, message: impl Into<String>) {
        let rejection = Rejection::new(reason, message);
        self.reject(
            row.collection,
            row.record_id.clone(),
            row.user.clone(),
            rejection,
        );
    }

    pub(super) fn name(&self, collection: usize) -> &str {
        self.names.get(collection).map_or("", String::as_str)
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

    fn without_collisions(&mut self, rows: Vec<Row>) -> Vec<Row> {
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            let collection = self.names.get(row.collection).map(String::as_str);
            let part = |part: &KeyPart| match part {
                KeyPart::Collection => collection,
                KeyPart::User => row.user.as_deref(),
                KeyPart::Id => Some(row.key.as_str()),
            };
            let key: Vec<Option<&str>> = self.content.key.iter().map(part).collect();
            if self.seen.insert(&key) {
                left.push(row);
            } else {
                let message = format!(
                    "another record of this run takes the key \"{}\" of {}",
                    row.key, self.content.name
                );
                self.reject_row(&row, Reason::IdCollision, message);
            }
        }
        left
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
                OnConflict::Error if exists => {
                    return Err(Error::AlreadyExists {
                        record: row.record_id.clone(),
                        collection: self.name(row.collection).to_owned(),
                        target: self.content.name.clone(),
                    });
                }
                _ => left.push((row, exists)),
            }
        }
        Ok(left)
    }
}
