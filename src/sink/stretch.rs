//! Many batches at once, while the reader goes on.
//!
//! A load of its own for each batch costs: it begins with buffers, slots and plans of its own. So one goes on
//! taking batches, each sorted out as it comes, for as long as they need nothing but to be put in: no question to the server,
//! no vector to be made, no row to be overwritten. What it has taken stays in memory until the server has stored all
//! of it; if the server refuses a row, the stretch is taken back and loaded batch by batch.

use vector_migrate_core::pipeline::Row;

use super::batch::{Aside, Batches, Sink, Tick};
use super::copy::{self, Supply};
use super::heap;
use super::sieve::Sieved;
use crate::error::Error;
use crate::tables::Via;
use crate::{interrupt, pg, progress, subxact};

/// A stretch ends when so many records were left out on its way, so that they are written down.
const MOST_FAILURES: usize = 20_000;

/// One COPY under way.
struct Stretch<'s, 'b, 't> {
    sink: &'s mut Sink,
    source: &'s mut Batches<'b>,
    tick: &'s mut Tick<'t>,
    /// What it has taken.
    taken: Vec<Sieved>,
    bytes: usize,
    rows: u64,
    /// The next row of the last of them.
    next: usize,
    /// Why it has to end with the run.
    failed: Option<Error>,
}

impl Sink {
    /// Whether the rows need nothing but COPY.
    pub(super) fn streams(&self, sieved: &Sieved) -> bool {
        let by_copy = self
            .into_content
            .as_ref()
            .is_some_and(|content| match content.via {
                Via::Heap => true,
                Via::Copy => !self.dry_in_place || content.fillers.is_empty(),
                Via::Insert => false,
            });
        let plain = |(row, exists): &(Row, bool)| {
            row.has_vector && !exists && (row.entities.is_empty() || self.into_entity.is_none())
        };
        by_copy
            && self.pending.is_empty()
            && !sieved.rows.is_empty()
            && sieved.rows.iter().all(plain)
    }

    /// Loads `first` and what comes after it by one COPY.
    pub(super) fn stretch(
        &mut self,
        first: Sieved,
        source: &mut Batches<'_>,
        tick: &mut Tick<'_>,
    ) -> Result<(), Error> {
        let Some(content) = self.into_content.clone() else {
            return self.in_steps(first, tick);
        };
        let mut stretch = Stretch {
            sink: &mut *self,
            source,
            tick: &mut *tick,
            bytes: 0,
            rows: 0,
            taken: Vec::new(),
            next: 0,
            failed: None,
        };
        stretch.take(first);
        let stored = subxact::run(Option::is_some, || {
            let stored = match content.via {
                Via::Heap => heap::put_supply(&content, &mut stretch),
                _ => copy::copy_supply(content.oid, &content.names(), &mut stretch),
            };
            let whole = stretch.failed.is_none() && stored == stretch.rows;
            whole.then(|| stretch.sink.run.map_or(0, |_| pg::current_xid()))
        });
        let Stretch {
            taken,
            failed,
            bytes,
            ..
        } = stretch;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Ok(Some(xid)) = stored {
            self.reach.stored(bytes);
            for sieved in taken {
                for (row, _) in &sieved.rows {
                    self.count(row, false);
                    self.enter(row, xid, None)?;
                }
                self.pool.give(sieved.tuples);
            }
            return Ok(());
        }
        self.reach.refused();
        progress::again();
        for sieved in taken {
            self.in_steps(sieved, tick)?;
            // Batch by batch, so that few rows are put in again for one that is refused.
            self.load_pending()?;
        }
        Ok(())
    }
}

impl Stretch<'_, '_, '_> {
    fn take(&mut self, sieved: Sieved) {
        self.bytes += sieved.tuples.len();
        self.rows += sieved.rows.len() as u64;
        self.taken.push(sieved);
        self.next = 0;
    }

    /// Takes the next batch if there is one, and if it can go the same way; whether it did.
    fn go_on(&mut self) -> bool {
        if self.bytes >= self.sink.reach.bytes() || self.sink.failures.len() >= MOST_FAILURES {
            return false;
        }
        (self.tick)(self.sink.standing(self.rows, 0));
        match (self.source)() {
            Ok(Some(batch)) if self.sink.knows_all_of(&batch) => match self.sink.sieve(batch) {
                Ok(sieved) if self.sink.streams(&sieved) => {
                    self.take(sieved);
                    true
                }
                Ok(sieved) => {
                    self.sink.aside = Some(Aside::Sieved(sieved));
                    false
                }
                Err(error) => self.fail(error),
            },
            Ok(batch) => {
                self.sink.aside = batch.map(Aside::Batch);
                false
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) -> bool {
        self.failed = Some(error);
        false
    }
}

impl Supply for Stretch<'_, '_, '_> {
    fn more(&mut self) -> &[u8] {
        interrupt::check();
        loop {
            let last = self.taken.last().map_or(0, |sieved| sieved.rows.len());
            if self.next < last || !self.go_on() {
                break;
            }
        }
        let Some(sieved) = self.taken.last() else {
            return &[];
        };
        let Some((row, _)) = sieved.rows.get(self.next) else {
            return &[];
        };
        // Tuples that follow each other go as one piece.
        let mut range = row.tuple.clone();
        self.next += 1;
        while let Some((row, _)) = sieved.rows.get(self.next)
            && row.tuple.start == range.end
        {
            range.end = row.tuple.end;
            self.next += 1;
        }
        sieved.tuples.get(range).unwrap_or_default()
    }
}
