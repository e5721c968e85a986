//! Where a store is read: in its own place, or in a private copy.
//!
//! Stage: source. May import `private_folder`, `catalog`, `sqlite` and `files`.

use std::path::Path;

use super::private_folder::PrivateFolder;
use crate::record::Collection;
use crate::source::chroma::catalog::collections::{CatalogEntry, in_order};
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::SegmentFiles;
use crate::source::chroma::sqlite::database::Database;
use crate::source::error::SourceError;

/// Where a store is read.
pub(crate) struct StoreState {
    /// The database, or its copy.
    pub database: Database,
    /// The collections; `files` are always those of the store itself.
    pub entries: Vec<CatalogEntry>,
    /// Where the index files are read.
    pub folder: Folder,
    /// Where the copies are. After `database`: closed before it is removed.
    pub private: Option<PrivateFolder>,
}

impl StoreState {
    /// The entry of `collection`. The entries are in the order of the catalogue.
    pub fn entry(&self, collection: &Collection) -> Result<&CatalogEntry, SourceError> {
        let found = self
            .entries
            .binary_search_by(|entry| in_order(&entry.collection, collection));
        let entry = found.ok().and_then(|at| self.entries.get(at));
        entry.ok_or_else(|| {
            self.database.damaged(format!(
                "it has no collection with the id {:?}",
                collection.id
            ))
        })
    }

    /// A sentence about a private copy as one about the store in `directory`.
    pub fn about_original(&self, directory: &Path, sentence: String) -> String {
        match (self.folder.path().to_str(), directory.to_str()) {
            (Some(copy), Some(store)) if self.private.is_some() => sentence.replace(copy, store),
            _ => sentence,
        }
    }

    /// Fails if index files in `directory` have changed since they were looked at.
    pub fn check_index_files(&self, directory: &Folder) -> Result<(), SourceError> {
        if self.private.is_some() {
            return Ok(());
        }
        for entry in &self.entries {
            check_index_files(directory, entry)?;
        }
        Ok(())
    }
}

/// Fails if the index files of `entry` in `directory` have changed since they were looked at.
pub(crate) fn check_index_files(
    directory: &Folder,
    entry: &CatalogEntry,
) -> Result<(), SourceError> {
    let Some(segment) = &entry.vector_segment else {
        return Ok(());
    };
    if SegmentFiles::look(directory, segment)? == entry.files {
        return Ok(());
    }
    Err(SourceError::busy(
        &directory.at(segment),
        "another process changed the index files while they were read",
    ))
}
