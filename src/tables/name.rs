//! A table's name as a caller writes it, found or placed.

use pgrx::pg_sys;

use super::privileges::check_may_insert;
use crate::error::Error;
use crate::{interrupt, lock, spi};

/// Where a table is, or would be created.
#[derive(Debug, Clone)]
pub struct Place {
    /// The table; `None` if there is none yet.
    pub oid: Option<pg_sys::Oid>,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
}

impl Place {
    /// Qualified and quoted.
    pub fn qualified(&self) -> String {
        format!("{}.{}", spi::ident(&self.schema), spi::ident(&self.table))
    }
}

/// Looks `name` up as SQL would (folded unless quoted, by search_path unless qualified).
///
/// # Errors
/// The server's own for a name that is none; [`Error::NoSchema`] if it is neither there nor placeable.
pub fn find(name: &str) -> Result<Place, Error> {
    let there = spi::look_up_one(
        "SELECT c.oid, n.nspname::pg_catalog.text, c.relname::pg_catalog.text \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
             ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
          WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)",
        &[name.into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?,
                row.get::<String>(2)?,
                row.get::<String>(3)?,
            ))
        },
    )?;
    if let Some((oid, Some(schema), Some(table))) = there {
        return Ok(Place { oid, schema, table });
    }
    let parts = spi::look_up_one(
        "SELECT pg_catalog.parse_ident($1), pg_catalog.current_schema()::pg_catalog.text",
        &[name.into()],
        |row| Ok((row.get::<Vec<String>>(1)?, row.get::<String>(2)?)),
    )?;
    let (parts, current) = parts.unwrap_or_default();
    // NAMEDATALEN cuts what CREATE TABLE is given: do the same here, or the table would not be found.
    let cut = |part: &String| truncate(part, 63).to_owned();
    match (parts.unwrap_or_default().as_slice(), current) {
        ([table], Some(schema)) => Ok(Place {
            oid: None,
            schema,
            table: cut(table),
        }),
        ([schema, table], _) => Ok(Place {
            oid: None,
            schema: cut(schema),
            table: cut(table),
        }),
        ([_], None) => Err(Error::NoSchema(name.to_owned())),
        _ => Err(Error::BadArgument {
            argument: "target",
            value: name.to_owned(),
            hint: "Give a table's name, qualified by its schema or not.".into(),
        }),
    }
}

/// The name of the table, qualified and quoted; `None` if it is gone.
///
/// # Errors
/// The server's own.
pub fn named(table: pg_sys::Oid) -> Result<Option<String>, Error> {
    spi::look_up_one(
        "SELECT pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' \
                  OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname) \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
             ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
          WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[table.into()],
        |row| row.get::<String>(1),
    )
    .map(Option::flatten)
}

/// Looks `name` up and locks the table in `mode`: what is described afterwards stays so to the end of the transaction. Nothing
/// is locked where no table is, or where the role may not put rows into it.
///
/// # Errors
/// As [`find`]; [`Error::NoPrivilege`].
pub fn find_locked(name: &str, mode: lock::Mode) -> Result<Place, Error> {
    // The name may be another table's by the time that the lock is there: RangeVarGetRelidExtended (namespace.c) looks again,
    // too.
    loop {
        interrupt::check();
        let place = find(name)?;
        let Some(oid) = place.oid else {
            return Ok(place);
        };
        check_may_insert(oid, &place.qualified())?;
        if lock::hold(oid, mode) {
            let again = find(name)?;
            if again.oid == place.oid {
                return Ok(again);
            }
        }
    }
}

/// At most `limit` bytes of `text`, cut between characters.
fn truncate(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}
