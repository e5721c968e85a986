//! One-line queries. Every name in a query is qualified by its writer; values go in as parameters only.

use std::ops::ControlFlow;

use pgrx::Spi;
use pgrx::datum::DatumWithOid;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use crate::error::Error;
use crate::interrupt;

/// Runs a query that only reads; one `T` a row.
pub fn read<T>(
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

/// Runs a query that only reads, and takes its rows `step` at a time, so that they are never all in memory, until
/// `take` breaks.
pub fn stream(
    sql: &str,
    args: &[DatumWithOid<'_>],
    step: i64,
    mut take: impl FnMut(&SpiHeapTupleData<'_>) -> SpiResult<ControlFlow<()>>,
) -> Result<(), Error> {
    let name = Spi::connect(|client| {
        let cursor = client.try_open_cursor(sql, args)?;
        Ok::<_, Error>(cursor.detach_into_name())
    })?;
    loop {
        interrupt::check();
        // A connection of its own for each step: what it fetches is freed with it.
        let more = Spi::connect(|client| {
            let mut cursor = client.find_cursor(&name)?;
            let mut some = false;
            for row in cursor.fetch(step)? {
                some = take(&row)?.is_continue();
                if !some {
                    break;
                }
            }
            if some {
                cursor.detach_into_name();
            }
            Ok::<_, Error>(some)
        })?;
        if !more {
            return Ok(());
        }
    }
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
