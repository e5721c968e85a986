//! Where pgvector is in this database.

use pgrx::pg_sys;

use crate::error::Error;
use crate::spi;

/// pgvector's schema and types.
#[derive(Debug, Clone)]
pub struct Pgvector {
    /// Its schema, quoted.
    pub schema: String,
    /// OID of the type `vector`.
    pub vector: pg_sys::Oid,
    /// OID of the type `halfvec`; `None` before pgvector 0.7.
    pub halfvec: Option<pg_sys::Oid>,
    /// Its version, as the catalog of extensions has it.
    pub version: String,
}

impl Pgvector {
    /// Looks the extension up.
    ///
    /// # Errors
    /// [`Error::Bug`] if it is not there, which `requires` in the control file rules out.
    pub fn find() -> Result<Pgvector, Error> {
        let found = spi::look_up_one(
            "SELECT n.nspname::pg_catalog.text, v.oid, h.oid, e.extversion \
               FROM pg_catalog.pg_extension e \
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace \
               JOIN pg_catalog.pg_type v ON v.typnamespace OPERATOR(pg_catalog.=) n.oid \
                AND v.typname OPERATOR(pg_catalog.=) 'vector' \
               LEFT JOIN pg_catalog.pg_type h ON h.typnamespace OPERATOR(pg_catalog.=) n.oid \
                AND h.typname OPERATOR(pg_catalog.=) 'halfvec' \
              WHERE e.extname OPERATOR(pg_catalog.=) 'vector'",
            &[],
            |row| {
                Ok((
                    row.get::<String>(1)?,
                    row.get::<pg_sys::Oid>(2)?,
                    row.get::<pg_sys::Oid>(3)?,
                    row.get::<String>(4)?,
                ))
            },
        )?;
        match found {
            Some((Some(schema), Some(vector), halfvec, version)) => Ok(Pgvector {
                schema: spi::ident(&schema),
                vector,
                halfvec,
                version: version.unwrap_or_default(),
            }),
            _ => Err(Error::Bug("extension vector is not installed".into())),
        }
    }
}
