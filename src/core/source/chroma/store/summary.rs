//! A store in one row: what the SQL function `chroma_store` shows.
//!
//! Stage: source. May import this folder and those below it.

use std::collections::BTreeSet;

use super::chroma_store::ChromaStore;
use crate::record::Collection;
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::damage::losses::missing_records;
use crate::source::chroma::damage::record_ids::RecordIds;
use crate::source::chroma::files::layout::segment_folders;
use crate::source::chroma::queue::pending::PendingWrites;
use crate::source::chroma::snapshot::state::StoreState;
use crate::source::chroma::sqlite::errors::unless_corrupt;
use crate::source::error::SourceError;

/// A store, summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSummary {
    /// The schema's versions: "sysdb 10, metadb 6, embeddings_queue 2".
    pub schema_version: String,
    /// The releases that have this schema: the newest one that opened the directory is among them.
    pub written_by: String,
    /// Bytes of `chroma.sqlite3`.
    pub sqlite_bytes: u64,
    /// Bytes of the index files of all collections.
    pub segment_bytes: u64,
    /// Tenants.
    pub tenants: u64,
    /// Databases.
    pub databases: u64,
    /// Collections.
    pub collections: u64,
    /// Live records of all collections.
    pub records: u64,
    /// Rows of the queue that the tables or index files of their collection do not hold yet.
    pub queued: u64,
    /// Folders of deleted collections.
    pub orphan_segments: u64,
    /// Bytes of their files.
    pub orphan_bytes: u64,
    /// Bytes of a page of `chroma.sqlite3`.
    pub page_size: u64,
    /// Pages of it that hold nothing: what SQLite's VACUUM would free.
    pub free_pages: u64,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

impl ChromaStore {
    /// Sums the store up.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn summary(&self) -> Result<StoreSummary, SourceError> {
        self.retried_in_copy(|state| self.summary_of(state))
    }

    fn summary_of(&self, state: &StoreState) -> Result<StoreSummary, SourceError> {
        let mut warnings = self.warnings().to_vec();
        let (mut records, mut queued, mut segment_bytes) = (0_u64, 0_u64, 0_u64);
        for entry in &state.entries {
            state.database.check_stop()?;
            let known =
                entry.vector_max_seq_id.is_some() || self.queue.of(&entry.collection.id).is_empty();
            let max_seq_id = if known {
                entry.vector_max_seq_id
            } else {
                // Before 0.5.6 the number is in the index files.
                let found = self.find_vectors(state, entry, false)?;
                warnings.extend(
                    found
                        .notices
                        .iter()
                        .map(|notice| state.about_original(self.directory(), notice.clone()))
                        .filter(|notice| !self.warnings().contains(notice)),
                );
                found.max_seq_id()
            };
            records = records.saturating_add(self.live(state, entry, &mut warnings)?);
            queued = queued.saturating_add(self.queued(entry, max_seq_id));
            segment_bytes = segment_bytes.saturating_add(entry.files.bytes());
        }
        let used: BTreeSet<&str> = state
            .entries
            .iter()
            .filter_map(|entry| entry.vector_segment.as_deref())
            .collect();
        let (mut orphan_segments, mut orphan_bytes) = (0_u64, 0_u64);
        match segment_folders(self.folder(), state.database.stop()) {
            Ok(folders) => {
                for (_, bytes) in folders
                    .iter()
                    .filter(|(name, _)| !used.contains(name.as_str()))
                {
                    orphan_segments = orphan_segments.saturating_add(1);
                    orphan_bytes = orphan_bytes.saturating_add(*bytes);
                }
            }
            Err(SourceError::Interrupted) => return Err(SourceError::Interrupted),
            Err(error) => warnings.push(format!(
                "folders of deleted collections are not counted: {error}"
            )),
        }
        Ok(StoreSummary {
            schema_version: self.schema.version(),
            written_by: self.schema.releases().to_owned(),
            sqlite_bytes: state.database.stat.bytes,
            segment_bytes,
            tenants: self.tenants,
            databases: self.databases,
            collections: u64::try_from(state.entries.len()).unwrap_or(u64::MAX),
            records,
            queued,
            orphan_segments,
            orphan_bytes,
            page_size: state.database.figure("page_size")?,
            free_pages: state.database.figure("freelist_count")?,
            warnings,
        })
    }

    /// Rows of the queue that the tables or the index of `entry`, which ends with `vector_max_seq_id`, do not hold yet.
    pub(crate) fn queued(&self, entry: &CatalogEntry, vector_max_seq_id: Option<i64>) -> u64 {
        let both = entry
            .metadata_max_seq_id
            .zip(vector_max_seq_id)
            .map(|(tables, index)| tables.min(index));
        u64::try_from(self.queue.after(&entry.collection.id, both).len()).unwrap_or(u64::MAX)
    }

    /// Rows of the queue that are about `collection`, those that its tables and index hold already included.
    pub fn queue_rows(&self, collection: &Collection) -> u64 {
        u64::try_from(self.queue.of(&collection.id).len()).unwrap_or(u64::MAX)
    }

    /// The number of live records of `collection`, from the index of its table and the queue.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn count(&self, collection: &Collection) -> Result<u64, SourceError> {
        self.retried_in_copy(|state| self.live(state, state.entry(collection)?, &mut Vec::new()))
    }

    /// Live records of `entry`.
    fn live(
        &self,
        state: &StoreState,
        entry: &CatalogEntry,
        warnings: &mut Vec<String>,
    ) -> Result<u64, SourceError> {
        let Some(segment) = &entry.metadata_segment else {
            return Ok(0);
        };
        let mut statement = state
            .database
            .prepare("SELECT count(*) FROM embeddings WHERE segment_id = ?1")?;
        let counted = statement
            .query_row([segment], |row| row.get::<_, i64>(0))
            .map_err(|error| state.database.statement_error(error));
        let count = match unless_corrupt(counted)? {
            Some(count) => u64::try_from(count).unwrap_or(0),
            None => {
                let RecordIds { ids, unreadable } = RecordIds::read(&state.database, segment)?;
                warnings.extend(missing_records(
                    &state.database.path,
                    &entry.collection.qualified_name(),
                    &unreadable,
                ));
                u64::try_from(ids.len()).unwrap_or(u64::MAX)
            }
        };
        let (more, fewer) =
            PendingWrites::replay(&state.database, &self.queue, entry)?.count_change();
        Ok(count.saturating_add(more).saturating_sub(fewer))
    }
}
