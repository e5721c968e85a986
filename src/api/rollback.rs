//! `rollback_migration`: undoes a run.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::Error;
use crate::message::notice;
use crate::{ledger, pg};

/// Puts the tables back as they were before run `run_id` (NULL: the calling role's newest that is not rolled back). Rows
/// that have changed since, or that others refer to, are kept; `force` removes them too. One row for each table.
#[pg_extern(volatile, parallel_unsafe)]
fn rollback_migration(
    run_id: default!(Option<i64>, "NULL"),
    force: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, i64),
            name!(target, String),
            name!(removed, i64),
            name!(restored, i64),
            name!(kept, i64),
        ),
    >,
    ErrorReport,
> {
    if !pg::can_write() {
        return Err(Error::ReadOnly("rollback_migration").into());
    }
    let force = force.ok_or(Error::NullArgument("force"))?;
    let done = ledger::roll_back(run_id, force)?;
    tell(&done, force);
    let run = done.run;
    let row =
        move |table: ledger::Undone| (run, table.target, table.removed, table.restored, table.kept);
    Ok(TableIterator::new(done.tables.into_iter().map(row)))
}

/// Says which run it was, and what was left alone and why.
fn tell(done: &ledger::RolledBack, force: bool) {
    let (run, tables) = (done.run, &done.tables);
    if let Some(role) = &done.newest_of {
        notice!(
            "run {run} is the newest of role \"{role}\" that is not rolled back: begun at {}, from \"{}\"",
            done.started,
            done.path
        );
    }
    let kept: i64 = tables.iter().map(|table| table.kept).sum();
    if kept > 0 {
        notice!(
            "{kept} rows are kept, as they have changed since run {run} or others refer to them; \
             rollback_migration({run}, force => true) removes what has changed"
        );
    }
    if !done.referring.is_empty() {
        notice!(
            "rows of {} refer to rows that are kept",
            done.referring.join(", ")
        );
    }
    if kept > 0 && !force {
        if done.restored {
            notice!(
                "the server cannot tell which rows have changed since run {run}: the ledger comes from another server or \
                 database (dump and restore), or four billion transactions have gone by"
            );
        } else {
            for table in tables.iter().filter(|table| table.unknown) {
                notice!(
                    "the server cannot tell which rows of {} have changed since run {run}: they are not in a table of its \
                     own, but in a view, on another server, or under another access method",
                    table.target
                );
            }
        }
    }
    if done.gone > 0 {
        notice!(
            "{} of the tables that run {run} filled do not exist any more",
            done.gone
        );
    }
    if done.untouched {
        notice!("nothing was undone: run {run} stays as it was");
    } else if tables
        .iter()
        .all(|table| table.removed + table.restored + table.kept == 0)
    {
        notice!("run {run} had left nothing to undo; vector_migrate.runs lists the others");
    }
}
