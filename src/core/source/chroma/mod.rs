//! A Chroma persist directory (chromadb 0.4.0 to 1.5) as a source of records.
//!
//! Stage: source. Promise: read-only in every respect, one snapshot, stable order, memory bounded by the number of
//! ids and never by their contents; a hostile directory gives an error, never a panic. May import `record`, `key`,
//! `index::graph`, rusqlite, serde_json; nothing else of this crate.
//!
//! Each folder imports only those above it in this list, and no file imports one that imports it:
//!
//! ```text
//! files       the open persist directory, and everything below it by its descriptor
//! sqlite      chroma.sqlite3: how SQLite reaches it, its locks, its tables
//! damage      what can be read of damaged tables, and what to say about the rest
//! catalog     which schema and collections there are
//! metadata    records without their vectors: the metadata tables
//! queue       the write-ahead queue: rows that the tables or the index do not hold yet
//! hnsw        the index files: vectors, the ids' labels, the graph
//! vectors     which vector an id has: the index's or the queue's
//! snapshot    a private copy, where a store cannot be read in its place
//! store       the open store: records with their vectors, counts, the graph
//! ```

mod catalog;
mod damage;
mod files;
mod hnsw;
mod metadata;
mod queue;
mod snapshot;
mod sqlite;
mod store;
mod vectors;

pub use files::file_stat::FileStat;
pub use files::layout::SegmentFiles;
pub use files::persist_dir::PersistDir;
pub use metadata::indexed_values::IndexedValues;
pub use snapshot::options::{Options, Snapshot};
pub use snapshot::registry::{remove_copies, removed_copies};
pub use store::chroma_store::ChromaStore;
pub use store::fingerprint::Fingerprint;
pub use store::summary::StoreSummary;
