//! Plain tables: those for whose rows nothing is to be done before they are in, so that they may go in without COPY (see `heap`).
//!
//! Foreign keys, and all that AFTER ROW triggers do, come after the rows. Other triggers, partitions, generated columns,
//! defaults that might read the table, and types that the reader does not write as a table keeps them are COPY's.

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
    /// What its column's modifier asks for.
    pub coercion: Option<Coercion>,
}

/// A type's own function for its modifier, as the n of varchar(n): it raises, cuts or pads as with COPY.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coercion {
    /// The function: a value, the modifier, and perhaps whether it is a cast.
    pub function: pg_sys::Oid,
    /// The modifier.
    pub modifier: i32,
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
        if attribute.attgenerated != 0 || (!filled && !is_filled(relation, attribute)) {
            return None;
        }
    }
    columns.iter().map(|it| field(&there, it)).collect()
}

/// Whether a column that is left out can be filled without COPY: with NULL, or with a default that cannot see how far the
/// rows have come.
fn is_filled(relation: &PgRelation, attribute: &pg_sys::FormData_pg_attribute) -> bool {
    // SAFETY: get_typtype (lsyscache.c) looks at the catalog, which knows a column's type.
    let kind = unsafe { pg_sys::get_typtype(attribute.atttypid) };
    // Its type may refuse NULL.
    if kind == pg_sys::TYPTYPE_DOMAIN as std::ffi::c_char {
        return false;
    }
    // SAFETY: build_column_default (rewriteHandler.c) and the walk over its result (clauses.c) take a column of an open
    // relation; the expression is in the current memory context. BeginCopyFrom (copyfrom.c) asks the same.
    unsafe {
        let default = pg_sys::build_column_default(relation.as_ptr(), attribute.attnum.into());
        default.is_null() || !pg_sys::contain_volatile_functions_not_nextval(default)
    }
}

/// Where a column's field goes; `None` if its value is not written as the table has it.
fn field<C: TableColumn>(there: &PgTupleDesc<'_>, wanted: &Column<C>) -> Option<Field> {
    let (column, attribute) = there
        .iter()
        .enumerate()
        .find(|(_, it)| !it.attisdropped && it.name() == wanted.column.name())?;
    let ty = attribute.atttypid;
    let (value, fits) = match wanted.ty {
        ColumnType::Text => (
            Value::Whole,
            matches!(ty, pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID),
        ),
        // What the reader writes into it is JSON.
        ColumnType::Json => (Value::Whole, ty == pg_sys::JSONOID),
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
        ColumnType::Timestamp => (Value::Number, ty == pg_sys::TIMESTAMPOID),
        ColumnType::TimestampTz => (Value::Number, ty == pg_sys::TIMESTAMPTZOID),
        ColumnType::Date => (Value::Number, ty == pg_sys::DATEOID),
        ColumnType::TextArray { .. } => return None,
    };
    // Where 64 bits do not fit into a Datum, they are passed by reference.
    let passed = attribute.attbyval == (value == Value::Number);
    let coercion = match wanted.ty {
        // The reader has compared it with its vectors.
        ColumnType::Vector | ColumnType::HalfVec => None,
        _ => coercion(attribute),
    };
    (fits && passed).then_some(Field {
        column,
        value,
        coercion,
    })
}

fn coercion(attribute: &pg_sys::FormData_pg_attribute) -> Option<Coercion> {
    let modifier = attribute.atttypmod;
    if modifier < 0 {
        return None;
    }
    let mut function = pg_sys::InvalidOid;
    // SAFETY: find_typmod_coercion_function (parse_coerce.c) looks at the catalog, which knows a column's type.
    let path = unsafe { pg_sys::find_typmod_coercion_function(attribute.atttypid, &mut function) };
    let is_function = path == pg_sys::CoercionPathType::COERCION_PATH_FUNC;
    is_function.then_some(Coercion { function, modifier })
}
