//! A row as the bytes of a tuple, in the target's real column types: for COPY, or as the server keeps it; and single
//! values as it keeps them.
//!
//! Promise: a value either arrives whole in the column's type or is a [`Rejection`]; nothing is cut or
//! rounded (but `halfvec`, whose precision is the table's own choice). The embedding is always the last
//! column, so that a tuple can be encoded before its vector is known. May import `map`, `reason` and
//! `record` only.
//!
//! Formats: PostgreSQL documentation, COPY, "Binary Format", and the `*_recv` functions of each type; `jsonb` and
//! `numeric` as a table has them.

mod column;
mod field;
mod image;
mod jsonb;
mod numeric;
mod tuple;
pub mod varlena;
mod vector;

pub use column::{Column, ColumnType, ContentColumn, EntityColumn, Kind, TableColumn};
pub use field::canonical_key;
pub use image::{JsonbImage, RealsImage};
pub use tuple::{Form, TupleBuffer, content_tuple, entity_tuple, vector_field};
pub use vector::{VectorType, check_vector, encode_vector};

#[cfg(doc)]
use crate::reason::Rejection;
