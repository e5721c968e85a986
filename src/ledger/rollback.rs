//! `rollback_migration`: a run undone, table by table.

use pgrx::pg_sys;

use super::owner::as_owner;
use super::parents;
use super::rollback_target::{self, RunTarget};
use super::undo::Step;
use crate::error::Error;
use crate::spi;
use crate::tables::Roles;

/// What became of one table.
#[derive(Debug)]
pub struct Undone {
    /// The table's name.
    pub target: String,
    /// Rows removed.
    pub removed: i64,
    /// Rows put back.
    pub restored: i64,
    /// Rows left alone, as they have changed since or others refer to them.
    pub kept: i64,
    /// The server cannot tell which of its rows have changed since.
    pub unknown: bool,
}

/// What became of a run.
#[derive(Debug)]
pub struct RolledBack {
    /// Its number.
    pub run: i64,
    /// The store that it read.
    pub path: String,
    /// When it began, in the session's notation.
    pub started: String,
    /// The role that it was found by, if the caller named no run.
    pub newest_of: Option<String>,
    /// What became of each table.
    pub tables: Vec<Undone>,
    /// Tables of the run that are not there any more.
    pub gone: usize,
    /// Tables that refer to rows left alone.
    pub referring: Vec<String>,
    /// The ids of the run's transactions mean nothing here any more: a dump and restore lies between, or four billion
    /// transactions.
    pub restored: bool,
    /// Rows were left alone and nothing was undone: the run is not rolled back by this.
    pub untouched: bool,
}

/// Undoes `run`, or the newest one of the calling role that is not undone yet, in all of its tables that are there.
///
/// # Errors
/// [`Error::NoRun`], [`Error::UnknownRun`] (also for a run of a role that the caller is no member of),
/// [`Error::RolledBack`], [`Error::TargetGone`] if none of its tables is there; the server's own, as for want of the DELETE
/// privilege.
pub fn roll_back(run: Option<i64>, force: bool) -> Result<RolledBack, Error> {
    let found = find(run)?;
    let run = found.run;
    let mut left = Vec::new();
    for target in &found.targets {
        left.push(rollback_target::left(run, target)?);
    }
    if found.undone && left.iter().all(|left| left.blocks == 0) {
        return Err(Error::RolledBack(run));
    }
    let (mut gone, mut all, mut total) = (0, Vec::new(), Step::default());
    for (target, left) in found.targets.iter().zip(&left) {
        let Some((tables, step)) = rollback_target::undo(run, target, left, force)? else {
            gone += 1;
            continue;
        };
        add(
            &mut all,
            Undone {
                target: tables.content.shown.clone(),
                removed: step.removed,
                restored: step.restored,
                kept: step.kept,
                unknown: !tables.content.versioned,
            },
        );
        if let Some(entity) = &tables.entity {
            add(
                &mut all,
                Undone {
                    target: entity.shown.clone(),
                    removed: step.entities_removed,
                    restored: step.entities_restored,
                    kept: step.entities_kept,
                    unknown: !entity.versioned,
                },
            );
        }
        total.add(step);
    }
    if gone == found.targets.len() {
        return Err(Error::TargetGone { run });
    }
    let touched = total.removed + total.restored + total.entities_removed + total.entities_restored;
    let untouched = touched == 0 && total.kept + total.entities_kept > 0;
    if !untouched {
        parents::undo(run, force)?;
        close(run)?;
    }
    Ok(RolledBack {
        run,
        path: found.path,
        started: found.started,
        newest_of: found.newest_of,
        tables: all,
        gone,
        referring: total.referring.into_iter().collect(),
        restored: left.iter().any(|left| !left.known.xmin),
        untouched,
    })
}

/// Adds what became of a table; an entity table may be that of several content tables.
fn add(all: &mut Vec<Undone>, more: Undone) {
    match all.iter_mut().find(|there| there.target == more.target) {
        Some(there) => {
            there.removed += more.removed;
            there.restored += more.restored;
            there.kept += more.kept;
        }
        None => all.push(more),
    }
}

fn close(run: i64) -> Result<(), Error> {
    as_owner(|| {
        spi::write(
            "UPDATE vector_migrate.runs \
                SET status = 'rolled back', rolled_back_at = pg_catalog.clock_timestamp() \
              WHERE run_id OPERATOR(pg_catalog.=) $1",
            &[run.into()],
        )
    })?;
    Ok(())
}

/// A run to be undone.
struct Found {
    run: i64,
    path: String,
    started: String,
    newest_of: Option<String>,
    targets: Vec<RunTarget>,
    /// It was undone before.
    undone: bool,
}

/// The run. Read as the caller: row-level security shows a role its own runs and those of roles that it is a member of; the
/// newest is that of the calling role itself. Locked, so that two rollbacks do not meet.
fn find(run: Option<i64>) -> Result<Found, Error> {
    let found = spi::read_one(
        "SELECT run_id, CURRENT_USER::pg_catalog.text FROM vector_migrate.runs \
          WHERE run_id OPERATOR(pg_catalog.=) $1 \
             OR $1 IS NULL AND status OPERATOR(pg_catalog.=) 'completed' \
                AND role OPERATOR(pg_catalog.=) CURRENT_USER \
          ORDER BY run_id DESC LIMIT 1",
        &[run.into()],
        |row| Ok((row.get::<i64>(1)?, row.get::<String>(2)?)),
    )?;
    let (number, role) = match (found, run) {
        (Some((Some(found), role)), _) => (found, role),
        (_, Some(given)) => return Err(Error::UnknownRun(given)),
        (_, None) => return Err(Error::NoRun),
    };
    let rows = as_owner(|| {
        spi::write_returning(
            "SELECT status OPERATOR(pg_catalog.=) 'rolled back', path, started_at::pg_catalog.text \
               FROM vector_migrate.runs WHERE run_id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
            &[number.into()],
            |row| {
                Ok(Found {
                    run: number,
                    newest_of: role.clone().filter(|_| run.is_none()),
                    undone: row.get(1)?.unwrap_or_default(),
                    path: row.get(2)?.unwrap_or_default(),
                    started: row.get(3)?.unwrap_or_default(),
                    targets: Vec::new(),
                })
            },
        )
    })?;
    let found = rows.into_iter().next().ok_or(Error::UnknownRun(number))?;
    let targets = as_owner(|| {
        spi::read(
            "SELECT content_target::pg_catalog.oid, entity_target::pg_catalog.oid, \
                    id_columns, collection_columns, user_columns \
               FROM vector_migrate.run_targets WHERE run_id OPERATOR(pg_catalog.=) $1 ORDER BY target_no",
            &[number.into()],
            |row| {
                Ok(RunTarget {
                    content: row.get(1)?.unwrap_or(pg_sys::InvalidOid),
                    entity: row.get(2)?,
                    roles: Roles {
                        id: row.get(3)?.unwrap_or_default(),
                        collection: row.get(4)?.unwrap_or_default(),
                        user: row.get(5)?.unwrap_or_default(),
                    },
                })
            },
        )
    })?;
    Ok(Found { targets, ..found })
}
