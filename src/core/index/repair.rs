//! Links to elements that are not in the index.
//!
//! Promise: afterwards every link of an element with rows leads to an element with rows. May import `fill`, `linked`,
//! `links` and `lists`.

use super::fill::Tally;
use super::linked::{LinkCounts, Placed};
use super::links::Ticker;
use super::lists::{Lists, NONE, at};

/// Elements of equal vectors share their rows, so that the later ones of them have none. `next` has them one after the
/// other, in rising order; afterwards it has for each without rows one with rows that stands in for it, which is of a
/// lower number. The others have [`NONE`], or themselves.
pub(super) fn stand_ins(next: &mut [u32], rows: &[u8]) {
    let follow = |next: &[u32], element: u32| next.get(at(element)).copied().unwrap_or(NONE);
    let has_rows = |element: u32| rows.get(at(element)).is_some_and(|rows| *rows > 0);
    for head in 0..u32::try_from(next.len()).unwrap_or(NONE) {
        let after = follow(next, head);
        if after == NONE || after <= head {
            continue;
        }
        let (mut element, mut stand_in) = (head, head);
        // Those with rows come first.
        while element != NONE && has_rows(element) {
            element = follow(next, element);
        }
        let rest = element;
        while element != NONE {
            let after = follow(next, element);
            let none = rest == head;
            let stands = if none { NONE } else { stand_in };
            if let Some(place) = next.get_mut(at(element)) {
                *place = stands;
            }
            if !none {
                // In turn, so that they share the links.
                let other = follow(next, stand_in);
                stand_in = if other == rest { head } else { other };
            }
            element = after;
        }
        element = head;
        while element != NONE && element != rest {
            let after = follow(next, element);
            if let Some(place) = next.get_mut(at(element)) {
                *place = element;
            }
            element = after;
        }
    }
}

/// Puts links to elements with rows in the place of those to others; gives the lengths of all lists.
pub(super) fn repair(
    placed: &Placed,
    lists: &mut Lists,
    stand_ins: &[u32],
    counts: &mut LinkCounts,
    ticker: &mut Ticker<'_>,
) -> Vec<u8> {
    let mut tally = Tally::new(placed.m);
    let mut dropped = Vec::new();
    for &element in &placed.order {
        ticker.step();
        for layer in 0..=placed.level(element) {
            let list = placed.list(element, layer);
            let wanted = lists.length(list);
            if lists.of(list).iter().all(|link| placed.has_rows(*link)) {
                counts.own += u64::try_from(wanted).unwrap_or(0);
                continue;
            }
            // Who is there instead, at this layer.
            let present = |link: u32| {
                if placed.has_rows(link) {
                    return Some(link);
                }
                let other = stand_ins.get(at(link)).copied().unwrap_or(NONE);
                let stands = other < link && placed.has_rows(other) && placed.level(other) >= layer;
                stands.then_some(other)
            };
            dropped.clear();
            let mut own = 0_u64;
            lists.edit(list, |link, before| {
                let found = present(link);
                if found != Some(link) {
                    dropped.push(link);
                }
                let found = found.filter(|found| *found != element && !before.contains(found));
                own += u64::from(found == Some(link));
                found
            });
            counts.own += own;
            counts.dropped += u64::try_from(dropped.len()).unwrap_or(0);
            tally.clear();
            tally.leave_out(element);
            lists
                .of(list)
                .iter()
                .for_each(|link| tally.leave_out(*link));
            for &lost in &dropped {
                for link in lists.of(placed.list(lost, layer)) {
                    present(*link).into_iter().for_each(|link| tally.add(link));
                }
            }
            if tally.found() == 0 {
                for &lost in &dropped {
                    for further in lists.of(placed.list(lost, layer)) {
                        if placed.has_rows(*further) {
                            continue;
                        }
                        for link in lists.of(placed.list(*further, layer)) {
                            present(*link).into_iter().for_each(|link| tally.add(link));
                        }
                    }
                }
            }
            let room = wanted.saturating_sub(lists.length(list));
            tally.best(room, |link| {
                lists.push(list, link);
            });
            let now = u64::try_from(lists.length(list)).unwrap_or(0);
            counts.repaired += now.saturating_sub(own);
        }
    }
    lists.lengths()
}
