//! `run_marks`: whether the transaction ids that the ledger has of a run still mean what they meant.
//!
//! A row is as the run left it if its `xmin` is the one in the ledger. After a dump and restore both are only numbers: those of
//! the ledger are of the server that was dumped, those of the rows are of the restore, and could be equal by chance. After four
//! billion transactions a number is used again. A mark is a row that nobody changes, with its own `xmin` written in it: a
//! restore gives it another one. What keeps the files (pg_upgrade, a physical copy) keeps it right.

use pgrx::pg_sys;

use crate::error::Error;
use crate::{pg, spi};

/// Transactions after which an id may be used again, rounded down: there are 2^32 ids.
const ROUND: i64 = 4_000_000_000;

/// Writes the mark of `run`, which has filled `target`; as the ledger's owner.
///
/// # Errors
/// The server's own.
pub fn write(run: i64, target: pg_sys::Oid) -> Result<(), Error> {
    let xact = pg::current_full_xid().to_string();
    spi::write(
        "INSERT INTO vector_migrate.run_marks (run_id, target, xact) \
         VALUES ($1, $2, $3::pg_catalog.xid8)",
        &[run.into(), target.into(), xact.into()],
    )?;
    Ok(())
}

/// Whether the ids of `run`, which has filled `target`, mean what they meant; as the ledger's owner.
///
/// # Errors
/// The server's own.
pub fn holds(run: i64, target: pg_sys::Oid) -> Result<bool, Error> {
    let now = i64::try_from(pg::next_full_xid()).unwrap_or(i64::MAX);
    let holds = spi::read_one(
        "SELECT m.xmin OPERATOR(pg_catalog.=) m.xact::pg_catalog.xid \
            AND m.xact::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.<=) $3 \
            AND m.xact::pg_catalog.text::pg_catalog.int8 OPERATOR(pg_catalog.>=) $4 \
           FROM vector_migrate.run_marks m \
          WHERE m.run_id OPERATOR(pg_catalog.=) $1 AND m.target OPERATOR(pg_catalog.=) $2",
        &[run.into(), target.into(), now.into(), (now - ROUND).into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(holds.flatten() == Some(true))
}
