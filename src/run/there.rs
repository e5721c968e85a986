//! The vector indexes that a run's table has before the load: which of them get their entries after it.
//!
//! Promise: decided before a row is read, by what the table has and whose it is; an index that is left out is filled after the
//! load under its own name and definition, in the same transaction.
//!
//! A row that is inserted into an HNSW index takes about ten times as long as one of a build. So an index is left out of the
//! load if the table is empty, or has rows that are few beside those that come, which its build then takes in as well. Who may
//! only insert leaves the index of a table with rows as it is: a build keeps all others from reading the table until the
//! transaction ends.

use pgrx::pg_sys;
use vector_migrate_core::index::cost::{are_few, few};

use super::decisions::Decisions;
use crate::error::Error;
use crate::index::{self, ListIndex, VectorIndex, Wish};
use crate::load::LeftOut;
use crate::message::Level;
use crate::tables::{self, Pgvector};
use crate::{spi, tables::Target};

/// The content table's own vector indexes.
#[derive(Debug, Default)]
pub struct There {
    /// HNSW indexes that are left out of the load.
    pub hnsw: Vec<VectorIndex>,
    /// IVFFlat indexes that are.
    pub lists: Vec<ListIndex>,
    /// Rows that the table has.
    pub rows: u64,
    /// What keeps rows out of them.
    pub left_out: LeftOut,
}

impl There {
    /// Those of the content table, into which up to `records` rows come.
    ///
    /// # Errors
    /// The server's own.
    pub fn plan(
        run: &Decisions,
        wish: Wish,
        (records, level): (u64, Level),
        pgvector: &Pgvector,
    ) -> Result<There, Error> {
        let content = run.described.content.as_ref();
        if !run.stays || wish == Wish::None {
            return Ok(There::default());
        }
        // One on a cast stays in the load, as it may refuse a row.
        let mut hnsw = index::indexes(content.oid, &content.vector_column, pgvector)?;
        hnsw.retain(|index| !index.is_cast());
        let mut lists = index::list_indexes(content.oid, &content.vector_column, pgvector)?;
        let kept = match hnsw.is_empty() && lists.is_empty() {
            true => Ok(0),
            false => rows(run, wish, records)?,
        };
        let (rows, why) = match kept {
            Ok(rows) => (rows, "indexes an expression, or not all of its rows"),
            Err(why) => {
                hnsw.clear();
                lists.clear();
                (0, why)
            }
        };
        let oids = hnsw.iter().map(|it| it.oid);
        let oids: Vec<_> = oids.chain(lists.iter().map(|it| it.oid)).collect();
        let notice = match level {
            Level::Notice => one_by_one(content, &oids, why, records)?,
            _ => None,
        };
        Ok(There {
            hnsw,
            lists,
            rows,
            left_out: LeftOut::new(oids, notice),
        })
    }
}

/// The rows of the content table, if its indexes can be left out of the load; why not, as what is said of the table.
fn rows(run: &Decisions, wish: Wish, records: u64) -> Result<Result<u64, &'static str>, Error> {
    let content = run.described.content.as_ref();
    if !run.loads_directly() {
        return Ok(Err("does not take rows directly"));
    }
    // A trigger may search, and one of the entity table may change content rows that have no entries yet.
    let entity = run.described.entity.as_ref();
    let triggers = match entity {
        Some(entity) => tables::has_triggers(entity.oid)?,
        None => false,
    };
    if triggers || tables::has_triggers(content.oid)? {
        return Ok(Err("has triggers"));
    }
    let rows = tables::rows_up_to(content.oid, &content.name, few(records) + 1)?;
    if rows == 0 {
        return Ok(Ok(0));
    }
    Ok(if !are_few(rows, records) {
        Err("has rows, more than a tenth of those that come")
    } else if wish == Wish::Import {
        Err("has rows")
    } else if !is_callers(content.oid)? {
        Err("has rows, and belongs to another role")
    } else {
        Ok(rows)
    })
}

/// Whether the caller owns the table, or is a member of the role that does.
fn is_callers(table: pg_sys::Oid) -> Result<bool, Error> {
    let owned = spi::look_up_one(
        "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c \
          WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[table.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(owned.flatten() == Some(true))
}

/// What is said of the HNSW indexes that rows go into one by one, other than the ones `left_out`; `None`: there are none.
fn one_by_one(
    content: &Target,
    left_out: &[pg_sys::Oid],
    why: &str,
    records: u64,
) -> Result<Option<String>, Error> {
    let kept = index::kept_up(content.oid, left_out)?;
    if kept.is_empty() {
        return Ok(None);
    }
    let rows = spi::look_up_one(
        "SELECT c.reltuples FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[content.oid.into()],
        |row| row.get::<f32>(1),
    )?;
    let all = f64::from(rows.flatten().unwrap_or_default()).max(0.0) + records as f64;
    let faster = match all <= 10.0 * records as f64 {
        true => ". Faster: DROP INDEX before the run, CREATE INDEX after it",
        false => "",
    };
    let plural = if kept.len() == 1 { "" } else { "es" };
    Ok(Some(format!(
        "rows go into the vector index{plural} {} one by one, as {} {why}: up to {records} rows, each of which takes about ten \
         times as long as one of a build{faster}",
        kept.join(", "),
        content.name,
    )))
}
