//! The run's reader. It begins before the run has its tables: finding records and vectors takes a while.
//!
//! Promise: Chroma can write while the run waits for its tables, within [`POLL`] and the time of a private copy.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use vector_migrate_core::pipeline::{self, Batch, Item, Plan};
use vector_migrate_core::record::Collection;
use vector_migrate_core::source::SourceError;
use vector_migrate_core::source::chroma::ChromaStore;

use crate::error::Error;
use crate::reader::{self, Reader};

/// How often a reader without a plan looks for a writer that waits for the store.
const POLL: Duration = Duration::from_millis(20);

/// A reader that waits for its plan, or follows it.
pub struct Reading {
    // Before the thread, which is joined when it is dropped: without a plan to come it ends.
    plans: mpsc::Sender<Arc<Plan>>,
    items: Reader<Batch>,
}

impl Reading {
    /// Starts to look for the records of `first`, the collection that will be read first, and for its vectors if
    /// they will be wanted.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn begin(
        store: ChromaStore,
        stop: Arc<AtomicBool>,
        first: Option<Collection>,
        vectors: bool,
    ) -> Result<Reading, Error> {
        let (plans, plan) = mpsc::channel::<Arc<Plan>>();
        let items = reader::start(stop, move |sender| {
            if let Some(first) = first {
                store.warm(&first)?;
                if vectors {
                    store.warm_vectors(&first)?;
                }
            }
            let Some(plan) = wait(&store, &plan)? else {
                return Ok(());
            };
            let mut last = pipeline::run(&store, &plan, &sender)?;
            last.items
                .extend(store.take_notices().into_iter().map(Item::Warning));
            // A writer need not wait for the last batch to be taken.
            drop(store);
            drop(plan);
            sender.send(last);
            Ok(())
        })?;
        Ok(Reading { plans, items })
    }

    /// Gives the reader its plan.
    pub fn follow(&self, plan: Arc<Plan>) {
        // A reader that has ended says why when it is asked for a batch.
        let _ = self.plans.send(plan);
    }

    /// The next batch; `None` at the end. Obeys a cancel while it waits.
    ///
    /// # Errors
    /// What the source refused.
    pub fn next(&mut self) -> Result<Option<Batch>, Error> {
        reader::next(&mut self.items)
    }
}

/// The plan; `None` if it will not come. Preparing it may take long, as for a lock on the target.
fn wait(
    store: &ChromaStore,
    plans: &mpsc::Receiver<Arc<Plan>>,
) -> Result<Option<Arc<Plan>>, SourceError> {
    loop {
        match plans.recv_timeout(POLL) {
            Ok(plan) => return Ok(Some(plan)),
            Err(RecvTimeoutError::Timeout) => store.unlock_for_writer()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}
