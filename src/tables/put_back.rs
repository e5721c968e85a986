//! Overwritten rows as JSON of texts, and the way back.

use std::collections::HashMap;

use super::RunTable;
use super::run_table::{KEYS, RunKeys, count};
use crate::error::Error;
use crate::{pg, settings, spi};

impl RunTable {
    /// Gives the content rows of these keys the columns that they had before; `before` has them in the
    /// keys' order. Columns that the table has got since are left alone, and so are rows that have another `xmin` than the
    /// keys say, unless this subtransaction has changed them itself, by a trigger.
    ///
    /// # Errors
    /// The server's own.
    pub fn restore(&self, keys: &RunKeys, before: &[String]) -> Result<i64, Error> {
        if before.is_empty() {
            return Ok(0);
        }
        let (name, matches) = (&self.name, &self.lookup.condition);
        let assignments: Vec<String> = self
            .columns
            .iter()
            .filter(|column| column.assignable)
            .map(|column| {
                let (ident, word) = (spi::ident(&column.name), literal(&column.name));
                format!(
                    "{ident} = CASE WHEN pg_catalog.jsonb_exists(r.row, {word}) \
                       THEN (r.row OPERATOR(pg_catalog.->>) {word})::{} ELSE t.{ident} END",
                    column.ty
                )
            })
            .collect();
        let same = match self.has_xmin {
            true => format!(
                "(t.xmin OPERATOR(pg_catalog.=) r.xid::pg_catalog.xid \
                  OR t.xmin OPERATOR(pg_catalog.=) '{}'::pg_catalog.xid)",
                pg::current_xid()
            ),
            false => "true".to_owned(),
        };
        let mut args = keys.args();
        args.push(before.to_vec().into());
        // OFFSET 0: each JSON is parsed once, not once a column.
        let sql = format!(
            "UPDATE {name} t SET {} \
               FROM (SELECT k.key, k.collection, k.user_id, k.xid, \
                            k.before::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'row' AS row \
                       FROM unnest($3, pg_catalog.array_fill($2, ARRAY[pg_catalog.cardinality($1)]), $4, $5, $6) \
                            AS k(key, collection, user_id, xid, before) OFFSET 0) r \
              WHERE {matches} AND {same}",
            assignments.join(", ")
        );
        count(settings::with(self.lookup.settings, || {
            spi::write(&sql, &args)
        }))
    }

    /// Inserts the entity rows again that the overwritten rows had.
    ///
    /// # Errors
    /// The server's own.
    pub fn put_back(&self, before: &[String]) -> Result<i64, Error> {
        if before.is_empty() {
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
                    "(e.row OPERATOR(pg_catalog.->>) {})::{}",
                    literal(&column.name),
                    column.ty
                )
            })
            .collect();
        count(spi::write(
            &format!(
                "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} \
                   FROM (SELECT b.before::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'entities' AS list \
                           FROM pg_catalog.unnest($1) AS b(before) OFFSET 0) l, \
                        pg_catalog.jsonb_array_elements(CASE \
                          WHEN pg_catalog.jsonb_typeof(l.list) OPERATOR(pg_catalog.=) 'array' \
                          THEN l.list END) AS e(row)",
                self.name,
                names.join(", "),
                values.join(", ")
            ),
            &[before.to_vec().into()],
        ))
    }

    /// The entity rows of these keys' content rows, as a JSON array by the key's number.
    ///
    /// # Errors
    /// The server's own.
    pub fn entities_as_text(&self, keys: &RunKeys) -> Result<HashMap<i64, String>, Error> {
        let sql = format!(
            "SELECT r.number, pg_catalog.json_agg({})::pg_catalog.text \
               FROM {KEYS} JOIN {} t ON {} GROUP BY r.number",
            self.row_as_text("t"),
            self.name,
            self.lookup.condition
        );
        let rows = settings::with(self.lookup.settings, || {
            spi::read(&sql, &keys.args(), |row| {
                Ok((
                    row.get::<i64>(1)?.unwrap_or_default(),
                    row.get::<String>(2)?.unwrap_or_default(),
                ))
            })
        })?;
        Ok(rows.into_iter().collect())
    }

    /// The SQL expression of the row called `alias` as a JSON object of its columns as text.
    pub fn row_as_text(&self, alias: &str) -> String {
        let names: Vec<String> = self.columns.iter().map(|c| literal(&c.name)).collect();
        let values: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{alias}.{}::pg_catalog.text", spi::ident(&column.name)))
            .collect();
        format!(
            "pg_catalog.json_object(ARRAY[{}]::pg_catalog.text[], ARRAY[{}]::pg_catalog.text[])",
            names.join(", "),
            values.join(", ")
        )
    }
}

/// `text` as an SQL string literal.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
