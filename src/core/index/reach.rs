//! Whether a search reaches every element.
//!
//! Promise: an element that is not reached gets a place in the list of one of its neighbours that is, where a link that
//! was added can go; the graph's own links, and those in the place of lost ones, all stay. May import `linked`, `links` and `lists`.

use super::linked::{LinkCounts, Placed};
use super::links::Ticker;
use super::lists::{Lists, NONE, at};

/// How often elements are given a place: one that loses its own this way gets another in the next round.
const ROUNDS: u32 = 5;

/// What a search has reached.
struct Search {
    seen: Vec<bool>,
    queue: Vec<u32>,
}

impl Search {
    fn new(size: usize) -> Search {
        Search {
            seen: vec![false; size],
            queue: Vec::new(),
        }
    }

    fn has(&self, element: u32) -> bool {
        self.seen.get(at(element)).is_some_and(|seen| *seen)
    }

    fn see(&mut self, element: u32) {
        if let Some(seen) = self.seen.get_mut(at(element))
            && !*seen
        {
            *seen = true;
            self.queue.push(element);
        }
    }

    /// Follows the links at `layer` of everything in the queue, which stays as it is but for what is found.
    fn follow(&mut self, placed: &Placed, lists: &Lists, layer: u8, ticker: &mut Ticker<'_>) {
        let mut place = 0_usize;
        while let Some(&element) = self.queue.get(place) {
            ticker.step();
            let links = lists.of(placed.list(element, layer));
            links.iter().for_each(|link| self.see(*link));
            place = place.saturating_add(1);
        }
    }

    /// Searches from `entry` down through all layers.
    fn from(&mut self, placed: &Placed, lists: &Lists, entry: u32, ticker: &mut Ticker<'_>) {
        self.seen.fill(false);
        self.queue.clear();
        self.see(entry);
        for layer in (0..=placed.level(entry)).rev() {
            self.follow(placed, lists, layer, ticker);
        }
    }

    /// How many elements it has not reached.
    fn left(&self, placed: &Placed) -> u64 {
        let left = placed.order.iter().filter(|element| !self.has(**element));
        u64::try_from(left.count()).unwrap_or(u64::MAX)
    }
}

/// How many elements a search from `entry` does not reach.
pub(super) fn apart(placed: &Placed, lists: &Lists, entry: u32, ticker: &mut Ticker<'_>) -> u64 {
    let mut search = Search::new(placed.levels.len());
    search.from(placed, lists, entry, ticker);
    search.left(placed)
}

/// Makes elements reachable from `entry`; which are, by element. The first `kept` links of each list are not replaced.
pub(super) fn reach(
    placed: &Placed,
    lists: &mut Lists,
    kept: &mut [u8],
    entry: u32,
    counts: &mut LinkCounts,
    ticker: &mut Ticker<'_>,
) -> Vec<bool> {
    let mut search = Search::new(placed.levels.len());
    search.from(placed, lists, entry, ticker);
    let all = placed.order.len();
    debug_assert!(search.queue.len() <= all);
    counts.unreached_at_first = search.left(placed);
    counts.unreached = counts.unreached_at_first;
    for _ in 0..ROUNDS {
        if counts.unreached == 0 {
            break;
        }
        let mut changed = false;
        for &element in &placed.order {
            ticker.step();
            if search.has(element) || !give_place(&search, lists, kept, element) {
                continue;
            }
            changed = true;
            search.queue.clear();
            search.see(element);
            search.follow(placed, lists, 0, ticker);
        }
        if !changed {
            break;
        }
        search.from(placed, lists, entry, ticker);
        counts.unreached = search.left(placed);
    }
    search.seen
}

/// Gives `element` a place in the list at layer 0 of a neighbour that is reached; whether there was one. What goes is the
/// last link, which is one to fill the list, or else a way back.
fn give_place(search: &Search, lists: &mut Lists, kept: &mut [u8], element: u32) -> bool {
    for place in 0..lists.length(at(element)) {
        let other = lists.of(at(element)).get(place).copied().unwrap_or(NONE);
        if !search.has(other) {
            continue;
        }
        if let Some(kept) = kept.get_mut(at(other))
            && lists.insert(at(other), (*kept).into(), element)
        {
            *kept = kept.saturating_add(1);
            return true;
        }
    }
    false
}
