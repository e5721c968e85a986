//! Rows into the tables and the ledger: a subtransaction a load, halved where the server refuses.

use vector_migrate_core::encode::{EntityColumn, TableColumn};
use vector_migrate_core::pipeline::Row;
use vector_migrate_core::reason::Reason;

use super::batch::{OnConflict, Sink};
use super::existing::{existing, key_of};
use super::pending::Pending;
use super::ready::Ready;
use super::update::{self, Before};
use super::{copy, heap, insert};
use crate::error::Error;
use crate::ledger::{Entry, Journal};
use crate::subxact::Refused;
use crate::tables::{Filler, Target, Via};
use crate::{interrupt, pg, progress, subxact};

/// Rows that are in the tables.
#[derive(Default)]
struct Written {
    /// Their `xmin`.
    xid: u32,
    /// What was there.
    before: Before,
}

/// Rows that are copied for a call of the server's at once.
const AT_ONCE: usize = 4000;

/// Rows that are overwritten by one statement: their images of before are in memory at once.
const OVERWRITTEN: usize = 1000;

/// Rows whose entries are kept in memory until they are in the tables; of more, the ledger's blocks are written in the same
/// subtransaction.
const REMEMBERED: usize = 2 * OVERWRITTEN;

/// How often a row is tried again because another session has put its key into the target, or taken it away.
const MOST_SURPRISES: u8 = 5;

impl Sink {
    /// Loads the rows that are ready.
    pub(super) fn load_pending(&mut self) -> Result<(), Error> {
        let Pending { mut rows, bytes } = std::mem::take(&mut self.pending);
        if rows.is_empty() {
            return Ok(());
        }
        if self.load(&mut rows)? {
            self.reach.stored(bytes);
        } else {
            self.reach.refused();
        }
        Ok(())
    }

    /// Loads the rows; those that the server refuses become errors, each alone. Whether it refused none.
    fn load(&mut self, rows: &mut [Ready]) -> Result<bool, Error> {
        interrupt::check();
        if rows.is_empty() {
            return Ok(true);
        }
        let at_once = rows.len() > REMEMBERED;
        if let Some(journal) = self.journal.as_mut().filter(|_| at_once) {
            journal.flush()?;
        }
        let put = subxact::run(|put| matches!(put, Ok(Some(_))), || self.put(rows, at_once));
        match put {
            Ok(Ok(Some(written))) => {
                for ready in rows.iter() {
                    self.count(&ready.row, ready.embedded);
                    if !at_once {
                        self.enter_ready(ready, &written)?;
                    }
                }
                self.journal.as_mut().map_or(Ok(()), Journal::settle)?;
                Ok(true)
            }
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) => self.split(rows, at_once, None),
            Err(refused) => self.split(rows, at_once, Some(refused)),
        }
    }

    /// Loads the halves of what was refused as a whole; a single row is the guilty one.
    fn split(
        &mut self,
        rows: &mut [Ready],
        at_once: bool,
        refused: Option<Refused>,
    ) -> Result<bool, Error> {
        progress::again();
        if let Some(journal) = self.journal.as_mut().filter(|_| at_once) {
            journal.forget();
        }
        if let [guilty] = rows {
            return self.blame(guilty, refused);
        }
        let (first, second) = rows.split_at_mut(rows.len() / 2);
        self.load(first)?;
        self.load(second)?;
        Ok(false)
    }

    /// What becomes of a row that the server refuses alone: `refused`, or `None` if it stored nothing. Another session may have
    /// put the key into the target since we looked, or taken it away.
    fn blame(&mut self, guilty: &mut Ready, refused: Option<Refused>) -> Result<bool, Error> {
        let unique = pgrx::PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION;
        let collides = refused.as_ref().is_some_and(|it| it.code == unique);
        let vanished = guilty.exists && refused.is_none();
        if (collides && !guilty.exists || vanished) && guilty.surprises < MOST_SURPRISES {
            let name = self.name(guilty.row.collection);
            let there = !existing(&self.content, name, &[&guilty.row])?.is_empty();
            if there != guilty.exists {
                guilty.surprises += 1;
                guilty.exists = there;
                return match self.on_conflict {
                    _ if !there => self.load(std::slice::from_mut(guilty)),
                    OnConflict::Update => self.load(std::slice::from_mut(guilty)),
                    OnConflict::Skip => {
                        let message = format!("{} has a row with this key", self.content.name);
                        self.reject_row(&guilty.row, Reason::AlreadyExists, message);
                        Ok(false)
                    }
                    OnConflict::Error => Err(self.already_exists(&guilty.row)),
                };
            }
        }
        let message = refused.map_or_else(
            || "the server stored no row: a trigger or a rule dropped it".to_owned(),
            |refused| refused.message,
        );
        self.reject_row(&guilty.row, Reason::Constraint, message);
        Ok(false)
    }

    /// Counts a row that is in the table; `embedded`: its vector was made here.
    pub(super) fn count(&mut self, row: &Row, embedded: bool) {
        if row.stale && !embedded {
            self.mark_stale(row);
        }
        self.report
            .count(row.collection, row.user.as_deref(), |line| {
                line.migrated += 1;
                if embedded {
                    line.embedded += 1;
                } else {
                    line.reused += 1;
                    line.restored += u64::from(row.restored);
                    line.stale += u64::from(row.stale);
                }
                line.entities += row.entities.len() as u64;
            });
    }

    /// Puts rows into the tables; `None` if the server stored fewer than given. With `at_once` they are in the ledger as well
    /// afterwards, else the images of before are given.
    fn put(&mut self, rows: &[Ready], at_once: bool) -> Result<Option<Written>, Error> {
        let Some(content) = self.into_content.clone() else {
            return Ok(Some(Written::default()));
        };
        let in_place = self.run.is_some() || self.dry_in_place;
        let (updates, inserts): (Vec<&Ready>, Vec<&Ready>) =
            rows.iter().partition(|ready| ready.exists && in_place);
        let tuples = inserts
            .iter()
            .map(|ready| (ready.tuple.as_slice(), &ready.vector));
        let mut whole = self.put_tuples(&content, tuples.collect())?;
        if let Some(entity) = &self.into_entity {
            let entities = self.put_entities(entity, &inserts)?;
            whole &= entities;
        }
        let mut written = Written {
            xid: self.run.map_or(0, |_| pg::current_xid()),
            before: Before::new(),
        };
        if at_once {
            for ready in inserts {
                self.enter_ready(ready, &written)?;
            }
        }
        let groups = updates.chunk_by(|a, b| a.row.collection == b.row.collection);
        for group in groups.flat_map(|group| group.chunks(OVERWRITTEN)) {
            let Some(first) = group.first() else { continue };
            interrupt::check();
            let name = self.name(first.row.collection).to_owned();
            let entity = self.entity.as_ref();
            let which = (first.row.collection, name.as_str());
            let kept = update::keep(&self.content, entity, which, group)?;
            let changed = update::overwrite(&self.content, entity, &name, group)?;
            whole &= changed == group.len() as u64;
            written.before.extend(kept);
            if at_once {
                for ready in group {
                    self.enter_ready(ready, &written)?;
                }
                written.before.clear();
            }
        }
        // After every group has removed the entity rows of its content rows: some tables tell them by the id alone.
        if let Some(entity) = &self.into_entity {
            let entities = self.put_entities(entity, &updates)?;
            whole &= entities;
        }
        if let Some(journal) = self.journal.as_mut().filter(|_| at_once) {
            journal.flush()?;
        }
        Ok(whole.then_some(written))
    }

    /// Inserts the entity rows of `rows`; whether the server stored every one.
    fn put_entities(&self, entity: &Target<EntityColumn>, rows: &[&Ready]) -> Result<bool, Error> {
        let tuples = rows.iter().flat_map(|ready| {
            let tuples = ready
                .row
                .entities
                .iter()
                .map(|entity| entity.tuple.as_slice());
            tuples.zip(&ready.entity_vectors)
        });
        self.put_tuples(entity, tuples.collect())
    }

    /// Writes a row that [`Sink::put`] has put in down in the ledger.
    fn enter_ready(&mut self, ready: &Ready, written: &Written) -> Result<(), Error> {
        let row = &ready.row;
        let key = ready
            .exists
            .then(|| (row.collection, key_of(&self.content, row)));
        let before = key.and_then(|key| written.before.get(&key));
        let before = before.map(|(xid, was)| (xid.as_str(), was.as_str()));
        self.enter(row, written.xid, before)
    }

    /// Inserts tuples, each given without its embedding and with it beside; whether the server stored
    /// every one.
    fn put_tuples<C: TableColumn>(
        &self,
        target: &Target<C>,
        tuples: Vec<(&[u8], &Vec<u8>)>,
    ) -> Result<bool, Error> {
        if tuples.is_empty() {
            return Ok(true);
        }
        let wanted = tuples.len() as u64;
        let fillers: &[Filler] = match self.dry_in_place {
            true => &target.fillers,
            false => &[],
        };
        let stored = match target.via {
            Via::Copy if !fillers.is_empty() => {
                let mut names = target.names();
                names.extend(fillers.iter().map(|filler| filler.name.as_str()));
                let filled = self.filled(&tuples, fillers);
                copy::copy_tuples(target.oid, &names, filled.iter().map(Vec::as_slice))
            }
            Via::Copy => {
                let parts = tuples
                    .iter()
                    .flat_map(|(tuple, vector)| [*tuple, vector.as_slice()]);
                copy::copy_tuples(target.oid, &target.names(), parts)
            }
            Via::Heap => {
                let parts = tuples.chunks(AT_ONCE);
                parts
                    .map(|part| heap::put_tuples(target, &self.filled(part, &[])))
                    .sum()
            }
            Via::Insert => {
                let mut stored = 0;
                for part in tuples.chunks(AT_ONCE) {
                    interrupt::check();
                    let filled = self.filled(part, fillers);
                    stored += insert::insert_tuples(target, fillers, &filled)?;
                }
                stored
            }
        };
        Ok(stored == wanted)
    }

    /// Tuples with their embeddings, each in one piece, and with a number for each of `fillers`.
    fn filled(&self, tuples: &[(&[u8], &Vec<u8>)], fillers: &[Filler]) -> Vec<Vec<u8>> {
        let whole = |(tuple, vector): &(&[u8], &Vec<u8>)| match fillers {
            [] => [*tuple, vector.as_slice()].concat(),
            _ => self.fillers.fill(tuple, vector, fillers),
        };
        tuples.iter().map(whole).collect()
    }

    /// Writes a row down in the ledger; `before`: what it overwrote.
    pub(super) fn enter(
        &mut self,
        row: &Row,
        xid: u32,
        before: Option<(&str, &str)>,
    ) -> Result<(), Error> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        let collection = self.names.get(row.collection);
        journal.add(
            collection.map_or("", String::as_str),
            &Entry {
                key: &row.key,
                user: row.user.as_deref(),
                entities: row.entities.len(),
                xid,
                before,
            },
        )
    }
}
