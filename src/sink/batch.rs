//! What takes the reader's batches: `select` sorts one out, `ready` makes missing vectors, `load` puts its rows in;
//! `bulk` puts the rows of many batches in at once.

use vector_migrate_core::encode::{ContentColumn, EntityColumn};
use vector_migrate_core::key::KeySet;
use vector_migrate_core::pipeline::{Batch, Pool, Row};
use vector_migrate_core::reason::{Reason, Rejection};
use vector_migrate_core::report::{Counts, Report};

use super::fillers::Fillers;
use super::pending::Pending;
use super::reach::Reach;
use super::select::Selected;
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

/// Where batches come from; `None` at the end.
pub type Batches<'a> = dyn FnMut() -> Result<Option<Batch>, Error> + 'a;

/// How far a sink is.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The report's sum.
    pub counts: Counts,
    /// Rows on their way into the table, not in the report yet.
    pub coming: u64,
    /// Records of the store that were read and dealt with.
    pub read: u64,
}

/// Told from time to time how far the sink is.
pub type Tick<'a> = dyn FnMut(Standing) + 'a;

/// What waits for the next step.
pub(super) enum Aside {
    /// A batch whose sorting out takes a question to the server.
    Batch(Batch),
    /// Rows that need more than COPY.
    Selected(Selected),
}

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
    /// Where the batches' buffers go when they are used up.
    pub pool: Pool,
    /// The collections' names, by index.
    pub names: Vec<String>,
    /// The counts.
    pub report: Report,
    /// Places in the target that rows of this run take.
    pub(super) seen: KeySet,
    pub(super) users: Users,
    pub(super) failures: Vec<FailedRecord>,
    /// What a bulk load met and could not take.
    pub(super) aside: Option<Aside>,
    /// Rows that are ready and not in the tables yet.
    pub(super) pending: Pending,
    /// How much one COPY takes.
    pub reach: Reach,
    /// Records of the store that were read.
    pub(super) read: u64,
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
                content.key.contains(&KeyPart::Collection),
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
            pool: Pool::default(),
            names,
            report: Report::default(),
            seen: KeySet::default(),
            users: Users::default(),
            failures: Vec::new(),
            aside: None,
            pending: Pending::default(),
            reach: Reach::new(0, 0),
            read: 0,
            journal,
            fillers: Fillers::default(),
        }
    }

    /// Makes room for the keys of so many records.
    pub fn expect(&mut self, records: u64) {
        self.seen.reserve(usize::try_from(records).unwrap_or(0));
    }

    /// Takes what comes next: a batch, or as many as one COPY can take. `false` at the end of `source`; every item
    /// taken is in the report then. `tick` is called between steps.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NoModel`], [`Error::Damage`], the model's, the source's, and the server's own.
    pub fn advance(
        &mut self,
        source: &mut Batches<'_>,
        tick: &mut Tick<'_>,
    ) -> Result<bool, Error> {
        let selected = match self.aside.take() {
            Some(Aside::Selected(selected)) => selected,
            Some(Aside::Batch(batch)) => self.select(batch)?,
            None => match source()? {
                Some(batch) => self.select(batch)?,
                None => {
                    self.load_pending()?;
                    self.write_failures()?;
                    tick(self.standing(0, 0));
                    return Ok(false);
                }
            },
        };
        if self.streams(&selected) {
            self.load_in_bulk(selected, source, tick)?;
        } else {
            self.in_steps(selected, tick)?;
        }
        self.write_failures()?;
        tick(self.standing(self.pending.rows.len() as u64, 0));
        Ok(true)
    }

    fn write_failures(&mut self) -> Result<(), Error> {
        if let Some(run) = self.run {
            ledger::write_failures(run, &self.failures)?;
        }
        self.failures.clear();
        Ok(())
    }

    /// How far the sink is, with `coming` rows on their way and `waiting` ones not begun.
    pub(super) fn standing(&self, coming: u64, waiting: usize) -> Standing {
        Standing {
            counts: self.report.total(),
            coming,
            read: self.read.saturating_sub(waiting as u64),
        }
    }

    /// Makes the rows of one batch ready, those that lack a vector too, and loads what is ready when it is enough.
    pub(super) fn in_steps(
        &mut self,
        selected: Selected,
        tick: &mut Tick<'_>,
    ) -> Result<(), Error> {
        let Selected { mut rows, tuples } = selected;
        while !rows.is_empty() {
            let step = self.step(&rows).min(rows.len());
            let later = rows.split_off(step);
            let ready = self.with_vectors(rows, &tuples)?;
            self.pending.extend(ready);
            if self.pending.bytes >= self.reach.bytes() {
                self.load_pending()?;
            }
            rows = later;
            tick(self.standing(self.pending.rows.len() as u64, rows.len()));
        }
        self.pool.give(tuples);
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

    pub(super) fn count_missing(&mut self, collection: usize, user: Option<&str>, missing: bool) {
        if missing {
            self.report
                .count(collection, user, |line| line.missing += 1);
        }
    }

    pub(super) fn reject(
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
}
