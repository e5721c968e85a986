//! Rows of a table as `collection.get` shows them, taken a few at a time: a table need not fit into memory.

use std::collections::VecDeque;

use pgrx::Spi;
use pgrx::datum::DatumWithOid;

use super::conditions::{Conditions, Filters};
use super::own_schema;
use super::shape::Shape;
use crate::error::Error;
use crate::jsonb::JsonbCopy;
use crate::{pg, spi};

/// Rows that are fetched at once.
const BATCH: std::ffi::c_long = 200;

/// A row as `collection.get` shows it.
pub type Got = (
    Option<String>,
    Option<String>,
    Option<JsonbCopy>,
    Option<String>,
    Option<Vec<f32>>,
);

/// Rows, in the order of their ids.
#[derive(Debug)]
pub struct Rows {
    /// The cursor of the statement; `None`: it has come to its end.
    cursor: Option<String>,
    fetched: VecDeque<Got>,
}

impl Rows {
    /// Asks for the rows with these ids (`None`: all) that pass the filters.
    ///
    /// # Errors
    /// [`Error::NullArgument`], [`Error::BadArgument`] for what the table cannot tell, [`Error::NoTable`].
    pub fn of(
        target: Option<&str>,
        ids: Option<Vec<String>>,
        filters: Filters,
    ) -> Result<Rows, Error> {
        let shape = Shape::of(target)?;
        let conditions = Conditions::new(&shape, filters, &own_schema()?)?;
        let conditions = match ids {
            Some(ids) => conditions.with_ids(&shape, ids),
            None => conditions,
        };
        let schema = &shape.pgvector.schema;
        let sql = format!(
            "SELECT {id}, {document}, {metadata}, {uri}, t.{vectors}::{schema}.vector::pg_catalog.float4[] \
               FROM {table} t WHERE {conditions} AND ($1::pg_catalog.int8 IS NULL OR true) \
              ORDER BY {id} COLLATE pg_catalog.\"C\"",
            id = shape.id,
            document = shape.shown_document(),
            metadata = shape.shown_metadata(),
            uri = shape.uri,
            vectors = spi::ident(&shape.vectors.name),
            table = shape.table,
            conditions = conditions.sql(),
        );
        // The parameters are numbered as those of a query, whose first is its vector.
        let mut values: Vec<DatumWithOid<'_>> = vec![None::<i64>.into()];
        values.extend(conditions.values());
        let cursor = pg::under_snapshot(pg::Snapshot::Transaction, || {
            Spi::connect(|client| {
                let cursor = client.try_open_cursor(sql.as_str(), &values)?;
                Ok::<_, Error>(cursor.detach_into_name())
            })
        })?;
        Ok(Rows {
            cursor: Some(cursor),
            fetched: VecDeque::new(),
        })
    }

    /// The next row.
    ///
    /// # Errors
    /// The server's own.
    pub fn next(&mut self) -> Result<Option<Got>, Error> {
        if let Some(row) = self.fetched.pop_front() {
            return Ok(Some(row));
        }
        let Some(name) = self.cursor.take() else {
            return Ok(None);
        };
        // What a fetch gives is freed with its own connection.
        self.fetched = Spi::connect(|client| {
            let mut cursor = client.find_cursor(&name)?;
            let mut rows = VecDeque::new();
            for row in cursor.fetch(BATCH)? {
                rows.push_back((
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ));
            }
            // Dropped, a cursor is closed.
            self.cursor = (!rows.is_empty()).then(|| cursor.detach_into_name());
            Ok::<_, Error>(rows)
        })?;
        Ok(self.fetched.pop_front())
    }
}
