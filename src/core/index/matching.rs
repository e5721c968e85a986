//! First pass over the table: which element of the graph each row is.
//!
//! Promise: every row that is offered is the first of an element, joins one that holds an equal vector and fewer than
//! ten rows, or is left for pgvector to insert; an equal vector is one of equal bytes, so that no row is found for
//! another's vector. A hash and its check are 112 bits; of a million rows, two that differ are taken for equal with a
//! probability below 10^-21. May import `graph`, `lists`, `hash`, `linked`, `links` and `rounding`.

use std::collections::HashMap;

use super::Tid;
use super::graph::{Form, Graph};
use super::linked::{LinkCounts, Linked, Placed};
use super::links;
use super::lists::{NONE, at};
use crate::rounding::rounded;

/// Rows that an element of pgvector's holds.
pub const ELEMENT_ROWS: u8 = 10;

/// A [`Tid`] in six bytes, in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Packed([u16; 3]);

impl From<Tid> for Packed {
    fn from(tid: Tid) -> Packed {
        let [a, b, c, d] = tid.block.to_be_bytes();
        Packed([
            u16::from_be_bytes([a, b]),
            u16::from_be_bytes([c, d]),
            tid.offset,
        ])
    }
}

impl From<Packed> for Tid {
    fn from(Packed([high, low, offset]): Packed) -> Tid {
        Tid {
            block: u32::from(high) << 16 | u32::from(low),
            offset,
        }
    }
}

/// Six bytes of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Check([u16; 3]);

impl Check {
    fn of(hash: u64) -> Check {
        let [a, b, c, d, e, f, ..] = hash.to_le_bytes();
        Check([[a, b], [c, d], [e, f]].map(u16::from_le_bytes))
    }
}

/// What became of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Matched {
    /// Rows that were offered.
    pub offered: u64,
    /// Rows that are the first of an element.
    pub placed: u64,
    /// Rows that share an element with another row of the same vector.
    pub joined: u64,
    /// Rows without an element.
    pub rest: u64,
    /// Of the rows with an element, those found by what Chroma makes of their vector.
    pub by_rounding: u64,
    /// The most rows of one vector that is in the graph, if they are ten or more; else 0.
    pub largest_group: u64,
    /// Rows that share their vector, one that is in the graph, with nine others or more.
    pub in_large_groups: u64,
}

/// The rows of a table, as they find their elements.
pub struct Matcher {
    pub(super) graph: Graph,
    /// Open addressing, by hash: of the elements of one hash the one that is filled now, or the next to be.
    table: Vec<u32>,
    /// By element: the next one of the same hash.
    next: Vec<u32>,
    /// By element: its rows.
    pub(super) rows: Vec<u8>,
    pub(super) first: Vec<Packed>,
    /// By element: the check of its first row.
    checks: Vec<Check>,
    /// Elements in the order of their first rows.
    pub(super) order: Vec<u32>,
    pub(super) joined: Vec<(u32, Packed)>,
    pub(super) rest: Vec<Packed>,
    /// Rows by hash, of vectors that ten rows have.
    groups: HashMap<u64, u64>,
    counts: Matched,
}

impl Matcher {
    /// No rows yet.
    pub fn new(graph: Graph) -> Matcher {
        let count = graph.count();
        let mut matcher = Matcher {
            table: vec![NONE; count.saturating_add(count / 2).saturating_add(1)],
            next: vec![NONE; count],
            rows: vec![0; count],
            first: vec![Packed::default(); count],
            checks: vec![Check::default(); count],
            order: Vec::with_capacity(count),
            joined: Vec::new(),
            rest: Vec::new(),
            groups: HashMap::new(),
            counts: Matched::default(),
            graph,
        };
        // From behind, so that the elements of one hash are in the order of their numbers.
        let elements = (0..u32::try_from(count).unwrap_or(NONE)).rev();
        for element in elements {
            if !matcher.live(element) {
                continue;
            }
            let place = matcher.place(matcher.hash(element));
            if let Some(head) = matcher.table.get_mut(place) {
                let old = std::mem::replace(head, element);
                if let Some(next) = matcher.next.get_mut(at(element)) {
                    *next = old;
                }
            }
        }
        matcher
    }

    fn live(&self, element: u32) -> bool {
        self.graph.live.get(at(element)).is_some_and(|live| *live)
    }

    fn hash(&self, element: u32) -> u64 {
        self.graph.hashes.get(at(element)).copied().unwrap_or(0)
    }

    /// Where in the table the elements of `hash` are, or would be.
    fn place(&self, hash: u64) -> usize {
        let size = self.table.len();
        let scaled = (u128::from(hash) * size as u128) >> 64;
        let mut place = usize::try_from(scaled).unwrap_or(0);
        // A third of the table is free.
        while let Some(&element) = self.table.get(place)
            && element != NONE
            && self.hash(element) != hash
        {
            place += 1;
            if place == size {
                place = 0;
            }
        }
        place
    }

    /// Takes the row at `tid`, whose vector has these components, little-endian, of the graph's [`Form`].
    pub fn offer(&mut self, tid: Tid, vector: &[u8]) {
        self.counts.offered += 1;
        let bytes = match self.graph.form {
            Form::Single => 4,
            Form::Half => 2,
        };
        let fits = at(self.graph.dimension).checked_mul(bytes) == Some(vector.len());
        let found = fits
            && match self.take(tid, vector, vector) {
                Taken::Yes => true,
                Taken::Full => false,
                Taken::Unknown => self.take_rounded(tid, vector),
            };
        if !found {
            self.rest.push(tid.into());
        }
    }

    /// Looks for the element of what Chroma makes of the row's vector: where the store still has the vector as it was
    /// given, the row has that.
    fn take_rounded(&mut self, tid: Tid, vector: &[u8]) -> bool {
        if !self.graph.cosine || self.graph.form != Form::Single {
            return false;
        }
        let words = vector.chunks_exact(4).filter_map(<[u8]>::first_chunk);
        let values: Vec<f32> = words.map(|word| f32::from_le_bytes(*word)).collect();
        let kept = rounded(&values);
        let kept: Vec<u8> = kept.iter().flat_map(|value| value.to_le_bytes()).collect();
        let found = self.take(tid, &kept, vector) == Taken::Yes;
        self.counts.by_rounding += u64::from(found);
        found
    }

    /// Gives the row an element whose vector hashes as `kept` does.
    fn take(&mut self, tid: Tid, kept: &[u8], vector: &[u8]) -> Taken {
        let hash = self.graph.keys.hash(kept);
        let place = self.place(hash);
        let current = self.table.get(place).copied().unwrap_or(NONE);
        if current == NONE {
            return Taken::Unknown;
        }
        let check = Check::of(self.graph.keys.check(vector));
        let rows = self.rows.get(at(current)).copied().unwrap_or(0);
        let joins =
            self.checks.get(at(current)) == Some(&check) && (1..ELEMENT_ROWS).contains(&rows);
        match self.groups.get_mut(&hash) {
            Some(rows) => *rows += 1,
            None if joins && rows + 1 == ELEMENT_ROWS => {
                self.groups.insert(hash, ELEMENT_ROWS.into());
            }
            None => {}
        }
        if rows == 0 {
            self.start(current, tid, check);
            return Taken::Yes;
        }
        if joins {
            if let Some(rows) = self.rows.get_mut(at(current)) {
                *rows += 1;
            }
            self.joined.push((current, tid.into()));
            return Taken::Yes;
        }
        let next = self.next.get(at(current)).copied().unwrap_or(NONE);
        if next == NONE {
            return Taken::Full;
        }
        if let Some(head) = self.table.get_mut(place) {
            *head = next;
        }
        self.start(next, tid, check);
        Taken::Yes
    }

    /// Makes the row the first one of `element`.
    fn start(&mut self, element: u32, tid: Tid, check: Check) {
        if let (Some(rows), Some(first), Some(old)) = (
            self.rows.get_mut(at(element)),
            self.first.get_mut(at(element)),
            self.checks.get_mut(at(element)),
        ) {
            (*rows, *first, *old) = (1, tid.into(), check);
            self.order.push(element);
        }
    }

    /// What became of the rows so far.
    pub fn counts(&self) -> Matched {
        let number = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        Matched {
            placed: number(self.order.len()),
            joined: number(self.joined.len()),
            rest: number(self.rest.len()),
            largest_group: self.groups.values().copied().max().unwrap_or(0),
            in_large_groups: self.groups.values().sum(),
            ..self.counts
        }
    }

    /// Links the elements that have rows with each other. `tick` is called every few thousand elements.
    pub fn link(self, tick: &mut dyn FnMut()) -> Linked {
        let counts = self.counts();
        let Matcher {
            graph,
            next,
            rows,
            first,
            order,
            joined,
            rest,
            ..
        } = self;
        let Graph {
            m,
            levels,
            upper,
            lists,
            entry,
            damaged,
            ..
        } = graph;
        let placed = Placed {
            m,
            levels,
            upper,
            rows,
            first,
            order,
            joined,
            rest,
        };
        links::complete(
            placed,
            lists,
            next,
            entry,
            LinkCounts::of(counts, damaged),
            tick,
        )
    }
}

/// Whether a row has found an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    /// There are such elements, and all of them are full.
    Full,
    /// There is none.
    Unknown,
}
