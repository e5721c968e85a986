//! What the role may do with a table, asked before anything is read.

use pgrx::pg_sys;

use super::Target;
use crate::error::Error;
use crate::spi;

/// INSERT on the table or on any of its columns: without it the role may not lock the table either.
///
/// # Errors
/// [`Error::NoPrivilege`].
pub fn check_may_insert(oid: pg_sys::Oid, name: &str) -> Result<(), Error> {
    let allowed = spi::look_up_one(
        "SELECT pg_catalog.has_any_column_privilege($1, 'INSERT')",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    // NULL: the table has gone meanwhile, as whoever looks for it again will see.
    if allowed.flatten() == Some(false) {
        return Err(missing_insert(name));
    }
    Ok(())
}

fn missing_insert(name: &str) -> Error {
    Error::NoPrivilege {
        target: name.to_owned(),
        needed: "INSERT on the columns that are filled",
    }
}

/// INSERT on the table or on each column: the functions by which rows go in directly do not ask.
///
/// # Errors
/// [`Error::NoPrivilege`].
pub fn check_insert_privilege(
    oid: pg_sys::Oid,
    name: &str,
    columns: Vec<String>,
) -> Result<(), Error> {
    let allowed = spi::look_up_one(
        "SELECT pg_catalog.has_table_privilege($1, 'INSERT') OR \
                pg_catalog.bool_and(pg_catalog.has_column_privilege($1, c, 'INSERT')) \
           FROM pg_catalog.unnest($2) AS c",
        &[oid.into(), columns.into()],
        |row| row.get::<bool>(1),
    )?;
    if allowed.flatten() == Some(true) {
        Ok(())
    } else {
        Err(missing_insert(name))
    }
}

/// Asks for what `on_conflict => 'update'` needs beyond INSERT: UPDATE of the content table's rows, DELETE
/// of the entity rows that are replaced.
///
/// # Errors
/// [`Error::NoPrivilege`].
pub fn check_update_privilege(target: &Target, privilege: &'static str) -> Result<(), Error> {
    let allowed = spi::look_up_one(
        "SELECT pg_catalog.has_table_privilege($1, 'SELECT') \
            AND pg_catalog.has_table_privilege($1, $2)",
        &[target.oid.into(), privilege.into()],
        |row| row.get::<bool>(1),
    )?;
    match allowed.flatten() {
        Some(true) => Ok(()),
        _ => Err(Error::NoPrivilege {
            target: target.name.clone(),
            needed: match privilege {
                "UPDATE" => "SELECT and UPDATE, as on_conflict is 'update'",
                _ => "SELECT and DELETE, as on_conflict is 'update'",
            },
        }),
    }
}
