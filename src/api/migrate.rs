//! `migrate_chroma`, in three overloads: `user_id` as text, bigint or uuid.

use pgrx::Uuid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::bigint;
use crate::access;
use crate::jsonb::JsonbText;
use crate::run::{self, Arguments, Options};

/// One row of the result.
type Row = (
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

fn migrate(path: Option<&str>, arguments: Arguments) -> Result<Vec<Row>, ErrorReport> {
    let place = access::check(path)?;
    let options = Options::check(arguments)?;
    let lines = run::migrate(place, &options)?;
    let row = |line: run::ResultRow| {
        let counts = line.counts;
        (
            line.run_id,
            line.collection,
            line.user,
            bigint(counts.found()),
            bigint(counts.migrated),
            bigint(counts.skipped),
            bigint(counts.failed),
            bigint(counts.reused),
            bigint(counts.embedded),
            bigint(counts.entities),
        )
    };
    Ok(lines.into_iter().map(row).collect())
}

// The argument's type goes in token by token: as a `ty` it would hide `default!` from pgrx.
macro_rules! overload {
    ($(#[$doc:meta])* $rust:ident, $user:ty, [$($argument:tt)+], $as_text:expr, $column:literal) => {
        $(#[$doc])*
        #[pg_extern(volatile, parallel_unsafe, name = "migrate_chroma")]
        #[allow(clippy::too_many_arguments)] // the signature is the contract
        fn $rust(
            path: Option<&str>,
            user_id: $($argument)+,
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
        ) -> Result<TableIterator<
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
            >, ErrorReport> {
            let as_text: fn($user) -> String = $as_text;
            let rows = migrate(
                path,
                Arguments {
                    user_id: user_id.map(as_text),
                    user_id_type: $column,
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
            )?;
            Ok(TableIterator::new(rows))
        }
    };
}

overload!(
    /// Migrates the Chroma persist directory at `path` (or its chroma.sqlite3) into pgvector tables, in this
    /// transaction; one row for each collection and user, found = migrated + skipped + failed.
    ///
    /// `index`: how the vector index of a table that it creates, or of an empty one, comes about after the load: `auto` (from
    /// Chroma's own graph where that can be, else built by pgvector), `import` (an error where it cannot be), `build`, `none`.
    migrate_chroma,
    String,
    [default!(Option<String>, "NULL")],
    |user| user,
    "pg_catalog.int8"
);
overload!(
    /// As `migrate_chroma(text, text, ...)`, for a user with a number.
    migrate_chroma_bigint,
    i64,
    [Option<i64>],
    |user| user.to_string(),
    "pg_catalog.int8"
);
overload!(
    /// As `migrate_chroma(text, text, ...)`, for a user with a uuid.
    migrate_chroma_uuid,
    Uuid,
    [Option<Uuid>],
    |user| user.to_string(),
    "pg_catalog.uuid"
);
