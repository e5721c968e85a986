//! Every SQL function: check arguments, check access, call, convert. No logic of its own.
//!
//! Return types are written out: pgrx reads the SQL signature from them and sees through no alias.

#![allow(clippy::result_large_err)] // pgrx's ErrorReport is what carries a SQLSTATE
#![allow(clippy::type_complexity)] // row types are the contract

mod check;
mod filter;
mod index;
mod init_content_tables;
mod inspect;
mod migrate;
mod presets;
mod query;
mod records;
mod rollback;
mod search;
mod text;
mod verify;

/// A count as SQL's bigint.
fn bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
