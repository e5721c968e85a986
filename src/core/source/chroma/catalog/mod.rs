//! The catalogue: tenants, databases, collections and their two segments, for every schema since 0.4.0.
//!
//! Stage: source. Promise: only collections that Chroma itself would show, each with its segments checked. May import `damage`,
//! `sqlite`, `files` and `record`; not the readers of records and vectors.
//!
//! ```text
//! schema         which of Chroma's schemas the database has
//! tables         the rows of its tables
//! space          the distance of a collection
//! collections    the collections
//! ```

pub(super) mod collections;
pub(super) mod schema;
mod space;
mod tables;
