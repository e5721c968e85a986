//! The reader's thread, seen from the backend: started with signals blocked, waited for with interrupts
//! obeyed, stopped when its consumer goes away.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use vector_migrate_core::pipeline::{Next, Sender, Worker};
use vector_migrate_core::source::chroma::{
    ChromaStore, Options, PersistDir, Snapshot, removed_copies,
};
use vector_migrate_core::source::{Source, SourceError};

use crate::error::Error;
use crate::{interrupt, pg};

/// How long to wait before looking after interrupts again.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the thread hands over, in batches.
pub type Reader<T> = Worker<T, SourceError>;

/// Starts `produce` on a thread of its own. `stop` is raised when the reader is dropped before its end.
///
/// # Errors
/// [`Error::Thread`].
pub fn start<T: Send + 'static>(
    stop: Arc<AtomicBool>,
    produce: impl FnOnce(Sender<T>) -> Result<(), SourceError> + Send + 'static,
) -> Result<Reader<T>, Error> {
    interrupt::without_signals(|| Worker::spawn(stop, produce)).map_err(Error::Thread)
}

/// The next batch; `None` at the end. Obeys a cancel while it waits.
///
/// # Errors
/// What the source refused; [`Error::Bug`] if the thread panicked.
pub fn next<T: Send + 'static>(reader: &mut Reader<T>) -> Result<Option<T>, Error> {
    loop {
        interrupt::check();
        match reader.next(PATIENCE) {
            Next::Batch(batch) => return Ok(Some(batch)),
            Next::Waiting => {}
            Next::Done(result) => {
                report_copies();
                result?;
                return Ok(None);
            }
            Next::Panicked => return Err(Error::Bug("the reader's thread panicked".into())),
        }
    }
}

/// Ends a reader of which no more is wanted.
pub fn end<T: Send + 'static>(reader: Reader<T>) {
    drop(reader);
    report_copies();
}

/// Counts the private copies that are gone in `pg_stat_database`, each as a temporary file.
fn report_copies() {
    for bytes in removed_copies() {
        pg::count_temporary_file(bytes);
    }
}

/// How a store is opened: private copies, where it needs them, go where the server keeps temporary files, and are
/// removed when the backend ends, however that is; what only a crash leaves, the next copy or the server's next start
/// removes by its name.
pub fn options(stop: Arc<AtomicBool>) -> Options {
    pg::remove_copies_at_exit();
    report_copies();
    Options {
        stop,
        scratch: pg::temporary_directory(),
        prefix: "pgsql_tmp_vector_migrate".to_owned(),
        limit: pg::temporary_limit(),
        snapshot: Snapshot::WhenNeeded,
    }
}

/// An open store.
pub struct Opened {
    /// The store.
    pub store: ChromaStore,
    /// The flag that stops it.
    pub stop: Arc<AtomicBool>,
    /// The size of each of its collections.
    pub sizes: Vec<Size>,
}

/// How much there is to read of a collection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    /// Live records.
    pub records: u64,
    /// Rows of the queue.
    pub queued: u64,
}

/// Opens a store on a thread, as it may have to wait for a writer's lock.
///
/// # Errors
/// What the source refuses.
pub fn open(place: PersistDir) -> Result<Opened, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let options = options(stop.clone());
    let mut reader = start(
        stop.clone(),
        move |sender: Sender<(ChromaStore, Vec<Size>)>| {
            let store = ChromaStore::open_with(place, options)?;
            let sizes = store.collections().iter().map(|collection| {
                let (records, queued) = (store.count(collection)?, store.queue_rows(collection));
                Ok(Size { records, queued })
            });
            let sizes = sizes.collect::<Result<_, SourceError>>()?;
            sender.send((store, sizes));
            Ok(())
        },
    )?;
    let opened = next(&mut reader)?;
    // To its end: a reader dropped before would raise the flag that the store goes on to use.
    next(&mut reader)?;
    let (store, sizes) =
        opened.ok_or_else(|| Error::Bug("the reader's thread gave no store".into()))?;
    Ok(Opened { store, stop, sizes })
}

/// Asks an open store on a thread, and gives it back.
///
/// # Errors
/// What the source refuses.
pub fn ask<T: Send + 'static>(
    store: ChromaStore,
    stop: &Arc<AtomicBool>,
    question: impl FnOnce(&ChromaStore) -> Result<T, SourceError> + Send + 'static,
) -> Result<(ChromaStore, T), Error> {
    let mut reader = start(stop.clone(), move |sender: Sender<(ChromaStore, T)>| {
        let answer = question(&store)?;
        sender.send((store, answer));
        Ok(())
    })?;
    let answered = next(&mut reader)?;
    next(&mut reader)?;
    answered.ok_or_else(|| Error::Bug("the reader's thread gave no answer".into()))
}
