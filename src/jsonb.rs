//! `jsonb` values as they are: an argument as its text, a table's value as a copy of its bytes.
//!
//! Promise: no value is too deep or too large a number. pgrx's `JsonB` parses each, and is an internal error where
//! serde_json gives up, at 128 levels.

use std::ffi::CStr;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::impl_sql_translatable;
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// A `jsonb` argument as text.
#[derive(Debug)]
pub struct JsonbText(pub String);

impl FromDatum for JsonbText {
    // SAFETY: the caller (pgrx's callconv.rs) gives a datum of type jsonb, as the SQL below declares.
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<JsonbText> {
        if is_null {
            return None;
        }
        // SAFETY: jsonb_out (jsonb.c) detoasts its argument itself and returns a terminated string that it palloc'ed, which is copied at
        // once; pgrx guards it, as every function of its bindings.
        let text =
            unsafe { pgrx::direct_function_call::<&CStr>(pg_sys::jsonb_out, &[Some(datum)])? };
        Some(JsonbText(text.to_string_lossy().into_owned()))
    }
}

// SAFETY: arguments are taken by from_polymorphic_datum only, as in pgrx's own implementation for JsonB (callconv.rs).
unsafe impl<'fcx> ArgAbi<'fcx> for JsonbText {
    // SAFETY: the caller (pgrx's callconv.rs) hands over an argument of the type that the SQL below declares.
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> JsonbText {
        // SAFETY: unbox_arg_using_from_datum (pgrx's callconv.rs), of such an argument.
        let text = unsafe { arg.unbox_arg_using_from_datum() };
        text.unwrap_or_else(|| JsonbText("null".to_owned()))
    }

    // SAFETY: the caller (pgrx's callconv.rs) as above, for nullable arguments.
    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<JsonbText> {
        // SAFETY: unbox_arg_using_from_datum (pgrx's callconv.rs), of such an argument.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

impl_sql_translatable!(JsonbText, "jsonb");

/// A `jsonb` value of a row, to be a function's result as it is.
#[derive(Debug)]
pub struct JsonbCopy(Vec<u8>);

impl FromDatum for JsonbCopy {
    // SAFETY: the caller (pgrx's SPI, spi/tuple.rs) gives a datum of type jsonb, which type_oid below is asked for.
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<JsonbCopy> {
        if is_null {
            return None;
        }
        // SAFETY: pg_detoast_datum (fmgr.c) gives the value with a header of four bytes, in one piece; VARSIZE_4B
        // (postgres.h) is the length of all of it. The bytes are copied before the row goes.
        unsafe {
            let value = pg_sys::pg_detoast_datum(datum.cast_mut_ptr());
            let bytes = std::slice::from_raw_parts(value.cast::<u8>(), pgrx::varsize_4b(value));
            Some(JsonbCopy(bytes.to_vec()))
        }
    }
}

impl IntoDatum for JsonbCopy {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(crate::image::copied(&self.0))
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: the bytes are those of a jsonb value (jsonb.c's own), as from_polymorphic_datum took them.
unsafe impl BoxRet for JsonbCopy {
    // SAFETY: the caller (pgrx's callconv.rs) hands the datum to the server as the function's result.
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: return_raw_datum (pgrx's callconv.rs) takes a datum of the declared type.
        unsafe { fcinfo.return_raw_datum(crate::image::copied(&self.0)) }
    }
}

impl_sql_translatable!(JsonbCopy, "jsonb");
