//! What a column refers to by a foreign key of its own.

use pgrx::pg_sys;

use crate::error::Error;
use crate::spi;

/// The column of a table that another column refers to.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The table.
    pub table: pg_sys::Oid,
    /// Its qualified and quoted name.
    pub name: String,
    /// The referenced column, as the catalog has it.
    pub column: String,
    /// That column's type, qualified.
    pub ty: String,
}

impl Reference {
    /// What a foreign key on the column `number` of `table` alone refers to; `None` if there is none.
    ///
    /// # Errors
    /// The server's own.
    pub fn of(table: pg_sys::Oid, number: i16) -> Result<Option<Reference>, Error> {
        let found = spi::look_up_one(
            "SELECT c.confrelid, \
                    pg_catalog.format('%I.%I', n.nspname, r.relname), \
                    a.attname::pg_catalog.text, \
                    pg_catalog.format('%I.%I', s.nspname, t.typname) \
               FROM pg_catalog.pg_constraint c \
               JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) c.confrelid \
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace \
               JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.confrelid \
                AND a.attnum OPERATOR(pg_catalog.=) c.confkey[1] \
               JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid \
               JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) t.typnamespace \
              WHERE c.conrelid OPERATOR(pg_catalog.=) $1 AND c.contype OPERATOR(pg_catalog.=) 'f' \
                AND c.conkey OPERATOR(pg_catalog.=) ARRAY[$2]::pg_catalog.int2[] \
              ORDER BY c.oid LIMIT 1",
            &[table.into(), number.into()],
            |row| {
                Ok((
                    row.get::<pg_sys::Oid>(1)?,
                    row.get::<String>(2)?,
                    row.get::<String>(3)?,
                    row.get::<String>(4)?,
                ))
            },
        )?;
        Ok(match found {
            Some((Some(table), Some(name), Some(column), Some(ty))) => Some(Reference {
                table,
                name,
                column,
                ty,
            }),
            _ => None,
        })
    }
}
