//! Binary tuples as arrays, one a column: for INSERT and UPDATE from `unnest`, where COPY cannot serve.

use std::ffi::c_int;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use vector_migrate_core::encode::TableColumn;

use crate::error::Error;
use crate::tables::{Filler, Target};
use crate::{pg, spi};

/// The fields of a tuple's bytes, without the field count; `None` is NULL.
fn fields(mut bytes: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let mut fields = Vec::new();
    bytes = bytes.get(2..)?;
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        bytes = rest;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => fields.push(None),
            Ok(length) => {
                fields.push(Some(bytes.get(..length)?));
                bytes = bytes.get(length..)?;
            }
        }
    }
    Some(fields)
}

/// One array of each column, of these types as SQL, in order, from whole tuples; see [`relation`].
/// Types that no array can have as elements (arrays) come as text.
///
/// # Errors
/// [`Error::Bug`] if a tuple does not have these columns. The types' own errors are raised.
pub fn arrays(types: &[String], tuples: &[Vec<u8>]) -> Result<Vec<DatumWithOid<'static>>, Error> {
    let broken = || Error::Bug("an encoded tuple does not have the table's columns".into());
    let mut columns: Vec<Vec<Option<&[u8]>>> = vec![Vec::new(); types.len()];
    for tuple in tuples {
        let fields = fields(tuple)
            .filter(|f| f.len() == columns.len())
            .ok_or_else(broken)?;
        for (column, field) in columns.iter_mut().zip(fields) {
            column.push(field);
        }
    }
    let types = column_types(types)?;
    columns
        .iter()
        .zip(types)
        .map(|(column, ty)| pg::receiving_utf8(|| array(column, ty)).ok_or_else(broken))
        .collect()
}

fn column_types(types: &[String]) -> Result<Vec<pg_sys::Oid>, Error> {
    spi::read(
        "SELECT t::pg_catalog.regtype::pg_catalog.oid \
           FROM pg_catalog.unnest($1) WITH ORDINALITY AS u(t, n) ORDER BY n",
        &[types.to_vec().into()],
        |row| Ok(row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid)),
    )
}

fn array(column: &[Option<&[u8]>], ty: pg_sys::Oid) -> Option<DatumWithOid<'static>> {
    let mut values = Vec::with_capacity(column.len());
    let mut nulls = Vec::with_capacity(column.len());
    // SAFETY: a look at the catalog, which knows `ty`.
    let array_type = unsafe { pg_sys::get_array_type(ty) };
    let as_text = array_type == pg_sys::InvalidOid;
    // SAFETY: `ty` is a type of the catalog; its receive function gets the bytes that COPY would give it,
    // in a StringInfo that it may read to its end, and results live in the current memory context; its output
    // function gets what it received.
    unsafe {
        let mut receive = pg_sys::InvalidOid;
        let mut parameter = pg_sys::InvalidOid;
        pg_sys::getTypeBinaryInputInfo(ty, &mut receive, &mut parameter);
        let mut function: pg_sys::FmgrInfo = std::mem::zeroed();
        pg_sys::fmgr_info(receive, &mut function);
        let mut output = pg_sys::InvalidOid;
        let mut varlena = false;
        pg_sys::getTypeOutputInfo(ty, &mut output, &mut varlena);
        for field in column {
            nulls.push(field.is_none());
            values.push(match field {
                None => pg_sys::Datum::from(0),
                Some(bytes) => {
                    let buffer = pg_sys::makeStringInfo();
                    pg_sys::appendBinaryStringInfo(
                        buffer,
                        bytes.as_ptr().cast(),
                        c_int::try_from(bytes.len()).ok()?,
                    );
                    let value = pg_sys::ReceiveFunctionCall(&mut function, buffer, parameter, -1);
                    if as_text {
                        let text = pg_sys::OidOutputFunctionCall(output, value);
                        pg_sys::Datum::from(pg_sys::cstring_to_text(text))
                    } else {
                        value
                    }
                }
            });
        }
    }
    let (ty, array_type) = if as_text {
        (pg_sys::TEXTOID, pg_sys::TEXTARRAYOID)
    } else {
        (ty, array_type)
    };
    let mut length: i16 = 0;
    let mut by_value = false;
    let mut alignment: std::ffi::c_char = 0;
    let mut dimensions = [c_int::try_from(column.len()).ok()?];
    let mut lower = [1];
    // SAFETY: values and nulls have as many elements as `dimensions` says; the element type's storage is
    // asked of the catalog; the array is copied into the current memory context.
    unsafe {
        pg_sys::get_typlenbyvalalign(ty, &mut length, &mut by_value, &mut alignment);
        let array = pg_sys::construct_md_array(
            values.as_mut_ptr(),
            nulls.as_mut_ptr(),
            1,
            dimensions.as_mut_ptr(),
            lower.as_mut_ptr(),
            ty,
            c_int::from(length),
            by_value,
            alignment,
        );
        Some(DatumWithOid::new(pg_sys::Datum::from(array), array_type))
    }
}

/// [`arrays`], given as the parameters from 1 on, as relation `u` with columns of these names.
pub fn relation(names: &[&str]) -> String {
    let placeholders: Vec<_> = (1..=names.len()).map(|n| format!("${n}")).collect();
    let columns: Vec<_> = names.iter().map(|name| spi::ident(name)).collect();
    format!(
        "unnest({}) AS u({})",
        placeholders.join(", "),
        columns.join(", ")
    )
}

/// Column `name` of [`relation`] as a value of its type.
pub fn value(name: &str, ty: &str) -> String {
    format!("u.{}::{ty}", spi::ident(name))
}

/// Inserts whole tuples by SQL; gives the number of rows that the server says it stored. `fillers`: columns behind the
/// target's own for which the tuples have numbers.
///
/// # Errors
/// [`Error::Bug`]; the server's own are raised.
pub fn insert_tuples<C: TableColumn>(
    target: &Target<C>,
    fillers: &[Filler],
    tuples: &[Vec<u8>],
) -> Result<u64, Error> {
    let filled = fillers.iter().map(|filler| filler.name.as_str());
    let names: Vec<&str> = target.names().into_iter().chain(filled).collect();
    let filled = fillers.iter().map(|filler| filler.sql_type().to_owned());
    let types: Vec<String> = target.types.iter().cloned().chain(filled).collect();
    let arrays = arrays(&types, tuples)?;
    let columns: Vec<_> = names.iter().map(|name| spi::ident(name)).collect();
    let values: Vec<_> = names
        .iter()
        .zip(&types)
        .map(|(name, ty)| value(name, ty))
        .collect();
    let overriding = match fillers {
        [] => "",
        _ => "OVERRIDING SYSTEM VALUE ",
    };
    spi::write(
        &format!(
            "INSERT INTO {} ({}) {overriding}SELECT {} FROM {}",
            target.name,
            columns.join(", "),
            values.join(", "),
            relation(&names)
        ),
        &arrays,
    )
}
