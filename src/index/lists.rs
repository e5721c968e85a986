//! IVFFlat indexes that are there before the load: their lists are random, or those of a few rows, until they are made anew.
//!
//! Promise: the index has every row in either case; where it cannot be made anew, its lists stay as they were.

use std::time::Instant;

use pgrx::pg_sys;
use vector_migrate_core::index::cost::{Lists, lists_bytes};

use super::fill::{self, Origin};
use super::make::{Made, Way, in_use};
use super::opened::Opened;
use super::{build, define, late, which};
use crate::error::Error;
use crate::load::Loads;
use crate::message::{Level, send};
use crate::tables::{Pgvector, attributes};
use crate::{spi, subxact};

/// pgvector's default (`IVFFLAT_DEFAULT_LISTS` in its ivfflat.h).
const DEFAULT_LISTS: u32 = 100;

/// An IVFFlat index on a column of vectors as it is, of all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListIndex {
    /// The index.
    pub oid: pg_sys::Oid,
    /// The table.
    pub table: pg_sys::Oid,
    /// Its lists.
    lists: Lists,
}

/// Those on the column of this name (not quoted).
///
/// # Errors
/// The server's own.
pub fn list_indexes(
    table: pg_sys::Oid,
    column: &str,
    pgvector: &Pgvector,
) -> Result<Vec<ListIndex>, Error> {
    let columns = attributes(table)?;
    let column = columns.iter().find(|it| it.name == column);
    let ty = column.and_then(|it| Some((it, it.vector_type(pgvector)?)));
    let Some((column, Some(dimensions), half)) =
        ty.map(|(column, ty)| (column, ty.dimension, ty.half))
    else {
        return Ok(Vec::new());
    };
    let found = spi::look_up(
        "SELECT i.indexrelid, \
                (SELECT p.option_value::pg_catalog.int4 FROM pg_catalog.pg_options_to_table(c.reloptions) p \
                  WHERE p.option_name OPERATOR(pg_catalog.=) 'lists') \
           FROM pg_catalog.pg_index i \
           JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
           JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) c.relam \
           JOIN pg_catalog.pg_opclass o ON o.oid OPERATOR(pg_catalog.=) i.indclass[0] \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisvalid AND i.indisready AND i.indpred IS NULL \
            AND i.indnatts OPERATOR(pg_catalog.=) 1 AND i.indkey[0] OPERATOR(pg_catalog.=) $2 \
            AND m.amname OPERATOR(pg_catalog.=) 'ivfflat' \
            AND o.opcintype OPERATOR(pg_catalog.=) ANY (ARRAY[$3, $4]) \
          ORDER BY i.indexrelid",
        &[
            table.into(),
            column.number.into(),
            pgvector.vector.into(),
            pgvector.halfvec.into(),
        ],
        |row| Ok((row.get::<pg_sys::Oid>(1)?, row.get::<i32>(2)?)),
    )?;
    let value_bytes = 8 + u64::from(dimensions) * if half { 2 } else { 4 };
    let indexes = found.into_iter().filter_map(|(oid, lists)| {
        let count = lists.and_then(|lists| u32::try_from(lists).ok());
        Some(ListIndex {
            oid: oid?,
            table,
            lists: Lists {
                count: count.unwrap_or(DEFAULT_LISTS),
                value_bytes,
                dimensions,
            },
        })
    });
    Ok(indexes.collect())
}

/// An index that is to have the rows of `loads`, which it has no entries for.
pub struct ListJob<'a> {
    /// The index.
    pub index: ListIndex,
    /// Rows of the table, for estimates.
    pub rows: u64,
    /// What has put those in that have no entries.
    pub loads: &'a Loads,
    /// How much what came of it matters to the caller.
    pub level: Level,
}

/// Makes the index anew from all rows, or puts the new ones into the lists that it has.
///
/// # Errors
/// The server's own.
pub fn make_lists(job: &ListJob<'_>) -> Result<Made, Error> {
    let since = Instant::now();
    let index = job.index;
    let why = match in_use(index.table, index.oid) {
        Some(why) => Some(why.to_owned()),
        None => rebuilt(job)?,
    };
    let shown = which::shown(index.oid)?;
    if let Some(why) = &why {
        let text = format!(
            "{why}: rows go into the lists that {shown} has, which a REINDEX would make anew"
        );
        send(job.level, &text);
        late::insert_own_rows(index.table, index.oid, job.loads)?;
    }
    let way = match why {
        Some(_) => Way::Inserted,
        None => Way::Built,
    };
    Ok(Made {
        way,
        name: shown,
        rows: job.rows,
        inserted: if way == Way::Inserted {
            job.loads.rows
        } else {
            0
        },
        reason: why.unwrap_or_else(|| "it is an IVFFlat index".to_owned()),
        seconds: since.elapsed().as_secs_f64(),
        recall: None,
    })
}

/// Has pgvector build the index, whose locks are held; why not, where it could not.
fn rebuilt(job: &ListJob<'_>) -> Result<Option<String>, Error> {
    let needed = lists_bytes(job.index.lists);
    if !build::has_memory(needed) {
        return Ok(Some(format!(
            "{} MB are needed for the lists of an IVFFlat index, more than vector_migrate.max_memory_mb and \
             maintenance_work_mem",
            needed.div_ceil(1 << 20)
        )));
    }
    let built = subxact::run(
        |_| true,
        || {
            let opened = Opened::to_fill(job.index.table, job.index.oid);
            define::empty(&opened);
            build::with_memory(needed, || fill::build(&opened, Origin::Emptied));
        },
    );
    Ok(built.err().map(|refused| refused.message))
}
