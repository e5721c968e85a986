//! `search_content` and `search_entities`: nearest rows to a text.

use pgrx::JsonB;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use crate::error::Error;
use crate::tables::{self, Pgvector};
use crate::{model, spi};

/// What the error says if there is no model.
const WHY: &str = "a search embeds its query";

/// What a search needs to write its query.
struct Search {
    /// The table, qualified and quoted.
    table: String,
    /// pgvector's schema, quoted.
    vector: String,
    /// The query's embedding, as pgvector reads it.
    embedding: Vec<f32>,
    /// The table's columns: an application's table need not have all of ours.
    columns: Vec<String>,
}

impl Search {
    fn begin(query: Option<&str>, target: Option<&str>) -> Result<Search, Error> {
        let query = query.ok_or(Error::NullArgument("query"))?;
        let name = target.ok_or(Error::NullArgument("target"))?;
        let place = tables::find(name)?;
        let oid = place.oid.ok_or_else(|| Error::NoTable(place.qualified()))?;
        let columns = tables::column_names(oid)?;
        let pgvector = Pgvector::find()?;
        let embedding = model::embed_query(WHY, query)?;
        Ok(Search {
            table: place.qualified(),
            vector: pgvector.schema,
            embedding,
            columns,
        })
    }

    /// The `limit` rows nearest to the query, the nearest first: `columns` (name and type; NULL where the
    /// table has none) and the similarity after them. Each filter is a column and the text that it must
    /// show; NULL lets every row through.
    fn nearest<T>(
        self,
        columns: &[(&str, &str)],
        filters: [(&str, Option<String>); 2],
        limit: Option<i32>,
        take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
    ) -> Result<Vec<T>, Error> {
        let limit = limit.ok_or(Error::NullArgument("match_count"))?.max(0);
        let shown = |name: &str, ty: &str| match self.columns.iter().any(|column| column == name) {
            true => format!("t.{name}::pg_catalog.{ty}"),
            false => format!("NULL::pg_catalog.{ty}"),
        };
        let columns: Vec<String> = columns.iter().map(|(name, ty)| shown(name, ty)).collect();
        let [(first, first_text), (second, second_text)] = filters;
        let (first, second) = (shown(first, "text"), shown(second, "text"));
        let Search {
            table,
            vector,
            embedding,
            ..
        } = self;
        let distance = format!(
            "(t.embedding OPERATOR({vector}.<=>) $1::pg_catalog.float4[]::{vector}.vector)"
        );
        let sql = format!(
            "SELECT {columns}, 1 OPERATOR(pg_catalog.-) {distance} FROM {table} t \
              WHERE t.embedding IS NOT NULL \
                AND ($2 IS NULL OR {first} OPERATOR(pg_catalog.=) $2) \
                AND ($3 IS NULL OR {second} OPERATOR(pg_catalog.=) $3) \
              ORDER BY {distance} LIMIT $4",
            columns = columns.join(", "),
        );
        let args: [DatumWithOid; 4] = [
            embedding.into(),
            first_text.into(),
            second_text.into(),
            i64::from(limit).into(),
        ];
        spi::read(&sql, &args, take)
    }
}

/// Rows of a content table nearest to `query`, by cosine similarity (1 - distance), the nearest first.
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
            name!(full_content, Option<JsonB>),
        ),
    >,
    ErrorReport,
> {
    let rows = Search::begin(query, target)?.nearest(
        &[
            ("id", "text"),
            ("user_id", "text"),
            ("title", "text"),
            ("summary", "text"),
            ("source_url", "text"),
            ("full_content", "jsonb"),
        ],
        [("user_id", user_id), ("content_type", content_type)],
        match_count,
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
    let rows = Search::begin(query, target)?.nearest(
        &[
            ("content_id", "text"),
            ("user_id", "text"),
            ("entity_name", "text"),
            ("entity_type", "text"),
        ],
        [("user_id", user_id), ("content_id", None)],
        match_count,
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
