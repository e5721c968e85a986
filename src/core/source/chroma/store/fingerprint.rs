//! What identifies the state of a store that was read.
//!
//! Stage: source. May import `files`.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::source::chroma::files::file_stat::FileStat;
use crate::source::chroma::files::layout::SegmentFiles;

/// Sizes and times of a store's files, and its last write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// `chroma.sqlite3`.
    pub sqlite: FileStat,
    /// The largest sequence number of a write: of the queue's, and of those that the tables hold.
    pub last_sequence: Option<i64>,
    /// The index files of each vector segment.
    pub segments: BTreeMap<String, SegmentFiles>,
}

impl Fingerprint {
    /// Bytes of all the files.
    pub fn bytes(&self) -> u64 {
        let segments = self.segments.values().flat_map(|it| it.files.values());
        let files = segments.map(|stat| stat.bytes);
        files.fold(self.sqlite.bytes, u64::saturating_add)
    }

    /// The fingerprint as JSON: `{"sqlite": {"bytes", "mtime"}, "last_seq_id", "segments": {uuid: {file: ...}}}`,
    /// times as seconds since 1970 with nine decimals.
    pub fn to_json(&self) -> Json {
        let segments: serde_json::Map<String, Json> = self
            .segments
            .iter()
            .map(|(id, segment)| {
                let files: serde_json::Map<String, Json> = segment
                    .files
                    .iter()
                    .map(|(name, stat)| ((*name).to_owned(), file(*stat)))
                    .collect();
                (id.clone(), Json::Object(files))
            })
            .collect();
        json!({"sqlite": file(self.sqlite), "last_seq_id": self.last_sequence, "segments": segments})
    }
}

fn file(stat: FileStat) -> Json {
    json!({"bytes": stat.bytes, "mtime": format!("{}.{:09}", stat.seconds, stat.nanoseconds)})
}
