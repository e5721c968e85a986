//! A table that a run has written to, as rolling back needs it: rows found and removed by the keys that the
//! ledger has. `put_back` has the rest.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use super::key::Roles;
use super::versions::is_versioned;
use super::{Key, KeyColumn, Lookup};
use crate::error::Error;
use crate::{pg, settings, spi};

/// Keys of rows of one collection, as parallel arrays.
#[derive(Debug, Default)]
pub struct RunKeys {
    /// What the key has for the content rows' collection.
    pub collection: String,
    /// A number for each, by which answers name it.
    pub number: Vec<i64>,
    /// The content row's id.
    pub key: Vec<String>,
    /// The content row's owner, if the table's key has it.
    pub user: Option<Vec<Option<String>>>,
    /// The `xmin` that the run gave the row.
    pub xid: Vec<String>,
}

impl RunKeys {
    /// The parameters of [`KEYS`].
    pub fn args(&self) -> Vec<DatumWithOid<'static>> {
        vec![
            self.number.clone().into(),
            self.collection.clone().into(),
            self.key.clone().into(),
            self.user.clone().into(),
            self.xid.clone().into(),
        ]
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.number.is_empty()
    }
}

/// The keys as a relation, from parameter 1 on. `unnest` of several arrays is the grammar's own and only
/// knows the bare name, which it then takes from pg_catalog.
pub const KEYS: &str = "unnest($1, pg_catalog.array_fill($2, ARRAY[pg_catalog.cardinality($1)]), $3, $4, $5) \
                    AS r(number, collection, key, user_id, xid)";

/// A column, its type, and whether UPDATE may assign it: not if it is GENERATED ALWAYS AS IDENTITY, which
/// no UPDATE of ours has changed either.
pub(super) struct ColumnOf {
    pub name: String,
    pub ty: String,
    pub assignable: bool,
}

/// What the ledger knows of a run's content rows.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Their owners are part of their key; `None`: as the table's key has it now.
    pub users: Option<bool>,
    /// Their `xmin` still means what it meant when the run wrote it down.
    pub xmin: bool,
}

/// The entity rows of a content row.
#[derive(Debug, Clone, Copy)]
pub struct Entities {
    /// How many there are.
    pub rows: i64,
    /// How many of them are as the run left them.
    pub untouched: i64,
}

/// A content or entity table that a run has written to.
pub struct RunTable {
    /// The table.
    pub oid: pg_sys::Oid,
    /// Its owner.
    pub owner: pg_sys::Oid,
    /// Qualified and quoted name.
    pub name: String,
    /// The name as `regclass` shows it.
    pub shown: String,
    pub(super) columns: Vec<ColumnOf>,
    /// The table's key keeps the rows of different collections apart.
    pub per_collection: bool,
    /// Rows are told apart by their owners.
    per_user: bool,
    /// How rows are found.
    pub lookup: Lookup,
    /// Its rows have an `xmin` of this server's.
    pub(super) has_xmin: bool,
    /// `xmin` tells rows that have changed since the run.
    pub versioned: bool,
}

impl RunTable {
    /// The content table, its rows found by its key of columns with these roles; `None` if it is gone.
    ///
    /// # Errors
    /// The server's own.
    pub fn content(
        oid: pg_sys::Oid,
        roles: &Roles,
        known: Known,
    ) -> Result<Option<RunTable>, Error> {
        RunTable::find(oid, known.xmin, |columns| {
            let typed = |name: &str| type_of(columns, name);
            let key = roles.key(oid, typed)?;
            Ok(key.map(|key| {
                let with_users = known.users.unwrap_or(key.user.is_some());
                let owner = || roles.user.iter().find_map(|name| key_column(columns, name));
                Key {
                    user: key.user.clone().or_else(owner).filter(|_| with_users),
                    ..key
                }
            }))
        })
    }

    /// The entity table of `content`, its rows found by as much of the content row's key as they have; `None` if it is
    /// gone.
    ///
    /// # Errors
    /// The server's own.
    pub fn entity(
        oid: pg_sys::Oid,
        content: &RunTable,
        known: Known,
    ) -> Result<Option<RunTable>, Error> {
        RunTable::find(oid, known.xmin, |columns| {
            let part = |name, wanted: bool| key_column(columns, name).filter(|_| wanted);
            let id = key_column(columns, "content_id");
            Ok(id.map(|id| Key {
                id,
                collection: part("chroma_collection", content.per_collection),
                user: part("user_id", content.per_user),
            }))
        })
    }

    fn find(
        oid: pg_sys::Oid,
        xmin: bool,
        key: impl FnOnce(&[ColumnOf]) -> Result<Option<Key>, Error>,
    ) -> Result<Option<RunTable>, Error> {
        let found = spi::look_up_one(
            "SELECT pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' \
                      OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname), \
                    c.oid::pg_catalog.regclass::pg_catalog.text, c.relowner \
               FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
              WHERE c.oid OPERATOR(pg_catalog.=) $1",
            &[oid.into()],
            |row| {
                Ok((
                    row.get::<String>(1)?,
                    row.get::<String>(2)?,
                    row.get::<pg_sys::Oid>(3)?,
                ))
            },
        )?;
        let Some((Some(name), Some(shown), Some(owner))) = found else {
            return Ok(None);
        };
        let columns = columns_of(oid)?;
        let Some(key) = key(&columns)? else {
            return Ok(None);
        };
        let has_xmin = is_versioned(oid)?;
        Ok(Some(RunTable {
            oid,
            owner,
            per_collection: key.collection.is_some(),
            per_user: key.user.is_some(),
            lookup: Lookup::new(oid, &key)?,
            name,
            shown,
            columns,
            has_xmin,
            versioned: xmin && has_xmin,
        }))
    }

    /// Rows are found by these columns and no others.
    pub fn is_found_by(&self, columns: &[String]) -> bool {
        let ours = &self.lookup.columns;
        ours.len() == columns.len() && ours.iter().all(|column| columns.contains(column))
    }

    /// The condition that row `t` is as the run left it (with `force`: any).
    pub fn untouched(&self, force: bool) -> &'static str {
        match (force, self.versioned) {
            (true, _) => "true",
            (false, true) => "t.xmin OPERATOR(pg_catalog.=) r.xid::pg_catalog.xid",
            (false, false) => "false",
        }
    }
    fn numbers(&self, sql: &str, keys: &RunKeys) -> Result<Vec<i64>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        settings::with(self.lookup.settings, || {
            spi::read(sql, &keys.args(), |row| {
                Ok(row.get::<i64>(1)?.unwrap_or_default())
            })
        })
    }

    fn delete(&self, condition: &str, keys: &RunKeys) -> Result<i64, Error> {
        if keys.is_empty() {
            return Ok(0);
        }
        let (name, matches) = (&self.name, &self.lookup.condition);
        let sql = format!("DELETE FROM {name} t USING {KEYS} WHERE {matches} AND {condition}");
        count(settings::with(self.lookup.settings, || {
            spi::write(&sql, &keys.args())
        }))
    }

    /// The keys whose content row is there and as the run left it (with `force`: is there).
    ///
    /// # Errors
    /// The server's own.
    pub fn unchanged(&self, keys: &RunKeys, force: bool) -> Result<Vec<i64>, Error> {
        let (name, matches, untouched) =
            (&self.name, &self.lookup.condition, self.untouched(force));
        self.numbers(
            &format!("SELECT r.number FROM {KEYS} JOIN {name} t ON {matches} AND {untouched}"),
            keys,
        )
    }

    /// The same with the `xmin` that each row has, as text; where rows have none, with the ledger's.
    ///
    /// # Errors
    /// The server's own.
    pub fn unchanged_with_xmin(
        &self,
        keys: &RunKeys,
        force: bool,
    ) -> Result<Vec<(i64, String)>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (name, matches, untouched) =
            (&self.name, &self.lookup.condition, self.untouched(force));
        let xmin = match self.has_xmin {
            true => "t.xmin::pg_catalog.text",
            false => "r.xid",
        };
        let sql = format!(
            "SELECT r.number, {xmin} FROM {KEYS} JOIN {name} t ON {matches} AND {untouched}"
        );
        settings::with(self.lookup.settings, || {
            spi::read(&sql, &keys.args(), |row| {
                Ok((
                    row.get::<i64>(1)?.unwrap_or_default(),
                    row.get::<String>(2)?.unwrap_or_default(),
                ))
            })
        })
    }

    /// Removes the rows of these keys, content or entity rows, that are as the run left them (with
    /// `force`: all).
    ///
    /// # Errors
    /// The server's own.
    pub fn remove(&self, keys: &RunKeys, force: bool) -> Result<i64, Error> {
        self.delete(self.untouched(force), keys)
    }

    /// As [`RunTable::remove`], and those that this subtransaction has changed itself, by a trigger.
    ///
    /// # Errors
    /// The server's own.
    pub fn remove_ours(&self, keys: &RunKeys, force: bool) -> Result<i64, Error> {
        let condition = format!(
            "({} OR t.xmin OPERATOR(pg_catalog.=) '{}'::pg_catalog.xid)",
            self.untouched(force),
            pg::current_xid()
        );
        match self.untouched(force) {
            "true" | "false" => self.delete(self.untouched(force), keys),
            _ => self.delete(&condition, keys),
        }
    }

    /// The keys whose content row has entity rows, each with what these are like (with `force`: all as the run left them).
    ///
    /// # Errors
    /// The server's own.
    pub fn entities(&self, keys: &RunKeys, force: bool) -> Result<Vec<(i64, Entities)>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (name, matches, untouched) =
            (&self.name, &self.lookup.condition, self.untouched(force));
        let sql = format!(
            "SELECT r.number, pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE {untouched}) \
               FROM {KEYS} JOIN {name} t ON {matches} GROUP BY r.number"
        );
        settings::with(self.lookup.settings, || {
            spi::read(&sql, &keys.args(), |row| {
                let entities = Entities {
                    rows: row.get::<i64>(2)?.unwrap_or_default(),
                    untouched: row.get::<i64>(3)?.unwrap_or_default(),
                };
                Ok((row.get::<i64>(1)?.unwrap_or_default(), entities))
            })
        })
    }

    /// Number of entity rows of these keys' content rows.
    ///
    /// # Errors
    /// The server's own.
    pub fn count_entities(&self, keys: &RunKeys) -> Result<i64, Error> {
        let (name, matches) = (&self.name, &self.lookup.condition);
        let counted = self.numbers(
            &format!("SELECT pg_catalog.count(*) FROM {KEYS} JOIN {name} t ON {matches}"),
            keys,
        )?;
        Ok(counted.into_iter().next().unwrap_or(0))
    }
}

fn type_of<'c>(columns: &'c [ColumnOf], name: &str) -> Option<&'c str> {
    let column = columns.iter().find(|column| column.name == name);
    column.map(|column| column.ty.as_str())
}

fn key_column(columns: &[ColumnOf], name: &str) -> Option<KeyColumn> {
    type_of(columns, name).map(|ty| KeyColumn {
        name: name.to_owned(),
        ty: ty.to_owned(),
    })
}

/// The columns that INSERT and UPDATE may name.
fn columns_of(oid: pg_sys::Oid) -> Result<Vec<ColumnOf>, Error> {
    spi::look_up(
        "SELECT a.attname::pg_catalog.text, \
                pg_catalog.quote_ident(s.nspname) OPERATOR(pg_catalog.||) '.' \
                  OPERATOR(pg_catalog.||) pg_catalog.quote_ident(y.typname), \
                a.attidentity OPERATOR(pg_catalog.<>) 'a' \
           FROM pg_catalog.pg_attribute a \
           JOIN pg_catalog.pg_type y ON y.oid OPERATOR(pg_catalog.=) a.atttypid \
           JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) y.typnamespace \
          WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 \
            AND NOT a.attisdropped AND a.attgenerated OPERATOR(pg_catalog.=) '' \
          ORDER BY a.attnum",
        &[oid.into()],
        |row| {
            Ok(ColumnOf {
                name: row.get(1)?.unwrap_or_default(),
                ty: row.get(2)?.unwrap_or_default(),
                assignable: row.get(3)?.unwrap_or_default(),
            })
        },
    )
}

pub(super) fn count(touched: Result<u64, Error>) -> Result<i64, Error> {
    Ok(i64::try_from(touched?).unwrap_or(i64::MAX))
}
