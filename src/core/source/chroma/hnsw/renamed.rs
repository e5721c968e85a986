//! Folders of segments that lie in the directory under another name, as tools that set indexes aside leave them.
//!
//! Stage: source. Promise: they are told, with what brings them back, and never read. May import `catalog` and `files`.

use std::collections::HashMap;
use std::path::Path;

use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{HEADER, PICKLE, SegmentFiles};
use crate::source::error::SourceError;

/// Characters of a segment's id, a uuid.
const ID: usize = 36;

/// A sentence for each folder of index files whose name begins with the id of a segment and goes on.
///
/// # Errors
/// Those of listing the directory.
pub(crate) fn renamed_segments(
    directory: &Folder,
    entries: &[CatalogEntry],
) -> Result<Vec<String>, SourceError> {
    let of_segment = |entry| {
        let entry: &CatalogEntry = entry;
        Some((entry.vector_segment.as_deref()?, entry))
    };
    let segments: HashMap<&str, &CatalogEntry> = entries.iter().filter_map(of_segment).collect();
    let mut names = Vec::new();
    directory.names(&mut |name| {
        let id = name.get(..ID).filter(|_| name.len() > ID);
        if id.is_some_and(|id| segments.contains_key(id)) {
            names.push(name.to_owned());
        }
        Ok(())
    })?;
    names.sort_unstable();
    let mut sentences = Vec::new();
    for name in names {
        // A link, or what cannot be looked into, is none.
        let Ok(found) = SegmentFiles::look(directory, &name) else {
            continue;
        };
        let has_index = [HEADER, PICKLE]
            .iter()
            .any(|it| found.files.contains_key(it));
        let Some(entry) = name.get(..ID).and_then(|id| segments.get(id)) else {
            continue;
        };
        if has_index {
            let id = entry.vector_segment.as_deref().unwrap_or_default();
            sentences.push(sentence(entry, &directory.at(&name), &directory.at(id)));
        }
    }
    Ok(sentences)
}

fn sentence(entry: &CatalogEntry, there: &Path, wanted: &Path) -> String {
    let first = match entry.files.files.is_empty() {
        true => "",
        false => "after the folder of that name was moved away, ",
    };
    format!(
        "{there:?} has index files of collection {:?} under another name and is not read; {first}this brings them back: \
         mv {} {}",
        entry.collection.qualified_name(),
        quoted(there),
        quoted(wanted)
    )
}

/// A path as a word of the shell's.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
