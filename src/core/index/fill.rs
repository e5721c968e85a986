//! Lists filled with neighbours of neighbours.
//!
//! Promise: those that most neighbours know come first; a list stays short only where there are no more elements. May
//! import `linked`, `links`, `lists` and `threads`.

use super::linked::{LinkCounts, Placed};
use super::links::Means;
use super::lists::{Lists, NONE, at};
use super::threads;

/// Counts how often elements are named.
pub(super) struct Tally {
    /// Open addressing, by element: its place in `found`, or [`NONE`] for one that is left out.
    table: Vec<(u32, u32)>,
    used: Vec<usize>,
    found: Vec<(u32, u16)>,
    /// By number of times: elements.
    times: Vec<usize>,
}

impl Tally {
    /// For lists of this M, and twice that at layer 0.
    pub fn new(m: u16) -> Tally {
        let links = usize::from(m).saturating_mul(2);
        let named = links.saturating_mul(links.saturating_add(1));
        let size = named.saturating_mul(2).next_power_of_two();
        Tally {
            table: vec![(NONE, NONE); size],
            used: Vec::with_capacity(named),
            found: Vec::with_capacity(named),
            times: Vec::new(),
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        for place in self.used.drain(..) {
            if let Some(entry) = self.table.get_mut(place) {
                *entry = (NONE, NONE);
            }
        }
        self.found.clear();
    }

    /// Where `element` is, or would be.
    fn place(&self, element: u32) -> usize {
        let mask = self.table.len().wrapping_sub(1);
        let mut place = at(element.wrapping_mul(0x9e37_79b1).rotate_left(15)) & mask;
        while let Some((other, _)) = self.table.get(place)
            && *other != NONE
            && *other != element
        {
            place = place.wrapping_add(1) & mask;
        }
        place
    }

    /// Puts `element` into the table, if half of it is free; its place in `found`, as it was before.
    fn enter(&mut self, element: u32, found: u32) -> Option<u32> {
        let place = self.place(element);
        let half = self.used.len() < self.table.len() / 2;
        let entry = self.table.get_mut(place)?;
        if entry.0 == element {
            return Some(entry.1);
        }
        if half {
            *entry = (element, found);
            self.used.push(place);
            if found != NONE {
                self.found.push((element, 0));
            }
            return Some(found);
        }
        None
    }

    /// Does not count `element`. To be called before it is named.
    pub fn leave_out(&mut self, element: u32) {
        self.enter(element, NONE);
    }

    /// Names `element`.
    pub fn add(&mut self, element: u32) {
        let next = u32::try_from(self.found.len()).unwrap_or(NONE);
        let place = self.enter(element, next);
        if let Some((_, times)) = place.and_then(|place| self.found.get_mut(at(place))) {
            *times = times.saturating_add(1);
        }
    }

    /// How many elements were named.
    pub fn found(&self) -> usize {
        self.found.len()
    }

    /// The element that was named as the one of number `place`.
    fn named(&self, place: usize) -> Option<u32> {
        self.found.get(place).map(|(element, _)| *element)
    }

    /// Gives the `most` elements that were named most often, those first that were named first.
    pub fn best(&mut self, most: usize, mut each: impl FnMut(u32)) {
        if self.found.len() <= most {
            self.found.iter().for_each(|(element, _)| each(*element));
            return;
        }
        self.times.clear();
        for (_, times) in &self.found {
            let times = usize::from(*times);
            if times >= self.times.len() {
                self.times.resize(times.saturating_add(1), 0);
            }
            if let Some(number) = self.times.get_mut(times) {
                *number = number.saturating_add(1);
            }
        }
        // All that were named more often than `limit`, and some of those named so often.
        let (mut above, mut limit) = (0_usize, 0_usize);
        for (times, number) in self.times.iter().enumerate().rev() {
            limit = times;
            if above.saturating_add(*number) > most {
                break;
            }
            above = above.saturating_add(*number);
        }
        let mut level = most.saturating_sub(above);
        for (element, times) in &self.found {
            let times = usize::from(*times);
            if times > limit || (times == limit && level > 0) {
                level = level.saturating_sub(usize::from(times == limit));
                each(*element);
            }
        }
    }
}

/// Elements of a block that one thread works on.
const BLOCK: usize = 8192;

/// Fills every list. `own` has how many links of each list are the graph's own, or in the place of those: only these
/// count, not what was added since; so what an element's lists get does not depend on the others', and the elements of a
/// block are shared out to threads.
pub(super) fn fill(
    placed: &Placed,
    lists: &mut Lists,
    own: &[u8],
    counts: &mut LinkCounts,
    means: &mut Means<'_>,
) {
    let level = |element: u32| placed.level(element);
    let tops = placed.order.iter().copied();
    let tops: Vec<u32> = tops.filter(|element| level(*element) > 0).collect();
    let mut hands: Vec<Hand> = (0..means.threads.max(1))
        .map(|_| Hand::new(placed.m))
        .collect();
    let block = BLOCK.saturating_mul(hands.len());
    let mut first = (0_usize, 0_usize);
    for elements in placed.order.chunks(block) {
        (means.tick)();
        {
            let filling = Filling {
                placed,
                lists,
                own,
                tops: &tops,
            };
            let mut work = Vec::with_capacity(hands.len());
            let parts = elements.chunks(BLOCK);
            for (hand, part) in hands.iter_mut().zip(parts) {
                work.push((hand, first, part));
                let above = part.iter().filter(|element| level(**element) > 0).count();
                first = (
                    first.0.saturating_add(part.len()),
                    first.1.saturating_add(above),
                );
            }
            threads::each(work, means.quietly, |(hand, first, part)| {
                filling.part(hand, first, part);
            });
        }
        for hand in &mut hands {
            for (list, link) in hand.links.drain(..) {
                counts.filled += u64::from(lists.push(list, link));
            }
        }
    }
}

/// What one thread has of its own.
struct Hand {
    tally: Tally,
    /// Lists and the links that they get.
    links: Vec<(usize, u32)>,
}

impl Hand {
    fn new(m: u16) -> Hand {
        Hand {
            tally: Tally::new(m),
            links: Vec::new(),
        }
    }
}

/// What all threads look at.
struct Filling<'a> {
    placed: &'a Placed,
    lists: &'a Lists,
    own: &'a [u8],
    /// The elements above layer 0, in their order.
    tops: &'a [u32],
}

impl Filling<'_> {
    /// Finds the links for the lists of `elements`, the first of which has these numbers among all and among the tops.
    fn part(&self, hand: &mut Hand, (mut number, mut top): (usize, usize), elements: &[u32]) {
        for &element in elements {
            let level = self.placed.level(element);
            number = number.saturating_add(1);
            top = top.saturating_add(usize::from(level > 0));
            for layer in 0..=level {
                self.list(hand, (number, top), element, layer);
            }
        }
    }

    fn list(&self, hand: &mut Hand, (number, top): (usize, usize), element: u32, layer: u8) {
        let Filling {
            placed,
            lists,
            own,
            tops,
        } = *self;
        let Hand { tally, links } = hand;
        let list = placed.list(element, layer);
        let before = lists.length(list);
        let capacity = lists.capacity(list);
        if before == capacity {
            return;
        }
        let room = capacity.saturating_sub(before);
        let start = links.len();
        neighbours(placed, lists, own, (element, layer), room, tally);
        tally.best(room, |link| links.push((list, link)));
        // Elements that nobody near knows: any others, those next in the order first.
        let (others, from) = if layer == 0 {
            (placed.order.as_slice(), number)
        } else {
            (tops, top)
        };
        let (behind, next) = others.split_at_checked(from).unwrap_or((others, &[]));
        // Of those that are not added, each is in the list already, or not so high.
        let some = next.iter().chain(behind).take(capacity.saturating_mul(8));
        for &other in some {
            if links.len().saturating_sub(start) >= room {
                break;
            }
            let fits = other != element && placed.level(other) >= layer;
            let added = links.get(start..).unwrap_or_default();
            let known = lists.of(list).contains(&other) || added.contains(&(list, other));
            if fits && !known {
                links.push((list, other));
            }
        }
    }
}

/// Counts the neighbours of the neighbours of an element at a layer; if they are fewer than `wanted`, also theirs, and so
/// on.
fn neighbours(
    placed: &Placed,
    lists: &Lists,
    own: &[u8],
    (element, layer): (u32, u8),
    wanted: usize,
    tally: &mut Tally,
) {
    let of = |element: u32| {
        let list = placed.list(element, layer);
        lists.first(list, own.get(list).copied().unwrap_or(0))
    };
    tally.clear();
    tally.leave_out(element);
    let near = lists.of(placed.list(element, layer));
    near.iter().for_each(|link| tally.leave_out(*link));
    for link in near {
        of(*link).iter().for_each(|further| tally.add(*further));
    }
    let mut place = 0;
    while tally.found() < wanted
        && let Some(link) = tally.named(place)
    {
        of(link).iter().for_each(|further| tally.add(*further));
        place = place.saturating_add(1);
    }
}
