//! What tables must hold, after design.md ("Promises", "Existing rows") and README ("Runs"), and nothing else:
//!
//! - a run inserts the records whose keys the target does not have, and with `update` or `overwrite` overwrites the others and
//!   replaces their entity rows; two records of one run that would take one key: the first one does;
//! - a rollback removes the rows that its run inserted and puts back those that it overwrote, with their entity rows, also after
//!   later runs: what a later run or its rollback has done to a row is not a change by the application;
//! - rows that the application has changed since, or that rows of other tables refer to, are kept, with their entity rows; so is
//!   a row of which the application has changed or added an entity row. What it has deleted stays deleted;
//! - `force` undoes these, too, but for what the server refuses.

use std::collections::BTreeSet;

use vector_migrate_tests::Record;

use crate::shapes::Shape;

/// What tells content rows apart: collection and user where the table's key has them, and the id.
pub type Key = (Option<String>, Option<i64>, String);

/// The runs whose rows these are, as far as the application has not changed them.
pub type Owners = BTreeSet<usize>;

/// A row of the content table.
#[derive(Debug, Clone)]
pub struct Row {
    pub key: Key,
    /// The whole row, as text; `None`: written by the last step, to be learned from the table.
    pub text: Option<String>,
    pub owners: Owners,
    /// What can be told beforehand of a row that a run has written.
    pub title: String,
}

/// A row of the entity table.
#[derive(Debug, Clone)]
pub struct Entity {
    pub of: Key,
    pub text: Option<String>,
    pub owners: Owners,
    pub name: String,
}

/// What a foreign key of another table does on DELETE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    Cascade,
    SetNull,
    NoAction,
    Deferred,
}

/// A content table, its entity table, and a table of the application that refers to the first.
#[derive(Debug, Clone)]
pub struct Target {
    pub shape: Shape,
    pub rows: Vec<Row>,
    pub entities: Vec<Entity>,
    pub on_delete: OnDelete,
    /// What each of its rows refers to.
    pub notes: Vec<Option<Key>>,
}

/// A row that a run has written, and what was there.
#[derive(Debug, Clone)]
struct Entry {
    key: Key,
    before: Option<(Row, Vec<Entity>)>,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Run {
    pub target: usize,
    pub completed: bool,
    entries: Vec<Entry>,
}

/// `removed`, `restored` and `kept` of the content table, and `removed`, `restored` of the entity table.
pub type Undone = (i64, i64, i64, i64, i64);

/// What a run answers: found, migrated, skipped, failed.
pub type Outcome = (i64, i64, i64, i64);

#[derive(Debug, Clone)]
pub struct Model {
    pub targets: Vec<Target>,
    pub runs: Vec<Run>,
}

impl Target {
    pub fn key_of(&self, record: &Record) -> Key {
        let shape = self.shape;
        (
            shape.by_collection.then(|| record.collection.to_owned()),
            shape.by_user.then_some(record.user),
            record.id.clone(),
        )
    }

    pub fn at(&self, key: &Key) -> Option<usize> {
        self.rows.iter().position(|row| row.key == *key)
    }

    pub fn is_referred_to(&self, key: &Key) -> bool {
        self.notes.iter().any(|note| note.as_ref() == Some(key))
    }

    /// Takes a content row away, and what goes with it.
    pub fn delete(&mut self, key: &Key) {
        self.rows.retain(|row| row.key != *key);
        if self.shape.entities_refer {
            self.entities.retain(|entity| entity.of != *key);
        }
        match self.on_delete {
            OnDelete::Cascade => self.notes.retain(|note| note.as_ref() != Some(key)),
            _ => {
                for note in self
                    .notes
                    .iter_mut()
                    .filter(|note| note.as_ref() == Some(key))
                {
                    *note = None;
                }
            }
        }
    }
}

impl Model {
    /// A run with these records; `None`: it ends with an error.
    pub fn migrate(&mut self, to: usize, records: &[&Record], conflict: &str) -> Option<Outcome> {
        let run = self.runs.len();
        let target = &mut self.targets[to];
        let there = |record: &&&Record| target.at(&target.key_of(record)).is_some();
        if conflict == "error" && records.iter().any(|record| there(&record)) {
            return None;
        }
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        let (mut skipped, mut failed) = (0, 0);
        for record in records {
            let key = target.key_of(record);
            if !seen.insert(key.clone()) {
                failed += 1;
                continue;
            }
            let at = target.at(&key);
            let mut owners = Owners::from([run]);
            let mut before = None;
            if let Some(at) = at {
                if conflict == "skip" {
                    skipped += 1;
                    continue;
                }
                let row = target.rows.remove(at);
                owners.extend(&row.owners);
                let (old, others) = target.entities.drain(..).partition(|it| it.of == key);
                target.entities = others;
                before = Some((row, old));
            }
            target.rows.push(Row {
                key: key.clone(),
                text: None,
                owners: owners.clone(),
                title: record.title.clone(),
            });
            target
                .entities
                .extend(record.entities.iter().map(|name| Entity {
                    of: key.clone(),
                    text: None,
                    owners: owners.clone(),
                    name: name.clone(),
                }));
            entries.push(Entry { key, before });
        }
        let found = records.len() as i64;
        let migrated = entries.len() as i64;
        self.runs.push(Run {
            target: to,
            completed: true,
            entries,
        });
        Some((found, migrated, skipped, failed))
    }

    /// The rollback of a run; `None`: it ends with an error, being undone already.
    pub fn roll_back(&mut self, run: usize, force: bool) -> Option<Undone> {
        let entries = std::mem::take(&mut self.runs[run].entries);
        if !self.runs[run].completed && entries.is_empty() {
            return None;
        }
        let target = &mut self.targets[self.runs[run].target];
        let (mut removed, mut restored, mut gone, mut back) = (0, 0, 0, 0);
        let mut kept = Vec::new();
        for entry in entries {
            let key = &entry.key;
            let mine = |it: &Entity| it.of == *key && it.owners.contains(&run);
            let others = |it: &Entity| it.of == *key && !it.owners.contains(&run);
            let Some(at) = target.at(key) else {
                let all = target.entities.len();
                target.entities.retain(|it| !mine(it));
                gone += all - target.entities.len();
                continue;
            };
            let inserted = entry.before.is_none();
            let refused = inserted
                && target.is_referred_to(key)
                && (!force || matches!(target.on_delete, OnDelete::NoAction | OnDelete::Deferred));
            let changed = !target.rows[at].owners.contains(&run)
                || (inserted && target.entities.iter().any(others));
            if refused || (changed && !force) {
                kept.push(entry);
                continue;
            }
            let all = target.entities.len();
            target
                .entities
                .retain(|it| it.of != *key || !(force || it.owners.contains(&run)));
            gone += all - target.entities.len();
            match entry.before {
                None => {
                    target.delete(key);
                    removed += 1;
                }
                Some((mut row, mut entities)) => {
                    row.owners = target.rows[at].owners.clone();
                    row.owners.remove(&run);
                    for entity in &mut entities {
                        entity.owners = row.owners.clone();
                    }
                    target.rows[at] = row;
                    back += entities.len();
                    target.entities.extend(entities);
                    restored += 1;
                }
            }
        }
        let left = kept.len() as i64;
        let run = &mut self.runs[run];
        run.completed &= removed + restored == 0 && gone + back == 0 && left > 0;
        run.entries = kept;
        Some((removed, restored, left, gone as i64, back as i64))
    }
}
