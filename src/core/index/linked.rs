//! The elements of an index with their rows and links, ready to be written.
//!
//! Promise: every row that was offered is once in an element or once in the rest; every link leads to an element of the
//! index that reaches the link's layer; a search from the entry reaches every element. May import `graph`, `lists` and
//! `matching`.

use super::Tid;
use super::graph::list;
use super::lists::{Lists, NONE, at};
use super::matching::{ELEMENT_ROWS, Matched, Packed};

/// Elements that have rows, and the rows that have none.
pub(super) struct Placed {
    pub m: u16,
    /// By element of the graph, as the next three.
    pub levels: Vec<u8>,
    pub upper: Vec<u32>,
    pub rows: Vec<u8>,
    pub first: Vec<Packed>,
    /// The elements with rows, in the order of their first ones.
    pub order: Vec<u32>,
    pub joined: Vec<(u32, Packed)>,
    pub rest: Vec<Packed>,
}

impl Placed {
    /// The level of `element`.
    pub fn level(&self, element: u32) -> u8 {
        self.levels.get(at(element)).copied().unwrap_or(0)
    }

    /// Whether `element` has rows.
    pub fn has_rows(&self, element: u32) -> bool {
        self.rows.get(at(element)).is_some_and(|rows| *rows > 0)
    }

    /// The number of the list of `element` at `layer`.
    pub fn list(&self, element: u32, layer: u8) -> usize {
        list(&self.upper, element, layer)
    }

    /// Takes the rows from every element that is not `seen`.
    pub fn leave_out(&mut self, seen: &[bool]) {
        let seen = |element: u32| seen.get(at(element)).is_some_and(|seen| *seen);
        let Placed {
            first,
            order,
            joined,
            rest,
            rows,
            ..
        } = self;
        order.retain(|&element| {
            let stays = seen(element);
            if !stays {
                rest.extend(first.get(at(element)));
                if let Some(rows) = rows.get_mut(at(element)) {
                    *rows = 0;
                }
            }
            stays
        });
        joined.retain(|&(element, tid)| {
            let stays = seen(element);
            if !stays {
                rest.push(tid);
            }
            stays
        });
    }
}

/// How the links came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// What became of the rows, before elements that could not be reached were left out.
    pub matched: Matched,
    /// Links of the file that could not be used.
    pub damaged: u64,
    /// Links of the graph that were kept.
    pub own: u64,
    /// Links that led to elements without rows.
    pub dropped: u64,
    /// Links in their place.
    pub repaired: u64,
    /// Ways back.
    pub back: u64,
    /// Elements that a search with the graph's links and the ways back alone does not reach: what fills the lists may lead
    /// there, but not from near.
    pub apart: u64,
    /// Links to neighbours of neighbours.
    pub filled: u64,
    /// Elements whose list at layer 0 is not full.
    pub not_full: u64,
    /// Elements that a search did not reach at first.
    pub unreached_at_first: u64,
    /// Elements that a search could not be made to reach: they are left out.
    pub unreached: u64,
}

impl LinkCounts {
    pub(super) fn of(matched: Matched, damaged: u64) -> LinkCounts {
        LinkCounts {
            matched,
            damaged,
            ..LinkCounts::default()
        }
    }
}

/// An element of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its number in the order of writing, from 0.
    pub ordinal: u32,
    /// Its number in Chroma's graph.
    pub slot: u32,
    /// The highest layer that it is on.
    pub level: u8,
    rows: u8,
    tids: [Tid; ELEMENT_ROWS as usize],
}

impl Element {
    /// Its rows, one to ten; the first row comes first.
    pub fn tids(&self) -> &[Tid] {
        self.tids.get(..self.rows.into()).unwrap_or(&self.tids)
    }
}

/// An index, without the values.
pub struct Linked {
    placed: Placed,
    lists: Lists,
    /// By element of the graph: its number in the order of writing.
    ordinals: Vec<u32>,
    entry: Option<u32>,
    counts: LinkCounts,
}

impl Linked {
    pub(super) fn new(
        mut placed: Placed,
        lists: Lists,
        entry: Option<u32>,
        counts: LinkCounts,
    ) -> Linked {
        placed.joined.sort_unstable();
        placed.rest.sort_unstable();
        let mut ordinals = vec![NONE; placed.levels.len()];
        for (number, element) in (0_u32..).zip(&placed.order) {
            if let Some(ordinal) = ordinals.get_mut(at(*element)) {
                *ordinal = number;
            }
        }
        Linked {
            placed,
            lists,
            ordinals,
            entry,
            counts,
        }
    }

    /// The M.
    pub fn m(&self) -> u16 {
        self.placed.m
    }

    /// Elements.
    pub fn len(&self) -> u32 {
        u32::try_from(self.placed.order.len()).unwrap_or(NONE)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.placed.order.is_empty()
    }

    /// How the links came about.
    pub fn counts(&self) -> LinkCounts {
        self.counts
    }

    /// The element of this number; `None` beyond the last one.
    pub fn element(&self, ordinal: u32) -> Option<Element> {
        let placed = &self.placed;
        let slot = placed.order.get(at(ordinal)).copied()?;
        let mut tids = [Tid {
            block: 0,
            offset: 0,
        }; ELEMENT_ROWS as usize];
        let joined = &placed.joined;
        let from = joined.partition_point(|(element, _)| *element < slot);
        let others = joined.iter().skip(from);
        let others = others.take_while(|(element, _)| *element == slot);
        let first = placed.first.get(at(slot)).copied();
        let mut rows = 0;
        let all = first.into_iter().chain(others.map(|(_, tid)| *tid));
        for (place, tid) in tids.iter_mut().zip(all) {
            *place = tid.into();
            rows += 1;
        }
        Some(Element {
            ordinal,
            slot,
            level: placed.level(slot),
            rows,
            tids,
        })
    }

    /// The numbers of the elements that the element of this number is linked to at `layer`, at most M, or 2M at layer 0;
    /// none above its level.
    pub fn links(&self, ordinal: u32, layer: u8) -> impl ExactSizeIterator<Item = u32> + '_ {
        let element = self.placed.order.get(at(ordinal)).copied();
        let element = element.filter(|element| layer <= self.placed.level(*element));
        let links = element.map(|element| self.lists.of(self.placed.list(element, layer)));
        let ordinal = |link: &u32| self.ordinals.get(at(*link)).copied().unwrap_or(NONE);
        links.unwrap_or_default().iter().map(ordinal)
    }

    /// The number and level of the element where a search begins; `None` if there is no element.
    pub fn entry(&self) -> Option<(u32, u8)> {
        let entry = self.entry?;
        let ordinal = self.ordinals.get(at(entry)).copied()?;
        (ordinal != NONE).then(|| (ordinal, self.placed.level(entry)))
    }

    /// Rows that have no element, for pgvector to insert; in the order of the table.
    pub fn rest(&self) -> impl ExactSizeIterator<Item = Tid> + '_ {
        self.placed.rest.iter().map(|tid| Tid::from(*tid))
    }

    /// The elements as a second pass over the table meets their first rows.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor {
            linked: self,
            next: 0,
        }
    }
}

/// A second pass over the table, in the same order as the first.
pub struct Cursor<'a> {
    linked: &'a Linked,
    next: u32,
}

impl Cursor<'_> {
    /// The element whose first row is that at `tid`, if it is the next element's.
    pub fn next(&mut self, tid: Tid) -> Option<Element> {
        let placed = &self.linked.placed;
        let slot = placed.order.get(at(self.next))?;
        if placed.first.get(at(*slot)) != Some(&tid.into()) {
            return None;
        }
        let element = self.linked.element(self.next)?;
        self.next += 1;
        Some(element)
    }

    /// Whether the first rows of all elements have come.
    pub fn done(&self) -> bool {
        self.next >= self.linked.len()
    }
}
