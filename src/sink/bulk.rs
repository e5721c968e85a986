//! Many batches at once, while the reader goes on.
//!
//! A load of its own for each batch costs: it begins with buffers, slots and plans of its own. So one goes on
//! taking batches, each sorted out as it comes, for as long as they need nothing but to be put in: no question to the server,
//! no vector to be made, no row to be overwritten. What it has taken stays in memory until the server has stored all
//! of it; if the server refuses a row, the bulk load is taken back and loaded batch by batch.

use vector_migrate_core::pipeline::{Batch, Pool};

use super::load::Loader;
use super::sort::{Sorted, Sorter};
use super::{Recorder, Tick};
use crate::error::Error;
use crate::load::Supply;
use crate::{interrupt, pg, progress, subxact};

/// A bulk load ends when so many records were left out on its way, so that they are written down.
const MOST_FAILURES: usize = 20_000;

/// What waits for the next step.
#[derive(Debug)]
pub(super) enum Deferred {
    /// A batch whose sorting out takes a question to the server.
    Batch(Batch),
    /// Rows that need more than to be put in.
    Sorted(Sorted),
}

/// Where batches come from; `None` at the end.
pub type BatchSource<'a> = dyn FnMut() -> Result<Option<Batch>, Error> + 'a;

/// The parts of a sink that a bulk load works with.
pub(super) struct Parts<'s> {
    pub sorter: &'s mut Sorter,
    pub loader: &'s mut Loader,
    pub recorder: &'s mut Recorder,
    pub pool: &'s Pool,
    /// What it meets and cannot take.
    pub deferred: &'s mut Option<Deferred>,
}

/// A bulk load under way.
struct Bulk<'s, 'c, 'b, 't> {
    parts: Parts<'s>,
    source: &'c mut BatchSource<'b>,
    tick: &'c mut Tick<'t>,
    /// What it has taken.
    taken: Vec<Sorted>,
    bytes: usize,
    rows: u64,
    /// Which of them is being given, and its next row.
    at: (usize, usize),
    /// It takes no more.
    closed: bool,
    /// Why it has to end with the run.
    failed: Option<Error>,
}

/// Loads `first` and what comes after it by one load. Gives what the server has refused as a whole, to be loaded batch by
/// batch, so that few rows are put in again for one that is refused.
///
/// # Errors
/// The source's, [`Error::AlreadyExists`], and the server's own.
pub(super) fn load(
    parts: Parts<'_>,
    first: Sorted,
    source: &mut BatchSource<'_>,
    tick: &mut Tick<'_>,
) -> Result<Vec<Sorted>, Error> {
    let Some(into) = parts.loader.destinations().cloned() else {
        return Ok(vec![first]);
    };
    let mut bulk = Bulk {
        parts,
        source,
        tick,
        bytes: first.tuples.len(),
        rows: first.rows.len() as u64,
        taken: vec![first],
        at: (0, 0),
        closed: false,
        failed: None,
    };
    let stored = subxact::run(
        |stored| matches!(stored, Ok(Some(_))),
        || {
            let stored = into.content.load(&mut bulk)?;
            let whole = bulk.failed.is_none() && stored == bulk.rows;
            let xid = || if into.stays { pg::current_xid() } else { 0 };
            Ok::<_, Error>(whole.then(xid))
        },
    );
    let Bulk {
        parts,
        taken,
        failed,
        bytes,
        ..
    } = bulk;
    if let Some(error) = failed {
        return Err(error);
    }
    let Some(xid) = stored.unwrap_or(Ok(None))? else {
        parts.loader.limit().refused();
        progress::again();
        return Ok(taken);
    };
    parts.loader.limit().stored(bytes);
    for sorted in taken {
        for wanted in &sorted.rows {
            parts.recorder.count(&wanted.row, false);
            parts.recorder.enter(&wanted.row, xid, None)?;
        }
        parts.pool.give(sorted.tuples);
    }
    Ok(Vec::new())
}

impl Bulk<'_, '_, '_, '_> {
    /// Takes the next batch if there is one, and if it can go the same way; whether it did.
    fn go_on(&mut self) -> bool {
        if self.bytes >= self.parts.loader.limit().bytes()
            || self.parts.recorder.unwritten() >= MOST_FAILURES
        {
            return false;
        }
        (self.tick)(self.parts.recorder.progress(self.rows, 0));
        match (self.source)() {
            Ok(Some(batch)) if !self.parts.sorter.needs_query(&batch) => {
                match self.parts.sorter.sort(batch, self.parts.recorder) {
                    Ok(sorted) if self.parts.loader.takes_in_bulk(&sorted) => {
                        self.take(sorted);
                        true
                    }
                    Ok(sorted) => {
                        *self.parts.deferred = Some(Deferred::Sorted(sorted));
                        false
                    }
                    Err(error) => self.fail(error),
                }
            }
            Ok(batch) => {
                *self.parts.deferred = batch.map(Deferred::Batch);
                false
            }
            Err(error) => self.fail(error),
        }
    }

    fn take(&mut self, sorted: Sorted) {
        self.bytes += sorted.tuples.len();
        self.rows += sorted.rows.len() as u64;
        self.taken.push(sorted);
    }

    fn fail(&mut self, error: Error) -> bool {
        self.failed = Some(error);
        false
    }
}

impl Supply for Bulk<'_, '_, '_, '_> {
    fn more(&mut self) -> &[u8] {
        interrupt::check();
        loop {
            let (batch, row) = self.at;
            match self.taken.get(batch) {
                Some(sorted) if row < sorted.rows.len() => break,
                Some(_) => self.at = (batch + 1, 0),
                None => {
                    self.closed = self.closed || !self.go_on();
                    if self.closed {
                        return &[];
                    }
                }
            }
        }
        let (batch, row) = self.at;
        let Some(sorted) = self.taken.get(batch) else {
            return &[];
        };
        // Tuples that follow each other go as one piece.
        let mut tuples = sorted.rows.iter().skip(row).map(|it| it.row.tuple.clone());
        let mut range = tuples.next().unwrap_or_default();
        let mut end = row + 1;
        for tuple in tuples {
            if tuple.start != range.end {
                break;
            }
            range.end = tuple.end;
            end += 1;
        }
        self.at = (batch, end);
        sorted.tuples.get(range).unwrap_or_default()
    }

    fn rewind(&mut self) {
        self.at = (0, 0);
        self.closed = true;
    }
}
