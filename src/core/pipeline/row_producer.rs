//! The producer of `migrate_chroma`: reads the plan's collections and hands batches over.

use std::ops::ControlFlow;

use super::items::Batch;
use super::plan::{EmbeddingMode, Plan};
use super::precheck::Precheck;
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
    let mut batches = RowProducer {
        plan,
        index: 0,
        name: String::new(),
        batch: new_batch(plan),
        bytes: 0,
        read: 0,
        outbox: Outbox::new(sender),
        precheck: Precheck::default(),
        sampling: plan.sampling,
    };
    for (index, collection) in plan.collections.iter().enumerate() {
        batches.index = index;
        batches.name = collection.qualified_name();
        // What was looked up last was of another collection.
        batches.precheck = Precheck::default();
        source.feed(collection, &mut batches)?;
        if batches.outbox.gone() {
            break;
        }
    }
    batches.batch.read = batches.read;
    batches.batch.last = true;
    Ok(batches.batch)
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

/// Items of records, in batches of [`Plan::batch_bytes`].
struct RowProducer<'a> {
    plan: &'a Plan,
    index: usize,
    /// The collection's qualified name.
    name: String,
    batch: Batch,
    bytes: usize,
    read: u64,
    outbox: Outbox<'a, Batch>,
    precheck: Precheck,
    sampling: Option<Sampling>,
}

impl Consumer for RowProducer<'_> {
    fn knows(&mut self, id: &str) -> bool {
        self.plan.has_id(&self.name, id, &mut self.precheck)
    }

    fn wants_vector(&mut self, record: &Record) -> bool {
        self.plan.precheck(&self.name, record, &mut self.precheck);
        let needed = self.precheck.asked
            && self.plan.mode != EmbeddingMode::Generate
            && !self.plan.leaves_out(self.precheck.exists);
        if let Some(sampling) = &mut self.sampling {
            sampling.wants(record, needed);
        }
        needed || self.plan.strict
    }

    fn take(&mut self, record: Record) -> ControlFlow<()> {
        let Some(collection) = self.plan.collections.get(self.index) else {
            return ControlFlow::Break(());
        };
        self.read += 1;
        if let Some(pair) = self.sampling.as_mut().and_then(|it| it.take(&record)) {
            self.bytes += pair.bytes();
            self.batch.samples.push(pair);
        }
        let (plan, tuples) = (self.plan, &mut self.batch.tuples);
        if let Some(item) = plan.item(self.index, collection, record, &self.precheck, tuples) {
            self.bytes += item.bytes();
            self.batch.items.push(item);
        }
        self.precheck.forget();
        let full = self.bytes + self.batch.tuples.len() >= plan.batch_bytes;
        if full || self.read.is_multiple_of(TOLD) {
            self.bytes = 0;
            self.batch.read = self.read;
            let batch = std::mem::replace(&mut self.batch, new_batch(plan));
            self.outbox.put(batch);
        }
        if self.outbox.gone() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn ready(&mut self) -> bool {
        self.outbox.ready()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;
    use crate::pipeline::{Item, Next, Worker};
    use crate::record::{Collection, Inventory, Metadata, Space};
    use crate::seen::KnownKeys;

    /// Two collections with one record each, of the same id; that of the second is in the queue only, so that nobody
    /// asks beforehand whether it is known.
    struct Twins(Vec<Collection>);

    impl Source for Twins {
        fn collections(&self) -> &[Collection] {
            &self.0
        }

        fn feed(&self, of: &Collection, consumer: &mut dyn Consumer) -> Result<(), SourceError> {
            if of.name == "first" {
                assert!(consumer.knows("x"));
            }
            let record = Record {
                id: "x".to_owned(),
                document: None,
                uri: None,
                metadata: Metadata::default(),
                vector: None,
                missing: false,
                created_at: None,
                stale: false,
                damage: None,
            };
            consumer.wants_vector(&record);
            let _ = consumer.take(record);
            Ok(())
        }

        fn inventory(&self, _: &Collection) -> Result<Inventory, SourceError> {
            Ok(Inventory::default())
        }
    }

    #[test]
    fn what_is_known_of_an_id_is_known_of_its_collection_only() {
        let twins = ["first", "second"].map(|name| Collection {
            tenant: "default_tenant".to_owned(),
            database: "default_database".to_owned(),
            name: name.to_owned(),
            id: name.to_owned(),
            dimension: None,
            space: Space::L2,
            configuration: serde_json::Value::Null,
            metadata: Metadata::default(),
        });
        let mut known = KnownKeys::new(true, false);
        known.insert("first", "x", None);
        let plan = Plan {
            keep_orphans: true,
            known: Some(known),
            ..Plan::stored(twins.to_vec(), Vec::new(), 1 << 20)
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut worker = Worker::spawn(stop, move |sender| {
            let last = run(&Twins(twins.to_vec()), &plan, &sender)?;
            sender.send(last);
            Ok::<(), SourceError>(())
        })
        .unwrap();
        let Next::Batch(batch) = worker.next(Duration::from_secs(60)) else {
            panic!("no batch")
        };
        assert!(matches!(&batch.items[0], Item::Row(row) if row.exists == Some(true)));
        // It is wanted, and has no vector: known to be there, it would have been left out.
        assert!(matches!(
            &batch.items[1],
            Item::Rejected { collection: 1, .. }
        ));
    }
}
