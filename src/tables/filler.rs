//! Numbers for columns with a sequence, so that a dry run that tries rows in the table itself leaves the
//! sequence alone: sequences are not undone by a rollback.

use pgrx::pg_sys;

use super::attributes::Attribute;

/// A column that a dry run fills with numbers from the top of its type, where no sequence has come yet.
#[derive(Debug, Clone)]
pub struct Filler {
    /// The column.
    pub name: String,
    top: Top,
}

#[derive(Debug, Clone, Copy)]
enum Top {
    Int2,
    Int4,
    Int8,
}

impl Filler {
    /// The filler of a column with a sequence; `None` if it is not of an integer type.
    pub fn of(attribute: &Attribute) -> Option<Filler> {
        let top = match attribute.base {
            pg_sys::INT2OID => Top::Int2,
            pg_sys::INT4OID => Top::Int4,
            pg_sys::INT8OID => Top::Int8,
            _ => return None,
        };
        Some(Filler {
            name: attribute.name.clone(),
            top,
        })
    }

    /// The column's base type, as SQL.
    pub fn sql_type(&self) -> &'static str {
        match self.top {
            Top::Int2 => "pg_catalog.int2",
            Top::Int4 => "pg_catalog.int4",
            Top::Int8 => "pg_catalog.int8",
        }
    }

    /// The COPY field for the `n`th row, counted from 0.
    pub fn field(&self, n: u32) -> Vec<u8> {
        let bytes = match self.top {
            Top::Int2 => (i16::MAX - i16::try_from(n % 0x7000).unwrap_or(0))
                .to_be_bytes()
                .to_vec(),
            Top::Int4 => (i32::MAX - i32::try_from(n % 0x7000_0000).unwrap_or(0))
                .to_be_bytes()
                .to_vec(),
            Top::Int8 => (i64::MAX - i64::from(n)).to_be_bytes().to_vec(),
        };
        let length = i32::try_from(bytes.len()).unwrap_or(0);
        [&length.to_be_bytes(), bytes.as_slice()].concat()
    }
}
