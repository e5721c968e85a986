//! `rollback_migration`: undoes a run.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::Error;
use crate::message::notice;
use crate::{ledger, pg};

/// Puts the tables back as they were before run `run_id` (NULL: the newest that is not rolled back). Rows
/// that have changed since are kept; `force` removes them too. One row for each table.
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
    let (run, undone) = ledger::roll_back(run_id, force)?;
    let kept: i64 = undone.iter().map(|table| table.kept).sum();
    if kept > 0 {
        notice!(
            "{kept} rows are kept, as they have changed since run {run} or others refer to them; \
             rollback_migration({run}, force => true) removes what has changed"
        );
    }
    if undone
        .iter()
        .all(|table| table.removed + table.restored + table.kept == 0)
    {
        notice!("run {run} had left nothing to undo; vector_migrate.runs lists the others");
    }
    let row =
        move |table: ledger::Undone| (run, table.target, table.removed, table.restored, table.kept);
    Ok(TableIterator::new(undone.into_iter().map(row)))
}
