//! A tuple as the reader has written it, as the values of a table's row.

use pgrx::prelude::*;
use pgrx::{PgRelation, pg_sys};
use vector_migrate_core::encode::{ColumnType, varlena};

use super::conversion::{Conversion, Domain, Input};
use super::sequence::Numbers;
use super::{Destination, LoadColumn};

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// As a value of variable length, header and all.
    Whole,
    /// As a value of fixed length that is passed by reference, behind the header.
    Bytes,
    /// As a number that is passed by value, behind the header.
    Number,
}

/// A field of a tuple: the column it goes to, and how.
#[derive(Debug)]
struct Field {
    /// Counted from 0.
    column: usize,
    written: Written,
    conversion: Conversion,
    domain: Option<Domain>,
}

/// Decodes the tuples of one load.
pub(super) struct Decoder<'d> {
    fields: Vec<Field>,
    /// The columns that get numbers, counted from 0.
    numbered: Vec<usize>,
    numbers: &'d Numbers,
    /// Columns of the table, dropped ones too.
    columns: usize,
}

impl<'d> Decoder<'d> {
    /// Looks up what the destination's columns need. For as long as the current memory context lives.
    ///
    /// # Errors
    /// Raised, if the table is another than was described: only this transaction itself can have changed it.
    pub fn new(relation: &PgRelation, to: &'d Destination) -> Decoder<'d> {
        let fields = to.columns.iter().map(|column| field(relation, column));
        let numbered = to
            .numbers
            .names()
            .map(|name| Some(column(relation, name)?.0));
        let (Some(fields), Some(numbered)) = (fields.collect(), numbered.collect()) else {
            ereport!(
                ERROR,
                PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
                format!("{} was altered while rows were put into it", to.name)
            );
        };
        Decoder {
            fields,
            numbered,
            numbers: &to.numbers,
            columns: relation.tuple_desc().len(),
        }
    }

    /// Columns of the table, dropped ones too: as many values and nulls a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether the column, counted from 0, gets a value from here.
    pub fn fills(&self, column: usize) -> bool {
        self.fields.iter().any(|field| field.column == column) || self.numbered.contains(&column)
    }

    /// Writes the values of the tuple at `at`; where that ends, or `None` if it is not whole, or not at a multiple of four bytes. What does not lie in `piece` is
    /// in the current memory context.
    ///
    /// # Safety
    /// On the backend's thread, in the lifetime of [`Decoder::new`]. The values are used while `piece` is there.
    pub unsafe fn decode(
        &self,
        piece: &[u8],
        at: usize,
        values: &mut [pg_sys::Datum],
        nulls: &mut [bool],
    ) -> Option<usize> {
        if !piece.as_ptr().addr().is_multiple_of(4) {
            return None;
        }
        let word = |at: usize| piece.get(at..)?.first_chunk::<4>().copied();
        if usize::try_from(i32::from_ne_bytes(word(at)?)).ok()? != self.fields.len() {
            return None;
        }
        nulls.fill(true);
        let mut at = at + 4;
        for field in &self.fields {
            let header = word(at)?;
            let mut value = pg_sys::Datum::from(0);
            let null = header == [0; 4];
            if null {
                at += 4;
            } else {
                let whole = piece.get(at..at.checked_add(varlena::total(header))?)?;
                let bytes = whole.get(4..)?;
                let written = match field.written {
                    Written::Whole => pg_sys::Datum::from(whole.as_ptr()),
                    Written::Bytes => pg_sys::Datum::from(bytes.as_ptr()),
                    Written::Number => number(bytes)?,
                };
                // SAFETY: as this function's own: SET_VARSIZE_4B (varatt.h) is what the header is made by, and the value is whole
                // within `piece`.
                value = unsafe { field.conversion.apply(written) };
                at = (at + whole.len()).next_multiple_of(4);
            }
            if let Some(domain) = &field.domain {
                // SAFETY: as this function's own; domain_check (domains.c) takes a value of the base type, which it is.
                unsafe { domain.check(value, null) };
            }
            *values.get_mut(field.column)? = value;
            *nulls.get_mut(field.column)? = null;
        }
        for (column, number) in self.numbered.iter().zip(self.numbers.next()) {
            *values.get_mut(*column)? = number;
            *nulls.get_mut(*column)? = false;
        }
        Some(at)
    }
}

/// A number as it is passed by value.
fn number(bytes: &[u8]) -> Option<pg_sys::Datum> {
    Some(match *bytes {
        [byte] => pg_sys::Datum::from(byte),
        [a, b] => pg_sys::Datum::from(i16::from_ne_bytes([a, b])),
        [a, b, c, d] => pg_sys::Datum::from(i32::from_ne_bytes([a, b, c, d])),
        _ => pg_sys::Datum::from(i64::from_ne_bytes(bytes.try_into().ok()?)),
    })
}

/// The column of this name: where it is, counted from 0, its type and its modifier.
fn column(relation: &PgRelation, name: &str) -> Option<(usize, pg_sys::Oid, i32)> {
    let there = relation.tuple_desc();
    let mut columns = there.iter().enumerate();
    let (at, column) = columns.find(|(_, it)| !it.attisdropped && it.name() == name)?;
    Some((at, column.atttypid, column.atttypmod))
}

/// What becomes of a field; `None` if the column is gone or has another type than it is written for.
fn field(relation: &PgRelation, wanted: &LoadColumn) -> Option<Field> {
    let (column, ty, mut modifier) = column(relation, &wanted.name)?;
    // SAFETY: getBaseTypeAndTypmod, get_typbyval and get_element_type (lsyscache.c) look at the catalog, which knows a column's
    // type; the first leaves the modifier alone if it is no domain's.
    let (base, by_value, element) = unsafe {
        let base = pg_sys::getBaseTypeAndTypmod(ty, &mut modifier);
        (
            base,
            pg_sys::get_typbyval(base),
            pg_sys::get_element_type(base),
        )
    };
    let value = |written, fits: bool| fits.then(|| (written, Conversion::of_value(base, modifier)));
    let (written, conversion) = match wanted.ty {
        ColumnType::Text => match base {
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID => value(Written::Whole, true),
            _ => Some((Written::Whole, Conversion::Text(Input::of(base, modifier)))),
        },
        // What the reader writes into it is JSON.
        ColumnType::Json => value(Written::Whole, base == pg_sys::JSONOID),
        ColumnType::Jsonb => value(Written::Whole, base == pg_sys::JSONBOID),
        // The one type of that name, whose modifier the reader has compared with its vectors.
        ColumnType::Vector | ColumnType::HalfVec => Some((Written::Whole, Conversion::None)),
        ColumnType::Array { element: wanted } => {
            value(Written::Whole, u32::from(element) == wanted)
        }
        ColumnType::Oid => value(
            Written::Number,
            matches!(base, pg_sys::OIDOID | pg_sys::REGCLASSOID),
        ),
        ColumnType::Uuid => value(Written::Bytes, base == pg_sys::UUIDOID),
        ColumnType::Bool => value(Written::Number, base == pg_sys::BOOLOID),
        ColumnType::Int2 => value(Written::Number, base == pg_sys::INT2OID),
        ColumnType::Int4 => value(Written::Number, base == pg_sys::INT4OID),
        ColumnType::Int8 => value(Written::Number, base == pg_sys::INT8OID),
        ColumnType::Float4 => value(Written::Number, base == pg_sys::FLOAT4OID),
        ColumnType::Numeric => value(Written::Whole, base == pg_sys::NUMERICOID),
        ColumnType::Float8 => value(Written::Number, base == pg_sys::FLOAT8OID),
        ColumnType::Timestamp => value(Written::Number, base == pg_sys::TIMESTAMPOID),
        ColumnType::TimestampTz => value(Written::Number, base == pg_sys::TIMESTAMPTZOID),
        ColumnType::Date => value(Written::Number, base == pg_sys::DATEOID),
    }?;
    // Where 64 bits do not fit into a Datum, they are passed by reference.
    let passed =
        matches!(conversion, Conversion::Text(_)) || by_value == (written == Written::Number);
    passed.then(|| Field {
        column,
        written,
        conversion,
        domain: (base != ty).then(|| Domain::new(ty)),
    })
}
