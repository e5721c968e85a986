//! The links of an index: the graph's own, completed.
//!
//! Promise: lists of layer 0 are full wherever there are elements enough, as pgvector's own are: VACUUM builds every
//! element anew whose list is not. No distance is computed: who is near whom, the graph knows. Memory beside the graph:
//! a byte for each list, and a table whose size depends on M alone; see [`super::graph`]. May import `fill`,
//! `linked`, `lists`, `reach` and `repair`.

use super::fill::fill;
use super::linked::{LinkCounts, Linked, Placed};
use super::lists::{Lists, NONE, at};
use super::reach::{apart, reach};
use super::repair::{repair, stand_ins};

/// What the caller gives to linking.
pub struct Means<'a> {
    /// Called every few thousand elements; it may unwind.
    pub tick: &'a mut dyn FnMut(),
    /// Threads that may work at once, this one included.
    pub threads: usize,
    /// Runs a function that starts threads; to block signals meanwhile.
    pub quietly: &'a dyn Fn(&mut dyn FnMut()),
}

impl<'a> Means<'a> {
    /// This thread alone.
    pub fn alone(tick: &'a mut dyn FnMut()) -> Means<'a> {
        Means {
            tick,
            threads: 1,
            quietly: &|start| start(),
        }
    }
}

/// Elements between two calls of the caller's function.
const TICK: u32 = 2048;

/// Calls the caller's function from time to time.
pub(super) struct Ticker<'a> {
    tick: &'a mut dyn FnMut(),
    steps: u32,
}

impl<'a> Ticker<'a> {
    /// Calls `tick`.
    pub fn new(tick: &'a mut dyn FnMut()) -> Ticker<'a> {
        Ticker { tick, steps: 0 }
    }

    /// Another element is done.
    pub fn step(&mut self) {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(TICK) {
            (self.tick)();
        }
    }
}

/// Completes `lists` of the `placed` elements. `next` has elements of equal vectors one after the other; `entry` is where
/// the graph's own search begins.
pub(super) fn complete(
    mut placed: Placed,
    mut lists: Lists,
    mut next: Vec<u32>,
    entry: Option<u32>,
    mut counts: LinkCounts,
    means: &mut Means<'_>,
) -> Linked {
    let ticker = &mut Ticker::new(means.tick);
    stand_ins(&mut next, &placed.rows);
    let mut own = repair(&placed, &mut lists, &next, &mut counts, ticker);
    drop(next);
    back(&placed, &mut lists, &mut counts, ticker);
    let entry = first(&placed, entry);
    counts.apart = entry.map_or(0, |entry| apart(&placed, &lists, entry, ticker));
    fill(&placed, &mut lists, &own, &mut counts, means);
    let ticker = &mut Ticker::new(means.tick);
    if let Some(entry) = entry {
        let seen = reach(&placed, &mut lists, &mut own, entry, &mut counts, ticker);
        placed.leave_out(&seen);
    }
    let full = |element: &&u32| lists.length(at(**element)) == lists.capacity(at(**element));
    let full = placed.order.iter().filter(full).count();
    counts.not_full = u64::try_from(placed.order.len().saturating_sub(full)).unwrap_or(u64::MAX);
    Linked::new(placed, lists, entry, counts)
}

/// Where a search begins: at the graph's entry if it has a row and no element is higher, else at the first of the highest.
fn first(placed: &Placed, entry: Option<u32>) -> Option<u32> {
    let level = |element: &u32| placed.level(*element);
    let top = placed.order.iter().map(level).max()?;
    let highest = |element: &u32| placed.has_rows(*element) && placed.level(*element) == top;
    let other = || placed.order.iter().copied().find(highest);
    entry.filter(highest).or_else(other)
}

/// Adds the way back of every link, where there is room.
fn back(placed: &Placed, lists: &mut Lists, counts: &mut LinkCounts, ticker: &mut Ticker<'_>) {
    for &element in &placed.order {
        ticker.step();
        for layer in 0..=placed.level(element) {
            let list = placed.list(element, layer);
            for place in 0..lists.length(list) {
                let link = lists.of(list).get(place).copied().unwrap_or(NONE);
                let other = placed.list(link, layer);
                let room = lists.length(other) < lists.capacity(other);
                if room && !lists.of(other).contains(&element) && lists.push(other, element) {
                    counts.back += 1;
                }
            }
        }
    }
}
