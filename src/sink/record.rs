//! What becomes of each record: counted, and written down in the ledger.

use std::rc::Rc;

use vector_migrate_core::pipeline::EncodedRow;
use vector_migrate_core::reason::{Reason, Rejection};
use vector_migrate_core::report::{Counts, Report};

use crate::error::Error;
use crate::ledger::{self, FailedRecord, Journal, RunCollection, WrittenRow};

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct RunProgress {
    /// The report's sum.
    pub counts: Counts,
    /// Rows on their way into the table, not in the report yet.
    pub coming: u64,
    /// Records of the store that were read and dealt with.
    pub read: u64,
}

/// Told from time to time how far the run is.
pub type Tick<'a> = dyn FnMut(RunProgress) + 'a;

/// What a run has counted so far, from one of its tables to the next.
#[derive(Debug, Default)]
pub struct Tally {
    /// What became of its records.
    pub report: Report,
    /// Records of the store that were read.
    pub read: u64,
    /// Blocks that it has in the ledger.
    pub blocks: i64,
}

/// Keeps the counts of a run while it fills one of its tables, and its ledger.
#[derive(Debug)]
pub struct Recorder {
    /// The run in the ledger; `None` in a dry run.
    run: Option<i64>,
    /// The collections, by their number in the run.
    collections: Rc<[RunCollection]>,
    report: Report,
    failures: Vec<FailedRecord>,
    /// The rows written; `None` in a dry run.
    journal: Option<Journal>,
    /// Records of the store that were read.
    read: u64,
}

impl Recorder {
    /// Goes on from `tally`; `journal`: that of the table, `None` in a dry run.
    pub fn new(
        tally: Tally,
        journal: Option<Journal>,
        collections: Rc<[RunCollection]>,
    ) -> Recorder {
        Recorder {
            run: journal.as_ref().map(Journal::run),
            collections,
            report: tally.report,
            failures: Vec::new(),
            journal,
            read: tally.read,
        }
    }

    /// The name of a collection.
    pub fn name(&self, collection: usize) -> &str {
        self.collections
            .get(collection)
            .map_or("", |it| it.name.as_str())
    }

    /// What the target's key has for a collection, if it has it.
    pub fn key(&self, collection: usize) -> &str {
        self.collections
            .get(collection)
            .map_or("", |it| it.key.as_str())
    }

    /// How far the run is, with `coming` rows on their way and `waiting` ones not begun.
    pub(super) fn progress(&self, coming: u64, waiting: usize) -> RunProgress {
        RunProgress {
            counts: self.report.total(),
            coming,
            read: self.read.saturating_sub(waiting as u64),
        }
    }

    /// So many records of the store were read.
    pub(super) fn read(&mut self, records: u64) {
        self.read = records;
    }

    /// A record whose vector was wanted and is missing, if it is.
    pub(super) fn count_missing(&mut self, collection: usize, user: Option<&str>, missing: bool) {
        if missing {
            self.report
                .count(collection, user, |counts| counts.missing += 1);
        }
    }

    /// A record that does not become a row.
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
        self.remark(collection, record_id, user, rejection);
    }

    /// A row that does not get into the table.
    pub(super) fn reject_row(
        &mut self,
        row: &EncodedRow,
        reason: Reason,
        message: impl Into<String>,
    ) {
        self.reject(
            row.collection,
            row.record_id.clone(),
            row.user.clone(),
            Rejection::new(reason, message),
        );
    }

    /// Keeps a rejection, or a remark, for `run_errors`.
    fn remark(
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

    /// Rejections and remarks that are not in `run_errors` yet.
    pub(super) fn unwritten(&self) -> usize {
        self.failures.len()
    }

    /// Writes rejections and remarks into `run_errors`.
    ///
    /// # Errors
    /// The server's own.
    pub(super) fn write_failures(&mut self) -> Result<(), Error> {
        if let Some(run) = self.run {
            ledger::write_failures(run, &self.failures)?;
        }
        self.failures.clear();
        Ok(())
    }

    /// Counts a row that is in the table; `embedded`: its vector was made here.
    pub(super) fn count(&mut self, row: &EncodedRow, embedded: bool) {
        if row.stale && !embedded {
            let message =
                "migrated with a vector that may be older than its text: Chroma lost the newer one";
            self.remark(
                row.collection,
                row.record_id.clone(),
                row.user.clone(),
                Rejection::new(Reason::Stale, message),
            );
        }
        self.report
            .count(row.collection, row.user.as_deref(), |counts| {
                counts.migrated += 1;
                counts.nul += u64::from(row.nul);
                if embedded {
                    counts.embedded += 1;
                } else {
                    counts.reused += 1;
                    counts.restored += u64::from(row.restored);
                    counts.stale += u64::from(row.stale);
                }
                counts.entities += row.entities.len() as u64;
            });
    }

    /// Writes a row down in the ledger; `before`: what it overwrote.
    ///
    /// # Errors
    /// The server's own.
    pub(super) fn enter(
        &mut self,
        row: &EncodedRow,
        xid: u32,
        before: Option<(&str, &str)>,
    ) -> Result<(), Error> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        let Some(collection) = self.collections.get(row.collection) else {
            return Err(Error::Bug("a row without collection".into()));
        };
        journal.add(
            collection,
            &WrittenRow {
                key: &row.key,
                record: &row.id,
                user: row.user.as_deref(),
                entities: row.entities.len(),
                xid,
                before,
            },
        )
    }

    /// Writes the ledger's blocks that were begun.
    ///
    /// # Errors
    /// The server's own.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.journal.as_mut().map_or(Ok(()), Journal::flush)
    }

    /// The rows entered are in their tables to stay, as far as the transaction is.
    ///
    /// # Errors
    /// The server's own.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        self.journal.as_mut().map_or(Ok(()), Journal::settle)
    }

    /// Forgets the rows entered since [`Recorder::flush`]: they are taken back.
    pub(super) fn forget(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.forget();
        }
    }

    /// Ends the table's part of the ledger: everything is in the tables afterwards.
    ///
    /// # Errors
    /// The server's own.
    pub(super) fn close(self) -> Result<Tally, Error> {
        Ok(Tally {
            report: self.report,
            read: self.read,
            blocks: self.journal.map_or(Ok(0), Journal::close)?,
        })
    }
}
