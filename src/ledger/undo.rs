//! Undoing a block: inserted rows removed, overwritten rows and their entity rows put back.

use std::collections::HashSet;

use super::block::{Block, places};
use super::follow::{Followers, Move};
use crate::error::Error;
use crate::tables::RunTable;
use crate::{interrupt, pg, subxact};

/// The tables of a run.
pub struct Tables {
    /// The content table.
    pub content: RunTable,
    /// The entity table, if there was one and it is still there.
    pub entity: Option<RunTable>,
    /// Rows that have changed since are undone too.
    pub force: bool,
}

/// Rows touched, and rows left alone.
#[derive(Debug, Default, Clone, Copy)]
pub struct Step {
    /// Content rows removed.
    pub removed: i64,
    /// Content rows put back.
    pub restored: i64,
    /// Content rows left alone.
    pub kept: i64,
    /// Entity rows removed.
    pub entities_removed: i64,
    /// Entity rows put back.
    pub entities_restored: i64,
    /// Entity rows of content rows left alone.
    pub entities_kept: i64,
}

impl Step {
    fn add(&mut self, more: Step) {
        self.removed += more.removed;
        self.restored += more.restored;
        self.kept += more.kept;
        self.entities_removed += more.entities_removed;
        self.entities_restored += more.entities_restored;
        self.entities_kept += more.entities_kept;
    }
}

/// Rows of a block that are undone, and the `xmin` of those put back.
struct Done {
    step: Step,
    places: Vec<usize>,
    xid: String,
}

/// Undoes one block of `run`, as far as its rows are as the run left them, and leaves the others in it.
///
/// # Errors
/// The server's own.
pub fn undo_block(
    tables: &Tables,
    run: i64,
    block: &Block,
    followers: &mut Followers,
    total: &mut Step,
) -> Result<(), Error> {
    if let Some(removed) = remove_whole(tables, block)? {
        total.removed += removed;
        return block.shrink(run, &[]);
    }
    let mut done = Vec::new();
    undo_all(tables, block, &block.places(), &mut done)?;
    let mut undone = HashSet::new();
    for done in done {
        total.add(done.step);
        if block.overwritten() {
            let keys = block.keys(&done.places);
            let users = keys.user.unwrap_or_else(|| vec![None; keys.key.len()]);
            for ((key, user), from) in keys.key.into_iter().zip(users).zip(keys.xid) {
                followers.push(Move {
                    collection: block.collection.clone(),
                    key,
                    user,
                    from,
                    to: done.xid.clone(),
                })?;
            }
        }
        undone.extend(done.places);
    }
    let mut left = block.places();
    left.retain(|place| !undone.contains(place));
    // Rows that are gone are forgotten.
    let there = tables.content.unchanged(&block.keys(&left), true)?;
    let there: HashSet<usize> = places(there).collect();
    left.retain(|place| there.contains(place));
    total.kept += rows(&left);
    if let Some(entity) = &tables.entity {
        total.entities_kept += entity.count_entities(&block.keys(&block.with_entities(&left)))?;
    }
    block.shrink(run, &left)
}

/// The usual case in one statement: a block of plain inserts of which every row is as the run left it.
/// `None`: it is not that, and nothing is done.
fn remove_whole(tables: &Tables, block: &Block) -> Result<Option<i64>, Error> {
    let plain = block.without_entities() || tables.entity.is_none();
    if block.overwritten() || !plain {
        return Ok(None);
    }
    let all = block.places();
    let keys = block.keys(&all);
    let wanted = rows(&all);
    // The entity table may have the application's rows for a content row, which stays then.
    let removed = subxact::run(
        |removed| matches!(removed, Ok(Some(_))),
        || {
            if let (Some(entity), false) = (&tables.entity, tables.force)
                && !entity.still_has_entities(&keys)?.is_empty()
            {
                return Ok(None);
            }
            let removed = tables.content.remove(&keys, tables.force)?;
            Ok((removed == wanted).then_some(removed))
        },
    );
    match removed {
        Ok(removed) => removed,
        Err(refused) if refused.is_about_a_row() => Ok(None),
        Err(refused) => Err(Error::Refused(refused)),
    }
}

/// Undoes the rows at `places`; where the server refuses (rows that others refer to) or touches fewer rows
/// than it was told to (a trigger or a rule that drops them), halves them until those are alone, and leaves
/// them.
fn undo_all(
    tables: &Tables,
    block: &Block,
    places: &[usize],
    done: &mut Vec<Done>,
) -> Result<(), Error> {
    match subxact::run(
        |done| matches!(done, Ok(Some(_))),
        || undo(tables, block, places),
    ) {
        Ok(Err(error)) => Err(error),
        Ok(Ok(Some(step))) => {
            done.push(step);
            Ok(())
        }
        Err(refused) if !refused.is_about_a_row() => Err(Error::Refused(refused)),
        _ if places.len() <= 1 => Ok(()),
        _ => {
            interrupt::check();
            let (first, second) = places.split_at(places.len() / 2);
            undo_all(tables, block, first, done)?;
            undo_all(tables, block, second, done)
        }
    }
}

/// One subtransaction's worth; `None` if the server touched fewer content rows than it was told to.
fn undo(tables: &Tables, block: &Block, wanted: &[usize]) -> Result<Option<Done>, Error> {
    let Tables {
        content,
        entity,
        force,
    } = tables;
    let mut step = Step::default();
    let mine: HashSet<usize> = places(content.unchanged(&block.keys(wanted), *force)?).collect();
    let mut mine: Vec<usize> = wanted
        .iter()
        .copied()
        .filter(|place| mine.contains(place))
        .collect();
    if let Some(entity) = entity {
        let with = block.keys(&block.with_entities(&mine));
        step.entities_removed += entity.remove(&with, *force)?;
        step.entities_restored += entity.put_back(&block.before(&mine))?;
        if !force && !block.overwritten() {
            let crowded: HashSet<usize> =
                places(entity.still_has_entities(&block.keys(&mine))?).collect();
            mine.retain(|place| !crowded.contains(place));
        }
    }
    let keys = block.keys(&mine);
    let touched = if block.overwritten() {
        step.restored = content.restore(&keys, &block.before(&mine))?;
        step.restored
    } else {
        step.removed = content.remove_ours(&keys, *force)?;
        step.removed
    };
    if touched < rows(&mine) {
        return Ok(None);
    }
    Ok(Some(Done {
        step,
        places: mine,
        xid: pg::current_xid().to_string(),
    }))
}

fn rows(places: &[usize]) -> i64 {
    i64::try_from(places.len()).unwrap_or(i64::MAX)
}
