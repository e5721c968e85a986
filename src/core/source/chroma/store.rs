//! A persist directory as a [`Source`].
//!
//! Stage: source. Promise: one snapshot of the database for as long as the store is open, nothing written; index
//! files that move while a collection is read are noticed. May import `record` and this folder.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::catalog::{Catalog, Entry};
use super::content::words;
use super::database::Database;
use super::error::SourceError;
use super::fingerprint::Fingerprint;
use super::layout::{self, SegmentFiles};
use super::metadata::{Depth, Row, Tables};
use super::queue::{Contents, Queue};
use super::schema::Schema;
use super::segment::glance;
use super::tail::{Outcome, Tail, apply};
use super::vectors::Vectors;
use crate::record::{Collection, Inventory, Record};
use crate::source::Source;

/// Takes a live row, with access to the queue's contents.
type EachRow<'a> = dyn FnMut(Row, &mut Contents<'_>) -> Result<ControlFlow<()>, SourceError> + 'a;

/// An open Chroma persist directory.
pub struct ChromaStore {
    pub(super) directory: PathBuf,
    pub(super) database: Database,
    pub(super) schema: Schema,
    pub(super) catalog: Catalog,
    pub(super) queue: Queue,
    collections: Vec<Collection>,
    /// No row was ever removed from the queue, as far as its configuration tells.
    complete: bool,
    /// The vectors found last, kept from an inventory to the read that follows it.
    found: RefCell<Option<(String, Vectors)>>,
    notices: RefCell<Vec<String>>,
}

impl ChromaStore {
    /// Opens the store at `path`: a persist directory, or the `chroma.sqlite3` in it. Raising `stop` ends
    /// whatever the store is doing with [`SourceError::Interrupted`].
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn open(path: &Path, stop: Arc<AtomicBool>) -> Result<ChromaStore, SourceError> {
        let location = layout::locate(path)?;
        let directory = location.directory.clone();
        let old = layout::has_old_files(&directory);
        let database = Database::open(&location, stop)?;
        if old && !database.has_table("embeddings_queue") {
            return Err(SourceError::OldLayout { path: directory });
        }
        let schema = Schema::read(&database)?;
        let mut catalog = Catalog::read(&database, &schema, &directory)?;
        let queue = Queue::index(&database)?;
        for entry in &catalog.entries {
            database.check_stop()?;
            catalog.warnings.extend(glance(&directory, entry)?);
        }
        if old {
            catalog.warnings.push(
                "files of chromadb before 0.4 (chroma-embeddings.parquet) lie in the directory and are not read"
                    .to_owned(),
            );
        }
        let complete = !purges(&database, &schema)?;
        let collections = catalog
            .entries
            .iter()
            .map(|entry| entry.collection.clone())
            .collect();
        Ok(ChromaStore {
            directory,
            database,
            schema,
            catalog,
            queue,
            collections,
            complete,
            found: RefCell::new(None),
            notices: RefCell::new(Vec::new()),
        })
    }

    /// The persist directory, without links.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Sentences for the user about what the opening found.
    pub fn warnings(&self) -> &[String] {
        &self.catalog.warnings
    }

    /// Sentences about what reading and counting found since the last call, each once.
    pub fn take_notices(&self) -> Vec<String> {
        self.notices.take()
    }

    /// What identifies the state that is read.
    pub fn fingerprint(&self) -> Fingerprint {
        let segments = self.catalog.entries.iter().filter_map(|entry| {
            entry
                .vector_segment
                .as_ref()
                .map(|segment| (segment.clone(), entry.files.clone()))
        });
        Fingerprint {
            sqlite: self.database.stat,
            last_sequence: self.queue.last,
            segments: segments.collect(),
        }
    }

    pub(super) fn entry(&self, collection: &Collection) -> Result<&Entry, SourceError> {
        self.catalog
            .entries
            .iter()
            .find(|entry| entry.collection.id == collection.id)
            .ok_or_else(|| {
                self.database.damaged(format!(
                    "it has no collection with the id {:?}",
                    collection.id
                ))
            })
    }

    /// The vectors of `entry`: those found last, or found now.
    fn vectors(&self, entry: &Entry) -> Result<Vectors, SourceError> {
        if let Some((id, vectors)) = self.found.take()
            && id == entry.collection.id
        {
            return Ok(vectors);
        }
        let mut vectors = Vectors::find(
            &self.database,
            &self.directory,
            &self.queue,
            self.complete,
            entry,
        )?;
        for notice in std::mem::take(&mut vectors.notices) {
            self.notice(notice);
        }
        Ok(vectors)
    }

    fn notice(&self, sentence: String) {
        let mut notices = self.notices.borrow_mut();
        if !notices.contains(&sentence) && !self.catalog.warnings.contains(&sentence) {
            notices.push(sentence);
        }
    }

    /// Gives every live row of `entry` to `each`: the tables' rows, then those that only the queue has.
    fn rows(&self, entry: &Entry, depth: Depth, each: &mut EachRow<'_>) -> Result<(), SourceError> {
        let tail = Tail::replay(&self.database, &self.queue, entry)?;
        let mut contents = Contents::new(&self.database)?;
        let mut give = |mut row: Row, numbers: &[i64]| {
            if let Some(trouble) = apply(&mut row, numbers, &mut contents)? {
                let name = entry.collection.qualified_name();
                self.notice(format!(
                    "record {:?} of collection {name:?}: {trouble}",
                    row.id
                ));
            }
            each(row, &mut contents)
        };
        if let Some(mut tables) = Tables::new(&self.database, &self.schema, entry, depth)? {
            let flow = tables.read(|row| match tail.outcome(&row.id) {
                Outcome::Stays(numbers) => {
                    let numbers = numbers.to_vec();
                    give(row, &numbers)
                }
                Outcome::Goes => Ok(ControlFlow::Continue(())),
            })?;
            if flow.is_break() {
                return Ok(());
            }
        }
        for (id, numbers) in tail.fresh() {
            self.database.check_stop()?;
            let row = Row {
                id: id.to_owned(),
                ..Row::default()
            };
            if give(row, numbers)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Fails if the index files of `entry` are not the ones that the store was opened with.
    fn unmoved(&self, entry: &Entry) -> Result<(), SourceError> {
        let Some(segment) = &entry.vector_segment else {
            return Ok(());
        };
        if SegmentFiles::look(&self.directory, segment)? == entry.files {
            return Ok(());
        }
        Err(SourceError::Busy {
            path: self.directory.join(segment),
            what: "another process changed the index files while they were read".to_owned(),
        })
    }
}

impl Source for ChromaStore {
    fn collections(&self) -> &[Collection] {
        &self.collections
    }

    fn read(
        &self,
        collection: &Collection,
        each: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let entry = self.entry(collection)?;
        let mut vectors = self.vectors(entry)?;
        self.rows(entry, Depth::Full, &mut |row, contents| {
            let (vector, stale) = vectors.fetch(&row, contents)?;
            Ok(each(Record {
                id: row.id,
                document: row.content.document,
                uri: row.content.uri,
                metadata: row.content.metadata,
                vector,
                created_at: row.created_at,
                stale,
            }))
        })?;
        self.unmoved(entry)
    }

    fn inventory(&self, collection: &Collection) -> Result<Inventory, SourceError> {
        let entry = self.entry(collection)?;
        let mut vectors = self.vectors(entry)?;
        let mut found = Inventory::default();
        let mut users = BTreeSet::new();
        self.rows(entry, Depth::Counts, &mut |row, contents| {
            let usable = vectors.usable(&row, contents)?;
            found.records = found.records.saturating_add(1);
            found.vectors = found.vectors.saturating_add(u64::from(usable));
            found.documents = found
                .documents
                .saturating_add(u64::from(row.content.document.is_some()));
            // A blank user_id names nobody, as in `map::owner_of`.
            if let Some(user) = row.content.metadata.get("user_id").map(words)
                && !user.trim().is_empty()
            {
                users.insert(user);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        found.users = u64::try_from(users.len()).unwrap_or(u64::MAX);
        found.queued = self.queued(entry, vectors.covered());
        self.unmoved(entry)?;
        self.found
            .replace(Some((entry.collection.id.clone(), vectors)));
        Ok(found)
    }
}

/// Whether the queue removes rows that both segments hold. Directories of releases before 0.5.6 do not.
fn purges(database: &Database, schema: &Schema) -> Result<bool, SourceError> {
    if !schema.queue_config {
        return Ok(false);
    }
    let rows = database.rows(
        "SELECT config_json_str FROM embeddings_queue_config",
        |row| row.get_ref(0).map(super::database::text),
    )?;
    Ok(rows.into_iter().flatten().any(|text| {
        serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|json| json.get("automatically_purge")?.as_bool())
            // A configuration that cannot be read promises nothing.
            .unwrap_or(true)
    }))
}
