//! Chroma's own queries over a table: `collection.query` and `collection.get`.
//!
//! | file | what it is |
//! | --- | --- |
//! | `words` | what each column of a table has, by the ledger, by its columns, by their names |
//! | `shape` | id, document, metadata, URI and collection of a row, as SQL |
//! | `conditions` | which rows: filters, collection, ids |
//! | `nearest` | the rows nearest to a vector |
//! | `get` | rows by id, a few at a time |
//!
//! Promise: tables are read as the caller; values go in as parameters; no row is lost to an index that ends too early. Writes nothing.

mod conditions;
mod get;
mod nearest;
mod shape;
mod words;

use vector_migrate_core::record::Space;

pub use conditions::Filters;
pub use get::Rows;
pub use nearest::Query;

use crate::error::Error;
use crate::{spi, tables};

/// The distances that Chroma has, for an error message.
const SPACES: &str = "Chroma's distances are l2, cosine and ip.";

/// The distance that an argument `space` names.
///
/// # Errors
/// [`Error::BadArgument`] for any other word.
pub fn space(word: &str) -> Result<Space, Error> {
    Space::from_word(word).ok_or_else(|| Error::BadArgument {
        argument: "space",
        value: word.to_owned(),
        hint: SPACES.into(),
    })
}

/// Whether pgvector has `hnsw.iterative_scan`: since 0.8, once its library is loaded, as reading a vector does.
///
/// # Errors
/// The server's own.
pub fn scans_iteratively(schema: &str) -> Result<bool, Error> {
    spi::read_one(
        &format!("SELECT '[1]'::{schema}.vector IS NULL"),
        &[],
        |row| row.get::<bool>(1),
    )?;
    let there = spi::read_one(
        "SELECT pg_catalog.current_setting('hnsw.iterative_scan', true) IS NOT NULL",
        &[],
        |row| row.get::<bool>(1),
    )?;
    Ok(there.flatten() == Some(true))
}

/// The schema that this extension's functions are in, quoted.
fn own_schema() -> Result<String, Error> {
    let found = spi::look_up_one(
        "SELECT n.nspname::pg_catalog.text FROM pg_catalog.pg_extension e \
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace \
          WHERE e.extname OPERATOR(pg_catalog.=) 'vector_migrate'",
        &[],
        |row| row.get::<String>(1),
    )?;
    let schema = found.flatten();
    let schema = schema.ok_or_else(|| Error::Bug("the extension is not installed".into()))?;
    Ok(spi::ident(&schema))
}

/// The table that `target` names, and its name qualified and quoted.
fn table(target: Option<&str>) -> Result<(pgrx::pg_sys::Oid, String), Error> {
    let place = tables::find(target.ok_or(Error::NullArgument("target"))?)?;
    let name = place.qualified();
    let oid = place.oid.ok_or_else(|| Error::NoTable(name.clone()))?;
    Ok((oid, name))
}
