//! Bookmarks (`max_seq_id`) of metadata segments that the queue can never have given.
//!
//! Stage: source. Promise: a bookmark beyond every number of the queue and of the tables is not believed, and is told; others
//! are. Certain upgrades that failed have left numbers like 1229822654365841720 (the bytes `11 11` and six digits), behind which
//! Chroma itself applies nothing any more. May import `catalog`, `queue` and `sqlite`.
//!
//! What the queue has of a collection is the end of its history. Applied a second time to tables that hold it already, it
//! leaves them as they are: so the last number in the tables is bookmark enough.

use std::collections::HashMap;

use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::queue::rows::Queue;
use crate::source::chroma::sqlite::columns::{sequence, text};
use crate::source::chroma::sqlite::database::Database;
use crate::source::error::SourceError;

/// Entries whose bookmarks can be right, and a sentence for each that could not.
///
/// # Errors
/// [`SourceError::Interrupted`] and the like; tables that cannot be read prove nothing.
pub(super) fn believable(
    database: &Database,
    queue: &Queue,
    entries: Vec<CatalogEntry>,
) -> Result<(Vec<CatalogEntry>, Vec<String>), SourceError> {
    let beyond = |entry: &CatalogEntry| {
        let waiting = !queue.of(&entry.collection.id).is_empty();
        waiting && entry.metadata_max_seq_id > queue.last && queue.unreadable.is_empty()
    };
    if !entries.iter().any(beyond) {
        return Ok((entries, Vec::new()));
    }
    let Some(held) = last_of_segments(database)? else {
        return Ok((entries, Vec::new()));
    };
    let last = held.values().copied().max();
    let mut sentences = Vec::new();
    let believed = entries.into_iter().map(|entry| {
        if !beyond(&entry) || entry.metadata_max_seq_id <= last {
            return entry;
        }
        let segment = entry.metadata_segment.as_ref();
        let own = segment.and_then(|segment| held.get(segment)).copied();
        sentences.push(format!(
            "the bookmark of collection {:?} is {}, a number that its queue never gave: Chroma shows nothing that was written after \
             it; {} writes of the queue are applied that the tables lack",
            entry.collection.qualified_name(),
            entry.metadata_max_seq_id.unwrap_or_default(),
            queue.after(&entry.collection.id, own).len(),
        ));
        CatalogEntry {
            metadata_max_seq_id: own,
            ..entry
        }
    });
    Ok((believed.collect(), sentences))
}

/// The last sequence number that the tables have of each metadata segment; `None` if they cannot be read.
fn last_of_segments(database: &Database) -> Result<Option<HashMap<String, i64>>, SourceError> {
    let sql = "SELECT segment_id, max(seq_id) FROM embeddings NOT INDEXED GROUP BY segment_id";
    let rows = database.try_rows(sql, |row| {
        Ok((text(row.get_ref(0)?), sequence(row.get_ref(1)?)))
    });
    let Ok(rows) = rows else {
        // A stop is told; what else went wrong is told where the records are read.
        return database.check_stop().map(|()| None);
    };
    let found = rows
        .into_iter()
        .map(|(segment, last)| Some((segment?, last.ok()??)));
    Ok(found.collect())
}
