//! `search_content` and `search_entities`: nearest rows to a text.
//!
//! Promise: through the table's vector index where the planner takes it, as the caller, and never fewer rows than there
//! are: an index that ends too early is followed by a scan without it. What is on another server is scanned as that server
//! does it, and a NOTICE says so where rows are few. Any table with a column of vectors is searched: what it has no column
//! for is NULL, and its whole row stands for `full_content`.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use crate::error::Error;
use crate::jsonb::JsonbCopy;
use crate::message::notice;
use crate::tables::shown::{id_column, of_row, pads};
use crate::tables::{self, Attribute, Nearest, Pgvector};
use crate::{model, query, settings, spi, subxact};

/// What the error says if there is no model.
const WHY: &str = "a search embeds its query";

/// Most rows of one search.
const MOST_ROWS: i32 = 10_000;

/// Candidates of an index for another distance than the cosine's, for each row that is wanted.
const MORE_CANDIDATES: i32 = 4;

/// What a search needs to write its query.
struct Search {
    /// The table.
    oid: pg_sys::Oid,
    /// Its name, qualified and quoted.
    table: String,
    /// pgvector's schema, quoted.
    vector: String,
    /// How embeddings are compared.
    nearest: Nearest,
    /// The query's embedding, as pgvector reads it.
    embedding: Vec<f32>,
    /// The table's columns: an application's table need not have all of ours.
    columns: Vec<Attribute>,
    /// Most rows that come back.
    limit: i32,
}

impl Search {
    /// Checks the arguments and the table, then embeds the query.
    fn begin(
        query: Option<&str>,
        match_count: Option<i32>,
        target: Option<&str>,
    ) -> Result<Search, Error> {
        let query = query.ok_or(Error::NullArgument("query"))?;
        let name = target.ok_or(Error::NullArgument("target"))?;
        let limit = match_count.ok_or(Error::NullArgument("match_count"))?;
        if query.trim().is_empty() {
            return Err(Error::BadArgument {
                argument: "query",
                value: query.to_owned(),
                hint: "Give a text to search for.".into(),
            });
        }
        if !(1..=MOST_ROWS).contains(&limit) {
            return Err(Error::BadArgument {
                argument: "match_count",
                value: limit.to_string(),
                hint: format!("Give a number from 1 to {MOST_ROWS}."),
            });
        }
        let place = tables::find(name)?;
        let table = place.qualified();
        let oid = place.oid.ok_or_else(|| Error::NoTable(table.clone()))?;
        let pgvector = Pgvector::find()?;
        let columns = tables::attributes(oid)?;
        let nearest = Nearest::find(oid, &columns, &table, &pgvector)?;
        let (model, dimension) = model::describe(WHY)?;
        let padded = pads(&columns);
        let fits = |n: &u32| *n == dimension || padded && *n > dimension;
        if let Some(wants) = nearest.dimension.filter(|n| !fits(n)) {
            return Err(Error::WrongDimension {
                what: format!("model \"{model}\""),
                has: dimension,
                target: table,
                column: "embedding".to_owned(),
                wants,
                hint: "Search with the model that made the vectors (vector_migrate.model_path), or make them \
                       anew with embeddings => 'generate' in another table."
                    .into(),
            });
        }
        let mut embedding = model::embed_query(WHY, query)?;
        if let Some(wants) = nearest.dimension.and_then(|n| usize::try_from(n).ok()) {
            embedding.resize(wants, 0.0);
        }
        Ok(Search {
            oid,
            columns,
            embedding,
            vector: pgvector.schema,
            table,
            nearest,
            limit,
        })
    }

    fn column(&self, name: &str) -> Option<&Attribute> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// A column's value as `ty`; NULL where the table has none.
    fn shown(&self, name: &str, ty: &str) -> String {
        match self.column(name) {
            Some(_) => format!("t.{name}::pg_catalog.{ty} AS {name}"),
            None => format!("NULL::pg_catalog.{ty} AS {name}"),
        }
    }

    /// What the candidates bring of `columns` (name and type), and what is made of it for the rows that come back.
    fn shows(&self, columns: &[(&str, &str)]) -> Result<Shown, Error> {
        let mut shown = Shown::default();
        for &(name, ty) in columns {
            let result = match (name, self.column(name)) {
                ("full_content", None) => {
                    let names = of_row(self.oid, &self.columns, &self.nearest.name)?;
                    shown.whole_row(&names)
                }
                ("id", _) => {
                    let id = id_column(self.oid, &self.columns)?;
                    let value = id.map_or_else(
                        || "NULL".to_owned(),
                        |id| format!("t.{}", spi::ident(&id.name)),
                    );
                    shown
                        .candidates
                        .push(format!("{value}::pg_catalog.{ty} AS id"));
                    name.to_owned()
                }
                _ => {
                    shown.candidates.push(self.shown(name, ty));
                    name.to_owned()
                }
            };
            shown.results.push(result);
        }
        Ok(shown)
    }

    /// The condition that a row's user is `$2`, in the column's own type, so that an index on it can serve.
    fn is_user(&self, user: &str) -> Result<String, Error> {
        let column = self
            .column("user_id")
            .ok_or_else(|| self.lacks("user_id"))?;
        let typed = column.is_enum
            || matches!(
                column.base,
                pg_sys::INT2OID
                    | pg_sys::INT4OID
                    | pg_sys::INT8OID
                    | pg_sys::NUMERICOID
                    | pg_sys::UUIDOID
            );
        if !typed {
            return Ok("t.user_id::pg_catalog.text OPERATOR(pg_catalog.=) $2".into());
        }
        let ty = &column.qualified;
        let sql = format!("SELECT $1::{ty} IS NULL");
        subxact::run(
            |_| false,
            || spi::read_one(&sql, &[user.into()], |row| row.get::<bool>(1)),
        )
        .map_err(|_| Error::BadArgument {
            argument: "user_id",
            value: user.to_owned(),
            hint: format!(
                "Column \"user_id\" of {} is of type {}.",
                self.table, column.shown
            ),
        })??;
        Ok(format!("t.user_id OPERATOR(pg_catalog.=) $2::{ty}"))
    }

    fn lacks(&self, column: &'static str) -> Error {
        Error::MissingColumn {
            target: self.table.clone(),
            column: column.to_owned(),
            there: self.columns.iter().map(|it| it.name.clone()).collect(),
        }
    }

    /// The rows nearest to the query, the nearest first: `columns` (name and type) and the similarity after them.
    fn run<T>(
        self,
        columns: &[(&str, &str)],
        user_id: Option<String>,
        content_type: Option<String>,
        take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
    ) -> Result<Vec<T>, Error> {
        let vectors = &self.nearest.column;
        let mut conditions = vec![format!("{vectors} IS NOT NULL")];
        if self.nearest.dimension.is_none() {
            // Vectors of other dimensions are not to be compared with.
            conditions.push(format!(
                "{}.vector_dims({vectors}) OPERATOR(pg_catalog.=) {}",
                self.vector,
                self.embedding.len()
            ));
        }
        if let Some(user) = &user_id {
            conditions.push(self.is_user(user)?);
        }
        if content_type.is_some() {
            self.column("content_type")
                .ok_or_else(|| self.lacks("content_type"))?;
            conditions.push("t.content_type::pg_catalog.text OPERATOR(pg_catalog.=) $3".into());
        }
        let shown = self.shows(columns)?;
        // Candidates in the index's order, which is the cosine's for vectors of length 1. Where the index is for another
        // distance and lengths differ, some more of them are compared. A zero vector is near nothing: its distance is NaN.
        // The sum makes the planner sort: an index's order is that of its own arithmetic, to the last digits.
        // $2 and $3 are there in every case, so that their types are known.
        let sql = format!(
            "SELECT {results}, 1 OPERATOR(pg_catalog.-) distance FROM ( \
               SELECT {candidates}, {cosine} AS distance FROM {table} t WHERE {conditions} \
                ORDER BY {order} LIMIT $5) AS nearest \
              WHERE distance OPERATOR(pg_catalog.<>) 'NaN' \
                AND ($2::pg_catalog.text IS NULL OR $3::pg_catalog.text IS NULL OR true) \
              ORDER BY 0 OPERATOR(pg_catalog.+) distance LIMIT $4",
            results = shown.results.join(", "),
            candidates = shown.candidates.join(", "),
            conditions = conditions.join(" AND "),
            cosine = self.nearest.cosine,
            order = self.nearest.order,
            table = self.table,
        );
        let candidates = match self.nearest.order == self.nearest.cosine {
            true => self.limit,
            false => self.limit.saturating_mul(MORE_CANDIDATES),
        };
        let args: [DatumWithOid; 5] = [
            self.embedding.into(),
            user_id.into(),
            content_type.into(),
            i64::from(self.limit).into(),
            i64::from(candidates).into(),
        ];
        let iterative = match self.nearest.approximate && query::scans_iteratively(&self.vector)? {
            true => settings::ITERATIVE,
            false => &[],
        };
        let rows = settings::with(iterative, || spi::read(&sql, &args, &take))?;
        let wanted = usize::try_from(self.limit).unwrap_or(0);
        if rows.len() >= wanted || !self.nearest.approximate {
            return Ok(rows);
        }
        // The index may have ended before all were found: at hnsw.max_scan_tuples, or after one round where
        // pgvector has no iterative scans.
        let rows = settings::with(settings::NO_VECTOR_INDEX, || spi::read(&sql, &args, &take))?;
        if rows.len() < wanted {
            tell_elsewhere(self.oid, &self.table, rows.len(), wanted)?;
        }
        Ok(rows)
    }
}

/// The select lists of a search.
#[derive(Debug, Default)]
struct Shown {
    /// Of the inner query, which gives the candidates.
    candidates: Vec<String>,
    /// Of the outer one, over those.
    results: Vec<String>,
}

impl Shown {
    /// The row of the columns of these names as `jsonb`. It is made of the rows that come back only: candidates are compared
    /// before most of them are dropped.
    fn whole_row(&mut self, names: &[String]) -> String {
        let mut fields = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            let name = spi::ident(name);
            self.candidates.push(format!("t.{name} AS whole_{at}"));
            fields.push(format!("nearest.whole_{at} AS {name}"));
        }
        format!(
            "(SELECT pg_catalog.to_jsonb(r) FROM (SELECT {}) AS r)",
            fields.join(", ")
        )
    }
}

/// Says where the rest may be, if rows of the table are on another server: this session's settings do not reach it.
fn tell_elsewhere(oid: pg_sys::Oid, table: &str, found: usize, wanted: usize) -> Result<(), Error> {
    let servers = tables::elsewhere(oid, "hnsw.iterative_scan")?;
    if servers.is_empty() {
        return Ok(());
    }
    notice!(
        "{found} rows found where {wanted} were asked for: {table} has rows on another server ({}), which this session's \
         hnsw.iterative_scan does not reach, so that an HNSW index there may end after hnsw.ef_search rows. Set it there: \
         ALTER ROLE ... SET hnsw.iterative_scan = strict_order, or for postgres_fdw ALTER SERVER ... OPTIONS (ADD options \
         '-c hnsw.iterative_scan=strict_order')",
        servers.join(", ")
    );
    Ok(())
}

/// Rows of a content table, or of an application's own, nearest to `query`, by cosine similarity (1 - distance), the nearest first.
#[pg_extern(volatile, parallel_unsafe)]
fn search_content(
    query: Option<&str>,
    user_id: default!(Option<String>, "NULL"),
    match_count: default!(Option<i32>, "5"),
    content_type: default!(Option<String>, "NULL"),
    target: default!(Option<&str>, "'content_vectors'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, Option<String>),
            name!(user_id, Option<String>),
            name!(title, Option<String>),
            name!(summary, Option<String>),
            name!(source_url, Option<String>),
            name!(similarity, Option<f64>),
            name!(full_content, Option<JsonbCopy>),
        ),
    >,
    ErrorReport,
> {
    let rows = Search::begin(query, match_count, target)?.run(
        &[
            ("id", "text"),
            ("user_id", "text"),
            ("title", "text"),
            ("summary", "text"),
            ("source_url", "text"),
            ("full_content", "jsonb"),
        ],
        user_id,
        content_type,
        |row| {
            Ok((
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(7)?,
                row.get(6)?,
            ))
        },
    )?;
    Ok(TableIterator::new(rows))
}

/// Rows of an entity table nearest to `query`, by cosine similarity (1 - distance), the nearest first.
#[pg_extern(volatile, parallel_unsafe)]
fn search_entities(
    query: Option<&str>,
    user_id: default!(Option<String>, "NULL"),
    match_count: default!(Option<i32>, "5"),
    target: default!(Option<&str>, "'entity_vectors'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(content_id, Option<String>),
            name!(user_id, Option<String>),
            name!(entity_name, Option<String>),
            name!(entity_type, Option<String>),
            name!(similarity, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let rows = Search::begin(query, match_count, target)?.run(
        &[
            ("content_id", "text"),
            ("user_id", "text"),
            ("entity_name", "text"),
            ("entity_type", "text"),
        ],
        user_id,
        None,
        |row| {
            Ok((
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        },
    )?;
    Ok(TableIterator::new(rows))
}
