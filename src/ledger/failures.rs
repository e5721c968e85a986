//! `run_errors`, written by COPY.

use pgrx::pg_sys;
use vector_migrate_core::encode::TupleBuffer;
use vector_migrate_core::reason::Rejection;

use crate::error::Error;
use crate::sink::copy_tuples;
use crate::spi;

/// A record that was not migrated.
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

pub(super) fn table(name: &str) -> Result<pg_sys::Oid, Error> {
    spi::read_one(
        "SELECT $1::pg_catalog.regclass::pg_catalog.oid",
        &[name.into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?
    .flatten()
    .ok_or_else(|| Error::Bug(format!("{name} is not there")))
}

pub(super) fn too_long(rejection: Rejection) -> Error {
    Error::Bug(format!("ledger: {}", rejection.message))
}

fn optional(out: &mut TupleBuffer, text: Option<&str>) -> Result<(), Rejection> {
    match text {
        Some(text) => out.field(text.as_bytes()),
        None => {
            out.null();
            Ok(())
        }
    }
}

/// Writes records that run `run` did not migrate.
///
/// # Errors
/// The server's own.
pub fn write_failures(run: i64, failures: &[FailedRecord]) -> Result<(), Error> {
    if failures.is_empty() {
        return Ok(());
    }
    let tuple = |failed: &FailedRecord| -> Result<Vec<u8>, Rejection> {
        let mut out = TupleBuffer::new(6);
        out.field(&run.to_be_bytes())?;
        out.field(storable(&failed.collection).as_bytes())?;
        out.field(storable(&failed.record_id).as_bytes())?;
        optional(&mut out, failed.user.as_deref().map(storable).as_deref())?;
        out.field(failed.rejection.reason.as_str().as_bytes())?;
        out.field(storable(&failed.rejection.message).as_bytes())?;
        Ok(out.into_bytes())
    };
    let mut tuples = Vec::with_capacity(failures.len());
    for failed in failures {
        tuples.push(tuple(failed).map_err(too_long)?);
    }
    copy_tuples(
        table("vector_migrate.run_errors")?,
        &[
            "run_id",
            "collection",
            "record_id",
            "user_id",
            "reason",
            "message",
        ],
        tuples.iter().map(Vec::as_slice),
    );
    Ok(())
}

/// The text with U+0000, which `text` cannot hold, shown as U+2400 (the symbol for it).
fn storable(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}
