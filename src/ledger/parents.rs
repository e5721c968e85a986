//! Rows that a run made in tables that its targets refer to, one for each collection that had none; and undoing them.

use pgrx::pg_sys;

use super::mark;
use super::owner::as_owner;
use super::referrers::Referrers;
use crate::error::Error;
use crate::tables::{ForeignKey, Known, Roles, RunKeys, RunTable};
use crate::{lock, spi};

/// A row that a run made.
#[derive(Debug, Clone)]
pub struct MadeParent {
    /// Its table.
    pub table: pg_sys::Oid,
    /// The column that it is told by.
    pub column: String,
    /// What that has, as text.
    pub key: String,
    /// Its `xmin`.
    pub xid: u32,
}

/// Writes down the rows that `run` made for `content`. As the ledger's owner.
///
/// # Errors
/// The server's own.
pub(super) fn write(run: i64, content: pg_sys::Oid, made: &[MadeParent]) -> Result<(), Error> {
    for parent in made {
        spi::write(
            "INSERT INTO vector_migrate.run_parents (run_id, target, parent, key_column, key, xid) \
             VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.text::pg_catalog.xid)",
            &[
                run.into(),
                content.into(),
                parent.table.into(),
                parent.column.clone().into(),
                parent.key.clone().into(),
                parent.xid.to_string().into(),
            ],
        )?;
    }
    Ok(())
}

/// Removes the rows that `run` made, are as it left them (with `force`: whatever they are like), and that nothing refers to.
///
/// # Errors
/// The server's own, as for want of the DELETE privilege.
pub(super) fn undo(run: i64, force: bool) -> Result<(), Error> {
    let made = as_owner(|| {
        spi::read(
            "SELECT p.target::pg_catalog.oid, p.parent::pg_catalog.oid, p.key_column, p.key, p.xid::pg_catalog.text \
               FROM vector_migrate.run_parents p WHERE p.run_id OPERATOR(pg_catalog.=) $1",
            &[run.into()],
            |row| {
                Ok((
                    row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
                    row.get::<pg_sys::Oid>(2)?.unwrap_or(pg_sys::InvalidOid),
                    row.get::<String>(3)?.unwrap_or_default(),
                    row.get::<String>(4)?.unwrap_or_default(),
                    row.get::<String>(5)?.unwrap_or_default(),
                ))
            },
        )
    })?;
    for (content, parent, column, key, xid) in made {
        if !lock::hold(parent, lock::Mode::Write) {
            continue;
        }
        let roles = Roles {
            id: vec![column],
            ..Roles::default()
        };
        let known = Known {
            users: Some(false),
            xmin: mark::holds(run, content)?,
        };
        let Some(table) = RunTable::content(parent, &roles, known)? else {
            continue;
        };
        let keys = RunKeys {
            number: vec![0],
            key: vec![key.clone()],
            xid: vec![xid],
            ..RunKeys::default()
        };
        // A key that cascades would take rows that are not the run's.
        let referrers = Referrers::new(ForeignKey::all(&table, None)?, true);
        let free = referrers.free(&table, &keys, force)?;
        if free.numbers.contains(&0) {
            table.remove(&keys, force)?;
            forget(run, parent, &key)?;
        }
    }
    Ok(())
}

fn forget(run: i64, parent: pg_sys::Oid, key: &str) -> Result<(), Error> {
    as_owner(|| {
        spi::write(
            "DELETE FROM vector_migrate.run_parents p WHERE p.run_id OPERATOR(pg_catalog.=) $1 \
                AND p.parent OPERATOR(pg_catalog.=) $2 AND p.key OPERATOR(pg_catalog.=) $3",
            &[run.into(), parent.into(), key.into()],
        )
    })?;
    Ok(())
}
