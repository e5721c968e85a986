//! `rollback_migration`: a run undone block by block.

use pgrx::pg_sys;

use super::follow::Followers;
use super::mark;
use super::owner::as_owner;
use super::referrers::Referrers;
use super::steps::undo_all;
use super::undo::{Step, Tables};
use crate::error::Error;
use crate::tables::{self, ForeignKey, Known, RunTable};
use crate::{lock, spi};

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
    /// Tables that refer to rows left alone.
    pub referring: Vec<String>,
    /// The ids of the run's transactions mean nothing here any more: a dump and restore lies between, or four billion
    /// transactions.
    pub restored: bool,
    /// Rows were left alone and nothing was undone: the run is not rolled back by this.
    pub untouched: bool,
}

/// Undoes `run`, or the newest one of the calling role that is not undone yet.
///
/// # Errors
/// [`Error::NoRun`], [`Error::UnknownRun`] (also for a run of a role that the caller is no member of),
/// [`Error::RolledBack`], [`Error::TargetGone`]; the server's own, as for want of the DELETE privilege.
pub fn roll_back(run: Option<i64>, force: bool) -> Result<RolledBack, Error> {
    let found = find(run)?;
    let run = found.run;
    let (left, known) = as_owner(|| {
        let blocks = spi::read_one(
            "SELECT pg_catalog.count(*), pg_catalog.bool_or(users IS NOT NULL) \
               FROM vector_migrate.run_rows WHERE run_id OPERATOR(pg_catalog.=) $1",
            &[run.into()],
            |row| Ok((row.get::<i64>(1)?, row.get::<bool>(2)?)),
        )?;
        let (left, users) = blocks.unwrap_or_default();
        let xmin = mark::holds(run, found.content)?;
        Ok((left.unwrap_or(0), Known { users, xmin }))
    })?;
    if found.undone && left == 0 {
        return Err(Error::RolledBack(run));
    }
    let tables = describe(&found, known, force, left > 0)?;
    let mut total = Step::default();
    let mut followers = Followers::new(run, found.content, tables.content.per_collection);
    undo_all(&tables, run, |mut step| {
        for moved in std::mem::take(&mut step.moves) {
            followers.push(moved)?;
        }
        total.add(step);
        Ok(())
    })?;
    followers.flush()?;
    let touched = total.removed + total.restored + total.entities_removed + total.entities_restored;
    let untouched = touched == 0 && total.kept + total.entities_kept > 0;
    if !untouched {
        close(run)?;
    }
    let mut undone = vec![Undone {
        target: tables.content.shown.clone(),
        removed: total.removed,
        restored: total.restored,
        kept: total.kept,
        unknown: !tables.content.versioned,
    }];
    if let Some(entity) = &tables.entity {
        undone.push(Undone {
            target: entity.shown.clone(),
            removed: total.entities_removed,
            restored: total.entities_restored,
            kept: total.entities_kept,
            unknown: !entity.versioned,
        });
    }
    Ok(RolledBack {
        run,
        path: found.path,
        started: found.started,
        newest_of: found.newest_of,
        tables: undone,
        referring: total.referring.into_iter().collect(),
        restored: !known.xmin,
        untouched,
    })
}

/// The run's tables, locked to the end of the transaction if there is something to undo (`writes`), and what refers to them.
fn describe(found: &Found, known: Known, force: bool, writes: bool) -> Result<Tables, Error> {
    let gone = || Error::TargetGone { run: found.run };
    if writes {
        // Blocks of the table's other runs change as well: one run or rollback of it at a time.
        lock::wait_for_runs(&tables::named(found.content)?.ok_or_else(gone)?)?;
        if !lock_to_undo(found.content)? {
            return Err(gone());
        }
    }
    let content = RunTable::content(found.content, known)?.ok_or_else(gone)?;
    let entity = match found.entity {
        Some(oid) if !writes || lock_to_undo(oid)? => RunTable::entity(oid, &content, known)?,
        _ => None,
    };
    // By force, rows go whatever refers to them, unless that would make the transaction fail at its end.
    let counts = |key: &ForeignKey| !force || key.deferrable;
    let mut keys = ForeignKey::all(&content, entity.as_ref())?;
    keys.retain(counts);
    let mut to_entities = match &entity {
        Some(entity) => ForeignKey::all(entity, None)?,
        None => Vec::new(),
    };
    to_entities.retain(counts);
    let of_entities = |key: &ForeignKey| key.of_entities && !key.of_itself;
    let (by_entities, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(of_entities);
    let entities_refer = !by_entities.is_empty();
    // Rows that refer by the columns that make them a content row's are looked at as its entity rows.
    let by_other_columns = by_entities.into_iter().filter(|key| match &entity {
        Some(entity) => !entity.is_found_by(&key.referring),
        None => true,
    });
    Ok(Tables {
        to_content: Referrers::new(others, entities_refer),
        by_entities: Referrers::new(by_other_columns.collect(), false),
        to_entities: Referrers::new(to_entities, false),
        content,
        entity,
        force,
    })
}

/// Locks a table as DELETE would: nobody rewrites it, or makes a key to it or an index on it, until the transaction ends.
/// `false` if it is gone.
///
/// # Errors
/// [`Error::NoPrivilege`]: a role that may neither delete nor change rows may not lock the table either.
fn lock_to_undo(table: pg_sys::Oid) -> Result<bool, Error> {
    let found = spi::look_up_one(
        "SELECT c.oid::pg_catalog.regclass::pg_catalog.text, \
                pg_catalog.has_table_privilege(c.oid, 'DELETE') \
                  OR pg_catalog.has_any_column_privilege(c.oid, 'UPDATE') \
           FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[table.into()],
        |row| Ok((row.get::<String>(1)?, row.get::<bool>(2)?)),
    )?;
    match found {
        None | Some((_, None)) => Ok(false),
        Some((name, Some(false))) => Err(Error::NoPrivilege {
            target: name.unwrap_or_default(),
            needed: "DELETE, and UPDATE where rows are put back",
        }),
        Some((_, Some(true))) => Ok(lock::hold(table, lock::Mode::Write)),
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
    content: pg_sys::Oid,
    entity: Option<pg_sys::Oid>,
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
            "SELECT content_target::pg_catalog.oid, entity_target::pg_catalog.oid, \
                    status OPERATOR(pg_catalog.=) 'rolled back', path, started_at::pg_catalog.text \
               FROM vector_migrate.runs WHERE run_id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
            &[number.into()],
            |row| {
                Ok(Found {
                    run: number,
                    newest_of: role.clone().filter(|_| run.is_none()),
                    content: row.get(1)?.unwrap_or(pg_sys::InvalidOid),
                    entity: row.get(2)?,
                    undone: row.get(3)?.unwrap_or_default(),
                    path: row.get(4)?.unwrap_or_default(),
                    started: row.get(5)?.unwrap_or_default(),
                })
            },
        )
    })?;
    rows.into_iter().next().ok_or(Error::UnknownRun(number))
}
