//! First pass over the table: which element of the graph each row is.
//!
//! Promise: every row that is offered is the first of an element, joins one that holds an equal vector and fewer than
//! ten rows, or is left for pgvector to insert; an equal vector is one of equal bytes, so that no row is found for
//! another's vector. A hash and its check are 112 bits; of a million rows, two that differ are taken for equal with a
//! probability below 10^-21. May import `graph`, `lists`, `hash`, `linked` and `links`.

use std::collections::HashMap;

use super::Tid;
use super::graph::Graph;
use super::linked::{LinkCounts, Linked, Placed};
use super::links::{self, Means};
use super::lists::{NONE, at};
use super::table::Table;

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
    /// Of the rows with an element, those whose vector differs from the element's in its last places.
    pub by_rounding: u64,
    /// The most rows of one vector that is in the graph, if they are ten or more; else 0.
    pub largest_group: u64,
    /// Rows that share their vector, one that is in the graph, with nine others or more.
    pub in_large_groups: u64,
}

/// The rows of a table, as they find their elements.
pub struct Matcher {
    pub(super) graph: Graph,
    /// Elements by hash: the first is the one that is filled now, or the next to be.
    equal: Table,
    /// Elements by the hash of the rough vector; none but in cosine spaces.
    similar: Table,
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
        Matcher {
            equal: Table::new(&graph.hashes, &graph.live),
            similar: Table::new(&graph.rough, &graph.live),
            rows: vec![0; count],
            first: vec![Packed::default(); count],
            checks: vec![Check::default(); count],
            order: Vec::with_capacity(count),
            joined: Vec::new(),
            rest: Vec::new(),
            groups: HashMap::new(),
            counts: Matched::default(),
            graph,
        }
    }

    fn hash(&self, element: u32) -> u64 {
        self.graph.hashes.get(at(element)).copied().unwrap_or(0)
    }

    /// Takes the row at `tid`, whose vector has these components, little-endian, of the graph's [`Form`](super::graph::Form).
    pub fn offer(&mut self, tid: Tid, vector: &[u8]) {
        self.counts.offered += 1;
        let components = at(self.graph.dimension);
        let fits = components.checked_mul(self.graph.form.bytes()) == Some(vector.len());
        let found = fits
            && match self.take(tid, self.graph.keys.hash(vector), vector) {
                Taken::Yes => true,
                Taken::Full => false,
                Taken::Unknown => self.take_similar(tid, vector),
            };
        if !found {
            self.rest.push(tid.into());
        }
    }

    /// Looks for an element whose vector is the row's but for rounding: where a store of a cosine space still has a
    /// vector as it was given, the row has that, and the element what Chroma made of it.
    fn take_similar(&mut self, tid: Tid, vector: &[u8]) -> bool {
        if self.graph.rough.is_empty() {
            return false;
        }
        let rough = self.graph.keys.rough(vector, self.graph.form);
        let place = self.similar.place(rough, &self.graph.rough);
        loop {
            let element = self.similar.head(place);
            if element == NONE {
                return false;
            }
            if self.take(tid, self.hash(element), vector) == Taken::Yes {
                self.counts.by_rounding += 1;
                return true;
            }
            if !self.similar.advance(place, element) {
                return false;
            }
        }
    }

    /// Gives the row an element whose vector has this hash.
    fn take(&mut self, tid: Tid, hash: u64, vector: &[u8]) -> Taken {
        let place = self.equal.place(hash, &self.graph.hashes);
        let current = self.equal.head(place);
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
        let next = self.equal.next(current);
        if next == NONE {
            return Taken::Full;
        }
        self.equal.advance(place, current);
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

    /// Links the elements that have rows with each other.
    pub fn link(self, means: &mut Means<'_>) -> Linked {
        let counts = self.counts();
        let Matcher {
            graph,
            equal,
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
            equal.into_next(),
            entry,
            LinkCounts::of(counts, damaged),
            means,
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
