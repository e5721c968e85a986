//! Rows into the tables and the ledger: a subtransaction a batch, halved where the server refuses.

use vector_migrate_core::encode::{ContentColumn, EntityColumn};
use vector_migrate_core::reason::Reason;

use super::batch::{OnConflict, Sink};
use super::existing::{existing, key_of};
use super::ready::Ready;
use super::update::{self, Before};
use super::{copy, insert};
use crate::error::Error;
use crate::ledger::{self, Entry};
use crate::subxact::Refused;
use crate::target::{Target, Via};
use crate::{interrupt, pg, spi, subxact};

impl Sink {
    /// Loads the rows; those that the server refuses become errors, each alone.
    pub(super) fn load(&mut self, rows: &[Ready]) -> Result<(), Error> {
        interrupt::check();
        if rows.is_empty() {
            return Ok(());
        }
        let first_entry = self.next_entry;
        let put = subxact::run(
            |put| matches!(put, Ok(true)),
            || self.put(rows, first_entry),
        );
        match put {
            Ok(Ok(true)) => {
                self.next_entry += i64::try_from(rows.len()).unwrap_or(0);
                for ready in rows {
                    self.count(ready);
                }
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Ok(Ok(false)) => self.split(rows, None),
            Err(refused) => self.split(rows, Some(refused)),
        }
    }

    /// Loads the halves of what was refused as a whole; a single row is the guilty one.
    fn split(&mut self, rows: &[Ready], refused: Option<Refused>) -> Result<(), Error> {
        if let [guilty] = rows {
            let unique = pgrx::PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION;
            let message = match refused {
                // Somebody else's row may have come in since we looked.
                Some(refused) if refused.code == unique && self.has_appeared(guilty)? => {
                    let message = format!("{} has a row with this key", self.content.name);
                    self.reject_row(&guilty.row, Reason::AlreadyExists, message);
                    return Ok(());
                }
                Some(refused) => format!("{} ({})", refused.message, spi::sqlstate(refused.code)),
                None => "the server stored no row: a trigger or a rule dropped it".to_owned(),
            };
            self.reject_row(&guilty.row, Reason::Constraint, message);
            return Ok(());
        }
        let (first, second) = rows.split_at(rows.len() / 2);
        self.load(first)?;
        self.load(second)
    }

    fn has_appeared(&self, ready: &Ready) -> Result<bool, Error> {
        if ready.exists || self.on_conflict != OnConflict::Skip {
            return Ok(false);
        }
        let name = self.name(ready.row.collection);
        Ok(!existing(&self.content, name, &[&ready.row])?.is_empty())
    }

    fn count(&mut self, ready: &Ready) {
        let line = self
            .report
            .line(ready.row.collection, ready.row.user.as_deref());
        line.migrated += 1;
        if ready.embedded {
            line.embedded += 1;
        } else {
            line.reused += 1;
        }
        line.entities += ready.row.entities.len() as u64;
    }

    /// Puts rows into the tables and the ledger; `false` if the server stored fewer than given.
    fn put(&self, rows: &[Ready], first_entry: i64) -> Result<bool, Error> {
        let Some(content) = &self.into_content else {
            return Ok(true);
        };
        let (updates, inserts): (Vec<&Ready>, Vec<&Ready>) = rows
            .iter()
            .partition(|ready| ready.exists && self.run.is_some());
        let mut whole = put_rows(content, &inserts)?;
        let mut before = Before::new();
        if let Some(run) = self.run {
            for group in updates.chunk_by(|a, b| a.row.collection == b.row.collection) {
                let Some(first) = group.first() else { continue };
                let name = self.name(first.row.collection);
                let entity = self.entity.as_ref();
                let kept = update::keep(&self.content, entity, name, group)?;
                let changed = update::overwrite(&self.content, entity, run, name, group, &kept)?;
                whole &= changed == group.len() as u64;
                before.extend(kept);
            }
        }
        if let Some(entity) = &self.into_entity {
            whole &= put_entities(entity, rows)?;
        }
        if let (Some(run), true) = (self.run, whole) {
            self.enter(run, rows, first_entry, &before)?;
        }
        Ok(whole)
    }

    /// Writes the rows down in the ledger.
    fn enter(&self, run: i64, rows: &[Ready], first: i64, before: &Before) -> Result<(), Error> {
        let xid = pg::current_xid();
        let entries: Vec<Entry> = rows
            .iter()
            .map(|ready| Entry {
                target: self.content.oid,
                collection: self.name(ready.row.collection).to_owned(),
                key: ready.row.key.clone(),
                user: ready.row.user.clone(),
                entities: ready.row.entities.len(),
                xid,
                before: ready
                    .exists
                    .then(|| update::kept(before, &key_of(&self.content, &ready.row)))
                    .flatten()
                    .map(str::to_owned),
            })
            .collect();
        ledger::write_entries(run, first, &entries)
    }
}

/// Inserts content rows; whether the server stored every one.
fn put_rows(content: &Target<ContentColumn>, rows: &[&Ready]) -> Result<bool, Error> {
    if rows.is_empty() {
        return Ok(true);
    }
    let names: Vec<&str> = content
        .columns
        .iter()
        .map(|column| column.column.name())
        .collect();
    let stored = match content.via {
        Via::Copy => {
            let parts = rows
                .iter()
                .flat_map(|ready| [ready.row.tuple.as_slice(), ready.vector.as_slice()]);
            copy::copy_tuples(content.oid, &names, parts)
        }
        Via::Insert => {
            let tuples: Vec<Vec<u8>> = rows.iter().map(|ready| ready.content_tuple()).collect();
            insert::insert_tuples(content, &names, &tuples)?
        }
    };
    Ok(stored == rows.len() as u64)
}

/// Inserts the entity rows of content rows; whether the server stored every one.
fn put_entities(entity: &Target<EntityColumn>, rows: &[Ready]) -> Result<bool, Error> {
    let parts = || {
        rows.iter().flat_map(|ready| {
            let tuples = ready
                .row
                .entities
                .iter()
                .map(|entity| entity.tuple.as_slice());
            tuples.zip(ready.entity_vectors.iter().map(Vec::as_slice))
        })
    };
    let wanted = parts().count() as u64;
    if wanted == 0 {
        return Ok(true);
    }
    let names: Vec<&str> = entity
        .columns
        .iter()
        .map(|column| column.column.name())
        .collect();
    let stored = match entity.via {
        Via::Copy => copy::copy_tuples(
            entity.oid,
            &names,
            parts().flat_map(|(tuple, vector)| [tuple, vector]),
        ),
        Via::Insert => {
            let tuples: Vec<Vec<u8>> = parts()
                .map(|(tuple, vector)| [tuple, vector].concat())
                .collect();
            insert::insert_tuples(entity, &names, &tuples)?
        }
    };
    Ok(stored == wanted)
}
