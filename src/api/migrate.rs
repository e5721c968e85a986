//! `migrate_chroma`, in three overloads: `user_id` as text, bigint or uuid.
//!
//! Each is the same text with another `user_id`, as pgrx reads the SQL signature from it; all three do what [`migrate`] does.

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
    Option<String>,
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
        row.note,
    )
}

/// An overload, with the type of `user_id` and what makes text of it.
macro_rules! overload {
    ($(#[$docs:meta])* $name:ident, ($($user_id:tt)*), $user_type:literal, $to_text:expr) => {
        $(#[$docs])*
        #[pg_extern(volatile, parallel_unsafe, name = "migrate_chroma")]
        #[allow(clippy::too_many_arguments)] // the signature is the contract
        fn $name(
            path: Option<&str>,
            user_id: $($user_id)*,
            dry_run: default!(Option<bool>, "false"),
            collection: default!(Option<String>, "NULL"),
            filter: default!(Option<JsonbText>, "NULL"),
            embeddings: default!(Option<String>, "'auto'"),
            on_conflict: default!(Option<String>, "'skip'"),
            orphans: default!(Option<String>, "'auto'"),
            default_user_id: default!(Option<String>, "NULL"),
            target: default!(Option<String>, "'content_vectors'"),
            entity_target: default!(Option<String>, "'entity_vectors'"),
            strict: default!(Option<bool>, "false"),
            index: default!(Option<String>, "'auto'"),
            owner_key: default!(Option<String>, "'user_id'"),
            text_key: default!(Option<String>, "NULL"),
            nul_characters: default!(Option<String>, "'error'"),
            collections: default!(Option<Vec<Option<String>>>, "NULL"),
            dimension: default!(Option<i32>, "NULL"),
            source_name: default!(Option<String>, "NULL"),
            preset: default!(Option<String>, "NULL"),
            columns: default!(Option<JsonbText>, "NULL"),
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
                    name!(note, Option<String>),
                ),
            >,
            ErrorReport,
        > {
            migrate(
                path,
                Arguments {
                    user_id: user_id.map($to_text),
                    user_id_type: $user_type,
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
                    owner_key,
                    text_key,
                    nul_characters,
                    collections,
                    dimension,
                    source_name,
                    preset,
                    columns: columns.map(|json| json.0),
                },
            )
        }
    };
}

overload!(
    /// Migrates the Chroma persist directory at `path` (or its chroma.sqlite3) into pgvector tables, in this
    /// transaction; one row for each collection and user, found = migrated + skipped + failed. `note` says what was decided for
    /// the row and what its caller could do about what was left out; NULL: nothing to say.
    ///
    /// `orphans`: records that name no owner are left out (`skip`), migrated with `user_id` NULL (`keep`), or kept where no record of
    /// their collection names one (`auto`). `target`, `entity_target`: tables; `{collection}`, `{database}`, `{tenant}` and
    /// `{dimension}` in them stand for what the collection has. `index`: how the vector index of a table that it creates, or of an
    /// empty one, comes about after the load: `auto` (from Chroma's own graph where that can be, else built by pgvector), `import`
    /// (an error where it cannot be), `build`, `none`. `owner_key`, `text_key`: the metadata keys of a record's owner, and of its text
    /// where it has no document. `nul_characters`: U+0000, which no text of PostgreSQL can hold, makes its record fail (`error`), is
    /// taken out (`remove`), or becomes U+FFFD (`replace`). `collections`: only these; `dimension`: only those of this many.
    /// `source_name`: stands before each collection's name in the key, so that stores with the same names can share a table.
    /// `preset`: the tables of an application (`chroma_presets()` lists them), made as it makes them if they are missing; NULL: found
    /// from the target's columns. `columns`: what goes into which column, for single columns of a preset or for a table of any shape.
    migrate_chroma, (default!(Option<String>, "NULL")), "pg_catalog.int8", |user: String| user
);

overload!(
    /// As `migrate_chroma(text, text, ...)`, for a user with a number.
    migrate_chroma_bigint, (Option<i64>), "pg_catalog.int8", |user: i64| user.to_string()
);

overload!(
    /// As `migrate_chroma(text, text, ...)`, for a user with a uuid.
    migrate_chroma_uuid, (Option<Uuid>), "pg_catalog.uuid", |user: Uuid| user.to_string()
);
