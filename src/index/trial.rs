//! Whether this server's pgvector writes indexes as the import does: by name, and by a trial.
//!
//! Promise: nothing of the trial is left, in the catalogs or on disk; its table is no temporary one, as a transaction that
//! used one could not be prepared (PREPARE TRANSACTION).

use std::cell::RefCell;

use pgrx::pg_sys;
use vector_migrate_core::index::page::Page;
use vector_migrate_core::index::rewrite::{Rewritten, rewrite};

use super::buffers;
use super::opened::Opened;
use super::values::operator_class;
use super::which::VectorIndex;
use crate::error::Error;
use crate::ledger::as_owner;
use crate::tables::Pgvector;
use crate::{settings, spi, subxact};

/// Versions of pgvector whose indexes were compared byte for byte with ours and walked after inserts and VACUUM.
const TESTED: &[&str] = &[
    "0.8.0", "0.8.1", "0.8.2", "0.8.3", "0.8.4", "0.8.5", "0.8.6",
];

/// Rows of the trial. Each has an upper layer with a probability of a quarter.
const ROWS: u32 = 60;

thread_local! {
    /// Kinds of value (dimensions, halves) that have passed in this session.
    static PASSED: RefCell<Vec<(u32, bool)>> = const { RefCell::new(Vec::new()) };
}

/// Whether this version's pages are known.
pub fn is_tested(pgvector: &Pgvector) -> bool {
    TESTED.contains(&pgvector.version.as_str())
}

/// Why pages of ours may not be written here; `None` if they may.
///
/// # Errors
/// The server's own.
pub fn refuses(index: &VectorIndex, pgvector: &Pgvector) -> Result<Option<String>, Error> {
    if !buffers::fits() {
        return Ok(Some("the server's pages do not have 8192 bytes".to_owned()));
    }
    if !is_tested(pgvector) {
        return Ok(Some(format!(
            "pgvector {} is not among the versions that the import was tested with ({} to {})",
            pgvector.version,
            TESTED.first().unwrap_or(&""),
            TESTED.last().unwrap_or(&"")
        )));
    }
    let kind = (index.dimensions, index.half);
    if PASSED.with_borrow(|passed| passed.contains(&kind)) {
        return Ok(None);
    }
    // Levels are random: a trial without an upper layer, one in ten million, says too little.
    for _ in 0..2 {
        let rewritten = match trial(index, pgvector)? {
            Ok(rewritten) => rewritten,
            Err(why) => {
                return Ok(Some(format!(
                    "pgvector's trial index could not be read: {why}"
                )));
            }
        };
        if let Some(difference) = rewritten.difference {
            return Ok(Some(format!(
                "pgvector writes its indexes otherwise than the import: {difference}"
            )));
        }
        if rewritten.layers > 1 && rewritten.shared > 0 {
            PASSED.with_borrow_mut(|passed| passed.push(kind));
            return Ok(None);
        }
    }
    Ok(Some("pgvector's trial index has one layer only".to_owned()))
}

/// Has pgvector index a small table of such values, duplicates and a NULL among them, and writes its index anew.
fn trial(index: &VectorIndex, pgvector: &Pgvector) -> Result<Result<Rewritten, String>, Error> {
    let quiet = &[
        (c"client_min_messages", c"warning"),
        (c"max_parallel_maintenance_workers", c"0"),
    ];
    let pages = subxact::run(
        |_| false,
        || as_owner(|| settings::with(quiet, || build(index, pgvector))),
    );
    Ok(match pages {
        Ok(pages) => rewrite(&pages?).map_err(|error| error.to_string()),
        Err(refused) => Err(refused.message),
    })
}

fn build(index: &VectorIndex, pgvector: &Pgvector) -> Result<Vec<Page>, Error> {
    let schema = &pgvector.schema;
    let (dimensions, class) = (index.dimensions, operator_class(index.space, index.half));
    let ty = if index.half { "halfvec" } else { "vector" };
    // Another session may be at its own trial.
    let name = format!("vector_migrate.trial_{}", std::process::id());
    spi::write(
        &format!("CREATE UNLOGGED TABLE {name} (embedding {schema}.{ty}({dimensions}))"),
        &[],
    )?;
    // Twelve rows are equal, more than one element takes.
    spi::write(
        &format!(
            "INSERT INTO {name} \
             SELECT CASE WHEN t.r OPERATOR(pg_catalog.<>) 5 THEN ( \
                      SELECT pg_catalog.array_agg(pg_catalog.sin( \
                               t.k OPERATOR(pg_catalog.*) 1.7::pg_catalog.float8 OPERATOR(pg_catalog.+) c)::pg_catalog.float4 \
                             ORDER BY c) \
                        FROM pg_catalog.generate_series(1, {dimensions}) c)::{schema}.{ty} END \
               FROM (SELECT r, CASE WHEN r OPERATOR(pg_catalog.<=) 13 THEN 1 ELSE r END::pg_catalog.float8 AS k \
                       FROM pg_catalog.generate_series(1, {ROWS}) r) t"
        ),
        &[],
    )?;
    spi::write(
        &format!(
            "CREATE INDEX ON {name} USING hnsw (embedding {schema}.{class}) \
             WITH (m = 4, ef_construction = 16)"
        ),
        &[],
    )?;
    let oids = spi::look_up_one(
        "SELECT i.indrelid, i.indexrelid FROM pg_catalog.pg_index i \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass",
        &[name.as_str().into()],
        |row| {
            let oids = row.get::<pg_sys::Oid>(1)?.zip(row.get::<pg_sys::Oid>(2)?);
            Ok(oids)
        },
    )?;
    let (table, oid) = oids
        .flatten()
        .ok_or_else(|| Error::Bug("the trial has no index".into()))?;
    let opened = Opened::to_read(table, oid);
    Ok(buffers::all(&opened))
}
