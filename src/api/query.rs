//! `chroma_query`, `chroma_get` and `chroma_distance`: Chroma's own queries over any table that a run can fill.
//!
//! The SQL of those that take a vector is written out: it is the type of the extension vector, as in `text`.

use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use pgrx::prelude::*;
use vector_migrate_core::distance;

use crate::error::Error;
use crate::jsonb::{JsonbCopy, JsonbText};
use crate::model;
use crate::query::{self, Filters, Query, Rows};
use crate::vector::VectorArg;

/// What the error says if there is no model.
const WHY: &str = "a query by text embeds it";

/// The distance of `a` and `b` as Chroma computes it, in float32: `l2` squared, `cosine` 1 - cosine, `ip` 1 - dot product. A vector of
/// zeros is at cosine distance 1 of every other.
#[pg_extern(sql = r#"
DO $distance$
DECLARE
    vector pg_catalog.text := (
        SELECT pg_catalog.quote_ident(n.nspname)
          FROM pg_catalog.pg_extension e
          JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
         WHERE e.extname OPERATOR(pg_catalog.=) 'vector') OPERATOR(pg_catalog.||) '.vector';
BEGIN
    EXECUTE 'CREATE FUNCTION @extschema@.chroma_distance(a ' OPERATOR(pg_catalog.||) vector
        OPERATOR(pg_catalog.||) ', b ' OPERATOR(pg_catalog.||) vector
        OPERATOR(pg_catalog.||) $sql$, space pg_catalog.text) RETURNS pg_catalog.float8
            LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
            AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@' $sql$;
END
$distance$;
"#)]
fn chroma_distance(a: VectorArg, b: VectorArg, space: &str) -> Result<f64, ErrorReport> {
    let space = query::space(space)?;
    if a.0.len() != b.0.len() {
        return Err(Error::DifferentDimensions(a.0.len(), b.0.len()).into());
    }
    Ok(f64::from(distance::chroma_distance(space, &a.0, &b.0)))
}

/// The rows of a table nearest to a vector, as `collection.query` answers. `filter`: Chroma's `where`; `document_filter`: its
/// `where_document`; `space`: the distance, by default what a run wrote down for the table, else its index's, else cosine.
#[pg_extern(sql = r#"
DO $query$
DECLARE
    vector pg_catalog.text := (
        SELECT pg_catalog.quote_ident(n.nspname)
          FROM pg_catalog.pg_extension e
          JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
         WHERE e.extname OPERATOR(pg_catalog.=) 'vector') OPERATOR(pg_catalog.||) '.vector';
BEGIN
    EXECUTE 'CREATE FUNCTION @extschema@.chroma_query(query ' OPERATOR(pg_catalog.||) vector
        OPERATOR(pg_catalog.||) $sql$, match_count pg_catalog.int4 DEFAULT 10, filter pg_catalog.jsonb DEFAULT NULL,
            document_filter pg_catalog.jsonb DEFAULT NULL, collection pg_catalog.text DEFAULT NULL,
            target pg_catalog.text DEFAULT 'content_vectors', space pg_catalog.text DEFAULT NULL)
            RETURNS TABLE (id pg_catalog.text, document pg_catalog.text, metadata pg_catalog.jsonb, uri pg_catalog.text,
                           distance pg_catalog.float8)
            LANGUAGE c VOLATILE PARALLEL UNSAFE
            AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@' $sql$;
END
$query$;
"#)]
fn chroma_query_vector(
    query: Option<VectorArg>,
    match_count: Option<i32>,
    filter: Option<JsonbText>,
    document_filter: Option<JsonbText>,
    collection: Option<String>,
    target: Option<&str>,
    space: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, Option<String>),
            name!(document, Option<String>),
            name!(metadata, Option<JsonbCopy>),
            name!(uri, Option<String>),
            name!(distance, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let VectorArg(vector) = query.ok_or(Error::NullArgument("query"))?;
    let filters = filters(filter, document_filter, collection);
    let query = Query::new(target, match_count, filters, space)?;
    query.check(
        || "the query".into(),
        vector.len(),
        "Query with a vector of the model that made those of the table.",
    )?;
    Ok(TableIterator::new(query.run(vector)?))
}

/// The same by a text, which is embedded.
#[pg_extern(name = "chroma_query", volatile, parallel_unsafe)]
fn chroma_query_text(
    query: Option<&str>,
    match_count: default!(Option<i32>, "10"),
    filter: default!(Option<JsonbText>, "NULL"),
    document_filter: default!(Option<JsonbText>, "NULL"),
    collection: default!(Option<String>, "NULL"),
    target: default!(Option<&str>, "'content_vectors'"),
    space: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, Option<String>),
            name!(document, Option<String>),
            name!(metadata, Option<JsonbCopy>),
            name!(uri, Option<String>),
            name!(distance, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let text = query.ok_or(Error::NullArgument("query"))?;
    check_text(text)?;
    let filters = filters(filter, document_filter, collection);
    let query = Query::new(target, match_count, filters, space)?;
    let (model, dimension) = model::describe(WHY)?;
    query.check(
        || format!("model \"{model}\""),
        usize::try_from(dimension).unwrap_or(usize::MAX),
        "Query with the model that made the vectors (vector_migrate.model_path), or with a vector of it.",
    )?;
    let vector = model::embed_query(WHY, text)?;
    Ok(TableIterator::new(query.run(vector)?))
}

/// Rows of a table, as `collection.get` shows them, in the order of their ids.
#[pg_extern(volatile, parallel_unsafe)]
fn chroma_get(
    ids: default!(Option<Vec<Option<String>>>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
    document_filter: default!(Option<JsonbText>, "NULL"),
    collection: default!(Option<String>, "NULL"),
    target: default!(Option<&str>, "'content_vectors'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, Option<String>),
            name!(document, Option<String>),
            name!(metadata, Option<JsonbCopy>),
            name!(uri, Option<String>),
            name!(embedding, Option<Vec<f32>>),
        ),
    >,
    ErrorReport,
> {
    let ids = ids.map(|ids| ids.into_iter().flatten().collect());
    let filters = filters(filter, document_filter, collection);
    let mut rows = Rows::of(target, ids, filters)?;
    Ok(TableIterator::new(std::iter::from_fn(move || {
        // An iterator cannot return an error: raised here, inside pgrx's guard.
        rows.next().map_err(ErrorReport::from).unwrap_or_report()
    })))
}

fn filters(
    filter: Option<JsonbText>,
    document_filter: Option<JsonbText>,
    collection: Option<String>,
) -> Filters {
    Filters {
        metadata: filter.map(|json| json.0),
        document: document_filter.map(|json| json.0),
        collection,
    }
}

/// A vector that was not cast is a text to SQL: embedded, its digits would be searched for.
fn check_text(text: &str) -> Result<(), Error> {
    let hint = match serde_json::from_str::<Vec<f64>>(text) {
        _ if text.trim().is_empty() => "Give a text to search for, or a vector.",
        Ok(values) if values.len() > 1 => "To query by a vector, cast it: '[1,2,3]'::vector.",
        _ => return Ok(()),
    };
    Err(Error::BadArgument {
        argument: "query",
        value: text.chars().take(60).collect(),
        hint: hint.into(),
    })
}
