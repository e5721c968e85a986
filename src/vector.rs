//! pgvector's `vector` as a function's result.

use std::ffi::c_int;

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::impl_sql_translatable;
use pgrx::{IntoDatum, pg_sys};
use vector_migrate_core::encode::{VectorType, encode_vector};

use crate::error::Error;
use crate::tables::Pgvector;

/// A value of pgvector's type `vector`.
#[derive(Debug)]
pub struct PgVector {
    /// The value as pgvector's receive function reads it.
    bytes: Vec<u8>,
    /// OID of the type in this database.
    oid: pg_sys::Oid,
}

impl PgVector {
    /// The vector of these components.
    ///
    /// # Errors
    /// [`Error::Bug`] if a model gave what pgvector cannot hold.
    pub fn new(values: &[f32], pgvector: &Pgvector) -> Result<PgVector, Error> {
        let any = VectorType {
            half: false,
            dimension: None,
        };
        let bytes = encode_vector(values, any).map_err(|e| Error::Bug(e.message))?;
        Ok(PgVector {
            bytes,
            oid: pgvector.vector,
        })
    }
}

impl IntoDatum for PgVector {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let length = c_int::try_from(self.bytes.len()).ok()?;
        // SAFETY: getTypeBinaryInputInfo (lsyscache.c) raises for a type that is gone; OidReceiveFunctionCall (fmgr.c) calls pgvector's
        // vector_recv (its vector.c), which reads a StringInfo of the bytes that encode_vector writes, checks them, and pallocs its result.
        unsafe {
            let (mut receive, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
            pg_sys::getTypeBinaryInputInfo(self.oid, &mut receive, &mut parameter);
            let buffer = pg_sys::makeStringInfo();
            pg_sys::appendBinaryStringInfo(buffer, self.bytes.as_ptr().cast(), length);
            Some(pg_sys::OidReceiveFunctionCall(
                receive, buffer, parameter, -1,
            ))
        }
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
