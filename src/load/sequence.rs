//! Numbers for columns with a sequence, so that a dry run that tries rows in the table itself leaves the
//! sequence alone: sequences are not undone by a rollback.

use std::cell::Cell;

use pgrx::pg_sys;

/// A column that a dry run fills with numbers from the top of its type, where no sequence has come yet.
#[derive(Debug, Clone)]
pub struct SequenceSubstitute {
    /// The column.
    name: String,
    integer: Integer,
}

#[derive(Debug, Clone, Copy)]
enum Integer {
    Int2,
    Int4,
    Int8,
}

impl SequenceSubstitute {
    /// The substitute for the sequence of the column of this name and base type; `None` if that is no integer type.
    pub fn new(name: &str, base: pg_sys::Oid) -> Option<SequenceSubstitute> {
        let integer = match base {
            pg_sys::INT2OID => Integer::Int2,
            pg_sys::INT4OID => Integer::Int4,
            pg_sys::INT8OID => Integer::Int8,
            _ => return None,
        };
        let name = name.to_owned();
        Some(SequenceSubstitute { name, integer })
    }

    /// The column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number for the `n`th row, counted from 0.
    fn number(&self, n: u32) -> pg_sys::Datum {
        match self.integer {
            Integer::Int2 => (i16::MAX - i16::try_from(n % 0x7000).unwrap_or(0)).into(),
            Integer::Int4 => (i32::MAX - i32::try_from(n % 0x7000_0000).unwrap_or(0)).into(),
            Integer::Int8 => (i64::MAX - i64::from(n)).into(),
        }
    }
}

/// The substitutes of a table, and how many rows have had numbers of them.
#[derive(Debug)]
pub(super) struct Numbers {
    substitutes: Vec<SequenceSubstitute>,
    rows: Cell<u32>,
}

impl Numbers {
    pub fn new(substitutes: Vec<SequenceSubstitute>) -> Numbers {
        let rows = Cell::new(0);
        Numbers { substitutes, rows }
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.substitutes.iter().map(|it| it.name.as_str())
    }

    /// The numbers of one more row, in the order of the names.
    pub fn next(&self) -> impl Iterator<Item = pg_sys::Datum> {
        let n = self.rows.get();
        self.rows.set(n.wrapping_add(1));
        self.substitutes.iter().map(move |it| it.number(n))
    }
}
