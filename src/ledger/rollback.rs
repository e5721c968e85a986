//! `rollback_migration`: a run undone block by block.

use pgrx::pg_sys;

use super::block::Block;
use super::follow::Followers;
use super::owner::as_owner;
use super::undo::{Step, Tables, undo_block};
use crate::error::Error;
use crate::tables::RunTable;
use crate::{interrupt, spi};

/// What became of one table.
#[derive(Debug)]
pub struct Undone {
    /// The table's name.
    pub target: String,
    /// Rows removed.
    pub removed: i64,
    /// Rows put back.
    pub restored: i64,
    /// Rows left alone, as they have changed since.
    pub kept: i64,
}

/// Undoes `run`, or the newest one that is not undone yet. Gives the run's number, what became of each
/// table, and whether the run had written any row at all.
///
/// # Errors
/// [`Error::NoRun`], [`Error::UnknownRun`] (also for a run of a role that the caller is no member of),
/// [`Error::RolledBack`], [`Error::TargetGone`]; the server's own, as for want of the DELETE privilege.
pub fn roll_back(run: Option<i64>, force: bool) -> Result<(i64, Vec<Undone>), Error> {
    let (run, content, entity, undone_before) = find(run)?;
    let left = as_owner(|| {
        spi::read_one(
            "SELECT pg_catalog.count(*) FROM vector_migrate.run_rows \
              WHERE run_id OPERATOR(pg_catalog.=) $1",
            &[run.into()],
            |row| row.get::<i64>(1),
        )
    })?
    .flatten()
    .unwrap_or(0);
    if undone_before && left == 0 {
        return Err(Error::RolledBack(run));
    }
    let gone = || Error::TargetGone { run };
    let tables = Tables {
        content: RunTable::find(content)?.ok_or_else(gone)?,
        entity: match entity {
            Some(oid) => RunTable::find(oid)?,
            None => None,
        },
        force,
    };
    let mut total = Step::default();
    let mut followers = Followers::new(run, content, tables.content.per_collection);
    let mut after = i64::MIN;
    while let Some(block) = Block::next(run, after)? {
        interrupt::check();
        after = block.number;
        undo_block(&tables, run, &block, &mut followers, &mut total)?;
    }
    followers.flush()?;
    as_owner(|| {
        spi::write(
            "UPDATE vector_migrate.runs \
                SET status = 'rolled back', rolled_back_at = pg_catalog.clock_timestamp() \
              WHERE run_id OPERATOR(pg_catalog.=) $1",
            &[run.into()],
        )
    })?;
    let mut undone = vec![Undone {
        target: tables.content.shown.clone(),
        removed: total.removed,
        restored: total.restored,
        kept: total.kept,
    }];
    if let Some(entity) = &tables.entity {
        undone.push(Undone {
            target: entity.shown.clone(),
            removed: total.entities_removed,
            restored: total.entities_restored,
            kept: total.entities_kept,
        });
    }
    Ok((run, undone))
}

/// The run's number, its tables, and whether it was undone before. Read as the caller: row-level security
/// shows a role its own runs only. Locked, so that two rollbacks do not meet.
#[allow(clippy::type_complexity)] // four columns of one row
fn find(run: Option<i64>) -> Result<(i64, pg_sys::Oid, Option<pg_sys::Oid>, bool), Error> {
    let found = spi::read_one(
        "SELECT run_id FROM vector_migrate.runs \
          WHERE run_id OPERATOR(pg_catalog.=) $1 \
             OR $1 IS NULL AND status OPERATOR(pg_catalog.=) 'completed' \
          ORDER BY run_id DESC LIMIT 1",
        &[run.into()],
        |row| row.get::<i64>(1),
    )?
    .flatten();
    let run = match (found, run) {
        (Some(found), _) => found,
        (None, Some(given)) => return Err(Error::UnknownRun(given)),
        (None, None) => return Err(Error::NoRun),
    };
    let row = as_owner(|| {
        spi::write_returning(
            "SELECT content_target::pg_catalog.oid, entity_target::pg_catalog.oid, \
                    status OPERATOR(pg_catalog.=) 'rolled back' \
               FROM vector_migrate.runs WHERE run_id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
            &[run.into()],
            |row| {
                Ok((
                    row.get::<pg_sys::Oid>(1)?,
                    row.get::<pg_sys::Oid>(2)?,
                    row.get::<bool>(3)?.unwrap_or_default(),
                ))
            },
        )
    })?;
    match row.into_iter().next() {
        Some((Some(content), entity, undone)) => Ok((run, content, entity, undone)),
        _ => Err(Error::UnknownRun(run)),
    }
}
