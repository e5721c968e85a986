//! `run_errors`, written by COPY.

use std::borrow::Cow;

use pgrx::pg_sys;
use vector_migrate_core::encode::TupleBuffer;
use vector_migrate_core::reason::Rejection;

use crate::error::Error;
use crate::sink::copy_tuples;
use crate::spi;

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

/// Writes records that run `run` did not migrate.
///
/// # Errors
/// The server's own.
pub fn write_failures(run: i64, failures: &[FailedRecord]) -> Result<(), Error> {
    if failures.is_empty() {
        return Ok(());
    }
    let tuples = encode(run, failures).map_err(too_long)?;
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
        std::iter::once(tuples.as_slice()),
    );
    Ok(())
}

fn encode(run: i64, failures: &[FailedRecord]) -> Result<Vec<u8>, Rejection> {
    const FIELDS: i16 = 6;
    let mut out: Option<TupleBuffer> = None;
    for failed in failures {
        let out = match &mut out {
            Some(out) => {
                out.next_tuple(FIELDS);
                out
            }
            None => out.insert(TupleBuffer::new(FIELDS)),
        };
        out.field(&run.to_be_bytes())?;
        out.field(storable(&failed.collection).as_bytes())?;
        out.field(storable(&failed.record_id).as_bytes())?;
        match &failed.user {
            Some(user) => out.field(storable(user).as_bytes())?,
            None => out.null(),
        }
        out.field(failed.rejection.reason.as_str().as_bytes())?;
        out.field(storable(&failed.rejection.message).as_bytes())?;
    }
    Ok(out.map(TupleBuffer::into_bytes).unwrap_or_default())
}

/// The text with U+0000, which `text` cannot hold, shown as U+2400 (the symbol for it).
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{2400}"))
    } else {
        Cow::Borrowed(text)
    }
}
