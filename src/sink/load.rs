//! Rows into the tables and the ledger: a subtransaction a batch, halved where the server refuses.

use vector_migrate_core::encode::TableColumn;
use vector_migrate_core::pipeline::Row;
use vector_migrate_core::reason::Reason;

use super::batch::{OnConflict, Sink};
use super::existing::{existing, key_of};
use super::ready::Ready;
use super::update::{self, Before};
use super::{copy, heap, insert};
use crate::error::Error;
use crate::ledger::Entry;
use crate::subxact::Refused;
use crate::tables::{Target, Via};
use crate::{interrupt, pg, progress, subxact};

/// Rows that are in the tables.
struct Written {
    /// Their `xmin`.
    xid: u32,
    /// What was there.
    before: Before,
}

impl Sink {
    /// Loads the rows; those that the server refuses become errors, each alone.
    pub(super) fn load(&mut self, rows: &[Ready<'_>]) -> Result<(), Error> {
        interrupt::check();
        if rows.is_empty() {
            return Ok(());
        }
        let put = subxact::run(|put| matches!(put, Ok(Some(_))), || self.put(rows));
        match put {
            Ok(Ok(Some(written))) => {
                for ready in rows {
                    self.count(&ready.row, ready.embedded);
                    let key = ready.exists.then(|| key_of(&self.content, &ready.row));
                    let before = key.and_then(|key| update::kept(&written.before, &key));
                    self.enter(&ready.row, written.xid, before)?;
                }
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) => self.split(rows, None),
            Err(refused) => self.split(rows, Some(refused)),
        }
    }

    /// Loads the halves of what was refused as a whole; a single row is the guilty one.
    fn split(&mut self, rows: &[Ready<'_>], refused: Option<Refused>) -> Result<(), Error> {
        progress::again();
        if let [guilty] = rows {
            let unique = pgrx::PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION;
            let message = match refused {
                // Somebody else's row may have come in since we looked.
                Some(refused) if refused.code == unique && self.has_appeared(guilty)? => {
                    let message = format!("{} has a row with this key", self.content.name);
                    self.reject_row(&guilty.row, Reason::AlreadyExists, message);
                    return Ok(());
                }
                Some(refused) => refused.message,
                None => "the server stored no row: a trigger or a rule dropped it".to_owned(),
            };
            self.reject_row(&guilty.row, Reason::Constraint, message);
            return Ok(());
        }
        let (first, second) = rows.split_at(rows.len() / 2);
        self.load(first)?;
        self.load(second)
    }

    fn has_appeared(&self, ready: &Ready<'_>) -> Result<bool, Error> {
        if ready.exists || self.on_conflict != OnConflict::Skip {
            return Ok(false);
        }
        let name = self.name(ready.row.collection);
        Ok(!existing(&self.content, name, &[&ready.row])?.is_empty())
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

    /// Puts rows into the tables; `None` if the server stored fewer than given.
    fn put(&self, rows: &[Ready<'_>]) -> Result<Option<Written>, Error> {
        let mut before = Before::new();
        let Some(content) = &self.into_content else {
            return Ok(Some(Written { xid: 0, before }));
        };
        let in_place = self.run.is_some() || self.dry_in_place;
        let (updates, inserts): (Vec<&Ready<'_>>, Vec<&Ready<'_>>) =
            rows.iter().partition(|ready| ready.exists && in_place);
        let tuples = inserts.iter().map(|ready| (ready.tuple, &ready.vector));
        let mut whole = self.put_tuples(content, tuples.collect())?;
        for group in updates.chunk_by(|a, b| a.row.collection == b.row.collection) {
            let Some(first) = group.first() else { continue };
            let name = self.name(first.row.collection);
            let entity = self.entity.as_ref();
            let kept = update::keep(&self.content, entity, name, group)?;
            let changed = update::overwrite(&self.content, entity, name, group)?;
            whole &= changed == group.len() as u64;
            before.extend(kept);
        }
        if let Some(entity) = &self.into_entity {
            let tuples = rows.iter().flat_map(|ready| {
                let tuples = ready
                    .row
                    .entities
                    .iter()
                    .map(|entity| entity.tuple.as_slice());
                tuples.zip(&ready.entity_vectors)
            });
            whole &= self.put_tuples(entity, tuples.collect())?;
        }
        Ok(whole.then(|| Written {
            xid: self.run.map_or(0, |_| pg::current_xid()),
            before,
        }))
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
        let mut names = target.names();
        let stored = match target.via {
            Via::Copy if self.dry_in_place && !target.fillers.is_empty() => {
                names.extend(target.fillers.iter().map(|filler| filler.name.as_str()));
                let filled: Vec<Vec<u8>> = tuples
                    .iter()
                    .map(|(tuple, vector)| self.fillers.fill(tuple, vector, &target.fillers))
                    .collect();
                copy::copy_tuples(target.oid, &names, filled.iter().map(Vec::as_slice))
            }
            Via::Copy => {
                let parts = tuples
                    .iter()
                    .flat_map(|(tuple, vector)| [*tuple, vector.as_slice()]);
                copy::copy_tuples(target.oid, &names, parts)
            }
            Via::Heap => heap::put_tuples(target, &whole(&tuples)),
            Via::Insert => insert::insert_tuples(target, &names, &whole(&tuples))?,
        };
        Ok(stored == wanted)
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

/// Tuples with their embeddings, each in one piece.
fn whole(tuples: &[(&[u8], &Vec<u8>)]) -> Vec<Vec<u8>> {
    tuples
        .iter()
        .map(|(tuple, vector)| [*tuple, vector].concat())
        .collect()
}
