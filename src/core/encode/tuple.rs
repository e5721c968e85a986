//! Rows as tuples, the embedding left for the end.

use super::buffer::TupleBuffer;
use super::column::Column;
use super::field;
use crate::map::RowParts;
use crate::reason::Rejection;

/// Appends the tuple of a row of these columns, the vector's last, without that last field, to `into`; nothing if it fails.
///
/// # Errors
/// What a column's type cannot hold, and what PostgreSQL cannot store.
pub fn row_tuple(
    row: &RowParts<'_>,
    columns: &[Column],
    into: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let start = into.len();
    let mut out = TupleBuffer::behind(std::mem::take(into));
    out.begin(columns.len());
    let written = columns
        .iter()
        .filter(|column| !column.is_vector())
        .try_for_each(|column| {
            let value = row.field(&column.name, &column.word)?;
            field::append(&mut out, &column.name, column.ty, value)
        });
    *into = out.into_bytes();
    if written.is_err() {
        into.truncate(start);
    }
    written
}

/// Where in a tuple the value of its first field is, in bytes: behind the number of fields and the value's header.
pub const FIRST_VALUE: usize = 8;
