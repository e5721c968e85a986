//! A table's columns, as the catalog has them.

use pgrx::pg_sys;
use vector_migrate_core::encode::{ColumnType, VectorType};

use super::Pgvector;
use crate::error::Error;
use crate::spi;

/// A column as the catalog has it.
#[derive(Debug)]
pub struct Attribute {
    pub name: String,
    pub number: i16,
    /// Base type: domains are looked through.
    pub base: pg_sys::Oid,
    pub typmod: i32,
    /// The base type's name.
    pub type_word: String,
    pub category: String,
    pub is_enum: bool,
    pub element: pg_sys::Oid,
    pub not_null: bool,
    pub has_default: bool,
    /// The default, the column's or its domain's, comes from a sequence, as an identity's does.
    pub sequenced: bool,
    pub generated: bool,
    /// As SQL writes it, with its modifier.
    pub shown: String,
    /// As SQL writes it, qualified, without its modifier.
    pub qualified: String,
}

impl Attribute {
    /// Characters that the column takes: the n of varchar(n) and char(n).
    pub fn length(&self) -> Option<usize> {
        let limited = matches!(self.base, pg_sys::VARCHAROID | pg_sys::BPCHAROID);
        // The modifier counts a header of four bytes.
        usize::try_from(self.typmod - 4).ok().filter(|_| limited)
    }
}

/// A type as SQL writes it, qualified.
///
/// # Errors
/// The server's own.
pub fn type_name(oid: pg_sys::Oid) -> Result<String, Error> {
    let name = spi::read_one(
        "SELECT pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' \
                  OPERATOR(pg_catalog.||) pg_catalog.quote_ident(t.typname) \
           FROM pg_catalog.pg_type t \
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace \
          WHERE t.oid OPERATOR(pg_catalog.=) $1",
        &[oid.into()],
        |row| row.get::<String>(1),
    )?;
    Ok(name.flatten().unwrap_or_default())
}

/// The columns of a table, in order.
///
/// # Errors
/// The server's own.
pub fn attributes(oid: pg_sys::Oid) -> Result<Vec<Attribute>, Error> {
    spi::look_up(
        "SELECT a.attname::pg_catalog.text, a.attnum, b.oid, b.typmod, t.typcategory::pg_catalog.text, \
                t.typtype OPERATOR(pg_catalog.=) 'e', t.typelem, a.attnotnull, \
                a.atthasdef OR a.attidentity OPERATOR(pg_catalog.<>) '' OR d.typdefault IS NOT NULL, \
                a.attgenerated OPERATOR(pg_catalog.<>) '', \
                a.attidentity OPERATOR(pg_catalog.<>) '' OR EXISTS ( \
                  SELECT FROM pg_catalog.pg_attrdef f \
                    JOIN pg_catalog.pg_depend p ON p.objid OPERATOR(pg_catalog.=) f.oid \
                     AND p.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass \
                     AND p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
                    JOIN pg_catalog.pg_class q ON q.oid OPERATOR(pg_catalog.=) p.refobjid \
                     AND q.relkind OPERATOR(pg_catalog.=) 'S' \
                   WHERE f.adrelid OPERATOR(pg_catalog.=) a.attrelid \
                     AND f.adnum OPERATOR(pg_catalog.=) a.attnum) OR EXISTS ( \
                  SELECT FROM pg_catalog.pg_depend p \
                    JOIN pg_catalog.pg_class q ON q.oid OPERATOR(pg_catalog.=) p.refobjid \
                     AND q.relkind OPERATOR(pg_catalog.=) 'S' \
                   WHERE p.objid OPERATOR(pg_catalog.=) a.atttypid \
                     AND p.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass \
                     AND p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass), \
                pg_catalog.format_type(a.atttypid, a.atttypmod), \
                pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' \
                  OPERATOR(pg_catalog.||) pg_catalog.quote_ident(d.typname), t.typname::pg_catalog.text \
           FROM pg_catalog.pg_attribute a \
           JOIN pg_catalog.pg_type d ON d.oid OPERATOR(pg_catalog.=) a.atttypid \
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) d.typnamespace \
          CROSS JOIN LATERAL ( \
                SELECT a.atttypid, a.atttypmod WHERE d.typtype OPERATOR(pg_catalog.<>) 'd' \
                UNION ALL ( \
                WITH RECURSIVE base(oid, typmod) AS ( \
                  SELECT a.atttypid, a.atttypmod \
                  UNION ALL \
                  SELECT x.typbasetype, x.typtypmod FROM base \
                    JOIN pg_catalog.pg_type x ON x.oid OPERATOR(pg_catalog.=) base.oid \
                   WHERE x.typtype OPERATOR(pg_catalog.=) 'd') \
                SELECT base.oid, base.typmod FROM base \
                  JOIN pg_catalog.pg_type x ON x.oid OPERATOR(pg_catalog.=) base.oid \
                 WHERE x.typtype OPERATOR(pg_catalog.<>) 'd' \
                   AND d.typtype OPERATOR(pg_catalog.=) 'd')) b(oid, typmod) \
           JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) b.oid \
          WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 \
            AND NOT a.attisdropped \
          ORDER BY a.attnum",
        &[oid.into()],
        |row| {
            Ok(Attribute {
                name: row.get(1)?.unwrap_or_default(),
                number: row.get(2)?.unwrap_or_default(),
                base: row.get(3)?.unwrap_or(pg_sys::InvalidOid),
                typmod: row.get(4)?.unwrap_or(-1),
                category: row.get(5)?.unwrap_or_default(),
                is_enum: row.get(6)?.unwrap_or_default(),
                element: row.get(7)?.unwrap_or(pg_sys::InvalidOid),
                not_null: row.get(8)?.unwrap_or_default(),
                has_default: row.get(9)?.unwrap_or_default(),
                generated: row.get(10)?.unwrap_or_default(),
                sequenced: row.get(11)?.unwrap_or_default(),
                shown: row.get(12)?.unwrap_or_default(),
                qualified: row.get(13)?.unwrap_or_default(),
                type_word: row.get(14)?.unwrap_or_default(),
            })
        },
    )
}

impl Attribute {
    /// The type of the vectors in the column; `None`: it has none.
    pub fn vector_type(&self, pgvector: &Pgvector) -> Option<VectorType> {
        let half = Some(self.base) == pgvector.halfvec;
        (half || self.base == pgvector.vector).then(|| VectorType {
            half,
            dimension: u32::try_from(self.typmod).ok().filter(|n| *n > 0),
            padded: false,
        })
    }
}

/// The column with the vectors among those of the table that `name` is in errors, and their type: the one called `embedding`
/// if it has vectors, else the only one that has.
///
/// # Errors
/// [`Error::SeveralVectorColumns`]; without any [`Error::ColumnType`] if there is a column `embedding`, else
/// [`Error::MissingColumn`].
pub fn vector_column<'a>(
    columns: &'a [Attribute],
    name: &str,
    pgvector: &Pgvector,
) -> Result<(&'a Attribute, VectorType), Error> {
    const USUAL: &str = "embedding";
    let vectors: Vec<_> = columns
        .iter()
        .filter_map(|column| Some((column, column.vector_type(pgvector)?)))
        .collect();
    if let Some(usual) = vectors.iter().find(|(column, _)| column.name == USUAL) {
        return Ok(*usual);
    }
    let usual = columns.iter().find(|column| column.name == USUAL);
    match (vectors.as_slice(), usual) {
        ([only], _) => Ok(*only),
        ([], Some(usual)) => Err(Error::ColumnType {
            target: name.to_owned(),
            column: USUAL.to_owned(),
            has: usual.shown.clone(),
            wanted: "vector or halfvec".to_owned(),
        }),
        ([], None) => Err(Error::MissingColumn {
            target: name.to_owned(),
            column: USUAL.to_owned(),
            there: columns.iter().map(|it| it.name.clone()).collect(),
        }),
        (several, _) => Err(Error::SeveralVectorColumns {
            target: name.to_owned(),
            columns: several.iter().map(|(it, _)| it.name.clone()).collect(),
        }),
    }
}

/// The type that rows are encoded for; `None`: rows cannot fill it.
pub fn column_type(attribute: &Attribute, pgvector: &Pgvector) -> Option<ColumnType> {
    Some(match attribute.base {
        pg_sys::BOOLOID => ColumnType::Bool,
        pg_sys::INT2OID => ColumnType::Int2,
        pg_sys::INT4OID => ColumnType::Int4,
        pg_sys::INT8OID => ColumnType::Int8,
        pg_sys::FLOAT4OID => ColumnType::Float4,
        pg_sys::FLOAT8OID => ColumnType::Float8,
        pg_sys::NUMERICOID => ColumnType::Numeric,
        pg_sys::UUIDOID => ColumnType::Uuid,
        pg_sys::JSONOID => ColumnType::Json,
        pg_sys::JSONBOID => ColumnType::Jsonb,
        pg_sys::TIMESTAMPOID => ColumnType::Timestamp,
        pg_sys::TIMESTAMPTZOID => ColumnType::TimestampTz,
        pg_sys::DATEOID => ColumnType::Date,
        pg_sys::TEXTARRAYOID | pg_sys::VARCHARARRAYOID => ColumnType::Array {
            element: attribute.element.into(),
        },
        base if base == pgvector.vector => ColumnType::Vector,
        base if Some(base) == pgvector.halfvec => ColumnType::HalfVec,
        _ if attribute.is_enum || attribute.category == "S" => ColumnType::Text,
        _ => return None,
    })
}
