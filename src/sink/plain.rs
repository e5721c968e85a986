//! Plain tables: those that have nothing to do for a row but to take it, so that it may go in without COPY (see `heap`).
//!
//! Triggers, partitions, defaults that rows do not fill, and types that the reader does not write as a table keeps them
//! are COPY's.

use pgrx::{PgRelation, PgTupleDesc, pg_sys};
use vector_migrate_core::encode::{Column, ColumnType, TableColumn};

use crate::tables::Target;
use crate::{lock, pg};

/// How a field becomes the table's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// It is one, header and all.
    Whole,
    /// Its bytes are, without the header: a type of fixed length that is passed by reference.
    Bytes,
    /// A number, big-endian, of a type that is passed by value.
    Number,
}

/// A field of a tuple: the column it goes to, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Counted from 0.
    pub column: usize,
    /// How its value is written.
    pub value: Value,
}

/// Whether rows of these columns can go straight into the table.
///
/// # Errors
/// The server's own are raised.
pub fn takes<C: TableColumn>(target: &Target<C>) -> bool {
    fields(&lock::open_for_writing(target.oid), &target.columns).is_some()
}

/// The tuple's fields, if the table is a plain one and has nothing to do but to take them.
pub(super) fn fields<C: TableColumn>(
    relation: &PgRelation,
    columns: &[Column<C>],
) -> Option<Vec<Field>> {
    // SAFETY: an open relation's descriptors are valid for as long as it is open.
    let (class, triggers) = unsafe { (&*relation.rd_rel, relation.trigdesc.as_ref()) };
    let idle = triggers.is_none_or(|it| {
        !(it.trig_insert_before_row
            || it.trig_insert_after_row
            || it.trig_insert_instead_row
            || it.trig_insert_before_statement
            || it.trig_insert_after_statement
            || it.trig_insert_new_table)
    });
    let plain = class.relkind == pg_sys::RELKIND_RELATION as std::ffi::c_char
        && class.relam == pg_sys::HEAP_TABLE_AM_OID
        && !class.relispartition;
    if !plain || !idle || !pg::is_utf8() {
        return None;
    }
    let there = relation.tuple_desc();
    for attribute in there.iter().filter(|it| !it.attisdropped) {
        let filled = columns
            .iter()
            .any(|it| attribute.name() == it.column.name());
        if attribute.attgenerated != 0 || (!filled && has_default(attribute)) {
            return None;
        }
    }
    columns.iter().map(|it| field(&there, it)).collect()
}

/// Whether a column that is left out would get another value than NULL, or be checked by its type.
fn has_default(attribute: &pg_sys::FormData_pg_attribute) -> bool {
    // SAFETY: looks at the catalog, which knows a column's type.
    let (kind, default) = unsafe {
        (
            pg_sys::get_typtype(attribute.atttypid),
            pg_sys::get_typdefault(attribute.atttypid),
        )
    };
    let domain = kind == pg_sys::TYPTYPE_DOMAIN as std::ffi::c_char;
    attribute.atthasdef || attribute.attidentity != 0 || domain || !default.is_null()
}

/// Where a column's field goes; `None` if its value is not written as the table has it.
fn field<C: TableColumn>(there: &PgTupleDesc<'_>, wanted: &Column<C>) -> Option<Field> {
    let (column, attribute) = there
        .iter()
        .enumerate()
        .find(|(_, it)| !it.attisdropped && it.name() == wanted.column.name())?;
    let ty = attribute.atttypid;
    let free = attribute.atttypmod < 0;
    let (value, fits) = match wanted.ty {
        ColumnType::Text => (
            Value::Whole,
            ty == pg_sys::TEXTOID || (ty == pg_sys::VARCHAROID && free),
        ),
        ColumnType::Jsonb => (Value::Whole, ty == pg_sys::JSONBOID),
        // The one type of that name, whose modifier the reader has compared with its vectors; no domain over it.
        ColumnType::Vector | ColumnType::HalfVec => {
            // SAFETY: looks at the catalog, which knows a column's type.
            let kind = unsafe { pg_sys::get_typtype(ty) };
            (
                Value::Whole,
                kind == pg_sys::TYPTYPE_BASE as std::ffi::c_char,
            )
        }
        ColumnType::Uuid => (Value::Bytes, ty == pg_sys::UUIDOID),
        ColumnType::Int2 => (Value::Number, ty == pg_sys::INT2OID),
        ColumnType::Int4 => (Value::Number, ty == pg_sys::INT4OID),
        ColumnType::Int8 => (Value::Number, ty == pg_sys::INT8OID),
        ColumnType::Float8 => (Value::Number, ty == pg_sys::FLOAT8OID),
        ColumnType::Bool => (Value::Number, ty == pg_sys::BOOLOID),
        ColumnType::Timestamp => (Value::Number, ty == pg_sys::TIMESTAMPOID && free),
        ColumnType::TimestampTz => (Value::Number, ty == pg_sys::TIMESTAMPTZOID && free),
        ColumnType::Date => (Value::Number, ty == pg_sys::DATEOID),
        ColumnType::Json | ColumnType::TextArray { .. } => return None,
    };
    // Where 64 bits do not fit into a Datum, they are passed by reference.
    let passed = attribute.attbyval == (value == Value::Number);
    (fits && passed).then_some(Field { column, value })
}
