//! A table that a run has written to, as rolling back needs it: rows found, removed and put back by the
//! keys that the ledger has.

use pgrx::datum::DatumWithOid;
use pgrx::{JsonB, pg_sys};

use super::KeyPart;
use super::describe;
use crate::error::Error;
use crate::spi;

/// Ledger entries as parallel arrays.
#[derive(Debug, Default)]
pub struct KeyArrays {
    /// Number of the entry.
    pub row_no: Vec<i64>,
    /// The content row's collection.
    pub collection: Vec<String>,
    /// The content row's id.
    pub key: Vec<String>,
    /// The content row's owner.
    pub user: Vec<Option<String>>,
    /// The `xmin` that the run gave the row.
    pub xid: Vec<String>,
}

impl KeyArrays {
    fn args(&self) -> Vec<DatumWithOid<'static>> {
        vec![
            self.row_no.clone().into(),
            self.collection.clone().into(),
            self.key.clone().into(),
            self.user.clone().into(),
            self.xid.clone().into(),
        ]
    }

    fn is_empty(&self) -> bool {
        self.row_no.is_empty()
    }
}

/// The ledger's arrays as a relation. `unnest` of several arrays is the grammar's own and only knows the
/// bare name, which it then takes from pg_catalog.
const KEYS: &str = "unnest($1, $2, $3, $4, $5) AS r(row_no, collection, key, user_id, xid)";

/// A column, its type, and whether UPDATE may assign it: not if it is GENERATED ALWAYS AS IDENTITY, which
/// no UPDATE of ours has changed either.
struct ColumnOf {
    name: String,
    ty: String,
    assignable: bool,
}

/// A content or entity table that a run has written to.
pub struct RunTable {
    /// Qualified and quoted name.
    name: String,
    /// The name as `regclass` shows it.
    pub shown: String,
    columns: Vec<ColumnOf>,
    /// The table keeps the rows of different collections apart.
    pub per_collection: bool,
    /// The condition that joins `t` to the ledger's `r`.
    matches: String,
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
                    c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::\"char\"[]) \
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
            "SELECT a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, -1), \
                    a.attidentity OPERATOR(pg_catalog.<>) 'a' \
               FROM pg_catalog.pg_attribute a \
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
            columns
                .iter()
                .find(|column| column.name == name)
                .map(|column| column.ty.clone())
        };
        let (id, ty) = match (type_of("content_id"), type_of("id")) {
            (Some(ty), _) => ("content_id", ty),
            (None, Some(ty)) => ("id", ty),
            (None, None) => return Ok(None),
        };
        let mut matches = format!("t.{id} OPERATOR(pg_catalog.=) r.key::{ty}");
        let per_collection = type_of("chroma_collection").is_some();
        if per_collection {
            matches += " AND t.chroma_collection OPERATOR(pg_catalog.=) r.collection";
        }
        if id == "id" && describe::key_of_table(oid, false)?.contains(&KeyPart::User) {
            // IS NOT DISTINCT FROM would take its operator from the caller's search_path.
            matches += " AND (t.user_id::pg_catalog.text OPERATOR(pg_catalog.=) r.user_id \
                         OR t.user_id IS NULL AND r.user_id IS NULL)";
        }
        let untouched = if versioned == Some(true) {
            "t.xmin OPERATOR(pg_catalog.=) r.xid::pg_catalog.xid"
        } else {
            "false"
        };
        Ok(Some(RunTable {
            name,
            shown,
            columns,
            per_collection,
            matches,
            untouched,
        }))
    }

    fn untouched(&self, force: bool) -> &'static str {
        if force { "true" } else { self.untouched }
    }

    fn numbers(&self, sql: &str, keys: &KeyArrays) -> Result<Vec<i64>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        spi::read(sql, &keys.args(), |row| {
            Ok(row.get::<i64>(1)?.unwrap_or_default())
        })
    }

    /// The entries whose content row is there and as the run left it (with `force`: is there).
    ///
    /// # Errors
    /// The server's own.
    pub fn unchanged(&self, keys: &KeyArrays, force: bool) -> Result<Vec<i64>, Error> {
        let (name, matches, untouched) = (&self.name, &self.matches, self.untouched(force));
        self.numbers(
            &format!("SELECT r.row_no FROM {KEYS} JOIN {name} t ON {matches} AND {untouched}"),
            keys,
        )
    }

    /// Removes the content rows of these entries.
    ///
    /// # Errors
    /// The server's own.
    pub fn remove(&self, keys: &KeyArrays) -> Result<i64, Error> {
        if keys.is_empty() {
            return Ok(0);
        }
        let (name, matches) = (&self.name, &self.matches);
        count(spi::write(
            &format!("DELETE FROM {name} t USING {KEYS} WHERE {matches}"),
            &keys.args(),
        ))
    }

    /// Removes the entity rows that came with these entries' content rows.
    ///
    /// # Errors
    /// The server's own.
    pub fn remove_entities(&self, keys: &KeyArrays, force: bool) -> Result<i64, Error> {
        if keys.is_empty() {
            return Ok(0);
        }
        let (name, matches, untouched) = (&self.name, &self.matches, self.untouched(force));
        count(spi::write(
            &format!("DELETE FROM {name} t USING {KEYS} WHERE {matches} AND {untouched}"),
            &keys.args(),
        ))
    }

    /// The entries whose content row has entity rows.
    ///
    /// # Errors
    /// The server's own.
    pub fn still_has_entities(&self, keys: &KeyArrays) -> Result<Vec<i64>, Error> {
        let (name, matches) = (&self.name, &self.matches);
        self.numbers(
            &format!(
                "SELECT r.row_no FROM {KEYS} WHERE EXISTS (SELECT FROM {name} t WHERE {matches})"
            ),
            keys,
        )
    }

    /// Number of entity rows of these entries' content rows.
    ///
    /// # Errors
    /// The server's own.
    pub fn count_entities(&self, keys: &KeyArrays) -> Result<i64, Error> {
        let (name, matches) = (&self.name, &self.matches);
        let counted = self.numbers(
            &format!("SELECT pg_catalog.count(*) FROM {KEYS} JOIN {name} t ON {matches}"),
            keys,
        )?;
        Ok(counted.into_iter().next().unwrap_or(0))
    }

    /// Gives the content rows of these entries their columns back; `rows` has them by entry, as text.
    /// Columns that the table has got since are left alone.
    ///
    /// # Errors
    /// The server's own.
    pub fn restore(
        &self,
        keys: &KeyArrays,
        rows: &[(i64, serde_json::Value)],
    ) -> Result<i64, Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        let (name, matches) = (&self.name, &self.matches);
        let assignments: Vec<String> = self
            .columns
            .iter()
            .filter(|column| column.assignable)
            .map(|column| {
                let (ident, word) = (spi::ident(&column.name), literal(&column.name));
                format!(
                    "{ident} = CASE WHEN pg_catalog.jsonb_exists(b.row, {word}) \
                       THEN (b.row OPERATOR(pg_catalog.->>) {word})::{} ELSE t.{ident} END",
                    column.ty
                )
            })
            .collect();
        let mut args = keys.args();
        args.push(
            rows.iter()
                .map(|(number, _)| *number)
                .collect::<Vec<i64>>()
                .into(),
        );
        args.push(
            rows.iter()
                .map(|(_, row)| JsonB(row.clone()))
                .collect::<Vec<_>>()
                .into(),
        );
        count(spi::write(
            &format!(
                "UPDATE {name} t SET {} \
                   FROM {KEYS} JOIN unnest($6, $7) AS b(row_no, row) \
                     ON b.row_no OPERATOR(pg_catalog.=) r.row_no \
                  WHERE {matches}",
                assignments.join(", ")
            ),
            &args,
        ))
    }

    /// Inserts rows again, each given as an object of its columns as text.
    ///
    /// # Errors
    /// The server's own.
    pub fn put_back(&self, rows: &[serde_json::Value]) -> Result<i64, Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        let names: Vec<String> = self
            .columns
            .iter()
            .map(|column| spi::ident(&column.name))
            .collect();
        let values: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                format!(
                    "(b.row OPERATOR(pg_catalog.->>) {})::{}",
                    literal(&column.name),
                    column.ty
                )
            })
            .collect();
        let rows: Vec<JsonB> = rows.iter().map(|row| JsonB(row.clone())).collect();
        count(spi::write(
            &format!(
                "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE \
                 SELECT {} FROM pg_catalog.unnest($1) AS b(row)",
                self.name,
                names.join(", "),
                values.join(", ")
            ),
            &[rows.into()],
        ))
    }

    /// The SQL expression of the row called `alias` as a JSON object of its columns as text.
    pub fn row_as_text(&self, alias: &str) -> String {
        let pairs: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                let text = format!("{alias}.{}::pg_catalog.text", spi::ident(&column.name));
                format!("({}, {text})", literal(&column.name))
            })
            .collect();
        format!(
            "(SELECT pg_catalog.jsonb_object_agg(c.name, c.value) \
                FROM (VALUES {}) AS c(name, value))",
            pairs.join(", ")
        )
    }
}

fn count(touched: Result<u64, Error>) -> Result<i64, Error> {
    Ok(i64::try_from(touched?).unwrap_or(i64::MAX))
}

/// `text` as an SQL string literal.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
