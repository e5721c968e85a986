//! One content table of a run, and its entity table, undone block by block.

use pgrx::pg_sys;

use super::follow::Followers;
use super::mark;
use super::owner::as_owner;
use super::referrers::Referrers;
use super::steps::undo_all;
use super::undo::{Step, Tables};
use crate::error::Error;
use crate::tables::{self, ForeignKey, Known, Roles, RunTable};
use crate::{lock, spi};

/// Tables that a run wrote to.
#[derive(Debug, Clone)]
pub struct RunTarget {
    /// The content table.
    pub content: pg_sys::Oid,
    /// The entity table.
    pub entity: Option<pg_sys::Oid>,
    /// What columns of the content table may tell its rows apart.
    pub roles: Roles,
}

/// What the ledger has left of a target.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    /// Blocks of rows that can be undone.
    pub blocks: i64,
    /// What it knows of them.
    pub known: Known,
}

/// What the ledger has left of `target` in `run`; of a table that is gone there is nothing to undo.
///
/// # Errors
/// The server's own.
pub fn left(run: i64, target: &RunTarget) -> Result<Left, Error> {
    let there = tables::named(target.content)?.is_some();
    as_owner(|| {
        let blocks = spi::read_one(
            "SELECT pg_catalog.count(*), pg_catalog.bool_or(users IS NOT NULL) \
               FROM vector_migrate.run_rows \
              WHERE run_id OPERATOR(pg_catalog.=) $1 AND target OPERATOR(pg_catalog.=) $2",
            &[run.into(), target.content.into()],
            |row| Ok((row.get::<i64>(1)?, row.get::<bool>(2)?)),
        )?;
        let (blocks, users) = blocks.unwrap_or_default();
        let xmin = mark::holds(run, target.content)?;
        Ok(Left {
            blocks: blocks.filter(|_| there).unwrap_or(0),
            known: Known { users, xmin },
        })
    })
}

/// Undoes what is `left` of `run` in `target`; `None` if the content table is gone.
///
/// # Errors
/// [`Error::NoPrivilege`], [`Error::Refused`]; the server's own.
pub fn undo(
    run: i64,
    target: &RunTarget,
    left: &Left,
    force: bool,
) -> Result<Option<(Tables, Step)>, Error> {
    let Some(tables) = describe(target, left.known, force, left.blocks > 0)? else {
        return Ok(None);
    };
    let mut total = Step::default();
    let mut followers = Followers::new(run, target.content, tables.content.per_collection);
    undo_all(&tables, run, |mut step| {
        for moved in std::mem::take(&mut step.moves) {
            followers.push(moved)?;
        }
        total.add(step);
        Ok(())
    })?;
    followers.flush()?;
    Ok(Some((tables, total)))
}

/// The tables, locked to the end of the transaction if there is something to undo (`writes`), and what refers to them; `None`
/// if the content table is gone.
fn describe(
    target: &RunTarget,
    known: Known,
    force: bool,
    writes: bool,
) -> Result<Option<Tables>, Error> {
    if writes {
        let Some(name) = tables::named(target.content)? else {
            return Ok(None);
        };
        // Blocks of the table's other runs change as well: one run or rollback of it at a time.
        lock::wait_for_runs(&name)?;
        if !lock_to_undo(target.content)? {
            return Ok(None);
        }
    }
    let Some(content) = RunTable::content(target.content, &target.roles, known)? else {
        return Ok(None);
    };
    let entity = match target.entity {
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
    Ok(Some(Tables {
        to_content: Referrers::new(others, entities_refer),
        by_entities: Referrers::new(by_other_columns.collect(), false),
        to_entities: Referrers::new(to_entities, false),
        content,
        entity,
        force,
    }))
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
