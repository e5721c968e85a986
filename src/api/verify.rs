//! `verify_migration`: whether everything arrived.

use pgrx::JsonB;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::Error;
use crate::verify;

/// Reads the store of run `run_id` (NULL: the calling role's newest that is not rolled back) again, and compares with its
/// tables: one row for each check of a table or collection. All ids are looked up; of the rows about a hundredth, and at least 100
/// of all collections together, is compared column by column and vector by vector, bit for bit; `full`: every row.
///
/// What is meant to differ is told by lines of its own, which pass: `left out` (what the run left out), and `changed since` (rows
/// that the application has changed, records that Chroma has got or changed). `detail` names the first 20 records of each.
#[pg_extern(volatile, parallel_unsafe)]
fn verify_migration(
    run_id: default!(Option<i64>, "NULL"),
    full: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(check_name, String),
            name!(collection, Option<String>),
            name!(passed, bool),
            name!(expected, Option<String>),
            name!(actual, Option<String>),
            name!(detail, Option<JsonB>),
        ),
    >,
    ErrorReport,
> {
    let full = full.ok_or(Error::NullArgument("full"))?;
    let checks = verify::verify(run_id, full)?;
    Ok(TableIterator::new(checks.into_iter().map(|check| {
        (
            check.name.to_owned(),
            check.collection,
            check.passed,
            Some(check.expected),
            Some(check.actual),
            check.detail.map(JsonB),
        )
    })))
}
