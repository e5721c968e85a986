//! The run's reader. It begins before the run has its tables: finding records and vectors takes a while. It follows one plan
//! after the other, one for each of the run's tables, all of the same moment of the store.
//!
//! Promise: Chroma can write while the run waits for its tables, within [`POLL`] and the time of a private copy.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use vector_migrate_core::index::graph::{Form, Graph};
use vector_migrate_core::pipeline::{self, Batch, Item, Plan};
use vector_migrate_core::record::Collection;
use vector_migrate_core::source::SourceError;
use vector_migrate_core::source::chroma::ChromaStore;

use crate::error::Error;
use crate::reader::{self, Reader};

/// How often a reader without a plan looks for a writer that waits for the store.
const POLL: Duration = Duration::from_millis(20);

/// What a run wants to know of a collection's graph.
#[derive(Debug)]
pub struct GraphWish {
    /// The collection.
    pub collection: Collection,
    /// How the table's column holds vectors, if the graph itself is wanted; else its M is enough.
    pub form: Option<Form>,
    /// Bytes of memory that it may take.
    pub allowed: u64,
}

/// What there is of a collection's graph.
pub struct GraphFound {
    /// Its M, if the index files tell it.
    pub m: Option<u16>,
    /// Candidates that Chroma looked at for each element, if the index files tell it.
    pub effort: Option<u64>,
    /// The graph, or why there is none.
    pub graph: Result<Graph, String>,
}

/// What the reader is given to follow.
type Order = (Plan, Option<GraphWish>);

/// A reader that waits for its next plan, or follows one.
pub struct PlannedReader {
    // Before the thread, which is joined when it is dropped: without a plan to come it ends.
    plans: mpsc::Sender<Order>,
    items: Reader<Batch>,
    graphs: mpsc::Receiver<GraphFound>,
    /// The last batch of the plan has come.
    ended: bool,
}

impl PlannedReader {
    /// Starts to look for the records of `first`, the collection that will be read first, and for its vectors if
    /// they will be wanted. `plans`: so many will come.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn begin(
        store: ChromaStore,
        stop: Arc<AtomicBool>,
        first: Option<Collection>,
        vectors: bool,
        plans: usize,
    ) -> Result<PlannedReader, Error> {
        let (orders, plan) = mpsc::channel::<Order>();
        let (found, graphs) = mpsc::channel();
        let items = reader::start(stop, move |sender| {
            if let Some(first) = first {
                store.warm(&first)?;
                if vectors {
                    store.warm_vectors(&first)?;
                }
            }
            let mut store = Some(store);
            for left in (0..plans).rev() {
                let Some(open) = store.take() else { break };
                let Some((plan, wish)) = wait(&open, &plan)? else {
                    break;
                };
                let mut last = pipeline::run(&open, &plan, &sender)?;
                last.items
                    .extend(open.take_notices().into_iter().map(Item::Warning));
                // Of the same moment of the store as the records. Nobody waits for the graph of a run that has failed.
                if let Some(wish) = wish {
                    let _ = found.send(look(&open, &wish)?);
                }
                // A writer need not wait for the last batch to be taken.
                store = (left > 0).then_some(open);
                drop(plan);
                sender.send(last);
            }
            Ok(())
        })?;
        Ok(PlannedReader {
            plans: orders,
            items,
            graphs,
            ended: false,
        })
    }

    /// Gives the reader its next plan, and what it is to find out when all its records are read.
    pub fn follow(&mut self, plan: Plan, wish: Option<GraphWish>) {
        self.ended = false;
        // A reader that has ended says why when it is asked for a batch.
        let _ = self.plans.send((plan, wish));
    }

    /// What was wished for, after the plan's last batch has come.
    pub fn graph(&self) -> Option<GraphFound> {
        self.graphs.try_recv().ok()
    }

    /// The next batch of the plan; `None` at its end. Obeys a cancel while it waits.
    ///
    /// # Errors
    /// What the source refused.
    pub fn next(&mut self) -> Result<Option<Batch>, Error> {
        if self.ended {
            return Ok(None);
        }
        let batch = reader::next(&mut self.items)?;
        self.ended = batch.as_ref().is_none_or(|batch| batch.last);
        Ok(batch)
    }

    /// Waits until the reader has ended, which it does after its last plan.
    ///
    /// # Errors
    /// What the source refused.
    pub fn end(mut self) -> Result<(), Error> {
        while reader::next(&mut self.items)?.is_some() {}
        Ok(())
    }
}

/// The plan; `None` if it will not come. Preparing it may take long, as for a lock on the target.
fn wait(store: &ChromaStore, plans: &mpsc::Receiver<Order>) -> Result<Option<Order>, SourceError> {
    loop {
        match plans.recv_timeout(POLL) {
            Ok(order) => return Ok(Some(order)),
            Err(RecvTimeoutError::Timeout) => store.unlock_for_writer()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

/// Looks for the graph. A store that cannot be read any more has given its records already: it has no graph then.
///
/// # Errors
/// [`SourceError::Interrupted`].
pub fn look(store: &ChromaStore, wish: &GraphWish) -> Result<GraphFound, SourceError> {
    let shape = match store.graph_shape(&wish.collection) {
        Ok(shape) => shape.map_err(|none| none.to_string()),
        Err(SourceError::Interrupted) => return Err(SourceError::Interrupted),
        Err(error) => Err(error.to_string()),
    };
    let m = shape.as_ref().ok().map(|shape| shape.m);
    let effort = shape.as_ref().ok().map(|shape| shape.ef_construction);
    let graph = match (shape, wish.form) {
        (Err(none), _) => Err(none),
        (Ok(_), None) => Err("it was not read".to_owned()),
        (Ok(_), Some(form)) => match store.graph(&wish.collection, form, wish.allowed) {
            Ok(graph) => graph.map_err(|none| none.to_string()),
            Err(SourceError::Interrupted) => return Err(SourceError::Interrupted),
            Err(error) => Err(error.to_string()),
        },
    };
    Ok(GraphFound { m, effort, graph })
}
