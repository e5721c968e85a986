//! The rows of a table nearest to a vector, by the distance that Chroma computes.
//!
//! Promise: through the table's index where it is for that distance, else by all rows that pass the filters; what an index cannot
//! have, and what it ended before, is looked for without it.

use pgrx::datum::DatumWithOid;
use vector_migrate_core::record::Space;

use super::conditions::{Conditions, Filters};
use super::shape::Shape;
use super::{own_schema, scans_iteratively};
use crate::error::Error;
use crate::jsonb::JsonbCopy;
use crate::{settings, spi};

/// Most rows of one query.
const MOST_ROWS: i32 = 10_000;

/// The column with the distance, beside those of the table.
const DISTANCE: &str = "\"vector_migrate: distance\"";

/// From this cosine distance on, a vector of zeros may be as near as what the index found: Chroma has it at 1, pgvector's index does
/// not have it. Less than 1, as both compute in float32.
const OF_ZEROS: f64 = 0.9999;

/// A row as `collection.query` shows it.
pub type Found = (
    Option<String>,
    Option<String>,
    Option<JsonbCopy>,
    Option<String>,
    Option<f64>,
);

/// A query before its vector is known.
#[derive(Debug)]
pub struct Query {
    shape: Shape,
    limit: i32,
    filters: Filters,
    space: Space,
}

impl Query {
    /// Checks the arguments and looks at the table. `space`: the distance; `None`: what a run wrote down, else the index's, else
    /// cosine.
    ///
    /// # Errors
    /// [`Error::NullArgument`], [`Error::BadArgument`], [`Error::NoTable`].
    pub fn new(
        target: Option<&str>,
        match_count: Option<i32>,
        filters: Filters,
        space: Option<&str>,
    ) -> Result<Query, Error> {
        let limit = match_count.ok_or(Error::NullArgument("match_count"))?;
        if !(1..=MOST_ROWS).contains(&limit) {
            return Err(Error::BadArgument {
                argument: "match_count",
                value: limit.to_string(),
                hint: format!("Give a number from 1 to {MOST_ROWS}."),
            });
        }
        let asked = space.map(super::space).transpose()?;
        let shape = Shape::of(target)?;
        let space = match asked.or(shape.recorded) {
            Some(space) => space,
            None => shape.nearest()?.space.unwrap_or(Space::Cosine),
        };
        Ok(Query {
            shape,
            limit,
            filters,
            space,
        })
    }

    /// Checks that a vector of so many dimensions, which `what` is in errors, can be compared with the table's.
    ///
    /// # Errors
    /// [`Error::WrongDimension`].
    pub fn check(
        &self,
        what: impl FnOnce() -> String,
        has: usize,
        hint: &str,
    ) -> Result<(), Error> {
        let Some(wants) = self.dimension() else {
            return Ok(());
        };
        let has = u32::try_from(has).unwrap_or(u32::MAX);
        if has == wants || self.shape.padded && has < wants {
            return Ok(());
        }
        Err(Error::WrongDimension {
            what: what(),
            has,
            target: self.shape.table.clone(),
            column: self.shape.vectors.name.clone(),
            wants,
            hint: hint.to_owned(),
        })
    }

    /// Dimensions of the table's vectors; `None`: each has its own.
    fn dimension(&self) -> Option<u32> {
        let ty = self.shape.vectors.vector_type(&self.shape.pgvector);
        ty.and_then(|ty| ty.dimension)
    }

    /// The rows nearest to `vector`, the nearest first; of those equally far, by id.
    ///
    /// # Errors
    /// [`Error::BadArgument`] for what the table cannot tell; the server's own.
    pub fn run(self, mut vector: Vec<f32>) -> Result<Vec<Found>, Error> {
        let dimension = self.dimension();
        if let Some(wants) = dimension.and_then(|n| usize::try_from(n).ok()) {
            vector.resize(wants, 0.0);
        }
        let Query {
            shape,
            limit,
            filters,
            space,
        } = self;
        let own = own_schema()?;
        let vectors = format!("t.{}", spi::ident(&shape.vectors.name));
        let schema = &shape.pgvector.schema;
        let conditions =
            Conditions::new(&shape, filters, &own)?.and(format!("{vectors} IS NOT NULL"));
        let conditions = match dimension {
            Some(_) => conditions,
            // Vectors of other dimensions are not to be compared with.
            None => conditions.and(format!(
                "{schema}.vector_dims({vectors}) OPERATOR(pg_catalog.=) {}",
                vector.len()
            )),
        };
        let nearest = shape.nearest_of(space)?;
        // A vector of zeros has no direction: all are equally far.
        let directed = space != Space::Cosine || vector.iter().any(|it| *it != 0.0);
        let all_values = || {
            let mut values: Vec<DatumWithOid<'_>> = vec![vector.clone().into()];
            values.extend(conditions.values());
            values.push(i64::from(limit).into());
            values
        };
        let distance = format!(
            "{own}.chroma_distance({vectors}::{schema}.vector, $1::pg_catalog.float4[]::{schema}.vector, '{space}')"
        );
        let select = |order: &str| sql(&shape, &conditions.sql(), &distance, order);
        if let Some(nearest) = nearest.filter(|_| directed) {
            let iterative = match nearest.approximate && scans_iteratively(schema)? {
                true => settings::ITERATIVE,
                false => &[],
            };
            let sql = select(&nearest.order);
            let rows = settings::with(iterative, || spi::read(&sql, &all_values(), take))?;
            let enough = rows.len() >= usize::try_from(limit).unwrap_or(0);
            let farthest = rows.last().and_then(|row| row.4).unwrap_or(0.0);
            if enough && (space != Space::Cosine || farthest < OF_ZEROS) {
                return Ok(rows);
            }
        }
        spi::read(&select(&distance), &all_values(), take)
    }
}

fn take(row: &pgrx::spi::SpiHeapTupleData<'_>) -> pgrx::spi::SpiResult<Found> {
    Ok((
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

/// The statement; `$6` is how many rows it gives. What rows show is made of those that come back only. The sum makes the planner
/// sort: an index's order is that of its own arithmetic, to the last digits.
fn sql(shape: &Shape, conditions: &str, distance: &str, order: &str) -> String {
    let needed = shape.needed.iter();
    let columns: Vec<String> = needed
        .map(|name| format!("t.{}, ", spi::ident(name)))
        .collect();
    format!(
        "SELECT {id}, {document}, {metadata}, {uri}, t.{DISTANCE} \
           FROM (SELECT {columns}{distance} AS {DISTANCE} FROM {table} t \
                  WHERE {conditions} ORDER BY {order} LIMIT $6) AS t \
          ORDER BY 0 OPERATOR(pg_catalog.+) t.{DISTANCE}, {id} COLLATE pg_catalog.\"C\"",
        id = shape.id,
        document = shape.shown_document(),
        metadata = shape.shown_metadata(),
        uri = shape.uri,
        columns = columns.concat(),
        table = shape.table,
    )
}
