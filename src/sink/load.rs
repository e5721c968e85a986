//! Rows into the tables and the ledger: a subtransaction a load, halved where the server refuses.

use std::rc::Rc;

use vector_migrate_core::reason::Reason;

use super::embed::EmbeddedRow;
use super::existing::{existing, key_of};
use super::pending::Pending;
use super::sort::{Sorted, WantedRow, already_exists};
use super::update::{self, Before};
use super::{BulkLimit, Described, OnConflict, Recorder};
use crate::error::Error;
use crate::load::Destination;
use crate::subxact::Refused;
use crate::{interrupt, pg, progress, subxact};

/// Rows that are copied for a call of the server's at once.
const AT_ONCE: usize = 4000;

/// Rows that are overwritten by one statement: their images of before are in memory at once.
const OVERWRITTEN: usize = 1000;

/// Rows whose entries are kept in memory until they are in the tables; of more, the ledger's blocks are written in the same
/// subtransaction.
const REMEMBERED: usize = 2 * OVERWRITTEN;

/// How often a row is tried because another session has put its key into the target, or taken it away.
const MOST_TRIES: u8 = 6;

/// Where rows go.
#[derive(Debug, Clone)]
pub struct Destinations {
    /// Content rows.
    pub content: Rc<Destination>,
    /// Entity rows.
    pub entity: Option<Rc<Destination>>,
    /// These are the run's tables themselves, not copies: what is there is overwritten.
    pub in_place: bool,
    /// The rows stay, and the ledger tells the transaction that wrote them.
    pub stays: bool,
}

/// A row on its way into the table.
#[derive(Debug, Clone, Copy)]
struct Attempt<'r> {
    embedded: &'r EmbeddedRow,
    /// The target has its key: overwrite.
    exists: bool,
    /// Which try it is, counted from 1.
    tries: u8,
}

/// Rows that are in the tables.
#[derive(Default)]
struct Written {
    /// Their `xmin`.
    xid: u32,
    /// What was there.
    before: Before,
}

/// Loads rows.
#[derive(Debug)]
pub struct Loader {
    described: Described,
    /// Where rows go; `None`: nowhere.
    into: Option<Destinations>,
    on_conflict: OnConflict,
    /// How much one load takes.
    limit: BulkLimit,
    /// Rows that are not in the tables yet.
    pending: Pending,
}

impl Loader {
    /// A loader that has nothing yet.
    pub fn new(
        described: Described,
        into: Option<Destinations>,
        on_conflict: OnConflict,
        limit: BulkLimit,
    ) -> Loader {
        Loader {
            described,
            into,
            on_conflict,
            limit,
            pending: Pending::default(),
        }
    }

    /// Rows that are not in the tables yet.
    pub fn pending_rows(&self) -> u64 {
        self.pending.rows.len() as u64
    }

    /// How much one load takes.
    pub fn limit(&mut self) -> &mut BulkLimit {
        &mut self.limit
    }

    /// Where rows go; `None`: nowhere.
    pub fn destinations(&self) -> Option<&Destinations> {
        self.into.as_ref()
    }

    /// Whether the rows need nothing but to be put in, so that a bulk load can take them.
    pub fn takes_in_bulk(&self, sorted: &Sorted) -> bool {
        let Some(into) = self.into.as_ref().filter(|_| self.pending.is_empty()) else {
            return false;
        };
        let plain = |WantedRow { row, exists }: &WantedRow| {
            row.has_vector && !exists && (row.entities.is_empty() || into.entity.is_none())
        };
        !sorted.rows.is_empty() && sorted.rows.iter().all(plain)
    }

    /// Takes rows, and loads what has come when it is enough.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], the server's own.
    pub fn add(&mut self, rows: Vec<EmbeddedRow>, recorder: &mut Recorder) -> Result<(), Error> {
        self.pending.extend(rows);
        if self.pending.bytes >= self.limit.bytes() {
            self.load_pending(recorder)?;
        }
        Ok(())
    }

    /// Loads the rows that have come.
    ///
    /// # Errors
    /// As [`Loader::add`].
    pub fn load_pending(&mut self, recorder: &mut Recorder) -> Result<(), Error> {
        let Pending { rows, bytes } = std::mem::take(&mut self.pending);
        if rows.is_empty() {
            return Ok(());
        }
        let first = |embedded| Attempt {
            embedded,
            exists: embedded.exists,
            tries: 1,
        };
        let attempts: Vec<Attempt<'_>> = rows.iter().map(first).collect();
        if self.load(&attempts, recorder)? {
            self.limit.stored(bytes);
        } else {
            self.limit.refused();
        }
        Ok(())
    }

    /// Loads the rows; those that the server refuses become errors, each alone. Whether it refused none.
    fn load(&self, rows: &[Attempt<'_>], recorder: &mut Recorder) -> Result<bool, Error> {
        interrupt::check();
        if rows.is_empty() {
            return Ok(true);
        }
        let at_once = rows.len() > REMEMBERED;
        if at_once {
            recorder.flush()?;
        }
        let put = subxact::run(
            |put| matches!(put, Ok(Some(_))),
            || self.put(rows, at_once, recorder),
        );
        match put {
            Ok(Ok(Some(written))) => {
                for row in rows {
                    recorder.count(&row.embedded.row, row.embedded.embedded);
                    if !at_once {
                        self.enter(row, &written, recorder)?;
                    }
                }
                recorder.settle()?;
                Ok(true)
            }
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) => self.split(rows, at_once, None, recorder),
            Err(refused) => self.split(rows, at_once, Some(refused), recorder),
        }
    }

    /// Loads the halves of what was refused as a whole; a single row is the guilty one.
    fn split(
        &self,
        rows: &[Attempt<'_>],
        at_once: bool,
        refused: Option<Refused>,
        recorder: &mut Recorder,
    ) -> Result<bool, Error> {
        progress::again();
        if at_once {
            recorder.forget();
        }
        if let [guilty] = rows {
            return self.blame(*guilty, refused, recorder);
        }
        let (first, second) = rows.split_at(rows.len() / 2);
        self.load(first, recorder)?;
        self.load(second, recorder)?;
        Ok(false)
    }

    /// What becomes of a row that the server refuses alone: `refused`, or `None` if it stored nothing. Another session may have
    /// put the key into the target since we looked, or taken it away.
    fn blame(
        &self,
        guilty: Attempt<'_>,
        refused: Option<Refused>,
        recorder: &mut Recorder,
    ) -> Result<bool, Error> {
        let row = &guilty.embedded.row;
        let content = &self.described.content;
        let unique = pgrx::PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION;
        let collides = refused.as_ref().is_some_and(|it| it.code == unique) && !guilty.exists;
        let vanished = guilty.exists && refused.is_none();
        if (collides || vanished) && guilty.tries < MOST_TRIES {
            let found = existing(content, &content.key, recorder.key(row.collection), &[row])?;
            let again = Attempt {
                exists: !found.is_empty(),
                tries: guilty.tries + 1,
                ..guilty
            };
            if again.exists != guilty.exists {
                return match self.on_conflict {
                    OnConflict::Skip if again.exists => {
                        let message = format!("{} has a row with this key", content.name);
                        recorder.reject_row(row, Reason::AlreadyExists, message);
                        Ok(false)
                    }
                    OnConflict::Error if again.exists => {
                        Err(already_exists(content, row, None, recorder))
                    }
                    _ => self.load(&[again], recorder),
                };
            }
        }
        let none = match guilty.exists {
            true => {
                "not one row was overwritten: several have this key, or a trigger or a rule dropped it"
            }
            false => "the server stored no row: a trigger or a rule dropped it",
        };
        let message = refused.map_or_else(|| none.to_owned(), |refused| refused.message);
        recorder.reject_row(row, Reason::Constraint, message);
        Ok(false)
    }

    /// Puts rows into the tables; `None` if the server stored fewer than given. With `at_once` they are in the ledger as well
    /// afterwards, else the images of before are given.
    fn put(
        &self,
        rows: &[Attempt<'_>],
        at_once: bool,
        recorder: &mut Recorder,
    ) -> Result<Option<Written>, Error> {
        let Some(into) = &self.into else {
            return Ok(Some(Written::default()));
        };
        let (updates, inserts): (Vec<Attempt<'_>>, Vec<Attempt<'_>>) =
            rows.iter().partition(|row| row.exists && into.in_place);
        let mut whole = true;
        for part in inserts.chunks(AT_ONCE) {
            interrupt::check();
            let tuples: Vec<_> = part.iter().map(|it| it.embedded.content_tuple()).collect();
            whole &= into.content.load_tuples(&tuples)? == tuples.len() as u64;
        }
        whole &= put_entities(into, &inserts)?;
        let mut written = Written {
            xid: if into.stays { pg::current_xid() } else { 0 },
            before: Before::new(),
        };
        if at_once {
            for row in &inserts {
                self.enter(row, &written, recorder)?;
            }
        }
        let same = |a: &Attempt<'_>, b: &Attempt<'_>| {
            a.embedded.row.collection == b.embedded.row.collection
        };
        let groups = updates.chunk_by(same);
        for group in groups.flat_map(|group| group.chunks(OVERWRITTEN)) {
            interrupt::check();
            let rows: Vec<&EmbeddedRow> = group.iter().map(|row| row.embedded).collect();
            let Some(first) = rows.first() else { continue };
            let collection = first.row.collection;
            let (described, key) = (&self.described, recorder.key(collection));
            let kept = update::keep(described, (collection, key), &rows)?;
            let changed = update::overwrite(described, &into.content, key, &rows)?;
            whole &= changed == group.len() as u64;
            written.before.extend(kept);
            if at_once {
                for row in group {
                    self.enter(row, &written, recorder)?;
                }
                written.before.clear();
            }
        }
        // After every group has removed the entity rows of its content rows: some tables tell them by the id alone.
        whole &= put_entities(into, &updates)?;
        if at_once {
            recorder.flush()?;
        }
        Ok(whole.then_some(written))
    }

    /// Writes a row that [`Loader::put`] has put in down in the ledger.
    fn enter(
        &self,
        row: &Attempt<'_>,
        written: &Written,
        recorder: &mut Recorder,
    ) -> Result<(), Error> {
        let record = &row.embedded.row;
        let key = row
            .exists
            .then(|| (record.collection, key_of(&self.described.content, record)));
        let before = key.and_then(|key| written.before.get(&key));
        let before = before.map(|(xid, was)| (xid.as_str(), was.as_str()));
        recorder.enter(record, written.xid, before)
    }
}

/// Inserts the entity rows of `rows`; whether the server stored every one.
fn put_entities(into: &Destinations, rows: &[Attempt<'_>]) -> Result<bool, Error> {
    let Some(entity) = &into.entity else {
        return Ok(true);
    };
    let all = rows.iter().flat_map(|row| row.embedded.entity_tuples());
    let tuples: Vec<Vec<u8>> = all.collect();
    let mut whole = true;
    for part in tuples.chunks(AT_ONCE) {
        interrupt::check();
        whole &= entity.load_tuples(part)? == part.len() as u64;
    }
    Ok(whole)
}
