//! The producer of `migrate_chroma`: reads the plan's collections and hands batches over.

use std::ops::ControlFlow;

use super::items::Batch;
use super::plan::{EmbeddingMode, Plan, PlannedCollection};
use super::precheck::Precheck;
use super::remarks::Watch;
use super::worker::{Outbox, Sender};
use crate::record::Record;
use crate::sample::Sampling;
use crate::source::{Consumer, Source, SourceError};

/// A batch is handed over after so many records at the latest, so that it is told how far the reading is where few of
/// them are wanted.
const TOLD: u64 = 1 << 16;

/// Reads every collection of the plan and hands items over in batches; gives the last one back, for a caller that
/// wants to close the source before it waits for room again.
///
/// # Errors
/// What the source refuses. A consumer that is gone is not an error.
pub fn run(source: &dyn Source, plan: &Plan, sender: &Sender<Batch>) -> Result<Batch, SourceError> {
    let mut batches = Batches {
        filling: new_batch(plan),
        bytes: 0,
        read: plan.read,
        outbox: Outbox::new(sender),
        sampling: plan.sampling,
    };
    for (number, planned) in (plan.first..).zip(&plan.collections) {
        let mut rows = RowProducer {
            plan,
            number,
            planned,
            batches: &mut batches,
            precheck: Precheck::default(),
            watch: Watch::new(plan, planned),
        };
        source.feed(&planned.collection, &mut rows)?;
        let remarks = rows.watch.remarks(number);
        batches.filling.remarks.extend(remarks);
        if batches.outbox.gone() {
            break;
        }
    }
    batches.filling.read = batches.read;
    batches.filling.last = true;
    Ok(batches.filling)
}

/// An empty batch, with room for a whole one.
fn new_batch(plan: &Plan) -> Batch {
    /// Most tuples are smaller: the one that makes a batch full seldom moves it.
    const LAST_TUPLE: usize = 1 << 16;
    let mut tuples = plan.pool.take();
    tuples.reserve(plan.batch_bytes + LAST_TUPLE);
    Batch {
        items: Vec::with_capacity(plan.batch_bytes / 4096),
        tuples,
        ..Batch::default()
    }
}

/// What goes on from collection to collection.
struct Batches<'a> {
    /// The batch that is being filled.
    filling: Batch,
    /// What its items take, without their tuples.
    bytes: usize,
    /// Records that the run has read.
    read: u64,
    outbox: Outbox<'a, Batch>,
    sampling: Option<Sampling>,
}

/// Items of one collection's records, in batches of [`Plan::batch_bytes`].
struct RowProducer<'a, 'b> {
    plan: &'a Plan,
    /// The collection's number in the run.
    number: usize,
    planned: &'a PlannedCollection,
    batches: &'a mut Batches<'b>,
    precheck: Precheck,
    watch: Watch,
}

impl Consumer for RowProducer<'_, '_> {
    fn owner_key(&self) -> &str {
        &self.plan.owner_key
    }

    fn knows(&mut self, id: &str) -> bool {
        self.plan.has_id(self.planned, id, &mut self.precheck)
    }

    fn wants_vector(&mut self, record: &Record) -> bool {
        self.plan.precheck(self.planned, record, &mut self.precheck);
        let needed = self.precheck.asked
            && self.plan.mode != EmbeddingMode::Generate
            && !self.precheck.left_out;
        if let Some(sampling) = &mut self.batches.sampling {
            sampling.wants(record, needed);
        }
        needed || self.plan.strict
    }

    fn take(&mut self, record: Record) -> ControlFlow<()> {
        let (plan, batches) = (self.plan, &mut *self.batches);
        batches.read = batches.read.saturating_add(1);
        if let Some(pair) = batches.sampling.as_mut().and_then(|it| it.take(&record)) {
            batches.bytes += pair.bytes();
            batches.filling.samples.push(pair);
        }
        let item = plan.item(
            self.number,
            self.planned,
            record,
            &self.precheck,
            &mut self.watch,
            &mut batches.filling.tuples,
        );
        if let Some(item) = item {
            batches.bytes += item.bytes();
            batches.filling.items.push(item);
        }
        self.precheck.forget();
        let full = batches.bytes + batches.filling.tuples.len() >= plan.batch_bytes;
        if full || batches.read.is_multiple_of(TOLD) {
            batches.bytes = 0;
            batches.filling.read = batches.read;
            let batch = std::mem::replace(&mut batches.filling, new_batch(plan));
            batches.outbox.put(batch);
        }
        if batches.outbox.gone() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn ready(&mut self) -> bool {
        self.batches.outbox.ready()
    }
}

#[cfg(test)]
#[path = "row_producer_tests.rs"]
mod tests;
