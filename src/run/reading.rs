//! The run's reader. It begins before the run has its tables: finding records and vectors takes a while.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use vector_migrate_core::pipeline::{self, Batch, Item, Plan};
use vector_migrate_core::record::Collection;
use vector_migrate_core::source::SourceError;
use vector_migrate_core::source::chroma::ChromaStore;

use crate::error::Error;
use crate::reader::{self, Reader};

/// How often a reader without a plan looks for a writer that waits for the store.
const POLL: Duration = Duration::from_millis(20);

/// What the reader does until it has its plan.
pub struct Ahead {
    /// The collection that will be read first, of which the records are found.
    pub first: Collection,
    /// What else is read of it.
    pub what: What,
}

/// What can be read of a collection beforehand.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// Nothing: it cannot be told what will be wanted.
    Nothing,
    /// Where its vectors are, for a run that will most likely want them.
    Vectors,
    /// Ids and owners, so many bytes of them at most, for a run that will most likely find them in the target.
    Owners(usize),
}

/// A reader that waits for its plan, or follows it.
pub struct Reading {
    // Before the thread, which is joined when it is dropped: without a plan to come it ends.
    plans: mpsc::Sender<Arc<Plan>>,
    items: Reader<Batch>,
}

impl Reading {
    /// Starts the reader.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn begin(
        store: ChromaStore,
        stop: Arc<AtomicBool>,
        ahead: Option<Ahead>,
    ) -> Result<Reading, Error> {
        let (plans, plan) = mpsc::channel();
        let items = reader::start(stop, move |sender| {
            let Some(plan) = prepare(&store, ahead, &plan)? else {
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

/// Reads `ahead` until the plan comes; `None` if it never will.
fn prepare(
    store: &ChromaStore,
    ahead: Option<Ahead>,
    plans: &mpsc::Receiver<Arc<Plan>>,
) -> Result<Option<Arc<Plan>>, SourceError> {
    let mut plan = None;
    if let Some(Ahead { first, what }) = ahead {
        let most = match what {
            What::Owners(bytes) => bytes,
            What::Nothing | What::Vectors => 0,
        };
        store.warm(&first, &mut |bytes| {
            bytes >= most || plan.is_some() || {
                let came = plans.try_recv();
                let enough = !matches!(came, Err(TryRecvError::Empty));
                plan = came.ok();
                enough
            }
        })?;
        if matches!(what, What::Vectors) {
            store.warm_vectors(&first)?;
        }
    }
    while plan.is_none() {
        match plans.recv_timeout(POLL) {
            Ok(came) => plan = Some(came),
            // Preparing may have to wait for a lock on the target.
            Err(RecvTimeoutError::Timeout) => store.oblige()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
    Ok(plan)
}
