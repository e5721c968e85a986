//! `run_errors`.

use std::borrow::Cow;

use vector_migrate_core::encode::{ColumnType, TupleBuffer};
use vector_migrate_core::reason::Rejection;

use super::table::{too_long, write};
use crate::error::Error;

/// The columns, as rows fill them.
const COLUMNS: [(&str, ColumnType); 6] = [
    ("run_id", ColumnType::Int8),
    ("collection", ColumnType::Text),
    ("record_id", ColumnType::Text),
    ("user_id", ColumnType::Text),
    ("reason", ColumnType::Text),
    ("message", ColumnType::Text),
];

/// A record that was not migrated, or a remark about one that was.
#[derive(Debug)]
pub struct FailedRecord {
    /// Its collection.
    pub collection: String,
    /// Its id.
    pub record_id: String,
    /// Its owner, as far as known.
    pub user: Option<String>,
    /// Why.
    pub rejection: Rejection,
}

/// Writes records that run `run` did not migrate.
///
/// # Errors
/// The server's own.
pub fn write_failures(run: i64, failures: &[FailedRecord]) -> Result<(), Error> {
    if failures.is_empty() {
        return Ok(());
    }
    let tuples = encode(run, failures).map_err(too_long)?;
    write("vector_migrate.run_errors", &COLUMNS, tuples.into_bytes())
}

fn encode(run: i64, failures: &[FailedRecord]) -> Result<TupleBuffer, Rejection> {
    let mut out = TupleBuffer::behind(Vec::new());
    for failed in failures {
        out.begin(COLUMNS.len());
        out.field(&run.to_ne_bytes())?;
        out.text(Some(&storable(&failed.collection)))?;
        out.text(Some(&storable(&failed.record_id)))?;
        out.text(failed.user.as_deref().map(storable).as_deref())?;
        out.text(Some(failed.rejection.reason.as_str()))?;
        out.text(Some(&storable(&failed.rejection.message)))?;
    }
    Ok(out)
}

/// The text with U+0000, which `text` cannot hold, shown as U+2400 (the symbol for it).
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{2400}"))
    } else {
        Cow::Borrowed(text)
    }
}
