//! The vector indexes of a table, and the definition of a new one.

use pgrx::pg_sys;
use vector_migrate_core::encode::VectorType;
use vector_migrate_core::record::Space;

use super::values::operator_class;
use crate::error::Error;
use crate::spi;
use crate::tables::{Attribute, Pgvector, attributes};

/// Most dimensions that an HNSW index takes as `vector`, and as `halfvec` (pgvector's README).
const MAX_VECTOR: u32 = 2_000;
const MAX_HALFVEC: u32 = 4_000;
/// pgvector's defaults (`HNSW_DEFAULT_M`, `HNSW_DEFAULT_EF_CONSTRUCTION` in its hnsw.h).
const DEFAULT_M: u16 = 16;
const DEFAULT_EF_CONSTRUCTION: u16 = 64;
/// Candidates that pgvector looks at for each element, if nothing else is said.
pub const EFFORT: u64 = DEFAULT_EF_CONSTRUCTION as u64;
/// The least and the most that it takes as m.
const M: std::ops::RangeInclusive<u32> = 2..=100;

/// An HNSW index on a table's column with vectors, of all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorIndex {
    /// The index.
    pub oid: pg_sys::Oid,
    /// The table.
    pub table: pg_sys::Oid,
    /// The number of the column, counted from 1.
    pub column: i16,
    /// The column's type is `halfvec`.
    pub half_column: bool,
    /// The index's values are `halfvec`: those of the column, or its cast.
    pub half: bool,
    /// Dimensions of its values.
    pub dimensions: u32,
    /// The distance that it is for.
    pub space: Space,
    /// Neighbours an element has in a layer above the lowest.
    pub m: u16,
    /// Candidates that an insert looks at.
    pub ef_construction: u16,
}

impl VectorIndex {
    /// The index is on the column's cast to `halfvec`.
    pub fn is_cast(&self) -> bool {
        self.half && !self.half_column
    }

    /// Bytes of one of its values, header included (the structures `Vector` and `HalfVector` in pgvector).
    pub fn value_bytes(&self) -> u64 {
        8 + u64::from(self.dimensions) * if self.half { 2 } else { 4 }
    }
}

/// The statement that defines an index on `column` (not quoted) with vectors of the type `vector` of the table `name` (qualified
/// and quoted), for distances in `space` and with `m` as the collection's graph has it; `None` if the vectors have too many
/// dimensions for any.
pub fn statement(
    name: &str,
    (column, vector): (&str, VectorType),
    space: Space,
    m: Option<u32>,
    pgvector: &Pgvector,
) -> Option<String> {
    let (schema, column) = (&pgvector.schema, spi::ident(column));
    let dimensions = vector.dimension?;
    let most = if vector.half { MAX_HALFVEC } else { MAX_VECTOR };
    let expression = if dimensions <= most {
        format!("{column} {schema}.{}", operator_class(space, vector.half))
    } else if dimensions <= MAX_HALFVEC && pgvector.halfvec.is_some() {
        let class = operator_class(space, true);
        format!("({column}::{schema}.halfvec({dimensions})) {schema}.{class}")
    } else {
        return None;
    };
    let m = m.filter(|m| M.contains(m)).unwrap_or(DEFAULT_M.into());
    let mut options = Vec::new();
    if m != u32::from(DEFAULT_M) {
        options.push(format!("m = {m}"));
    }
    // pgvector wants at least twice as many.
    if 2 * m > u32::from(DEFAULT_EF_CONSTRUCTION) {
        options.push(format!("ef_construction = {}", 2 * m));
    }
    let options = match options.as_slice() {
        [] => String::new(),
        options => format!(" WITH ({})", options.join(", ")),
    };
    Some(format!(
        "CREATE INDEX ON {name} USING hnsw ({expression}){options}"
    ))
}

/// The HNSW indexes on the column of this name (not quoted) of the table that hold every row, and that pgvector can use.
///
/// # Errors
/// The server's own.
pub fn indexes(
    table: pg_sys::Oid,
    column: &str,
    pgvector: &Pgvector,
) -> Result<Vec<VectorIndex>, Error> {
    match attributes(table)?.iter().find(|it| it.name == column) {
        Some(column) => on(table, column, pgvector),
        None => Ok(Vec::new()),
    }
}

/// As [`indexes`], of a column that was looked up.
fn on(
    table: pg_sys::Oid,
    column: &Attribute,
    pgvector: &Pgvector,
) -> Result<Vec<VectorIndex>, Error> {
    let Some(ty) = column.vector_type(pgvector) else {
        return Ok(Vec::new());
    };
    // quote_ident and format_type write the name and the type as pg_get_expr does: quoted where it has to be, qualified if
    // search_path does not have it.
    let found = spi::look_up(
        "SELECT i.indexrelid, o.opcname::pg_catalog.text, a.atttypmod, \
                (SELECT p.option_value::pg_catalog.int4 FROM pg_catalog.pg_options_to_table(c.reloptions) p \
                  WHERE p.option_name OPERATOR(pg_catalog.=) 'm'), \
                (SELECT p.option_value::pg_catalog.int4 FROM pg_catalog.pg_options_to_table(c.reloptions) p \
                  WHERE p.option_name OPERATOR(pg_catalog.=) 'ef_construction') \
           FROM pg_catalog.pg_index i \
           JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
           JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) c.relam \
           JOIN pg_catalog.pg_opclass o ON o.oid OPERATOR(pg_catalog.=) i.indclass[0] \
           JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid \
            AND a.attnum OPERATOR(pg_catalog.=) 1 \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisvalid AND i.indisready AND i.indpred IS NULL \
            AND i.indnatts OPERATOR(pg_catalog.=) 1 AND m.amname OPERATOR(pg_catalog.=) 'hnsw' \
            AND o.opcintype OPERATOR(pg_catalog.=) ANY (ARRAY[$4, $5]) \
            AND (i.indkey[0] OPERATOR(pg_catalog.=) $2 \
                 OR pg_catalog.pg_get_expr(i.indexprs, i.indrelid) OPERATOR(pg_catalog.=) \
                    ('(' OPERATOR(pg_catalog.||) pg_catalog.quote_ident($6) OPERATOR(pg_catalog.||) ')::' \
                     OPERATOR(pg_catalog.||) pg_catalog.format_type($5, $3))) \
          ORDER BY i.indexrelid",
        &[
            table.into(),
            column.number.into(),
            column.typmod.into(),
            pgvector.vector.into(),
            pgvector.halfvec.into(),
            column.name.as_str().into(),
        ],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?,
                row.get::<String>(2)?.unwrap_or_default(),
                row.get::<i32>(3)?.unwrap_or_default(),
                row.get::<i32>(4)?,
                row.get::<i32>(5)?,
            ))
        },
    )?;
    let small = |number: Option<i32>, default: u16| {
        number
            .and_then(|number| u16::try_from(number).ok())
            .unwrap_or(default)
    };
    let spaces = [Space::L2, Space::Cosine, Space::Ip];
    let described = found.into_iter().filter_map(|(oid, class, typmod, m, ef)| {
        let (space, half) = spaces
            .iter()
            .flat_map(|space| [(*space, false), (*space, true)])
            .find(|(space, half)| operator_class(*space, *half) == class)?;
        Some(VectorIndex {
            oid: oid?,
            table,
            column: column.number,
            half_column: ty.half,
            half,
            dimensions: u32::try_from(typmod).ok().filter(|n| *n > 0)?,
            space,
            m: small(m, DEFAULT_M),
            ef_construction: small(ef, DEFAULT_EF_CONSTRUCTION),
        })
    });
    Ok(described.collect())
}

/// The one with this OID, on whichever of the table's columns; `None` if it is none of them.
///
/// # Errors
/// The server's own.
pub fn index(
    table: pg_sys::Oid,
    oid: pg_sys::Oid,
    pgvector: &Pgvector,
) -> Result<Option<VectorIndex>, Error> {
    for column in attributes(table)? {
        let found = on(table, &column, pgvector)?;
        if let Some(index) = found.into_iter().find(|index| index.oid == oid) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// The index's name, qualified where the search path does not have it.
///
/// # Errors
/// The server's own.
pub fn shown(oid: pg_sys::Oid) -> Result<String, Error> {
    let name = spi::look_up_one(
        "SELECT $1::pg_catalog.regclass::pg_catalog.text",
        &[oid.into()],
        |row| row.get::<String>(1),
    )?;
    Ok(name.flatten().unwrap_or_default())
}
