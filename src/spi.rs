//! One-line queries. Every name in a query is qualified by its writer; values go in as parameters only.

use pgrx::Spi;
use pgrx::datum::DatumWithOid;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use crate::error::Error;
use crate::pg;

/// Runs a query that only reads; one `T` a row. It sees what its own statement would see if the caller sent it now: pgrx's
/// `select` alone would see what the call that goes on saw at its beginning, before it waited for locks.
pub fn read<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Vec<T>, Error> {
    pg::under_snapshot(pg::Snapshot::Transaction, || select(sql, args, take))
}

/// Runs a query on the catalogs, which it sees as they are now, in every isolation level: the server's own code
/// that goes on with the answer (the relation cache) does so, too. One `T` a row.
pub fn look_up<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Vec<T>, Error> {
    pg::under_snapshot(pg::Snapshot::Latest, || select(sql, args, take))
}

/// [`look_up`] of at most one row.
pub fn look_up_one<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Option<T>, Error> {
    Ok(look_up(sql, args, take)?.into_iter().next())
}

fn select<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Vec<T>, Error> {
    Spi::connect(|client| {
        let mut rows = Vec::new();
        for row in client.select(sql, None, args)? {
            rows.push(take(&row)?);
        }
        Ok(rows)
    })
}

/// Runs a query that reads at most one row.
pub fn read_one<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Option<T>, Error> {
    Ok(read(sql, args, take)?.into_iter().next())
}

/// Runs a statement that writes; gives the rows that it touched.
pub fn write(sql: &str, args: &[DatumWithOid<'_>]) -> Result<u64, Error> {
    Spi::connect_mut(|client| {
        let table = client.update(sql, None, args)?;
        Ok(u64::try_from(table.len()).unwrap_or(0))
    })
}

/// Runs a statement that writes and returns rows; one `T` a row.
pub fn write_returning<T>(
    sql: &str,
    args: &[DatumWithOid<'_>],
    take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Vec<T>, Error> {
    Spi::connect_mut(|client| {
        let mut rows = Vec::new();
        for row in client.update(sql, None, args)? {
            rows.push(take(&row)?);
        }
        Ok(rows)
    })
}

/// `name` as an SQL identifier, quoted where it has to be.
pub fn ident(name: &str) -> String {
    pgrx::spi::quote_identifier(name)
}
