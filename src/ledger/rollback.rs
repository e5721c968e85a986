//! Undoing a run: inserted rows removed, overwritten rows and their entity rows put back.
//!
//! A row is the run's as long as its `xmin` is the one that the ledger has; any later change gives it
//! another. Where a later run overwrites a row of an earlier one, or a rollback puts it back, the earlier
//! entry follows to the new `xmin` (see [`follow`]), so that runs can be undone in any order.

use std::collections::HashSet;

use pgrx::{JsonB, pg_sys};

use super::owner::as_owner;
use crate::error::Error;
use crate::tables::RunTable;
use crate::{interrupt, pg, spi, subxact};

/// Ledger entries undone in one subtransaction.
const CHUNK: i64 = 2_000;

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

/// A row of `run_rows`.
#[derive(Debug, Clone)]
struct Line {
    row_no: i64,
    collection: String,
    key: String,
    user: Option<String>,
    entities: i32,
    xid: String,
    before: Option<serde_json::Value>,
}

/// The tables of a run.
struct Tables {
    content: RunTable,
    entity: Option<RunTable>,
    force: bool,
}

/// Rows touched in one step.
#[derive(Debug, Default, Clone, Copy)]
struct Step {
    removed: i64,
    restored: i64,
    entities_removed: i64,
    entities_restored: i64,
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
    let mut kept = 0;
    let mut entities_kept = 0;
    let mut from = i64::MIN;
    loop {
        interrupt::check();
        let lines = lines(run, from)?;
        let Some(last) = lines.last() else { break };
        from = last.row_no + 1;
        undo_all(&tables, run, &lines, &mut total)?;
        let (rows, entities) = settle(&tables, run, &lines)?;
        kept += rows;
        entities_kept += entities;
    }
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
        kept,
    }];
    if let Some(entity) = &tables.entity {
        undone.push(Undone {
            target: entity.shown.clone(),
            removed: total.entities_removed,
            restored: total.entities_restored,
            kept: entities_kept,
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

fn lines(run: i64, from: i64) -> Result<Vec<Line>, Error> {
    as_owner(|| {
        spi::read(
            "SELECT row_no, collection, key, user_id, entities, xid::pg_catalog.text, before \
               FROM vector_migrate.run_rows \
              WHERE run_id OPERATOR(pg_catalog.=) $1 AND row_no OPERATOR(pg_catalog.>=) $2 \
              ORDER BY row_no LIMIT $3",
            &[run.into(), from.into(), CHUNK.into()],
            |row| {
                Ok(Line {
                    row_no: row.get(1)?.unwrap_or_default(),
                    collection: row.get(2)?.unwrap_or_default(),
                    key: row.get(3)?.unwrap_or_default(),
                    user: row.get(4)?,
                    entities: row.get(5)?.unwrap_or_default(),
                    xid: row.get(6)?.unwrap_or_default(),
                    before: row.get::<JsonB>(7)?.map(|json| json.0),
                })
            },
        )
    })
}

/// Undoes `lines`; where the server refuses (rows that others refer to) or touches fewer rows than it was
/// told to (a trigger or a rule that drops them), halves them until those are alone, and leaves them.
fn undo_all(tables: &Tables, run: i64, lines: &[Line], total: &mut Step) -> Result<(), Error> {
    match subxact::run(
        |done| matches!(done, Ok(Some(_))),
        || undo(tables, run, lines),
    ) {
        Ok(Err(error)) => Err(error),
        Ok(Ok(Some(step))) => {
            total.removed += step.removed;
            total.restored += step.restored;
            total.entities_removed += step.entities_removed;
            total.entities_restored += step.entities_restored;
            Ok(())
        }
        Err(refused) if !refused.is_about_a_row() => Err(Error::Refused(refused)),
        _ if lines.len() <= 1 => Ok(()),
        _ => {
            interrupt::check();
            let (first, second) = lines.split_at(lines.len() / 2);
            undo_all(tables, run, first, total)?;
            undo_all(tables, run, second, total)
        }
    }
}

/// One subtransaction's worth; `None` if the server touched fewer content rows than it was told to.
fn undo(tables: &Tables, run: i64, lines: &[Line]) -> Result<Option<Step>, Error> {
    let Tables {
        content,
        entity,
        force,
    } = tables;
    let mut step = Step::default();
    let mine: HashSet<i64> = content
        .unchanged(&keys(lines), *force)?
        .into_iter()
        .collect();
    let mut inserted = Vec::new();
    let mut updated = Vec::new();
    for line in lines.iter().filter(|line| mine.contains(&line.row_no)) {
        if line.before.is_some() {
            updated.push(line.clone())
        } else {
            inserted.push(line.clone())
        }
    }
    if let Some(entity) = entity {
        let with_entities: Vec<Line> = inserted
            .iter()
            .chain(&updated)
            .filter(|line| line.entities > 0)
            .cloned()
            .collect();
        step.entities_removed += entity.remove_entities(&keys(&with_entities), *force)?;
        let before: Vec<serde_json::Value> = updated
            .iter()
            .filter_map(|line| line.before.clone())
            .flat_map(entities_of)
            .collect();
        step.entities_restored += entity.put_back(&before)?;
        if !force {
            let crowded: HashSet<i64> = entity
                .still_has_entities(&keys(&inserted))?
                .into_iter()
                .collect();
            inserted.retain(|line| !crowded.contains(&line.row_no));
        }
    }
    step.removed += content.remove(&keys(&inserted))?;
    if step.removed < rows_of(&inserted) {
        return Ok(None);
    }
    let rows: Vec<(i64, serde_json::Value)> = updated
        .iter()
        .filter_map(|line| Some((line.row_no, line.before.as_ref()?.get("row")?.clone())))
        .collect();
    step.restored += content.restore(&keys(&updated), &rows)?;
    if step.restored < rows_of(&updated) {
        return Ok(None);
    }
    let restored: Vec<i64> = updated.iter().map(|line| line.row_no).collect();
    follow_restored(run, &restored, content.per_collection)?;
    let done: Vec<i64> = inserted
        .iter()
        .map(|line| line.row_no)
        .chain(restored)
        .collect();
    forget(run, done)?;
    Ok(Some(step))
}

fn rows_of(lines: &[Line]) -> i64 {
    i64::try_from(lines.len()).unwrap_or(i64::MAX)
}

fn entities_of(mut before: serde_json::Value) -> Vec<serde_json::Value> {
    match before.get_mut("entities").map(serde_json::Value::take) {
        Some(serde_json::Value::Array(entities)) => entities,
        _ => Vec::new(),
    }
}

/// Entries whose row is gone are forgotten; the others are counted as kept, with their entity rows.
fn settle(tables: &Tables, run: i64, lines: &[Line]) -> Result<(i64, i64), Error> {
    let numbers: Vec<i64> = lines.iter().map(|line| line.row_no).collect();
    let left: HashSet<i64> = as_owner(|| {
        spi::read(
            "SELECT row_no FROM vector_migrate.run_rows \
              WHERE run_id OPERATOR(pg_catalog.=) $1 AND row_no OPERATOR(pg_catalog.=) ANY ($2)",
            &[run.into(), numbers.into()],
            |row| Ok(row.get::<i64>(1)?.unwrap_or_default()),
        )
    })?
    .into_iter()
    .collect();
    let left: Vec<Line> = lines
        .iter()
        .filter(|line| left.contains(&line.row_no))
        .cloned()
        .collect();
    if left.is_empty() {
        return Ok((0, 0));
    }
    let there: HashSet<i64> = tables
        .content
        .unchanged(&keys(&left), true)?
        .into_iter()
        .collect();
    let (kept, gone): (Vec<Line>, Vec<Line>) = left
        .into_iter()
        .partition(|line| there.contains(&line.row_no));
    forget(run, gone.iter().map(|line| line.row_no).collect())?;
    let entities = match &tables.entity {
        Some(entity) => {
            let with: Vec<Line> = kept
                .iter()
                .filter(|line| line.entities > 0)
                .cloned()
                .collect();
            entity.count_entities(&keys(&with))?
        }
        None => 0,
    };
    Ok((i64::try_from(kept.len()).unwrap_or(i64::MAX), entities))
}

/// The lines as parallel arrays.
fn keys(lines: &[Line]) -> crate::tables::KeyArrays {
    crate::tables::KeyArrays {
        row_no: lines.iter().map(|line| line.row_no).collect(),
        collection: lines.iter().map(|line| line.collection.clone()).collect(),
        key: lines.iter().map(|line| line.key.clone()).collect(),
        user: lines.iter().map(|line| line.user.clone()).collect(),
        xid: lines.iter().map(|line| line.xid.clone()).collect(),
    }
}

fn forget(run: i64, done: Vec<i64>) -> Result<(), Error> {
    if done.is_empty() {
        return Ok(());
    }
    as_owner(|| {
        spi::write(
            "DELETE FROM vector_migrate.run_rows \
              WHERE run_id OPERATOR(pg_catalog.=) $1 AND row_no OPERATOR(pg_catalog.=) ANY ($2)",
            &[run.into(), done.into()],
        )
    })?;
    Ok(())
}

/// Entries of earlier runs that had followed to this run's `xmin` follow back to the restored rows'.
fn follow_restored(run: i64, rows: &[i64], per_collection: bool) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let now = pg::current_xid().to_string();
    as_owner(|| {
        spi::write(
            "UPDATE vector_migrate.run_rows o SET xid = $3::pg_catalog.xid \
               FROM vector_migrate.run_rows r \
              WHERE r.run_id OPERATOR(pg_catalog.=) $1 \
                AND r.row_no OPERATOR(pg_catalog.=) ANY ($2) \
                AND o.run_id OPERATOR(pg_catalog.<>) $1 \
                AND o.target OPERATOR(pg_catalog.=) r.target \
                AND (o.collection OPERATOR(pg_catalog.=) r.collection OR NOT $4) \
                AND o.key OPERATOR(pg_catalog.=) r.key \
                AND o.xid OPERATOR(pg_catalog.=) r.xid",
            &[
                run.into(),
                rows.to_vec().into(),
                now.into(),
                per_collection.into(),
            ],
        )
    })?;
    Ok(())
}

/// Entries of earlier runs follow rows that run `run` is overwriting: those whose `xmin` they have.
/// `collection`: that of the rows, if the table keeps collections apart.
///
/// # Errors
/// The server's own.
pub fn follow(
    run: i64,
    target: pg_sys::Oid,
    collection: Option<&str>,
    overwritten: &[(String, String)],
) -> Result<(), Error> {
    let (keys, xids): (Vec<String>, Vec<String>) = overwritten.iter().cloned().unzip();
    let now = pg::current_xid().to_string();
    as_owner(|| {
        spi::write(
            "UPDATE vector_migrate.run_rows o SET xid = $6::pg_catalog.xid \
               FROM unnest($4, $5) AS r(key, xid) \
              WHERE o.run_id OPERATOR(pg_catalog.<>) $1 \
                AND o.target OPERATOR(pg_catalog.=) $2 \
                AND ($3 IS NULL OR o.collection OPERATOR(pg_catalog.=) $3) \
                AND o.key OPERATOR(pg_catalog.=) r.key \
                AND o.xid OPERATOR(pg_catalog.=) r.xid::pg_catalog.xid",
            &[
                run.into(),
                target.into(),
                collection.into(),
                keys.into(),
                xids.into(),
                now.into(),
            ],
        )
    })?;
    Ok(())
}
