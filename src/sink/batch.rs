//! A batch of rows from the reader to the tables: conflicts decided, missing vectors made, the rest loaded
//! in a subtransaction, halved where the server refuses.

use std::collections::HashSet;

use vector_migrate_core::encode::{ContentColumn, EntityColumn, encode_vector};
use vector_migrate_core::pipeline::{Item, Row};
use vector_migrate_core::reason::{Reason, Rejection};
use vector_migrate_core::report::Report;

use super::existing::{Key, existing, key_of};
use super::keys::SeenKeys;
use super::update::{self, Before};
use super::users::Users;
use super::{copy, insert};
use crate::error::Error;
use crate::ledger::{self, Entry, FailedRecord};
use crate::subxact::Refused;
use crate::target::{KeyPart, Target, Via};
use crate::{interrupt, model, pg, spi, subxact};

/// What to do with a record whose key the target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Leave the row, skip the record.
    Skip,
    /// Overwrite the row.
    Update,
    /// Stop with an error.
    Error,
}

/// A record that is ready to load.
#[derive(Debug)]
pub struct Ready {
    /// The row.
    pub row: Box<Row>,
    /// Its embedding as a COPY field, length word included.
    vector: Vec<u8>,
    /// The embedding was made here.
    embedded: bool,
    /// The embedding field of each entity row.
    entity_vectors: Vec<Vec<u8>>,
    /// The target has its key: overwrite.
    exists: bool,
}

impl Ready {
    /// The whole content tuple.
    pub fn content_tuple(&self) -> Vec<u8> {
        [self.row.tuple.as_slice(), &self.vector].concat()
    }
}

/// A COPY field of NULL.
const NULL_FIELD: [u8; 4] = (-1i32).to_be_bytes();

/// A COPY field of these bytes; a vector is far below the length word's limit.
fn field(bytes: &[u8]) -> Vec<u8> {
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// Takes items, fills the tables, keeps the counts.
pub struct Sink {
    /// The content table that conflicts are looked up in.
    pub content: Target<ContentColumn>,
    /// The entity table.
    pub entity: Option<Target<EntityColumn>>,
    /// Where content rows go: the content table, or its shadow in a dry run; `None`: nowhere.
    pub into_content: Option<Target<ContentColumn>>,
    /// Where entity rows go.
    pub into_entity: Option<Target<EntityColumn>>,
    /// The run in the ledger; `None` in a dry run.
    pub run: Option<i64>,
    /// What to do with keys that are there.
    pub on_conflict: OnConflict,
    /// Entity texts are embedded; else their embedding is NULL.
    pub embeds_entities: bool,
    /// Any damage in the store stops the run.
    pub strict: bool,
    /// The collections' names, by index.
    pub names: Vec<String>,
    /// The counts.
    pub report: Report,
    seen: SeenKeys,
    users: Users,
    failures: Vec<FailedRecord>,
    next_entry: i64,
}

impl Sink {
    /// A sink that has taken nothing yet.
    pub fn new(
        content: Target<ContentColumn>,
        entity: Option<Target<EntityColumn>>,
        run: Option<i64>,
        on_conflict: OnConflict,
        embeds_entities: bool,
        names: Vec<String>,
    ) -> Sink {
        Sink {
            into_content: Some(content.clone()),
            into_entity: entity.clone(),
            content,
            entity,
            run,
            on_conflict,
            embeds_entities,
            strict: false,
            names,
            report: Report::default(),
            seen: SeenKeys::default(),
            users: Users::default(),
            failures: Vec::new(),
            next_entry: 0,
        }
    }

    /// Takes a batch of items; every one of them is in the report afterwards.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NoModel`], [`Error::Damage`], the model's, and the server's own.
    pub fn take(&mut self, items: Vec<Item>) -> Result<(), Error> {
        let mut rows = Vec::new();
        for item in items {
            match item {
                Item::Row(row) => rows.push(row),
                Item::Rejected {
                    collection,
                    record_id,
                    user,
                    rejection,
                } => {
                    self.reject(collection, record_id, user, rejection);
                }
                Item::Warning(text) if self.strict => return Err(Error::Damage(text)),
                Item::Warning(text) => pgrx::warning!("{text}"),
            }
        }
        let rows = self.without_unknown_users(rows)?;
        let rows = self.without_collisions(rows);
        let rows = self.without_existing(rows)?;
        let rows = self.with_vectors(rows)?;
        self.load(&rows)?;
        if let Some(run) = self.run {
            ledger::write_failures(run, &self.failures)?;
        }
        self.failures.clear();
        Ok(())
    }

    fn reject(
        &mut self,
        collection: usize,
        record_id: String,
        user: Option<String>,
        rejection: Rejection,
    ) {
        self.report.reject(
            collection,
            user.as_deref(),
            rejection.reason,
            &rejection.message,
        );
        if self.run.is_some() {
            let collection = self.name(collection).to_owned();
            self.failures.push(FailedRecord {
                collection,
                record_id,
                user,
                rejection,
            });
        }
    }

    fn reject_row(&mut self, row: &Row, reason: Reason, message: impl Into<String>) {
        let rejection = Rejection::new(reason, message);
        self.reject(
            row.collection,
            row.record_id.clone(),
            row.user.clone(),
            rejection,
        );
    }

    fn name(&self, collection: usize) -> &str {
        self.names.get(collection).map_or("", String::as_str)
    }

    fn without_unknown_users(&mut self, rows: Vec<Box<Row>>) -> Result<Vec<Box<Row>>, Error> {
        let Some(table) = self.content.users.clone() else {
            return Ok(rows);
        };
        self.users
            .learn(&table, rows.iter().filter_map(|row| row.user.as_deref()))?;
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            match &row.user {
                Some(user) if !self.users.exists(user) => {
                    let message = format!("user {user} does not exist in {}", table.name);
                    self.reject_row(&row, Reason::UserNotFound, message);
                }
                _ => left.push(row),
            }
        }
        Ok(left)
    }

    fn without_collisions(&mut self, rows: Vec<Box<Row>>) -> Vec<Box<Row>> {
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            let key: Vec<Option<&str>> = self
                .content
                .key
                .iter()
                .map(|part| match part {
                    KeyPart::Collection => Some(self.name(row.collection)),
                    KeyPart::User => row.user.as_deref(),
                    KeyPart::Id => Some(row.key.as_str()),
                })
                .collect();
            let key: Vec<Option<String>> = key
                .into_iter()
                .map(|part| part.map(str::to_owned))
                .collect();
            let key: Vec<Option<&str>> = key.iter().map(Option::as_deref).collect();
            if self.seen.insert(&key) {
                left.push(row);
            } else {
                let message = format!(
                    "another record of this run takes the key \"{}\" of {}",
                    row.key, self.content.name
                );
                self.reject_row(&row, Reason::IdCollision, message);
            }
        }
        left
    }

    /// Rows with whether the target has them; those that are to be skipped are not among them.
    fn without_existing(&mut self, rows: Vec<Box<Row>>) -> Result<Vec<(Box<Row>, bool)>, Error> {
        if self.content.created {
            return Ok(rows.into_iter().map(|row| (row, false)).collect());
        }
        let mut there: HashSet<(usize, Key)> = HashSet::new();
        for group in rows.chunk_by(|a, b| a.collection == b.collection) {
            let Some(first) = group.first() else { continue };
            let group: Vec<&Row> = group.iter().map(Box::as_ref).collect();
            let found = existing(&self.content, self.name(first.collection), &group)?;
            there.extend(found.into_iter().map(|key| (first.collection, key)));
        }
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            let exists = there.contains(&(row.collection, key_of(&self.content, &row)));
            match self.on_conflict {
                OnConflict::Skip if exists => {
                    let message = format!("{} has a row with this key", self.content.name);
                    self.reject_row(&row, Reason::AlreadyExists, message);
                }
                OnConflict::Error if exists => {
                    return Err(Error::AlreadyExists {
                        record: row.record_id.clone(),
                        collection: self.name(row.collection).to_owned(),
                        target: self.content.name.clone(),
                    });
                }
                _ => left.push((row, exists)),
            }
        }
        Ok(left)
    }

    /// Makes the vectors that the rows lack, and those of their entities.
    fn with_vectors(&mut self, rows: Vec<(Box<Row>, bool)>) -> Result<Vec<Ready>, Error> {
        let missing: Vec<&str> = rows
            .iter()
            .filter(|(row, _)| row.vector.is_none())
            .map(|(row, _)| row.text.as_str())
            .collect();
        let mut made = model::embed("records without a vector need one", &missing)?.into_iter();
        let mut texts: Vec<&str> = Vec::new();
        if self.embeds_entities {
            texts = rows
                .iter()
                .flat_map(|(row, _)| row.entities.iter().map(|entity| entity.text.as_str()))
                .collect();
        }
        let mut entity_vectors =
            model::embed("the store has entities, which are embedded", &texts)?.into_iter();
        let mut ready = Vec::with_capacity(rows.len());
        for (row, exists) in rows {
            let encoded = match (
                &row.vector,
                row.vector.is_none().then(|| made.next()).flatten(),
            ) {
                (Some(vector), _) => Ok(field(vector)),
                (None, Some(values)) => {
                    encode_vector(&values, self.content.vector).map(|bytes| field(&bytes))
                }
                (None, None) => Err(Rejection::new(Reason::NoVector, "the model gave no vector")),
            };
            let mut fields = Vec::with_capacity(row.entities.len());
            let mut refused = None;
            for _ in &row.entities {
                let Some(target) = self.entity.as_ref().filter(|_| self.embeds_entities) else {
                    fields.push(NULL_FIELD.to_vec());
                    continue;
                };
                let values = entity_vectors.next().unwrap_or_default();
                match encode_vector(&values, target.vector) {
                    Ok(bytes) => fields.push(field(&bytes)),
                    Err(rejection) => refused = Some(rejection),
                }
            }
            match (encoded, refused) {
                (Ok(vector), None) => ready.push(Ready {
                    embedded: row.vector.is_none(),
                    vector,
                    row,
                    entity_vectors: fields,
                    exists,
                }),
                (Err(rejection), _) | (_, Some(rejection)) => {
                    self.reject_row(&row, rejection.reason, rejection.message);
                }
            }
        }
        Ok(ready)
    }

    /// Loads the rows; those that the server refuses become errors, each alone.
    fn load(&mut self, rows: &[Ready]) -> Result<(), Error> {
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
