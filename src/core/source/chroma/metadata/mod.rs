//! The metadata tables: a segment's records without their vectors, in the order of insertion.
//!
//! Stage: source. Promise: what is held is one record and the collection's rowids. May import `catalog`, `damage`, `sqlite` and
//! `record`; not `queue`, `hnsw`, `vectors`, `snapshot` and `store`.
//!
//! ```text
//! tables         reads the tables side by side
//! record         a record as they have it
//! content        document, uri and metadata
//! values         the rows of keys and values
//! owners         only whose a record is, where no more is wanted
//! indexed_values the values of a key in the whole store, by the indexes on them
//! lazy_cursor    a cursor that is opened when it is needed
//! ```

pub(super) mod content;
pub(super) mod indexed_values;
mod lazy_cursor;
mod owners;
pub(super) mod record;
pub(super) mod tables;
mod values;
