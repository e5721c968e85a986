//! `embed_text` and `model_info`: the model of this server.
//!
//! The SQL of `embed_text` is written out: its result is the type of the extension vector, whatever the target schema has by
//! that name, and a script cannot name another extension's schema before PostgreSQL 16.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::Error;
use crate::model;
use crate::vector::PgVector;

/// What the error says if there is no model.
const WHY: &str = "text is to be embedded";

/// The embedding of `input`, as that of a stored text.
#[pg_extern(sql = r#"
DO $embed$
DECLARE
    vector pg_catalog.text := (
        SELECT pg_catalog.quote_ident(n.nspname)
          FROM pg_catalog.pg_extension e
          JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
         WHERE e.extname OPERATOR(pg_catalog.=) 'vector') OPERATOR(pg_catalog.||) '.vector';
BEGIN
    EXECUTE 'CREATE FUNCTION @extschema@.embed_text(input pg_catalog.text) RETURNS ' OPERATOR(pg_catalog.||) vector
        OPERATOR(pg_catalog.||) $sql$ LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
            AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@' $sql$;
END
$embed$;
"#)]
fn embed_text(input: &str) -> Result<PgVector, ErrorReport> {
    let vectors = model::embed(WHY, &[input])?;
    let vector = vectors
        .first()
        .ok_or_else(|| Error::Bug("the model gave no vector".into()))?;
    Ok(PgVector::new(vector)?)
}

/// The embedding of each of `inputs`, in order; NULL for NULL.
#[pg_extern(sql = r#"
DO $embed$
DECLARE
    vector pg_catalog.text := (
        SELECT pg_catalog.quote_ident(n.nspname)
          FROM pg_catalog.pg_extension e
          JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
         WHERE e.extname OPERATOR(pg_catalog.=) 'vector') OPERATOR(pg_catalog.||) '.vector';
BEGIN
    EXECUTE 'CREATE FUNCTION @extschema@.embed_text(inputs pg_catalog.text[]) RETURNS SETOF ' OPERATOR(pg_catalog.||) vector
        OPERATOR(pg_catalog.||) $sql$ LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
            AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@' $sql$;
END
$embed$;
"#)]
fn embed_texts(
    inputs: Vec<Option<String>>,
) -> Result<SetOfIterator<'static, Option<PgVector>>, ErrorReport> {
    let texts: Vec<&str> = inputs.iter().flatten().map(String::as_str).collect();
    let mut vectors = model::embed(WHY, &texts)?.into_iter();
    let mut results = Vec::with_capacity(inputs.len());
    for input in &inputs {
        results.push(match input {
            None => None,
            Some(_) => {
                let vector = vectors.next().unwrap_or_default();
                Some(PgVector::new(&vector)?)
            }
        });
    }
    Ok(SetOfIterator::new(results))
}

/// The embedding model of this server, one row. Loads it if it is installed; else all but `path` is NULL.
/// `loaded`: the session had it in memory already. `digest`: SHA-256 of its ONNX file, and of the files beside it whose
/// checksum that one does not state. `memory_bytes`: by how much loading it has enlarged this session's resident memory,
/// and the vectors kept for texts that come again; `private_bytes`: what of that is the session's own. `shared`: its
/// weights are in a file beside the ONNX file, of `shared_bytes`, whose pages all sessions share.
#[pg_extern(volatile, parallel_unsafe)]
fn model_info() -> Result<
    TableIterator<
        'static,
        (
            name!(path, String),
            name!(name, Option<String>),
            name!(digest, Option<String>),
            name!(dimension, Option<i32>),
            name!(pooling, Option<String>),
            name!(max_tokens, Option<i32>),
            name!(onnxruntime, Option<String>),
            name!(loaded, bool),
            name!(memory_bytes, Option<i64>),
            name!(shared, Option<bool>),
            name!(private_bytes, Option<i64>),
            name!(shared_bytes, Option<i64>),
        ),
    >,
    ErrorReport,
> {
    let info = model::info()?;
    Ok(TableIterator::once((
        info.path,
        info.name,
        info.digest,
        info.dimension,
        info.pooling,
        info.max_tokens,
        info.runtime,
        info.loaded,
        info.memory_bytes,
        info.shared,
        info.private_bytes,
        info.shared_bytes,
    )))
}
