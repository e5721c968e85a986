//! A Chroma persist directory (chromadb 0.4.0 to 1.5) as a source of records.
//!
//! Stage: source. Promise: read-only in every respect, one snapshot, stable order, memory bounded by the number of
//! ids and never by their contents; a hostile directory gives an error, never a panic. May import `record`,
//! `index::graph`, rusqlite, serde_json; nothing else of this crate.
//!
//! ```text
//! place, folder, layout                            the open directory, and everything below it by its descriptor
//! locks, calls -> database -> schema -> catalog    what there is
//!           snapshot -> scratch, copies, cut, sectors  a private copy, where one is needed
//!                        metadata <- tail          records: the tables, then the queue's newer rows
//!                        values, owners            one record's values, or only whose it is
//!           salvage -> listing, losses             what damage has left of a table, and what to say about it
//! elements, labels -> hnsw
//!                     hnsw, pickle -> segment -> vectors <- queue      vectors: index files and the queue
//!                     hnsw, stream -> graph       the links of the index files, for an index of pgvector's
//!                        store -> reading, grades  both, joined by id; how faithful vectors are
//!                        summary, skim             the store in one row; records without vectors
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
pub use snapshot::options::{Options, Snapshot};
pub use snapshot::registry::{remove_copies, removed_copies};
pub use store::chroma_store::ChromaStore;
pub use store::fingerprint::Fingerprint;
pub use store::summary::StoreSummary;
