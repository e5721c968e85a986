//! pgvector's `vector` as a function's result.

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::impl_sql_translatable;
use pgrx::{IntoDatum, pg_sys};
use vector_migrate_core::encode::{VectorType, vector_image};

use crate::error::Error;
use crate::image::copied;

/// A value of pgvector's type `vector`.
#[derive(Debug)]
pub struct PgVector {
    /// The value as the server keeps it.
    image: Vec<u8>,
}

impl PgVector {
    /// The vector of these components.
    ///
    /// # Errors
    /// [`Error::Bug`] if a model gave what pgvector cannot hold.
    pub fn new(values: &[f32]) -> Result<PgVector, Error> {
        let any = VectorType {
            half: false,
            dimension: None,
            padded: false,
        };
        let image = vector_image(values, any).map_err(|e| Error::Bug(e.message))?;
        Ok(PgVector { image })
    }
}

impl IntoDatum for PgVector {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(copied(&self.image))
    }

    fn type_oid() -> pg_sys::Oid {
        // The OID differs from database to database; nothing asks for it without a value.
        pg_sys::InvalidOid
    }
}

// SAFETY: BoxRet (pgrx's callconv.rs) wants a datum of the type that the SQL below declares: into_datum makes one.
unsafe impl BoxRet for PgVector {
    // SAFETY: BoxRet (pgrx's callconv.rs): the caller hands the datum to the server as the function's result.
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: return_raw_datum (pgrx's callconv.rs) takes a datum of the declared type.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

impl_sql_translatable!(PgVector, "vector");
