//! Undoing a block: inserted rows removed, overwritten rows and their entity rows put back.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::block::{Block, places};
use super::follow::Move;
use super::referrers::{Free, Referrers};
use crate::error::Error;
use crate::pg;
use crate::tables::{Entities, RunKeys, RunTable};

/// The tables of a run.
pub struct Tables {
    /// The content table.
    pub content: RunTable,
    /// The entity table, if there was one and it is still there.
    pub entity: Option<RunTable>,
    /// What refers to the content table, but for the entity table.
    pub to_content: Referrers,
    /// What refers to the content table from the entity table by other columns than those that make an entity row one of a
    /// content row's.
    pub by_entities: Referrers,
    /// What refers to the entity table.
    pub to_entities: Referrers,
    /// Rows that have changed since, or that others refer to, are undone too.
    pub force: bool,
}

/// Rows touched, and rows left alone.
#[derive(Debug, Default)]
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
    /// Entity rows left alone.
    pub entities_kept: i64,
    /// Tables that refer to rows left alone.
    pub referring: BTreeSet<String>,
    /// Content rows that have got another `xmin`.
    pub moves: Vec<Move>,
}

impl Step {
    /// Adds what another step has done.
    pub fn add(&mut self, more: Step) {
        self.removed += more.removed;
        self.restored += more.restored;
        self.kept += more.kept;
        self.entities_removed += more.entities_removed;
        self.entities_restored += more.entities_restored;
        self.entities_kept += more.entities_kept;
        self.referring.extend(more.referring);
        self.moves.extend(more.moves);
    }
}

/// Undoes those of the rows at `wanted` that are as the run left them and that nothing refers to; gives the places of those
/// undone. `None` if the server touched fewer content rows than it was told to (a trigger or a rule drops them): the
/// subtransaction has to be taken back.
///
/// # Errors
/// The server's own.
pub fn undo(
    tables: &Tables,
    block: &Block,
    wanted: &[usize],
) -> Result<Option<(Step, Vec<usize>)>, Error> {
    let Tables { content, force, .. } = tables;
    let mut step = Step::default();
    let checked = !block.overwritten() && tables.to_content.matter();
    if tables.entity.is_none() && !checked && !block.overwritten() && content.lookup.unique {
        // The usual case in one statement. Which rows it has left, is seen by who asks what is there.
        step.removed = content.remove(&block.keys(wanted), *force)?;
        let all = step.removed == rows(wanted);
        let undone = if all { wanted.to_vec() } else { Vec::new() };
        return Ok(Some((step, undone)));
    }
    let mut mine = wanted.to_vec();
    let mut xmins = HashMap::new();
    if block.overwritten() {
        let unchanged = content.unchanged_with_xmin(&block.keys(&mine), *force)?;
        keep_only(&mut mine, unchanged.iter().map(|(number, _)| *number));
        xmins.extend(unchanged);
    } else if !checked || pg::row_security_applies(content.oid) {
        // What locks rows sees them all: not only those that row-level security shows to the caller.
        let unchanged = content.unchanged(&block.keys(&mine), *force)?;
        keep_only(&mut mine, unchanged);
    }
    if checked {
        let free = tables
            .to_content
            .free(content, &block.keys(&mine), *force)?;
        keep_free(&mut mine, free, &mut step);
    }
    if let Some(entity) = &tables.entity {
        if !undo_entities(tables, entity, block, &mut mine, &mut step)? {
            return Ok(None);
        }
        let is_mine: HashSet<usize> = mine.iter().copied().collect();
        let mut others = wanted.to_vec();
        others.retain(|place| !is_mine.contains(place));
        remove_orphans(tables, entity, block, others, &mut step)?;
    }
    let mut keys = block.keys(&mine);
    let touched = if block.overwritten() {
        // By force, it may be another run's that overwrote it since.
        let xmin = |number| xmins.remove(number).unwrap_or_default();
        keys.xid = keys.number.iter().map(xmin).collect();
        step.restored = content.restore(&keys, &block.before(&mine))?;
        step.moves = moves(&block.collection, keys, pg::current_xid());
        step.restored
    } else {
        step.removed = content.remove_ours(&keys, *force)?;
        step.removed
    };
    Ok((touched >= rows(&mine)).then_some((step, mine)))
}

/// Removes the entity rows of the content rows at `mine`, and puts back those that overwritten rows had. Content rows that
/// cannot go without entity rows that are not as the run left them, or that others refer to, are taken out of `mine`.
/// `false`: the subtransaction has to be taken back.
fn undo_entities(
    tables: &Tables,
    entity: &RunTable,
    block: &Block,
    mine: &mut Vec<usize>,
    step: &mut Step,
) -> Result<bool, Error> {
    let (force, stays) = (tables.force, block.overwritten());
    let there = entity.entities(&block.keys(mine), force)?;
    let mut with: HashMap<usize, Entities> = HashMap::new();
    for (number, entities) in there {
        with.extend(places(vec![number]).map(|place| (place, entities)));
    }
    if !force && !stays {
        let whole = |place: &usize| with.get(place).is_none_or(|it| it.untouched == it.rows);
        mine.retain(whole);
    }
    let mut own = mine.clone();
    own.retain(|place| with.get(place).is_some_and(|it| force || it.untouched > 0));
    if tables.to_entities.matter() {
        let free = tables.to_entities.free(entity, &block.keys(&own), force)?;
        let before: HashSet<usize> = own.iter().copied().collect();
        keep_free(&mut own, free, step);
        let after: HashSet<usize> = own.iter().copied().collect();
        mine.retain(|place| !before.contains(place) || after.contains(place));
    }
    let wanted: i64 = own
        .iter()
        .filter_map(|place| with.get(place))
        .map(|it| it.untouched)
        .sum();
    let removed = entity.remove(&block.keys(&own), force)?;
    if removed < wanted {
        // Changed meanwhile, or a trigger keeps them: they would go with their content row.
        return Ok(false);
    }
    step.entities_removed += removed;
    if !force && tables.by_entities.matter() && !stays {
        let free = tables
            .by_entities
            .free(&tables.content, &block.keys(mine), force)?;
        let all = free.numbers.len() == mine.len();
        step.referring.extend(free.referring);
        if !all {
            return Ok(false);
        }
    }
    let left = mine.iter().filter_map(|place| with.get(place));
    step.entities_kept += left.map(|it| it.rows - it.untouched).sum::<i64>();
    step.entities_restored += entity.put_back(&block.before(mine))?;
    Ok(true)
}

/// Removes the entity rows that are as the run left them, and whose content row, at one of `gone`, really is gone.
fn remove_orphans(
    tables: &Tables,
    entity: &RunTable,
    block: &Block,
    mut gone: Vec<usize>,
    step: &mut Step,
) -> Result<(), Error> {
    if gone.is_empty() {
        return Ok(());
    }
    let there = tables.content.unchanged(&block.keys(&gone), true)?;
    let there: HashSet<usize> = places(there).collect();
    gone.retain(|place| !there.contains(place));
    if tables.to_entities.matter() {
        let free = tables.to_entities.free(entity, &block.keys(&gone), false)?;
        keep_free(&mut gone, free, step);
    }
    step.entities_removed += entity.remove(&block.keys(&gone), false)?;
    Ok(())
}

fn moves(collection: &str, keys: RunKeys, to: u32) -> Vec<Move> {
    let users = keys.user.unwrap_or_else(|| vec![None; keys.key.len()]);
    let rows = keys.key.into_iter().zip(users).zip(keys.xid);
    rows.map(|((key, user), from)| Move {
        collection: collection.to_owned(),
        key,
        user,
        from,
        to: to.to_string(),
    })
    .collect()
}

/// Leaves the places of these numbers.
fn keep_only(left: &mut Vec<usize>, numbers: impl IntoIterator<Item = i64>) {
    let wanted: HashSet<usize> = places(numbers.into_iter().collect()).collect();
    left.retain(|place| wanted.contains(place));
}

/// Leaves the places of rows that can go.
fn keep_free(left: &mut Vec<usize>, free: Free, step: &mut Step) {
    keep_only(left, free.numbers);
    step.referring.extend(free.referring);
}

/// A number of rows as the ledger counts.
pub fn rows(places: &[usize]) -> i64 {
    i64::try_from(places.len()).unwrap_or(i64::MAX)
}
