//! The ledger's own tables, as rows are loaded into them.

use pgrx::pg_sys;
use vector_migrate_core::encode::ColumnType;
use vector_migrate_core::reason::Rejection;

use super::owner::as_owner;
use crate::error::Error;
use crate::load::{self, Destination, LeftOut, LoadColumn};
use crate::spi;

/// An array of elements of this type.
pub(super) const fn array_of(element: pg_sys::BuiltinOid) -> ColumnType {
    ColumnType::Array {
        element: element as u32,
    }
}

/// Loads whole tuples of these columns, one behind the other, into the ledger's table `name`.
///
/// # Errors
/// [`Error::Bug`]; the server's own.
pub(super) fn write(
    name: &str,
    columns: &[(&'static str, ColumnType)],
    tuples: Vec<u8>,
) -> Result<(), Error> {
    let columns: Vec<LoadColumn> = columns
        .iter()
        .map(|&(name, ty)| LoadColumn {
            name: name.to_owned(),
            ty,
        })
        .collect();
    let tuples = [tuples];
    as_owner(|| {
        let oid = spi::read_one(
            "SELECT $1::pg_catalog.regclass::pg_catalog.oid",
            &[name.into()],
            |row| row.get::<pg_sys::Oid>(1),
        )?;
        let oid = oid.flatten();
        let oid = oid.ok_or_else(|| Error::Bug(format!("{name} is not there")))?;
        let way = load::choose(oid, &columns, &[], false, true);
        let to = Destination::new(
            (oid, name.to_owned()),
            columns,
            way,
            Vec::new(),
            LeftOut::default(),
            false,
        );
        to.load_tuples(&tuples)
    })?;
    Ok(())
}

/// The error of a value that the ledger cannot hold.
pub(super) fn too_long(rejection: Rejection) -> Error {
    Error::Bug(format!("ledger: {}", rejection.message))
}
