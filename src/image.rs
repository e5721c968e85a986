//! Values that the reader's thread has made ready, as a function's results.

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::impl_sql_translatable;
use pgrx::{IntoDatum, pg_sys};

/// A `jsonb` value, made by `vector_migrate_core::encode::jsonb_image`.
#[derive(Debug)]
pub struct Jsonb(pub Vec<u8>);

/// A `real[]` value, made by `vector_migrate_core::encode::reals_image`.
#[derive(Debug)]
pub struct Reals(pub Vec<u8>);

/// A copy of `image` in the current memory context.
fn copied(image: &[u8]) -> pg_sys::Datum {
    // SAFETY: palloc gives room for as many bytes as are copied, or raises an error; the two do not overlap.
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
                Some(copied(&self.0))
            }

            fn type_oid() -> pg_sys::Oid {
                $oid
            }
        }

        // SAFETY: the datum that into_datum makes is of the type that the SQL below declares.
        unsafe impl BoxRet for $image {
            // SAFETY: the caller hands the datum to the server as the function's result, as the trait demands.
            unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
                // SAFETY: as above.
                unsafe { fcinfo.return_raw_datum(copied(&self.0)) }
            }
        }

        impl_sql_translatable!($image, $sql);
    };
}

result!(Jsonb, pg_sys::JSONBOID, "jsonb");
result!(Reals, pg_sys::FLOAT4ARRAYOID, "real[]");
