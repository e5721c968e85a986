//! A row as the values that the server keeps of it, in the target's real column types; and single values.
//!
//! Promise: a value either arrives whole in the column's type or is a [`Rejection`]; nothing is cut or
//! rounded (but `halfvec`, whose precision is the table's own choice). The embedding is always the last
//! column, so that a tuple can be encoded before its vector is known. May import `map`, `mapping`'s words, `reason` and
//! `record` only.
//!
//! Formats: those of a table's values in memory; each file names PostgreSQL's or pgvector's source for its own.

mod array;
mod buffer;
mod column;
mod field;
mod image;
mod jsonb;
mod numeric;
mod tuple;
mod value;
pub mod varlena;
mod vector;

pub use array::ArrayImage;
pub use buffer::{TupleBuffer, vector_field};
pub use column::{Column, ColumnType, Kind};
pub use field::canonical_key;
pub use image::{JsonbImage, RealsImage};
pub use tuple::{FIRST_VALUE, row_tuple};
pub use value::constant_fits;
pub use vector::{VectorType, check_vector, vector_image};

#[cfg(doc)]
use crate::reason::Rejection;
