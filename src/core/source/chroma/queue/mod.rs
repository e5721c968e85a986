//! The write-ahead queue, table `embeddings_queue`.
//!
//! Stage: source. Promise: held in memory are ids and sequence numbers; vectors and metadata are fetched when they are needed.
//! May import `metadata`, `catalog`, `damage`, `sqlite`, `files` and `record`; not `hnsw`, `vectors`, `snapshot` and `store`.
//!
//! ```text
//! rows        which rows each collection has, and what they do
//! contents    vector and metadata of a row
//! json        its metadata, as Rust and Python write JSON
//! pending     rows that the metadata tables do not hold yet, replayed
//! ```

pub(super) mod contents;
mod json;
pub(super) mod pending;
pub(super) mod rows;
