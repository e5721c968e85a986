//! The index files of a collection, copied to a private folder.
//!
//! Stage: source. May import `private_folder`, `catalog` and `files`.

use super::private_folder::PrivateFolder;
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::LINKS;
use crate::source::error::SourceError;

/// Bytes of the index files.
pub(super) fn index_bytes(entries: &[CatalogEntry]) -> u64 {
    let files = entries.iter().map(|entry| entry.files.bytes());
    files.fold(0, u64::saturating_add)
}

/// Copies the index files of `entry`.
pub(super) fn copy_index_files(
    directory: &Folder,
    copy: &PrivateFolder,
    entry: &CatalogEntry,
) -> Result<(), SourceError> {
    let Some(segment) = entry
        .vector_segment
        .as_ref()
        .filter(|_| !entry.files.files.is_empty())
    else {
        return Ok(());
    };
    let Some(from) = directory.folder(segment)? else {
        return Err(changing(directory));
    };
    let to = copy.folder(segment)?;
    for name in entry.files.files.keys() {
        match copy.copy_file(&from, name, &to.join(name)) {
            // No record depends on it: whoever wants the graph finds it too short, or missing.
            Err(SourceError::Io { path, .. } | SourceError::PermissionDenied { path })
                if *name == LINKS && path == from.at(name) => {}
            // There a moment ago.
            Err(SourceError::NotFound { .. }) => return Err(changing(directory)),
            other => other?,
        }
    }
    Ok(())
}

/// The index files changed while they were copied.
pub(super) fn changing(directory: &Folder) -> SourceError {
    SourceError::busy(
        directory.path(),
        "another process keeps changing the index files",
    )
}
