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

#[allow(unsafe_code)]
mod calls;
mod catalog;
mod content;
mod copies;
mod cut;
mod database;
mod doubts;
mod elements;
pub mod error;
mod fingerprint;
mod folder;
mod grades;
mod graph;
mod hnsw;
mod json;
mod labels;
mod layout;
mod listing;
mod locks;
mod losses;
mod metadata;
mod opening;
mod options;
mod owners;
mod pickle;
mod place;
mod queue;
mod reading;
mod rounding;
mod salvage;
mod schema;
mod scratch;
mod sectors;
mod segment;
mod skim;
mod snapshot;
mod space;
mod spans;
mod store;
mod stream;
mod summary;
mod tail;
mod values;
mod vectors;

pub use copies::{remove_copies, removed_copies};
pub use fingerprint::Fingerprint;
pub use layout::{FileStat, SegmentFiles};
pub use options::{Options, Snapshot};
pub use place::Place;
pub use store::ChromaStore;
pub use summary::StoreSummary;
