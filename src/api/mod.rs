//! Every SQL function: check arguments, check access, call, convert. No logic of its own.

mod inspect;
mod migrate;
mod records;
mod rollback;
mod search;
mod tables;
mod text;

use pgrx::pg_sys::panic::ErrorReport;

/// What an SQL function gives back.
type Outcome<T> = Result<T, ErrorReport>;

/// A count as SQL's bigint.
fn bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
