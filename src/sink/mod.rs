//! Rows into the tables of a run.
//!
//! ```text
//! Batch -> sort -> embed -> load -> record
//!          '------- bulk ------'
//! ```
//!
//! `sort` tells which records become rows, `embed` makes the vectors that they lack, `load` puts them in a bulk load at a time,
//! `bulk` those of many batches by one, and `record` keeps the counts and the ledger.
//!
//! Promise: what the server refuses becomes that record's error and nothing else's; what is counted is
//! what the server stored. Must not import anything of the store or the model's library.

mod bulk;
mod embed;
mod existing;
mod known;
mod limit;
mod load;
mod pending;
mod record;
mod sort;
mod update;
mod users;

use std::rc::Rc;

use vector_migrate_core::encode::{ContentColumn, EntityColumn};
use vector_migrate_core::pipeline::{Batch, Pool};

pub use known::known_keys;
pub use limit::BulkLimit;
pub use load::Destinations;
pub use record::{Recorder, RunProgress};
pub use sort::OnConflict;

use crate::error::Error;
use crate::tables::Target;
use bulk::Deferred;
use embed::Embedder;
use load::Loader;
use sort::{Sorted, Sorter};

/// Where batches come from; `None` at the end.
pub type Source<'a> = dyn FnMut() -> Result<Option<Batch>, Error> + 'a;

/// Told from time to time how far the run is.
pub type Tick<'a> = dyn FnMut(RunProgress) + 'a;

/// The run's tables, as they are described.
#[derive(Debug, Clone)]
pub struct Described {
    /// The content table, in which keys are looked up.
    pub content: Rc<Target<ContentColumn>>,
    /// The entity table.
    pub entity: Option<Rc<Target<EntityColumn>>>,
}

/// What a sink does with records.
#[derive(Debug)]
pub struct Rules {
    /// With keys that are there.
    pub on_conflict: OnConflict,
    /// Any damage in the store stops the run.
    pub strict: bool,
    /// Entity texts are embedded; else their embedding is NULL.
    pub embeds_entities: bool,
    /// Records that it may get.
    pub records: u64,
}

/// Takes batches, fills the tables, keeps the counts.
pub struct Sink {
    sorter: Sorter,
    embedder: Embedder,
    loader: Loader,
    recorder: Recorder,
    /// Where the batches' buffers go when they are used up.
    pool: Pool,
    /// What a bulk load met and could not take.
    deferred: Option<Deferred>,
}

impl Sink {
    /// A sink that has taken nothing yet. `into`: where rows go; `None`: nowhere.
    pub fn new(
        described: &Described,
        into: Option<Destinations>,
        recorder: Recorder,
        rules: &Rules,
        limit: BulkLimit,
        pool: Pool,
    ) -> Sink {
        Sink {
            sorter: Sorter::new(described.content.clone(), rules),
            embedder: Embedder::new(described, rules.embeds_entities),
            loader: Loader::new(described.clone(), into, rules.on_conflict, limit),
            recorder,
            pool,
            deferred: None,
        }
    }

    /// Takes what comes next: a batch, or as many as one bulk load can take. `false` at the end of `source`; every item
    /// taken is in the report then. `tick` is called between steps.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NoModel`], [`Error::Damage`], the model's, the source's, and the server's own.
    pub fn advance(&mut self, source: &mut Source<'_>, tick: &mut Tick<'_>) -> Result<bool, Error> {
        let batch = match self.deferred.take() {
            Some(Deferred::Sorted(sorted)) => {
                self.take(sorted, source, tick)?;
                return Ok(true);
            }
            Some(Deferred::Batch(batch)) => batch,
            None => match source()? {
                Some(batch) => batch,
                None => {
                    self.loader.load_pending(&mut self.recorder)?;
                    self.recorder.write_failures()?;
                    tick(self.recorder.progress(0, 0));
                    return Ok(false);
                }
            },
        };
        let sorted = self.sorter.sort(batch, &mut self.recorder)?;
        self.take(sorted, source, tick)?;
        Ok(true)
    }

    fn take(
        &mut self,
        sorted: Sorted,
        source: &mut Source<'_>,
        tick: &mut Tick<'_>,
    ) -> Result<(), Error> {
        if self.loader.takes_in_bulk(&sorted) {
            self.load_in_bulk(sorted, source, tick)?;
        } else {
            self.load_in_steps(sorted, tick)?;
        }
        self.recorder.write_failures()?;
        tick(self.recorder.progress(self.loader.pending_rows(), 0));
        Ok(())
    }

    /// Makes the vectors that rows of one batch lack, and loads what is ready when it is enough.
    fn load_in_steps(&mut self, sorted: Sorted, tick: &mut Tick<'_>) -> Result<(), Error> {
        let Sorted { mut rows, tuples } = sorted;
        while !rows.is_empty() {
            let step = self.embedder.step(&rows).min(rows.len());
            let later = rows.split_off(step);
            let embedded = self.embedder.embed(rows, &tuples, &mut self.recorder)?;
            self.loader.add(embedded, &mut self.recorder)?;
            rows = later;
            tick(
                self.recorder
                    .progress(self.loader.pending_rows(), rows.len()),
            );
        }
        self.pool.give(tuples);
        Ok(())
    }

    /// The counts and the ledger.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Ends the run's ledger: everything is in the tables afterwards.
    ///
    /// # Errors
    /// The server's own.
    pub fn close(&mut self) -> Result<(), Error> {
        self.recorder.close()
    }

    /// Whether the vectors of entity rows are made here.
    pub fn embeds_entities(&self) -> bool {
        self.embedder.embeds_entities()
    }
}
