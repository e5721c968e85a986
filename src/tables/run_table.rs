//! A table that a run has written to, as rolling back needs it: rows found and removed by the keys that the
//! ledger has. `put_back` has the rest.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use super::describe;
use super::{KeyPart, Lookup, Parts};
use crate::error::Error;
use crate::{pg, settings, spi};

/// Keys of rows of one collection, as parallel arrays.
#[derive(Debug, Default)]
pub struct Keys {
    /// The content rows' collection.
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

impl Keys {
    pub(super) fn args(&self) -> Vec<DatumWithOid<'static>> {
        vec![
            self.number.clone().into(),
            self.collection.clone().into(),
            self.key.clone().into(),
            self.user.clone().into(),
            self.xid.clone().into(),
        ]
    }

    fn is_empty(&self) -> bool {
        self.number.is_empty()
    }
}

/// The keys as a relation, from parameter 1 on. `unnest` of several arrays is the grammar's own and only
/// knows the bare name, which it then takes from pg_catalog.
pub(super) const KEYS: &str = "unnest($1, pg_catalog.array_fill($2, ARRAY[pg_catalog.cardinality($1)]), $3, $4, $5) \
                    AS r(number, collection, key, user_id, xid)";

/// A column, its type, and whether UPDATE may assign it: not if it is GENERATED ALWAYS AS IDENTITY, which
/// no UPDATE of ours has changed either.
pub(super) struct ColumnOf {
    pub name: String,
    pub ty: String,
    pub assignable: bool,
}

/// A content or entity table that a run has written to.
pub struct RunTable {
    /// Qualified and quoted name.
    pub(super) name: String,
    /// The name as `regclass` shows it.
    pub shown: String,
    pub(super) columns: Vec<ColumnOf>,
    /// The table keeps the rows of different collections apart.
    pub per_collection: bool,
    /// How rows are found.
    pub lookup: Lookup,
    /// The condition that `t` is as the run left it.
    untouched: &'static str,
}

impl RunTable {
    /// The table; `None` if it is gone.
    ///
    /// # Errors
    /// The server's own.
    pub fn find(oid: pg_sys::Oid) -> Result<Option<RunTable>, Error> {
        let found = spi::read_one(
            "SELECT pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' \
                      OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname), \
                    c.oid::pg_catalog.regclass::pg_catalog.text, \
                    c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog.\"char\"[]) \
               FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
              WHERE c.oid OPERATOR(pg_catalog.=) $1",
            &[oid.into()],
            |row| {
                Ok((
                    row.get::<String>(1)?,
                    row.get::<String>(2)?,
                    row.get::<bool>(3)?,
                ))
            },
        )?;
        let Some((Some(name), Some(shown), versioned)) = found else {
            return Ok(None);
        };
        let columns = spi::read(
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
        )?;
        let type_of = |name: &str| {
            let column = columns.iter().find(|column| column.name == name);
            column.map(|column| column.ty.as_str())
        };
        let id = match (type_of("content_id"), type_of("id")) {
            (Some(ty), _) => ("content_id", ty),
            (None, Some(ty)) => ("id", ty),
            (None, None) => return Ok(None),
        };
        let with_user =
            id.0 == "id" && describe::key_of_table(oid, false)?.contains(&KeyPart::User);
        let parts = Parts {
            id,
            collection: type_of("chroma_collection").is_some(),
            user: type_of("user_id").filter(|_| with_user),
        };
        Ok(Some(RunTable {
            per_collection: parts.collection,
            lookup: Lookup::new(oid, parts)?,
            name,
            shown,
            columns,
            untouched: if versioned == Some(true) {
                "t.xmin OPERATOR(pg_catalog.=) r.xid::pg_catalog.xid"
            } else {
                "false"
            },
        }))
    }

    fn untouched(&self, force: bool) -> &'static str {
        if force { "true" } else { self.untouched }
    }

    fn numbers(&self, sql: &str, keys: &Keys) -> Result<Vec<i64>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        settings::with(self.lookup.settings, || {
            spi::read(sql, &keys.args(), |row| {
                Ok(row.get::<i64>(1)?.unwrap_or_default())
            })
        })
    }

    fn delete(&self, condition: &str, keys: &Keys) -> Result<i64, Error> {
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
    pub fn unchanged(&self, keys: &Keys, force: bool) -> Result<Vec<i64>, Error> {
        let (name, matches, untouched) =
            (&self.name, &self.lookup.condition, self.untouched(force));
        self.numbers(
            &format!("SELECT r.number FROM {KEYS} JOIN {name} t ON {matches} AND {untouched}"),
            keys,
        )
    }

    /// Removes the rows of these keys, content or entity rows, that are as the run left them (with
    /// `force`: all).
    ///
    /// # Errors
    /// The server's own.
    pub fn remove(&self, keys: &Keys, force: bool) -> Result<i64, Error> {
        self.delete(self.untouched(force), keys)
    }

    /// As [`RunTable::remove`], and those that this subtransaction has changed itself, by a trigger.
    ///
    /// # Errors
    /// The server's own.
    pub fn remove_ours(&self, keys: &Keys, force: bool) -> Result<i64, Error> {
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

    /// The keys whose content row has entity rows.
    ///
    /// # Errors
    /// The server's own.
    pub fn still_has_entities(&self, keys: &Keys) -> Result<Vec<i64>, Error> {
        let (name, matches) = (&self.name, &self.lookup.condition);
        self.numbers(
            &format!(
                "SELECT r.number FROM {KEYS} WHERE EXISTS (SELECT FROM {name} t WHERE {matches})"
            ),
            keys,
        )
    }

    /// Number of entity rows of these keys' content rows.
    ///
    /// # Errors
    /// The server's own.
    pub fn count_entities(&self, keys: &Keys) -> Result<i64, Error> {
        let (name, matches) = (&self.name, &self.lookup.condition);
        let counted = self.numbers(
            &format!("SELECT pg_catalog.count(*) FROM {KEYS} JOIN {name} t ON {matches}"),
            keys,
        )?;
        Ok(counted.into_iter().next().unwrap_or(0))
    }
}

pub(super) fn count(touched: Result<u64, Error>) -> Result<i64, Error> {
    Ok(i64::try_from(touched?).unwrap_or(i64::MAX))
}
