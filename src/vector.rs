//! pgvector's `vector` as a function's argument and result.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::impl_sql_translatable;
use pgrx::{FromDatum, IntoDatum, pg_sys};
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

/// The components of an argument of pgvector's type `vector`.
#[derive(Debug, Default)]
pub struct VectorArg(pub Vec<f32>);

/// Bytes before the components: the header of a value of variable length, the dimensions, two unused bytes (`Vector` in
/// pgvector's vector.h).
const HEADERS: usize = 8;

impl FromDatum for VectorArg {
    // SAFETY: the caller (pgrx's callconv.rs) gives a datum of pgvector's type vector, as the SQL of the function declares.
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<VectorArg> {
        if is_null {
            return None;
        }
        // SAFETY: pg_detoast_datum (fmgr.c) gives the value with a header of four bytes, in one piece; VARSIZE_4B
        // (postgres.h) is the length of all of it. The bytes are copied at once.
        let bytes = unsafe {
            let value = pg_sys::pg_detoast_datum(datum.cast_mut_ptr());
            std::slice::from_raw_parts(value.cast::<u8>(), pgrx::varsize_4b(value))
        };
        let (components, _) = bytes.get(HEADERS..)?.as_chunks::<4>();
        let values = components.iter().map(|it| f32::from_ne_bytes(*it));
        Some(VectorArg(values.collect()))
    }
}

// SAFETY: arguments are taken by from_polymorphic_datum only, as in pgrx's own implementation for JsonB (callconv.rs).
unsafe impl<'fcx> ArgAbi<'fcx> for VectorArg {
    // SAFETY: the caller (pgrx's callconv.rs) hands over an argument of the type that the SQL of the function declares.
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> VectorArg {
        // SAFETY: unbox_arg_using_from_datum (pgrx's callconv.rs), of such an argument.
        let vector = unsafe { arg.unbox_arg_using_from_datum() };
        vector.unwrap_or_default()
    }

    // SAFETY: the caller (pgrx's callconv.rs) as above, for nullable arguments.
    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<VectorArg> {
        // SAFETY: unbox_arg_using_from_datum (pgrx's callconv.rs), of such an argument.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

impl_sql_translatable!(VectorArg, "vector");
