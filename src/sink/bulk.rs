//! Many batches at once, while the reader goes on.
//!
//! A load of its own for each batch costs: it begins with buffers, slots and plans of its own. So one goes on
//! taking batches, each sorted out as it comes, for as long as they need nothing but to be put in: no question to the server,
//! no vector to be made, no row to be overwritten. What it has taken stays in memory until the server has stored all
//! of it; if the server refuses a row, the bulk load is taken back and loaded batch by batch.

use vector_migrate_core::pipeline::Row;

use super::batch::{Aside, Batches, Sink, Tick};
use super::copy::{self, Supply};
use super::heap;
use super::select::Selected;
use crate::error::Error;
use crate::tables::Via;
use crate::{interrupt, pg, progress, subxact};

/// A bulk load ends when so many records were left out on its way, so that they are written down.
const MOST_FAILURES: usize = 20_000;

/// One COPY under way.
struct Bulk<'s, 'b, 't> {
    sink: &'s mut Sink,
    source: &'s mut Batches<'b>,
    tick: &'s mut Tick<'t>,
    /// What it has taken.
    taken: Vec<Selected>,
    bytes: usize,
    rows: u64,
    /// The next row of the last of them.
    next: usize,
    /// Why it has to end with the run.
    failed: Option<Error>,
}

impl Sink {
    /// Whether the rows need nothing but COPY.
    pub(super) fn streams(&self, selected: &Selected) -> bool {
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
            && !selected.rows.is_empty()
            && selected.rows.iter().all(plain)
    }

    /// Loads `first` and what comes after it by one COPY.
    pub(super) fn load_in_bulk(
        &mut self,
        first: Selected,
        source: &mut Batches<'_>,
        tick: &mut Tick<'_>,
    ) -> Result<(), Error> {
        let Some(content) = self.into_content.clone() else {
            return self.in_steps(first, tick);
        };
        let mut bulk = Bulk {
            sink: &mut *self,
            source,
            tick: &mut *tick,
            bytes: 0,
            rows: 0,
            taken: Vec::new(),
            next: 0,
            failed: None,
        };
        bulk.take(first);
        let stored = subxact::run(Option::is_some, || {
            let stored = match content.via {
                Via::Heap => heap::put_supply(&content, &mut bulk),
                _ => copy::copy_supply(content.oid, &content.names(), &mut bulk),
            };
            let whole = bulk.failed.is_none() && stored == bulk.rows;
            whole.then(|| bulk.sink.run.map_or(0, |_| pg::current_xid()))
        });
        let Bulk {
            taken,
            failed,
            bytes,
            ..
        } = bulk;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Ok(Some(xid)) = stored {
            self.reach.stored(bytes);
            for selected in taken {
                for (row, _) in &selected.rows {
                    self.count(row, false);
                    self.enter(row, xid, None)?;
                }
                self.pool.give(selected.tuples);
            }
            return Ok(());
        }
        self.reach.refused();
        progress::again();
        for selected in taken {
            self.in_steps(selected, tick)?;
            // Batch by batch, so that few rows are put in again for one that is refused.
            self.load_pending()?;
        }
        Ok(())
    }
}

impl Bulk<'_, '_, '_> {
    fn take(&mut self, selected: Selected) {
        self.bytes += selected.tuples.len();
        self.rows += selected.rows.len() as u64;
        self.taken.push(selected);
        self.next = 0;
    }

    /// Takes the next batch if there is one, and if it can go the same way; whether it did.
    fn go_on(&mut self) -> bool {
        if self.bytes >= self.sink.reach.bytes() || self.sink.failures.len() >= MOST_FAILURES {
            return false;
        }
        (self.tick)(self.sink.standing(self.rows, 0));
        match (self.source)() {
            Ok(Some(batch)) if self.sink.knows_all_of(&batch) => match self.sink.select(batch) {
                Ok(selected) if self.sink.streams(&selected) => {
                    self.take(selected);
                    true
                }
                Ok(selected) => {
                    self.sink.aside = Some(Aside::Selected(selected));
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

impl Supply for Bulk<'_, '_, '_> {
    fn more(&mut self) -> &[u8] {
        interrupt::check();
        loop {
            let last = self.taken.last().map_or(0, |selected| selected.rows.len());
            if self.next < last || !self.go_on() {
                break;
            }
        }
        let Some(selected) = self.taken.last() else {
            return &[];
        };
        let Some((row, _)) = selected.rows.get(self.next) else {
            return &[];
        };
        // Tuples that follow each other go as one piece.
        let mut range = row.tuple.clone();
        self.next += 1;
        while let Some((row, _)) = selected.rows.get(self.next)
            && row.tuple.start == range.end
        {
            range.end = row.tuple.end;
            self.next += 1;
        }
        selected.tuples.get(range).unwrap_or_default()
    }
}
