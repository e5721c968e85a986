//! `chroma_where` and `chroma_document`: Chroma's filters over tables.
//!
//! The SQL of `chroma_where` is written out: pgrx has no `jsonpath`. It is a function in SQL around one in C that gives the path's
//! text, parsed when it is created, so that whoever calls it needs no right on the schema of the other. It is created by EXECUTE
//! as pgspot, which reads the install script in `make lint`, does not know RETURN.

use std::cell::RefCell;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vector_migrate_core::filter::{DocumentFilter, Where};

use crate::error::Error;
use crate::interrupt;
use crate::jsonb::JsonbText;
use crate::run;

/// The text of the `jsonpath` that `chroma_where` returns.
#[pg_extern(sql = r#"
CREATE FUNCTION vector_migrate.where_text(filter pg_catalog.jsonb) RETURNS pg_catalog.text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
COMMENT ON FUNCTION vector_migrate.where_text(pg_catalog.jsonb) IS 'what chroma_where() is made of';
DO $where$
BEGIN
    EXECUTE 'CREATE FUNCTION @extschema@.chroma_where(filter pg_catalog.jsonb) RETURNS pg_catalog.jsonpath '
        'LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CAST(vector_migrate.where_text(filter) AS pg_catalog.jsonpath)';
END
$where$;
"#)]
fn where_text(filter: JsonbText) -> Result<String, ErrorReport> {
    let clause = Where::parse(&filter.0).and_then(|clause| clause.jsonpath());
    Ok(clause.map_err(|why| run::bad_filter(&filter.0, &why))?)
}

/// Whether Chroma's `where_document` finds a record of this document; NULL is one without. NULL for a filter that is NULL.
#[pg_extern(sql = r#"
CREATE FUNCTION chroma_document(document pg_catalog.text, filter pg_catalog.jsonb) RETURNS pg_catalog.bool
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
"#)]
fn chroma_document(
    document: Option<&str>,
    filter: Option<JsonbText>,
) -> Result<Option<bool>, ErrorReport> {
    let Some(JsonbText(filter)) = filter else {
        return Ok(None);
    };
    Ok(Some(document_matches(document, filter)?))
}

thread_local! {
    /// The last filter and its text: a scan asks the same of every row, and a regular expression takes long to compile.
    static LAST: RefCell<Option<(String, DocumentFilter)>> = const { RefCell::new(None) };
}

fn document_matches(document: Option<&str>, filter: String) -> Result<bool, Error> {
    LAST.with_borrow_mut(|last| {
        let fresh = match last.take() {
            Some((text, parsed)) if text == filter => (text, parsed),
            _ => {
                let parsed =
                    DocumentFilter::parse(&filter).map_err(|why| run::bad_filter(&filter, &why))?;
                (filter, parsed)
            }
        };
        Ok(last
            .insert(fresh)
            .1
            .matches_with(document, &mut interrupt::check))
    })
}
