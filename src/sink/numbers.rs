//! Numbers for rows of a table without a column for the record's id: those of its key column's own sequence, drawn by the run, so
//! that the ledger knows which row is whose.

use std::cell::Cell;

use pgrx::pg_sys;
use vector_migrate_core::encode::{ColumnType, FIRST_VALUE};

use super::sort::WantedRow;
use crate::error::Error;
use crate::pg;
use crate::tables::Target;

/// Where numbers come from.
#[derive(Debug)]
pub(super) struct RowNumbers {
    /// The sequence; `None`: a dry run, which leaves it alone and counts down from the type's end.
    sequence: Option<pg_sys::Oid>,
    ty: ColumnType,
    drawn: Cell<i64>,
}

impl RowNumbers {
    /// Those for rows of `target`; `None` if it has a column for the record's id, or another stand-in for it.
    pub fn of(target: &Target, dry_run: bool) -> Option<RowNumbers> {
        let sequence = target.sequence?;
        let first = target.columns.first()?;
        Some(RowNumbers {
            sequence: (!dry_run).then_some(sequence),
            ty: first.ty,
            drawn: Cell::new(0),
        })
    }

    /// Gives each of `rows`, whose tuples are in `tuples`, its number.
    ///
    /// # Errors
    /// [`Error::NumberTooLarge`]; the server's own are raised, as for want of a privilege.
    pub fn give(&self, rows: &mut [WantedRow], tuples: &mut [u8]) -> Result<(), Error> {
        for WantedRow { row, .. } in rows {
            let number = self.next();
            let start = row.tuple.start + FIRST_VALUE;
            let place = tuples.get_mut(start..row.tuple.end).unwrap_or_default();
            let written = match self.ty {
                ColumnType::Int2 => put(place, i16::try_from(number).ok().map(i16::to_ne_bytes)),
                ColumnType::Int4 => put(place, i32::try_from(number).ok().map(i32::to_ne_bytes)),
                _ => put(place, Some(number.to_ne_bytes())),
            };
            if !written {
                return Err(Error::NumberTooLarge(number));
            }
            row.key = number.to_string();
        }
        Ok(())
    }

    fn next(&self) -> i64 {
        if let Some(sequence) = self.sequence {
            return pg::next_number(sequence);
        }
        let n = self.drawn.get();
        self.drawn.set(n + 1);
        let last = match self.ty {
            ColumnType::Int2 => i64::from(i16::MAX),
            ColumnType::Int4 => i64::from(i32::MAX),
            _ => i64::MAX,
        };
        last - n % (last / 2)
    }
}

fn put<const N: usize>(place: &mut [u8], bytes: Option<[u8; N]>) -> bool {
    match (place.first_chunk_mut::<N>(), bytes) {
        (Some(place), Some(bytes)) => {
            *place = bytes;
            true
        }
        _ => false,
    }
}
