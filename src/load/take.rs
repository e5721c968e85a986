//! A destination takes rows, in the way that was chosen for it.

use pgrx::datum::DatumWithOid;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use super::{Destination, Supply, Way, direct, executor};
use crate::error::Error;

impl Destination {
    /// Loads what the supply gives; the number of rows that the server stored: a trigger may drop some. What is allocated stays
    /// in the current memory context: callers are in a subtransaction, which has one of its own, and whose end takes back what
    /// an error leaves open.
    ///
    /// # Errors
    /// [`Error::Bug`]; the server's own are raised.
    pub fn load(&self, supply: &mut dyn Supply) -> Result<u64, Error> {
        self.late.begin();
        match self.way {
            Way::Direct => Ok(direct::load(self, supply)),
            Way::Executor(_) => executor::insert(self, supply),
        }
    }

    /// [`Destination::load`] of tuples that are all there.
    ///
    /// # Errors
    /// As [`Destination::load`].
    pub fn load_tuples(&self, tuples: &[Vec<u8>]) -> Result<u64, Error> {
        self.load(&mut Tuples::new(tuples))
    }

    /// Runs the statement that `sql` makes of a subquery that gives the tuples as rows of the destination's columns; the number
    /// of rows that it touched. As [`Destination::load`]; the statement must not read the subquery's rows
    /// twice at a time.
    ///
    /// # Errors
    /// As [`Destination::load`].
    pub fn run_over(&self, tuples: &[Vec<u8>], sql: impl Fn(&str) -> String) -> Result<u64, Error> {
        executor::run(self, &mut Tuples::new(tuples), sql)
    }

    /// Asks a query about the tuples, which [`Destination::rows`] in its select list gives one by one: nothing is loaded. One
    /// `T` a row.
    ///
    /// # Errors
    /// As [`Destination::load`].
    pub fn ask<T>(
        &self,
        tuples: &[Vec<u8>],
        sql: &str,
        args: &[DatumWithOid<'_>],
        take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
    ) -> Result<Vec<T>, Error> {
        executor::read(self, &mut Tuples::new(tuples), sql, args, take)
    }

    /// What gives the tuples as rows of the table's type, one for each row of the select list.
    pub fn rows(&self) -> String {
        format!("vector_migrate.bulk_rows(NULL::{})", self.name)
    }
}

/// The supply of tuples that are all there.
struct Tuples<'a> {
    all: &'a [Vec<u8>],
    next: usize,
}

impl<'a> Tuples<'a> {
    fn new(all: &'a [Vec<u8>]) -> Tuples<'a> {
        Tuples { all, next: 0 }
    }
}

impl Supply for Tuples<'_> {
    fn more(&mut self) -> &[u8] {
        let tuple = self.all.get(self.next);
        self.next += 1;
        tuple.map_or(&[], Vec::as_slice)
    }

    fn rewind(&mut self) {
        self.next = 0;
    }
}
