//! How a table's vectors are compared with a query's: by the expression and the operator of its vector index.
//!
//! Promise: `ORDER BY` [`Nearest::order`] is what the index is built on, so that the planner can use it; without an
//! index it is the cosine distance.

use pgrx::pg_sys;
use vector_migrate_core::record::Space;

use super::attributes::{Attribute, vector_column};
use super::pgvector::Pgvector;
use crate::error::Error;
use crate::spi;

/// The column with the vectors of a table `t`, as SQL over the query's vector in `$1` (float4[]).
#[derive(Debug)]
pub struct Nearest {
    /// The column's name, not quoted.
    pub name: String,
    /// The column, as SQL: `t.embedding`.
    pub column: String,
    /// What candidates are ordered by, the nearest first.
    pub order: String,
    /// The cosine distance.
    pub cosine: String,
    /// Dimensions of the column; `None`: each row has its own.
    pub dimension: Option<u32>,
    /// An index may serve the order, and such an index finds most rows, not all.
    pub approximate: bool,
    /// The distance that the index is for; `None`: there is no index.
    pub space: Option<Space>,
}

impl Nearest {
    /// Looks up the index of the table `oid` with these columns, which `name` is in errors.
    ///
    /// # Errors
    /// As [`vector_column`].
    pub fn find(
        oid: pg_sys::Oid,
        columns: &[Attribute],
        name: &str,
        pgvector: &Pgvector,
    ) -> Result<Nearest, Error> {
        Nearest::by(oid, columns, name, pgvector, None)
    }

    /// The same by an index for this distance; `None` if there is no such index.
    ///
    /// # Errors
    /// As [`vector_column`].
    pub fn of_space(
        oid: pg_sys::Oid,
        columns: &[Attribute],
        name: &str,
        pgvector: &Pgvector,
        space: Space,
    ) -> Result<Option<Nearest>, Error> {
        let nearest = Nearest::by(oid, columns, name, pgvector, Some(space))?;
        Ok((nearest.space == Some(space)).then_some(nearest))
    }

    fn by(
        oid: pg_sys::Oid,
        columns: &[Attribute],
        name: &str,
        pgvector: &Pgvector,
        wanted: Option<Space>,
    ) -> Result<Nearest, Error> {
        let (column, ty) = vector_column(columns, name, pgvector)?;
        let vectors = format!("t.{}", spi::ident(&column.name));
        let own = if ty.half { "halfvec" } else { "vector" };
        let schema = &pgvector.schema;
        let distance = |expression: &str, operator: &str, ty: &str| {
            format!(
                "({expression} OPERATOR({schema}.{operator}) $1::pg_catalog.float4[]::{schema}.{ty})"
            )
        };
        let dimension = ty.dimension;
        let cosine = distance(&vectors, "<=>", own);
        let index = index_on(oid, column, dimension, pgvector, wanted)?;
        let (order, space) = match (index, dimension) {
            (Some((false, space)), _) => (distance(&vectors, operator(space), own), Some(space)),
            (Some((true, space)), Some(n)) => {
                let expression = format!("({vectors}::{schema}.halfvec({n}))");
                (
                    distance(&expression, operator(space), "halfvec"),
                    Some(space),
                )
            }
            _ => (cosine.clone(), None),
        };
        Ok(Nearest {
            name: column.name.clone(),
            column: vectors,
            order,
            cosine,
            dimension,
            approximate: may_be_approximate(oid)?,
            space,
        })
    }
}

/// pgvector's operator that orders by this distance.
fn operator(space: Space) -> &'static str {
    match space {
        Space::L2 => "<->",
        Space::Ip => "<#>",
        Space::Cosine => "<=>",
    }
}

/// The best vector index on the column, or the best one for the distance `wanted`: whether it is on the column's cast to halfvec, and
/// the distance that it is for. Cosine before the others, HNSW before IVFFlat. A partial index has not all rows.
fn index_on(
    oid: pg_sys::Oid,
    column: &Attribute,
    dimension: Option<u32>,
    pgvector: &Pgvector,
    wanted: Option<Space>,
) -> Result<Option<(bool, Space)>, Error> {
    let dimension = dimension.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1);
    // quote_ident and format_type write the name and the type as pg_get_expr does: quoted where it has to be, qualified if
    // search_path does not have it.
    let found = spi::look_up_one(
        "SELECT i.indkey[0] OPERATOR(pg_catalog.=) 0, o.opcname::pg_catalog.text \
           FROM pg_catalog.pg_index i \
           JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
           JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) c.relam \
           JOIN pg_catalog.pg_opclass o ON o.oid OPERATOR(pg_catalog.=) i.indclass[0] \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisvalid AND i.indpred IS NULL \
            AND m.amname OPERATOR(pg_catalog.=) ANY (ARRAY['hnsw', 'ivfflat']) \
            AND o.opcintype OPERATOR(pg_catalog.=) ANY (ARRAY[$4, $5]) \
            AND o.opcname OPERATOR(pg_catalog.=) ANY (ARRAY['vector_cosine_ops', 'vector_ip_ops', \
                 'vector_l2_ops', 'halfvec_cosine_ops', 'halfvec_ip_ops', 'halfvec_l2_ops']) \
            AND ($7::pg_catalog.text IS NULL OR o.opcname::pg_catalog.text OPERATOR(pg_catalog.~~) \
                 ('%' OPERATOR(pg_catalog.||) $7 OPERATOR(pg_catalog.||) '%')) \
            AND (i.indkey[0] OPERATOR(pg_catalog.=) $2 \
                 OR pg_catalog.pg_get_expr(i.indexprs, i.indrelid) OPERATOR(pg_catalog.=) \
                    ('(' OPERATOR(pg_catalog.||) pg_catalog.quote_ident($6) OPERATOR(pg_catalog.||) ')::' \
                     OPERATOR(pg_catalog.||) pg_catalog.format_type($5, $3))) \
          ORDER BY o.opcname OPERATOR(pg_catalog.~~) '%cosine%' DESC, m.amname, i.indexrelid LIMIT 1",
        &[
            oid.into(),
            column.number.into(),
            dimension.into(),
            pgvector.vector.into(),
            pgvector.halfvec.into(),
            column.name.as_str().into(),
            wanted.map(|space| format!("\\_{space}\\_ops")).into(),
        ],
        |row| Ok((row.get::<bool>(1)?, row.get::<String>(2)?)),
    )?;
    let Some((Some(cast), Some(class))) = found else {
        return Ok(None);
    };
    Ok(match class.trim_start_matches("half") {
        "vector_l2_ops" | "vec_l2_ops" => Some((cast, Space::L2)),
        "vector_ip_ops" | "vec_ip_ops" => Some((cast, Space::Ip)),
        _ => Some((cast, Space::Cosine)),
    })
}

/// Whether rows may come from an approximate index: the table has one, or is more than one plain table.
fn may_be_approximate(oid: pg_sys::Oid) -> Result<bool, Error> {
    let found = spi::look_up_one(
        "SELECT c.relkind OPERATOR(pg_catalog.<>) 'r' OR c.relhassubclass OR EXISTS ( \
                SELECT FROM pg_catalog.pg_index i \
                  JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid \
                  JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) x.relam \
                 WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid \
                   AND m.amname OPERATOR(pg_catalog.=) ANY (ARRAY['hnsw', 'ivfflat'])) \
           FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.flatten().unwrap_or(true))
}
