//! Whether a table has rows, and about how many.

use pgrx::pg_sys;

use crate::error::Error;
use crate::ledger::as_table_owner;
use crate::spi;

/// The number of rows of the table `name` (qualified and quoted) that are committed or this transaction's own, whatever the
/// caller may see of it; `most` if there are as many or more, after which no more are looked at. What rows were removed from is read.
///
/// # Errors
/// The server's own.
pub fn rows_up_to(table: pg_sys::Oid, name: &str, most: u64) -> Result<u64, Error> {
    let owner = spi::look_up_one(
        "SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[table.into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    let Some(owner) = owner.flatten() else {
        return Ok(most);
    };
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let found = as_table_owner(owner, || {
        spi::look_up_one(
            &format!("SELECT pg_catalog.count(*) FROM (SELECT FROM ONLY {name} LIMIT $1) AS first"),
            &[limit.into()],
            |row| row.get::<i64>(1),
        )
    })?;
    let rows = found.flatten().and_then(|rows| u64::try_from(rows).ok());
    Ok(rows.unwrap_or(most))
}
