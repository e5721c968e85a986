//! Whether `xmin` tells rows that have changed.

use pgrx::pg_sys;

use crate::error::Error;
use crate::spi;

/// Whether every row of the table, of its partitions and of its children is a version of this server's heap, so that its
/// `xmin` is this server's and changes with the row. Not so in views, in foreign tables, in what Citus distributes, and in
/// tables of another access method.
///
/// # Errors
/// The server's own.
pub fn is_versioned(oid: pg_sys::Oid) -> Result<bool, Error> {
    let heap = spi::look_up_one(
        "WITH RECURSIVE tree(oid) AS ( \
           SELECT $1 \
           UNION \
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
             JOIN tree ON i.inhparent OPERATOR(pg_catalog.=) tree.oid) \
         SELECT pg_catalog.bool_and(c.relkind OPERATOR(pg_catalog.=) 'p' \
                  OR c.relkind OPERATOR(pg_catalog.=) 'r' AND EXISTS ( \
                       SELECT FROM pg_catalog.pg_am a \
                        WHERE a.oid OPERATOR(pg_catalog.=) c.relam \
                          AND a.amhandler OPERATOR(pg_catalog.=) \
                              'pg_catalog.heap_tableam_handler'::pg_catalog.regproc)) \
           FROM tree JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) tree.oid",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(heap.flatten() == Some(true) && !is_on_citus(oid)?)
}

/// Whether Citus keeps the rows of the table, or of one of its partitions, elsewhere.
///
/// # Errors
/// The server's own.
pub fn is_on_citus(oid: pg_sys::Oid) -> Result<bool, Error> {
    let citus = spi::look_up_one(
        "SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL",
        &[],
        |row| row.get::<bool>(1),
    )?;
    if citus.flatten() != Some(true) {
        return Ok(false);
    }
    let distributed = spi::look_up_one(
        "WITH RECURSIVE tree(oid) AS ( \
           SELECT $1 \
           UNION \
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
             JOIN tree ON i.inhparent OPERATOR(pg_catalog.=) tree.oid) \
         SELECT true FROM pg_catalog.pg_dist_partition d \
           JOIN tree ON d.logicalrelid::pg_catalog.oid OPERATOR(pg_catalog.=) tree.oid LIMIT 1",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(distributed.is_some())
}
