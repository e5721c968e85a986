//! The index files of a collection, opened, with the slot of each id.
//!
//! Stage: source. May import `hnsw`, `catalog`, `files` and `key`.

use std::sync::atomic::AtomicBool;
use std::thread::{self, ScopedJoinHandle};

use crate::key::{KeyTable, Keys};
use crate::record::Space;
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::ELEMENTS;
use crate::source::chroma::hnsw::index::HnswIndex;
use crate::source::chroma::hnsw::segment::SegmentFolder;
use crate::source::error::SourceError;

/// An index that can be used.
pub(super) struct PersistedIndex {
    /// Its vectors.
    pub index: HnswIndex,
    /// Its ids, with their slots.
    pub slots: KeyTable,
    /// The last sequence number in it, as releases before 0.5.6 wrote it into its files.
    pub max_seq_id: Option<i64>,
    /// What it lacks, as sentences.
    pub notices: Vec<String>,
}

impl PersistedIndex {
    /// Opens the index of `entry`, whose ids become keys by `keys`; `None` if it was never persisted.
    pub fn open(
        directory: &Folder,
        entry: &CatalogEntry,
        keys: &Keys,
        stop: &AtomicBool,
    ) -> Result<Option<PersistedIndex>, SourceError> {
        let Some(files) = SegmentFolder::of(directory, entry)? else {
            return Ok(None);
        };
        let Some(header) = files.checked(entry)? else {
            return Ok(None);
        };
        let cosine = entry.collection.space == Space::Cosine;
        let index = HnswIndex::open(header, &files.folder, cosine);
        // Both files are read whole, before the first record is given: at once, as each takes its time.
        let (persisted, labels) = thread::scope(|scope| {
            let labels = index.as_ref().ok().and_then(|index| {
                let other = thread::Builder::new().name("vector_migrate labels".to_owned());
                other.spawn_scoped(scope, || index.labels(stop)).ok()
            });
            (
                files.metadata(header, keys, stop),
                labels.map(ScopedJoinHandle::join),
            )
        });
        let (persisted, index) = (persisted?, index?);
        let (labels, doubled) = match labels {
            Some(Ok(labels)) => labels?,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => index.labels(stop)?,
        };
        let mut notices = Vec::new();
        let name = entry.collection.qualified_name();
        if u64::from(index.slots) < header.count {
            notices.push(format!(
                "the vector index of collection {name:?} holds {} of {} elements: {:?} is cut off",
                index.slots,
                header.count,
                files.path(ELEMENTS)
            ));
        }
        let mut lost = 0_u64;
        let mut slots = Vec::with_capacity(persisted.labels.len());
        for (key, label) in persisted.labels {
            match labels.slot(label) {
                Some(slot) => slots.push((key, slot)),
                None => lost = lost.saturating_add(1),
            }
        }
        if lost > 0 || doubled > 0 {
            notices.push(format!(
                "the vector index of collection {name:?} has no element for {lost} ids and {doubled} elements of \
                 equal label"
            ));
        }
        Ok(Some(PersistedIndex {
            index,
            slots: KeyTable::new(slots),
            max_seq_id: persisted.max_seq_id,
            notices,
        }))
    }
}
