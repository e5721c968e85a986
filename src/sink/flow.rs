//! The way of batches through the sink.

use vector_migrate_core::pipeline::Pool;

use super::bulk::{self, BatchSource, Deferred};
use super::embed::RowEmbedder;
use super::load::Loader;
use super::sort::{Sorted, Sorter};
use super::{BulkLimit, Described, Destinations, Recorder, Rules, Tally, Tick};
use crate::error::Error;

/// Takes batches, fills the tables, keeps the counts.
pub struct Sink {
    sorter: Sorter,
    embedder: RowEmbedder,
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
        rules: Rules,
        limit: BulkLimit,
        pool: Pool,
    ) -> Sink {
        Sink {
            embedder: RowEmbedder::new(described, rules.embeds_entities),
            loader: Loader::new(described.clone(), into, rules.on_conflict, limit),
            sorter: Sorter::new(described.content.clone(), rules),
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
    pub fn advance(
        &mut self,
        source: &mut BatchSource<'_>,
        tick: &mut Tick<'_>,
    ) -> Result<bool, Error> {
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
        source: &mut BatchSource<'_>,
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

    /// Loads the rows and what comes after them by one load, or else batch by batch.
    fn load_in_bulk(
        &mut self,
        first: Sorted,
        source: &mut BatchSource<'_>,
        tick: &mut Tick<'_>,
    ) -> Result<(), Error> {
        let parts = bulk::Parts {
            sorter: &mut self.sorter,
            loader: &mut self.loader,
            recorder: &mut self.recorder,
            pool: &self.pool,
            deferred: &mut self.deferred,
        };
        for sorted in bulk::load(parts, first, source, tick)? {
            self.load_in_steps(sorted, tick)?;
            self.loader.load_pending(&mut self.recorder)?;
        }
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

    /// Ends the table: everything is in it afterwards. What the run has counted so far.
    ///
    /// # Errors
    /// The server's own.
    pub fn close(self) -> Result<Tally, Error> {
        self.recorder.close()
    }
}
