//! The vector indexes of a table that get their entries while rows come.

use pgrx::pg_sys;

use crate::error::Error;
use crate::spi;

/// The names of the table's HNSW indexes that a row goes into when it is put in, without those `left_out`. An IVFFlat index is
/// none: a row takes no longer there than in a build.
///
/// # Errors
/// The server's own.
pub fn kept_up(table: pg_sys::Oid, left_out: &[pg_sys::Oid]) -> Result<Vec<String>, Error> {
    let found = spi::look_up(
        "SELECT c.oid::pg_catalog.regclass::pg_catalog.text \
           FROM pg_catalog.pg_index i \
           JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
           JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) c.relam \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisready \
            AND m.amname OPERATOR(pg_catalog.=) 'hnsw' \
            AND i.indexrelid OPERATOR(pg_catalog.<>) ALL ($2) \
          ORDER BY i.indexrelid",
        &[table.into(), left_out.to_vec().into()],
        |row| row.get::<String>(1),
    )?;
    Ok(found.into_iter().flatten().collect())
}
