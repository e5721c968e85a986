//! Which store a row of a target came from, by the ledger: two stores may have the same names and ids.
//!
//! A collection is told by the id that Chroma gave it, which stays with the store wherever it is moved. Rows that the ledger does
//! not know, as an application's own, came from nowhere.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use pgrx::pg_sys;
use vector_migrate_core::key::Key;
use vector_migrate_core::seen::RowKeys;

use super::RunCollection;
use super::owner::as_owner;
use crate::error::Error;
use crate::rows::{self, Texts};
use crate::spi;

/// Where a row came from.
#[derive(Debug)]
pub struct Origin {
    /// The run that wrote the row last.
    run: i64,
    /// It is a collection of this run's store.
    ours: bool,
    /// The store that the run read, if the caller may know it.
    path: Option<String>,
}

impl Origin {
    /// In words, for a message about the row: "came from ...".
    pub fn described(&self) -> String {
        match &self.path {
            Some(path) => format!("another store, \"{path}\", in run {}", self.run),
            None => format!("another store in run {}", self.run),
        }
    }
}

/// The rows of a target that came from another store and whose key a record of the run may have.
#[derive(Debug, Default)]
pub struct Origins {
    /// The run that wrote each last, and where it came from.
    rows: HashMap<Key, (i64, usize)>,
    all: Vec<Origin>,
}

impl Origins {
    /// Where the row at `place` came from, if that is another store.
    pub fn elsewhere(&self, place: &Key) -> Option<&Origin> {
        let (_, origin) = self.rows.get(place)?;
        self.all.get(*origin)
    }
}

/// What makes rows of the target one, and what the run calls its collections.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The collections that go into the target.
    pub collections: &'a [RunCollection],
    /// The number of the first of them in the keys.
    pub first: usize,
    /// Makes the keys.
    pub keys: &'a RowKeys,
    /// The target's key has the collection.
    pub per_collection: bool,
    /// The ids of all collections of the store.
    pub store: &'a HashSet<String>,
}

/// Looks the origins of rows of `target` up, if any may be others than `names` has.
///
/// # Errors
/// The server's own.
pub fn origins(target: pg_sys::Oid, names: Names<'_>) -> Result<Origins, Error> {
    let known = as_owner(|| {
        spi::read(
            "SELECT DISTINCT collection, source FROM vector_migrate.run_rows \
              WHERE target OPERATOR(pg_catalog.=) $1",
            &[target.into()],
            |row| {
                let text = |at| Ok::<_, pgrx::spi::SpiError>(row.get(at)?.unwrap_or_default());
                Ok((text(1)?, text(2)?))
            },
        )
    })?;
    let wanted = shared(&known, names);
    if wanted.is_empty() {
        return Ok(Origins::default());
    }
    let mut found = Origins::default();
    let mut numbers: HashMap<(String, i64), usize> = HashMap::new();
    let places: HashMap<&str, usize> = (names.collections.iter())
        .map(|it| it.name.as_str())
        .zip(names.first..)
        .collect();
    let mut take = |row: &Texts<'_>| {
        let text = |at| row.get(at).unwrap_or_default();
        let run = text(0).parse().unwrap_or_default();
        let (collection, source) = (text(1), text(2));
        let place = places.get(collection).copied().unwrap_or_default();
        let key = names.keys.of(place, text(3), row.get(4));
        let all = &mut found.all;
        let origin = *numbers.entry((source.to_owned(), run)).or_insert_with(|| {
            all.push(Origin {
                run,
                ours: names.store.contains(source),
                path: None,
            });
            all.len() - 1
        });
        let last = found.rows.entry(key).or_insert((run, origin));
        if last.0 <= run {
            *last = (run, origin);
        }
        ControlFlow::Continue(())
    };
    let sql = "SELECT b.run_id::pg_catalog.text, b.collection, b.source, u.key, u.user_id \
                 FROM vector_migrate.run_rows b, unnest(b.keys, b.users) AS u(key, user_id) \
                WHERE b.target OPERATOR(pg_catalog.=) ($1)[1]::pg_catalog.oid \
                  AND b.collection OPERATOR(pg_catalog.=) ANY (($1)[2:])";
    let mut parameter = vec![u32::from(target).to_string()];
    parameter.extend(wanted);
    as_owner(|| rows::each_text(sql, &parameter, &mut take))?;
    let Origins { rows, all } = &mut found;
    rows.retain(|_, (_, origin)| all.get(*origin).is_some_and(|it| !it.ours));
    rows.shrink_to_fit();
    tell_stores(&mut found.all)?;
    Ok(found)
}

/// The names in the target of which rows have come from another store, if a record of the run may have their keys.
fn shared(known: &[(String, String)], names: Names<'_>) -> BTreeSet<String> {
    let ours: HashSet<&str> = names
        .collections
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    // Whatever its collection is called, a row has the key of any other where the key does not have the collection.
    let meets = |name: &str| !names.per_collection || ours.contains(name);
    let elsewhere =
        |(name, source): &&(String, String)| meets(name) && !names.store.contains(source);
    match (names.per_collection, known.iter().any(|it| elsewhere(&it))) {
        (_, false) => BTreeSet::new(),
        (true, true) => known
            .iter()
            .filter(elsewhere)
            .map(|it| it.0.clone())
            .collect(),
        (false, true) => known.iter().map(|it| it.0.clone()).collect(),
    }
}

/// Names the stores of runs that the caller may see.
fn tell_stores(all: &mut [Origin]) -> Result<(), Error> {
    let runs = all.iter().filter(|it| !it.ours).map(|it| it.run);
    let paths: HashMap<i64, String> = spi::read(
        "SELECT run_id, path FROM vector_migrate.runs WHERE run_id OPERATOR(pg_catalog.=) ANY ($1)",
        &[runs.collect::<Vec<i64>>().into()],
        |row| {
            Ok((
                row.get(1)?.unwrap_or_default(),
                row.get(2)?.unwrap_or_default(),
            ))
        },
    )?
    .into_iter()
    .collect();
    for origin in all {
        origin.path = paths.get(&origin.run).cloned();
    }
    Ok(())
}
