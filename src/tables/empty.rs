//! Whether a table has rows.

use pgrx::pg_sys;

use crate::error::Error;
use crate::ledger::as_table_owner;
use crate::spi;

/// Whether the table `name` (qualified and quoted) has no row that is committed or this transaction's own, whatever the
/// caller may see of it. What rows were removed from is read to the end.
///
/// # Errors
/// The server's own.
pub fn is_empty(table: pg_sys::Oid, name: &str) -> Result<bool, Error> {
    let owner = spi::look_up_one(
        "SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[table.into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    let Some(owner) = owner.flatten() else {
        return Ok(false);
    };
    let found = as_table_owner(owner, || {
        spi::look_up_one(
            &format!("SELECT NOT EXISTS (SELECT FROM ONLY {name})"),
            &[],
            |row| row.get::<bool>(1),
        )
    })?;
    Ok(found.flatten().unwrap_or(false))
}
