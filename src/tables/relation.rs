//! What sort of relation a target is.

use pgrx::pg_sys;

use super::Place;
use super::versions::is_on_citus;
use crate::error::Error;
use crate::spi;

/// `pg_class.relkind`.
///
/// # Errors
/// The server's own.
pub fn relation_kind(oid: pg_sys::Oid) -> Result<String, Error> {
    let kind = spi::look_up_one(
        "SELECT relkind::pg_catalog.text FROM pg_catalog.pg_class \
          WHERE oid OPERATOR(pg_catalog.=) $1",
        &[oid.into()],
        |row| row.get::<String>(1),
    )?;
    Ok(kind.flatten().unwrap_or_default())
}

/// Refuses what rows cannot be put into, of the `kind` that [`relation_kind`] gives.
///
/// # Errors
/// [`Error::NotATable`].
pub fn check_is_fillable(kind: &str, place: &Place) -> Result<(), Error> {
    let detail = match kind {
        "r" | "p" | "f" | "v" => None,
        "m" => Some("It is a materialized view."),
        "S" => Some("It is a sequence."),
        "i" | "I" => Some("It is an index."),
        "c" => Some("It is a composite type."),
        _ => Some("Rows cannot be put into it."),
    };
    let detail = match place.schema.as_str() {
        "vector_migrate" | "pg_catalog" | "information_schema" => {
            Some("It belongs to the system or to this extension.")
        }
        _ => detail,
    };
    match detail {
        Some(detail) => Err(Error::NotATable {
            target: place.qualified(),
            detail: detail.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Whether the relation is a view over a table with a column that takes numbers from a sequence.
///
/// # Errors
/// The server's own.
pub fn has_sequences_below(oid: pg_sys::Oid) -> Result<bool, Error> {
    let found = spi::look_up_one(
        "WITH RECURSIVE below(oid) AS ( \
           SELECT c.oid FROM pg_catalog.pg_class c \
            WHERE c.oid OPERATOR(pg_catalog.=) $1 AND c.relkind OPERATOR(pg_catalog.=) 'v' \
           UNION \
           SELECT d.refobjid FROM below \
             JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) below.oid \
             JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) r.oid \
              AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
              AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass) \
         SELECT EXISTS (SELECT FROM below \
           JOIN pg_catalog.pg_depend d ON d.refobjid OPERATOR(pg_catalog.=) below.oid \
            AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
           JOIN pg_catalog.pg_class q ON q.oid OPERATOR(pg_catalog.=) d.objid \
            AND q.relkind OPERATOR(pg_catalog.=) 'S')",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.flatten().unwrap_or(true))
}

/// An extension that keeps a table's rows elsewhere by hooking the planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distributor {
    /// Its distributed tables: rows are on other servers.
    Citus,
    /// Its hypertables, which block inserts below the planner by a trigger.
    Timescale,
}

/// The extension that keeps the table's rows elsewhere.
///
/// # Errors
/// The server's own.
pub fn distributed_by(oid: pg_sys::Oid) -> Result<Option<Distributor>, Error> {
    let hypertable = spi::look_up_one(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger \
                         WHERE tgrelid OPERATOR(pg_catalog.=) $1 \
                           AND tgname OPERATOR(pg_catalog.=) 'ts_insert_blocker')",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    if hypertable.flatten() == Some(true) {
        return Ok(Some(Distributor::Timescale));
    }
    Ok(is_on_citus(oid)?.then_some(Distributor::Citus))
}
