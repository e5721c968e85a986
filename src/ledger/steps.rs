//! A run's blocks undone: many in one subtransaction, one block in several where a row is refused.
//!
//! Each subtransaction takes an id, and more than 64 of them make every other session's snapshots look into `pg_subtrans`. So
//! each step takes twice as many blocks as the one before, until the server refuses something.

use std::collections::HashSet;

use super::block::{Block, places};
use super::undo::{Step, Tables, rows, undo};
use crate::error::Error;
use crate::{interrupt, pg, subxact};

/// Overwritten rows in one step, about: where each of them went is kept in memory until the step is done.
const MOVES: usize = 100_000;

/// Undoes the blocks of `run` that are about the content table; `done` gets what each step has done.
///
/// # Errors
/// The server's own, and what `done` gives.
pub fn undo_all(
    tables: &Tables,
    run: i64,
    mut done: impl FnMut(Step) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = i64::MIN;
    let mut blocks = 1_usize;
    loop {
        interrupt::check();
        let tried = subxact::run(
            |done| matches!(done, Ok(Some(_))),
            || many(tables, run, after, blocks),
        );
        match tried {
            Ok(Err(error)) => return Err(error),
            Ok(Ok(Some((step, Some(last))))) => {
                done(step)?;
                after = last;
                blocks = blocks.saturating_mul(2);
            }
            Ok(Ok(Some((_, None)))) => return Ok(()),
            Err(refused) if !refused.is_about_a_row() => return Err(Error::Refused(refused)),
            Err(_) | Ok(Ok(None)) => {
                let Some(block) = Block::next(run, tables.content.oid, after)? else {
                    return Ok(());
                };
                let mut step = Step::default();
                let mut undone = HashSet::new();
                by_halves(tables, &block, &block.places(), &mut step, &mut undone)?;
                leave(tables, run, &block, &undone, &mut step)?;
                done(step)?;
                after = block.number;
                blocks = 1;
            }
        }
    }
}

/// One subtransaction's worth: up to `blocks` blocks after block `after`, and the last one's number (`None`: there was none).
/// `None` if something has to be taken back.
fn many(
    tables: &Tables,
    run: i64,
    after: i64,
    blocks: usize,
) -> Result<Option<(Step, Option<i64>)>, Error> {
    let mut total = Step::default();
    let mut last = None;
    for _ in 0..blocks {
        interrupt::check();
        let more = pg::with_memory_of_its_own(|| {
            let Some(block) = Block::next(run, tables.content.oid, last.unwrap_or(after))? else {
                return Ok(Some(false));
            };
            let Some((step, undone)) = undo(tables, &block, &block.places())? else {
                return Ok(None);
            };
            total.add(step);
            leave(
                tables,
                run,
                &block,
                &undone.into_iter().collect(),
                &mut total,
            )?;
            last = Some(block.number);
            Ok::<_, Error>(Some(true))
        })?;
        match more {
            None => return Ok(None),
            Some(false) => break,
            Some(true) if total.moves.len() >= MOVES => break,
            Some(true) => {}
        }
    }
    Ok(Some((total, last)))
}

/// Undoes the rows at `wanted`; where the server refuses (rows that others refer to, with `force`) or touches fewer rows than
/// it was told to (a trigger or a rule that drops them), halves them until those are alone, and leaves them.
fn by_halves(
    tables: &Tables,
    block: &Block,
    wanted: &[usize],
    total: &mut Step,
    undone: &mut HashSet<usize>,
) -> Result<(), Error> {
    match subxact::run(
        |done| matches!(done, Ok(Some(_))),
        || undo(tables, block, wanted),
    ) {
        Ok(Err(error)) => Err(error),
        Ok(Ok(Some((step, places)))) => {
            total.add(step);
            undone.extend(places);
            Ok(())
        }
        Err(refused) if !refused.is_about_a_row() => Err(Error::Refused(refused)),
        _ if wanted.len() <= 1 => Ok(()),
        _ => {
            interrupt::check();
            let (first, second) = wanted.split_at(wanted.len() / 2);
            by_halves(tables, block, first, total, undone)?;
            by_halves(tables, block, second, total, undone)
        }
    }
}

/// Leaves in the block the rows that are there and not undone, and counts them.
fn leave(
    tables: &Tables,
    run: i64,
    block: &Block,
    undone: &HashSet<usize>,
    total: &mut Step,
) -> Result<(), Error> {
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
