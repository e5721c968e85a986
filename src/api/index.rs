//! `import_index` and `check_vector_index`. The latter's SQL is written out, as pgrx has no `regclass`.

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::bigint;
use crate::error::Error;
use crate::{access, index, run};

/// Makes the HNSW index on column `embedding` of the filled table `target` anew from the graph of a collection of the
/// Chroma persist directory at `path`, or makes one where there is none: in place of a build, with the same contents.
/// `collection`: NULL is the one with most records.
///
/// Rows that the graph does not have are inserted by pgvector. Where no index can come of the graph, it is an error, and the
/// index is as it was. Locks the table against writers to the end of the transaction, as REINDEX does; the caller must own it.
#[pg_extern(volatile, parallel_unsafe)]
fn import_index(
    target: Option<&str>,
    path: Option<&str>,
    collection: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(index, String),
            name!(rows, i64),
            name!(inserted, i64),
            name!(seconds, f64),
            name!(recall, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let place = access::check(path)?;
    let target = target.ok_or(Error::NullArgument("target"))?;
    let made = run::import_index(place, target, collection)?;
    Ok(TableIterator::once((
        made.index,
        bigint(made.rows),
        bigint(made.inserted),
        made.seconds,
        made.recall,
    )))
}

/// Reads every page of an HNSW index of pgvector's, while nobody can write to its table, and says what is wrong with it.
///
/// `rows`: entries for rows, dead ones that no VACUUM has removed included; `levels`: layers above the lowest; `not_full`:
/// elements that the next VACUUM with something to remove has to link anew; `unreachable`: elements that no search can find;
/// `deleted`: places free for new elements; `problems`: how much is wrong, the first twenty of it in `findings`; `recall`:
/// recall@10 at hnsw.ef_search 40 of up to 64 elements as queries, NULL where something is wrong. Memory: about 170 bytes an element.
#[pg_extern(sql = r#"
CREATE FUNCTION check_vector_index(index pg_catalog.regclass) RETURNS TABLE (
    elements pg_catalog.int8, rows pg_catalog.int8, levels pg_catalog.int4, not_full pg_catalog.int8,
    unreachable pg_catalog.int8, deleted pg_catalog.int8, problems pg_catalog.int8, findings pg_catalog.text[],
    recall pg_catalog.float8
)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
"#)]
fn check_vector_index(
    index: Option<pg_sys::Oid>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(elements, i64),
            name!(rows, i64),
            name!(levels, i32),
            name!(not_full, i64),
            name!(unreachable, i64),
            name!(deleted, i64),
            name!(problems, i64),
            name!(findings, Vec<String>),
            name!(recall, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let index = index.ok_or(Error::NullArgument("index"))?;
    let proof = index::check(index)?;
    let recall = proof.recall();
    let summary = proof.summary;
    let levels = summary.levels.len().saturating_sub(1);
    Ok(TableIterator::once((
        bigint(summary.elements),
        bigint(summary.heap.count),
        i32::try_from(levels).unwrap_or(i32::MAX),
        bigint(summary.not_full),
        bigint(summary.unreachable.unwrap_or(0)),
        bigint(summary.deleted),
        bigint(summary.findings.count()),
        summary.findings.sentences().to_vec(),
        recall,
    )))
}
