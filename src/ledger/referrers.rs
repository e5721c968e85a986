//! Rows that rows of other tables refer to: a rollback keeps them, whatever the foreign key says of DELETE.
//!
//! Promise: what is looked at is what refers now. The rows are locked first, as DELETE would lock them: a row that comes to
//! refer to one of them takes FOR KEY SHARE on it (`RI_FKey_check` in ri_triggers.c), so it was committed before we look, or
//! fails after we have deleted. In a transaction that keeps one snapshot, rows that it cannot see make the deleting fail
//! (40001), as they do for any DELETE there.

use std::collections::{BTreeSet, HashMap, HashSet};

use pgrx::datum::DatumWithOid;

use super::owner::as_table_owner;
use crate::error::Error;
use crate::tables::{ForeignKey, KEYS, RunKeys, RunTable};
use crate::{settings, spi};

/// The foreign keys to a table that decide whether its rows can go.
pub struct Referrers {
    keys: Vec<ForeignKey>,
    /// Rows that come to refer to a row meanwhile would go with it: the rows are locked though there is nothing to look at.
    locks: bool,
    /// The columns that they refer to, each once.
    columns: Vec<String>,
}

/// Rows that can go, by the numbers of their keys.
#[derive(Debug, Default)]
pub struct Free {
    /// Numbers of rows that were there, as the run left them, and that nothing refers to.
    pub numbers: HashSet<i64>,
    /// The tables that refer to the others.
    pub referring: BTreeSet<String>,
}

/// What is known of the rows looked at: for each, its number and the columns referred to, as texts.
type Rows = Vec<(i64, Vec<Option<String>>)>;

impl Referrers {
    /// Those of `keys`; `locks`: rows are locked although there is none.
    pub fn new(keys: Vec<ForeignKey>, locks: bool) -> Referrers {
        let columns: BTreeSet<String> = keys.iter().flat_map(|key| key.referred.clone()).collect();
        Referrers {
            locks: locks || !keys.is_empty(),
            keys,
            columns: columns.into_iter().collect(),
        }
    }

    /// Whether rows have to be locked and looked at before they go.
    pub fn matter(&self) -> bool {
        self.locks
    }

    /// Locks the rows of `table` of these keys that are as the run left them (with `force`: all), and tells which of them
    /// nothing refers to but rows that can go themselves.
    ///
    /// # Errors
    /// The server's own.
    pub fn free(&self, table: &RunTable, keys: &RunKeys, force: bool) -> Result<Free, Error> {
        if keys.is_empty() {
            return Ok(Free::default());
        }
        settings::with(settings::EXACT_TEXT, || {
            let rows = self.lock(table, keys, force)?;
            let mut referring = BTreeSet::new();
            let mut held = HashSet::new();
            let mut within: HashMap<i64, Vec<i64>> = HashMap::new();
            for key in &self.keys {
                for (number, by) in self.look(key, table, keys, &rows, force)? {
                    match by {
                        Some(by) if by == number => {}
                        Some(by) => within.entry(by).or_default().push(number),
                        None => {
                            held.insert(number);
                            referring.insert(key.shown.clone());
                        }
                    }
                }
            }
            // Rows that are referred to by rows that stay, stay.
            let mut next: Vec<i64> = held.iter().copied().collect();
            while let Some(stays) = next.pop() {
                for number in within.remove(&stays).unwrap_or_default() {
                    if held.insert(number) {
                        referring.insert(table.shown.clone());
                        next.push(number);
                    }
                }
            }
            let numbers = rows.into_iter().map(|(number, _)| number);
            Ok(Free {
                numbers: numbers.filter(|number| !held.contains(number)).collect(),
                referring,
            })
        })
    }

    /// Locks the rows, as the table's owner: the caller need not have the UPDATE that a lock asks for.
    fn lock(&self, table: &RunTable, keys: &RunKeys, force: bool) -> Result<Rows, Error> {
        let text = |column: &String| format!("t.{}::pg_catalog.text", spi::ident(column));
        let columns: Vec<String> = self.columns.iter().map(text).collect();
        let sql = format!(
            "SELECT r.number, ARRAY[{}]::pg_catalog.text[] FROM {KEYS} JOIN {} t ON {} AND {} \
                FOR UPDATE OF t",
            columns.join(", "),
            table.name,
            table.lookup.condition,
            table.untouched(force)
        );
        as_table_owner(table.owner, || {
            settings::with(table.lookup.settings, || {
                spi::write_returning(&sql, &keys.args(), |row| {
                    Ok((
                        row.get::<i64>(1)?.unwrap_or_default(),
                        row.get::<Vec<Option<String>>>(2)?.unwrap_or_default(),
                    ))
                })
            })
        })
    }

    /// The rows that rows refer to by `key`, each with the number of what refers to it if that is one of `keys`.
    fn look(
        &self,
        key: &ForeignKey,
        table: &RunTable,
        keys: &RunKeys,
        rows: &Rows,
        force: bool,
    ) -> Result<Vec<(i64, Option<i64>)>, Error> {
        let mut args: Vec<DatumWithOid<'static>> = Vec::new();
        if key.of_itself {
            args.append(&mut keys.args());
        }
        let numbers: Vec<i64> = rows.iter().map(|(number, _)| *number).collect();
        args.push(numbers.into());
        for column in &key.referred {
            let at = self.columns.iter().position(|it| it == column);
            let value = |(_, texts): &(i64, Vec<Option<String>>)| texts.get(at?).cloned().flatten();
            let values: Vec<Option<String>> = rows.iter().map(value).collect();
            args.push(values.into());
        }
        let sql = match key.of_itself {
            true => key.query_within(table, force),
            false => key.query(),
        };
        as_table_owner(key.owner, || {
            spi::write_returning(&sql, &args, |row| {
                let by = if row.columns() > 1 { row.get(2)? } else { None };
                Ok((row.get::<i64>(1)?.unwrap_or_default(), by))
            })
        })
    }
}
