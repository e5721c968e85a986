//! A persist directory, open at one moment. `reading` makes it a [`Source`](crate::source::Source).
//!
//! Stage: source. Promise: as the folder's notes say. May import this folder and those below it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::bookmarks::believable;
use super::fingerprint::Fingerprint;
use super::notices::Notices;
use super::opening::{HALF_WRITTEN, PAUSE, is_read_error, open_database, purges, wait_for_age};
use crate::record::Collection;
use crate::source::chroma::catalog::collections::{Catalog, CatalogEntry};
use crate::source::chroma::catalog::schema::Schema;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{self, DATABASE};
use crate::source::chroma::files::persist_dir::PersistDir;
use crate::source::chroma::hnsw::renamed::renamed_segments;
use crate::source::chroma::hnsw::segment::index_warning;
use crate::source::chroma::metadata::tables::rowids;
use crate::source::chroma::queue::rows::Queue;
use crate::source::chroma::snapshot::options::{Options, Snapshot};
use crate::source::chroma::snapshot::state::{StoreState, check_index_files};
use crate::source::chroma::snapshot::under_lock::copy_under_lock;
use crate::source::chroma::snapshot::unlocked::UnlockedCopy;
use crate::source::chroma::sqlite::database_file::DatabaseFile;
use crate::source::chroma::vectors::of_collection::Vectors;
use crate::source::error::SourceError;
use crate::source::stop::check_stop;

/// How long a moment without a writer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open Chroma persist directory.
pub struct ChromaStore {
    directory: Folder,
    database: PathBuf,
    options: Options,
    pub(crate) state: RefCell<StoreState>,
    pub(crate) schema: Schema,
    pub(crate) tenants: u64,
    pub(crate) databases: u64,
    pub(crate) queue: Queue,
    warnings: Vec<String>,
    /// How many of the warnings are about damage: the first ones.
    damage: usize,
    pub(crate) collections: Vec<Collection>,
    /// No row was ever removed from the queue, by its configuration.
    complete: bool,
    /// The vectors found last, kept from an inventory to the read that follows it.
    pub(crate) last_vectors: RefCell<Option<(String, Vectors)>>,
    /// The rowids of the records of a collection that will be read next.
    rowids: RefCell<Option<(String, Vec<i64>)>>,
    notices: RefCell<Notices>,
}

impl ChromaStore {
    /// Opens the store at `path`: a persist directory, or the `chroma.sqlite3` in it. Raising `stop` ends
    /// whatever the store is doing with [`SourceError::Interrupted`].
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn open(path: &Path, stop: Arc<AtomicBool>) -> Result<ChromaStore, SourceError> {
        ChromaStore::open_with(PersistDir::open(path)?, Options::new(stop))
    }

    /// Opens the store in `place` as `options` say. Its path is not looked up again.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn open_with(place: PersistDir, options: Options) -> Result<ChromaStore, SourceError> {
        let PersistDir { folder: directory } = place;
        let database = directory.at(DATABASE);
        layout::check(&directory)?;
        let since = Instant::now();
        let mut at_once = options.snapshot == Snapshot::Always;
        let mut failing = false;
        loop {
            match ChromaStore::attempt(&directory, &options, failing) {
                Err(error) if !failing && is_read_error(&error, &database) => failing = true,
                Err(SourceError::Busy { .. }) if since.elapsed() < PATIENCE => {
                    at_once = true;
                    check_stop(&options.stop)?;
                    std::thread::sleep(PAUSE);
                }
                Ok(store) if at_once => match store.copy_and_unlock() {
                    Err(SourceError::Busy { .. }) if since.elapsed() < PATIENCE => {}
                    Err(error) => return Err(error),
                    Ok(()) => return Ok(store),
                },
                other => return other,
            }
        }
    }

    /// Opens the store once. `failing`: the disk cannot read all of the database.
    fn attempt(
        directory: &Folder,
        options: &Options,
        failing: bool,
    ) -> Result<ChromaStore, SourceError> {
        let old = layout::has_old_files(directory);
        let (database, copy) = open_database(directory, options, failing)?;
        if old && !database.has_table("embeddings_queue") {
            return Err(SourceError::OldLayout {
                path: directory.path().to_owned(),
            });
        }
        let schema = Schema::read(&database)?;
        let Catalog {
            entries,
            tenants,
            databases,
            mut warnings,
            mut remarks,
        } = Catalog::read(&database, &schema, directory)?;
        warnings.extend(copy.iter().flat_map(|copy| copy.warnings.clone()));
        // Asked after the look at the index files.
        if copy.is_none() && database.writer_inside() {
            return Err(SourceError::busy(
                &database.path,
                "another process is writing to it",
            ));
        }
        for entry in &entries {
            wait_for_age(&database, &entry.files, Duration::ZERO)?;
        }
        let state = match copy {
            Some(copy) => copy.finish(database, entries, directory)?,
            None => StoreState {
                database,
                entries,
                folder: directory.clone(),
                private: None,
            },
        };
        let queue = Queue::index(&state.database)?;
        let (entries, sentences) = believable(&state.database, &queue, state.entries)?;
        warnings.extend(sentences);
        let state = StoreState { entries, ..state };
        for entry in &state.entries {
            state.database.check_stop()?;
            if let Some(warning) = index_warning(&state.folder, entry)? {
                wait_for_age(&state.database, &entry.files, HALF_WRITTEN)?;
                warnings.push(warning);
            }
        }
        remarks.extend(renamed_segments(directory, &state.entries)?);
        if old {
            remarks.push(
                "files of chromadb before 0.4 (chroma-embeddings.parquet) lie in the directory and are not read"
                    .to_owned(),
            );
        }
        warnings.extend(queue.warning(&state.database));
        let complete =
            queue.unreadable.is_empty() && !purges(&state.database, &schema, &mut warnings)?;
        state.check_index_files(directory)?;
        let collections = state
            .entries
            .iter()
            .map(|entry| entry.collection.clone())
            .collect();
        let damage = warnings.len();
        let warnings = warnings
            .into_iter()
            .map(|sentence| state.about_original(directory.path(), sentence))
            .chain(remarks)
            .collect();
        Ok(ChromaStore {
            directory: directory.clone(),
            database: directory.at(DATABASE),
            options: options.clone(),
            state: RefCell::new(state),
            schema,
            tenants,
            databases,
            queue,
            warnings,
            damage,
            collections,
            complete,
            last_vectors: RefCell::new(None),
            rowids: RefCell::new(None),
            notices: RefCell::new(Notices::default()),
        })
    }

    /// Makes a private copy and gives the store's lock back, so that a writer can go on; nothing if that has
    /// happened already, or while a read is under way, which does it itself.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn copy_and_unlock(&self) -> Result<(), SourceError> {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Ok(());
        };
        self.forget();
        copy_under_lock(
            &mut state,
            &self.directory,
            &self.options,
            |state, entry, folder| {
                let database = &state.database;
                let found = Vectors::find(database, folder, &self.queue, self.complete, entry)?;
                Ok(found.notices.is_empty())
            },
        )
    }

    /// As [`ChromaStore::copy_and_unlock`], if a writer waits: for a caller that does not read meanwhile.
    ///
    /// # Errors
    /// As [`ChromaStore::copy_and_unlock`].
    pub fn unlock_for_writer(&self) -> Result<(), SourceError> {
        self.retried_in_copy(|state| self.check_for_writer(state))
    }

    /// Forgets what was found in files that are no longer read.
    fn forget(&self) {
        self.last_vectors.take();
        self.rowids.take();
    }

    /// Does `work`, and does it again in a private copy if the store cannot be read in its place any longer.
    pub(crate) fn retried_in_copy<T>(
        &self,
        mut work: impl FnMut(&StoreState) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let mut once = || {
            let state = self.state.borrow();
            let private = state.private.is_some();
            let result = work(&state)
                .map_err(|error| error.about(state.folder.path(), self.directory.path()));
            (result, private)
        };
        match once() {
            (Err(SourceError::Busy { .. }), false) => {
                self.copy_and_unlock()?;
                once().0
            }
            (Err(error), false) if is_read_error(&error, &self.database) => {
                self.continue_around_bad_sectors()?;
                once().0
            }
            (result, _) => result,
        }
    }

    /// Makes a private copy, in which the pages that the disk cannot read are marked as damaged. SQLite releases its lock at
    /// such a failure, so the store must be what it was when it was opened.
    fn continue_around_bad_sectors(&self) -> Result<(), SourceError> {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Ok(());
        };
        self.forget();
        let file = DatabaseFile::open(&self.directory, DATABASE)?;
        let (database, mut copy) = UnlockedCopy::make(&self.directory, file, &self.options)?;
        if database.stat != state.database.stat {
            return Err(SourceError::busy(
                &self.database,
                "another process wrote to it while it was read",
            ));
        }
        let warnings = std::mem::take(&mut copy.warnings);
        let entries = state.entries.clone();
        *state = copy.finish(database, entries, &self.directory)?;
        self.add_notices(warnings);
        Ok(())
    }

    /// The persist directory, without links.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The persist directory itself.
    pub(crate) fn folder(&self) -> &Folder {
        &self.directory
    }

    /// Sentences for the user about what the opening found.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Those of [`ChromaStore::warnings`] that are about damage.
    pub fn damage(&self) -> &[String] {
        self.warnings.get(..self.damage).unwrap_or(&[])
    }

    /// Sentences about what reading and counting found since the last call, each once.
    pub fn take_notices(&self) -> Vec<String> {
        self.notices.take().into_sentences()
    }

    /// What identifies the state that is read.
    pub fn fingerprint(&self) -> Fingerprint {
        let state = self.state.borrow();
        let segments = state.entries.iter().filter_map(|entry| {
            entry
                .vector_segment
                .as_ref()
                .map(|segment| (segment.clone(), entry.files.clone()))
        });
        // A queue that is cleaned up does not have the last one any more.
        let applied = state
            .entries
            .iter()
            .filter_map(|entry| entry.metadata_max_seq_id);
        Fingerprint {
            sqlite: state.database.stat,
            last_sequence: applied.chain(self.queue.last).max(),
            segments: segments.collect(),
        }
    }

    /// Finds the records of `collection`, for the reading of it that follows.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn warm(&self, collection: &Collection) -> Result<(), SourceError> {
        self.retried_in_copy(|state| {
            let entry = state.entry(collection)?;
            let numbers = rowids(&state.database, entry)?;
            let own = |numbers| (entry.collection.id.clone(), numbers);
            self.rowids.replace(numbers.map(own));
            Ok(())
        })
    }

    /// The rowids of the records of `entry`, if [`ChromaStore::warm`] has found them.
    pub(crate) fn rowids(&self, entry: &CatalogEntry) -> Option<Vec<i64>> {
        let (id, numbers) = self.rowids.take()?;
        (id == entry.collection.id).then_some(numbers)
    }

    /// Finds the vectors of `collection`, for the reading of it that follows.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn warm_vectors(&self, collection: &Collection) -> Result<(), SourceError> {
        self.retried_in_copy(|state| {
            let entry = state.entry(collection)?;
            let vectors = self.vectors(state, entry)?;
            self.last_vectors
                .replace(Some((entry.collection.id.clone(), vectors)));
            Ok(())
        })
    }

    /// The vectors of `entry`: those found last, or found now.
    pub(crate) fn vectors(
        &self,
        state: &StoreState,
        entry: &CatalogEntry,
    ) -> Result<Vectors, SourceError> {
        if let Some((id, vectors)) = self.last_vectors.take()
            && id == entry.collection.id
        {
            return Ok(vectors);
        }
        let mut vectors = self.find_vectors(state, entry, self.complete)?;
        let notices = std::mem::take(&mut vectors.notices);
        self.add_notices(
            notices
                .into_iter()
                .map(|notice| state.about_original(self.directory.path(), notice)),
        );
        Ok(vectors)
    }

    /// Finds the vectors of `entry` in files that do not change meanwhile.
    pub(crate) fn find_vectors(
        &self,
        state: &StoreState,
        entry: &CatalogEntry,
        complete: bool,
    ) -> Result<Vectors, SourceError> {
        let found = Vectors::find(&state.database, &state.folder, &self.queue, complete, entry)?;
        if state.private.is_none() {
            if !found.notices.is_empty() {
                wait_for_age(&state.database, &entry.files, HALF_WRITTEN)?;
            }
            check_index_files(&self.directory, entry)?;
        }
        Ok(found)
    }

    /// [`SourceError::Busy`] if a writer waits for the lock on a store that is read in its place.
    pub(crate) fn check_for_writer(&self, state: &StoreState) -> Result<(), SourceError> {
        let database = &state.database;
        if state.private.is_none() && database.writer_inside() {
            return Err(SourceError::busy(
                &database.path,
                "another process is writing to it",
            ));
        }
        Ok(())
    }

    /// Adds sentences to [`ChromaStore::take_notices`].
    pub(crate) fn add_notices(&self, sentences: impl IntoIterator<Item = String>) {
        let mut notices = self.notices.borrow_mut();
        for sentence in sentences {
            if !self.warnings.contains(&sentence) {
                notices.add(sentence);
            }
        }
    }

    /// Adds a sentence to [`ChromaStore::take_notices`].
    pub(crate) fn add_notice(&self, sentence: String) {
        self.add_notices([sentence]);
    }
}
