//! `search_content` and `search_entities`: nearest rows to a text.

use pgrx::JsonB;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::Error;
use crate::target::{self, Pgvector};
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
}

impl Search {
    fn begin(query: Option<&str>, target: Option<&str>) -> Result<Search, Error> {
        let query = query.ok_or(Error::NullArgument("query"))?;
        let name = target.ok_or(Error::NullArgument("target"))?;
        let place = target::find(name)?;
        if place.oid.is_none() {
            return Err(Error::NoTable(place.qualified()));
        }
        let pgvector = Pgvector::find()?;
        let embedding = model::embed(WHY, &[query])?
            .into_iter()
            .next()
            .unwrap_or_default();
        Ok(Search {
            table: place.qualified(),
            vector: pgvector.schema,
            embedding,
        })
    }

    /// The cosine distance of column `embedding` to the query, which is parameter 1.
    fn distance(&self) -> String {
        format!(
            "(t.embedding OPERATOR({0}.<=>) $1::pg_catalog.float4[]::{0}.vector)",
            self.vector
        )
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
    let search = Search::begin(query, target)?;
    let distance = search.distance();
    let sql = format!(
        "SELECT t.id::pg_catalog.text, t.user_id::pg_catalog.text, t.title::pg_catalog.text, \
                t.summary::pg_catalog.text, t.source_url::pg_catalog.text, \
                1 OPERATOR(pg_catalog.-) {distance}, t.full_content::pg_catalog.jsonb \
           FROM {table} t \
          WHERE t.embedding IS NOT NULL \
            AND ($2 IS NULL OR t.user_id::pg_catalog.text OPERATOR(pg_catalog.=) $2) \
            AND ($3 IS NULL OR t.content_type::pg_catalog.text OPERATOR(pg_catalog.=) $3) \
          ORDER BY {distance} LIMIT $4",
        table = search.table
    );
    let limit = match_count
        .ok_or(Error::NullArgument("match_count"))?
        .max(0);
    let args: [DatumWithOid; 4] = [
        search.embedding.into(),
        user_id.into(),
        content_type.into(),
        i64::from(limit).into(),
    ];
    let rows = spi::read(&sql, &args, |row| {
        Ok((
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
            row.get(6)?,
            row.get(7)?,
        ))
    })?;
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
    let search = Search::begin(query, target)?;
    let distance = search.distance();
    let sql = format!(
        "SELECT t.content_id::pg_catalog.text, t.user_id::pg_catalog.text, \
                t.entity_name::pg_catalog.text, t.entity_type::pg_catalog.text, \
                1 OPERATOR(pg_catalog.-) {distance} \
           FROM {table} t \
          WHERE t.embedding IS NOT NULL \
            AND ($2 IS NULL OR t.user_id::pg_catalog.text OPERATOR(pg_catalog.=) $2) \
          ORDER BY {distance} LIMIT $3",
        table = search.table
    );
    let limit = match_count
        .ok_or(Error::NullArgument("match_count"))?
        .max(0);
    let args: [DatumWithOid; 3] = [
        search.embedding.into(),
        user_id.into(),
        i64::from(limit).into(),
    ];
    let rows = spi::read(&sql, &args, |row| {
        Ok((
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
        ))
    })?;
    Ok(TableIterator::new(rows))
}
