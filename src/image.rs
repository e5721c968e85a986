//! Values that the reader's thread has made ready, as a function's results: copied, not made from text.

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::impl_sql_translatable;
use pgrx::{IntoDatum, pg_sys};
use vector_migrate_core::encode::{JsonbImage, RealsImage};

/// A `jsonb` value.
#[derive(Debug)]
pub struct Jsonb(pub JsonbImage);

/// A `real[]` value.
#[derive(Debug)]
pub struct Reals(pub RealsImage);

/// A copy of `image` in the current memory context.
pub fn copied(image: &[u8]) -> pg_sys::Datum {
    // SAFETY: palloc (mcxt.c) gives room for as many bytes as are copied, or raises; what it gives is new, so the two do not overlap.
    unsafe {
        let place = pg_sys::palloc(image.len());
        std::ptr::copy_nonoverlapping(image.as_ptr(), place.cast(), image.len());
        pg_sys::Datum::from(place)
    }
}

macro_rules! result {
    ($image:ident, $oid:expr, $sql:literal) => {
        impl IntoDatum for $image {
            fn into_datum(self) -> Option<pg_sys::Datum> {
                Some(copied(self.0.bytes()))
            }

            fn type_oid() -> pg_sys::Oid {
                $oid
            }
        }

        // SAFETY: BoxRet (pgrx's callconv.rs) wants a datum of the type that the SQL below declares: only the core's encoder makes images.
        unsafe impl BoxRet for $image {
            // SAFETY: BoxRet (pgrx's callconv.rs): the caller hands the datum to the server as the function's result.
            unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
                // SAFETY: return_raw_datum (pgrx's callconv.rs) takes a datum of the declared type.
                unsafe { fcinfo.return_raw_datum(copied(self.0.bytes())) }
            }
        }

        impl_sql_translatable!($image, $sql);
    };
}

result!(Jsonb, pg_sys::JSONBOID, "jsonb");
result!(Reals, pg_sys::FLOAT4ARRAYOID, "real[]");
