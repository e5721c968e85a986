//! `migrate_chroma`, in three overloads: `user_id` as text, bigint or uuid.
//!
//! Each is written out, as pgrx reads the SQL signature from it; all three do what [`migrate`] does.

use pgrx::Uuid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::bigint;
use crate::access;
use crate::jsonb::JsonbText;
use crate::run::{self, Arguments, Options};

/// The columns of a row of the result.
type Columns = (
    Option<i64>,
    String,
    Option<String>,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
);

/// Migrates the store at `path`.
fn migrate(
    path: Option<&str>,
    arguments: Arguments,
) -> Result<TableIterator<'static, Columns>, ErrorReport> {
    let place = access::check(path)?;
    let options = Options::check(arguments)?;
    let rows = run::migrate(place, &options)?;
    Ok(TableIterator::new(rows.into_iter().map(columns)))
}

fn columns(row: run::ResultRow) -> Columns {
    let counts = row.counts;
    (
        row.run_id,
        row.collection,
        row.user,
        bigint(counts.found()),
        bigint(counts.migrated),
        bigint(counts.skipped),
        bigint(counts.failed),
        bigint(counts.reused),
        bigint(counts.embedded),
        bigint(counts.entities),
    )
}

/// Migrates the Chroma persist directory at `path` (or its chroma.sqlite3) into pgvector tables, in this
/// transaction; one row for each collection and user, found = migrated + skipped + failed.
///
/// `index`: how the vector index of a table that it creates, or of an empty one, comes about after the load: `auto` (from
/// Chroma's own graph where that can be, else built by pgvector), `import` (an error where it cannot be), `build`, `none`.
#[pg_extern(volatile, parallel_unsafe, name = "migrate_chroma")]
#[allow(clippy::too_many_arguments)] // the signature is the contract
fn migrate_chroma(
    path: Option<&str>,
    user_id: default!(Option<String>, "NULL"),
    dry_run: default!(Option<bool>, "false"),
    collection: default!(Option<String>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
    embeddings: default!(Option<String>, "'auto'"),
    on_conflict: default!(Option<String>, "'skip'"),
    orphans: default!(Option<String>, "'skip'"),
    default_user_id: default!(Option<String>, "NULL"),
    target: default!(Option<String>, "'content_vectors'"),
    entity_target: default!(Option<String>, "'entity_vectors'"),
    strict: default!(Option<bool>, "false"),
    index: default!(Option<String>, "'auto'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, Option<i64>),
            name!(collection, String),
            name!(user_id, Option<String>),
            name!(found, i64),
            name!(migrated, i64),
            name!(skipped, i64),
            name!(failed, i64),
            name!(reused, i64),
            name!(embedded, i64),
            name!(entities, i64),
        ),
    >,
    ErrorReport,
> {
    migrate(
        path,
        Arguments {
            user_id,
            user_id_type: "pg_catalog.int8",
            dry_run,
            collection,
            filter: filter.map(|json| json.0),
            embeddings,
            on_conflict,
            orphans,
            default_user_id,
            target,
            entity_target,
            strict,
            index,
        },
    )
}

/// As `migrate_chroma(text, text, ...)`, for a user with a number.
#[pg_extern(volatile, parallel_unsafe, name = "migrate_chroma")]
#[allow(clippy::too_many_arguments)] // the signature is the contract
fn migrate_chroma_bigint(
    path: Option<&str>,
    user_id: Option<i64>,
    dry_run: default!(Option<bool>, "false"),
    collection: default!(Option<String>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
    embeddings: default!(Option<String>, "'auto'"),
    on_conflict: default!(Option<String>, "'skip'"),
    orphans: default!(Option<String>, "'skip'"),
    default_user_id: default!(Option<String>, "NULL"),
    target: default!(Option<String>, "'content_vectors'"),
    entity_target: default!(Option<String>, "'entity_vectors'"),
    strict: default!(Option<bool>, "false"),
    index: default!(Option<String>, "'auto'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, Option<i64>),
            name!(collection, String),
            name!(user_id, Option<String>),
            name!(found, i64),
            name!(migrated, i64),
            name!(skipped, i64),
            name!(failed, i64),
            name!(reused, i64),
            name!(embedded, i64),
            name!(entities, i64),
        ),
    >,
    ErrorReport,
> {
    migrate(
        path,
        Arguments {
            user_id: user_id.map(|user| user.to_string()),
            user_id_type: "pg_catalog.int8",
            dry_run,
            collection,
            filter: filter.map(|json| json.0),
            embeddings,
            on_conflict,
            orphans,
            default_user_id,
            target,
            entity_target,
            strict,
            index,
        },
    )
}

/// As `migrate_chroma(text, text, ...)`, for a user with a uuid.
#[pg_extern(volatile, parallel_unsafe, name = "migrate_chroma")]
#[allow(clippy::too_many_arguments)] // the signature is the contract
fn migrate_chroma_uuid(
    path: Option<&str>,
    user_id: Option<Uuid>,
    dry_run: default!(Option<bool>, "false"),
    collection: default!(Option<String>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
    embeddings: default!(Option<String>, "'auto'"),
    on_conflict: default!(Option<String>, "'skip'"),
    orphans: default!(Option<String>, "'skip'"),
    default_user_id: default!(Option<String>, "NULL"),
    target: default!(Option<String>, "'content_vectors'"),
    entity_target: default!(Option<String>, "'entity_vectors'"),
    strict: default!(Option<bool>, "false"),
    index: default!(Option<String>, "'auto'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, Option<i64>),
            name!(collection, String),
            name!(user_id, Option<String>),
            name!(found, i64),
            name!(migrated, i64),
            name!(skipped, i64),
            name!(failed, i64),
            name!(reused, i64),
            name!(embedded, i64),
            name!(entities, i64),
        ),
    >,
    ErrorReport,
> {
    migrate(
        path,
        Arguments {
            user_id: user_id.map(|user| user.to_string()),
            user_id_type: "pg_catalog.uuid",
            dry_run,
            collection,
            filter: filter.map(|json| json.0),
            embeddings,
            on_conflict,
            orphans,
            default_user_id,
            target,
            entity_target,
            strict,
            index,
        },
    )
}
