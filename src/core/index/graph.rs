//! A graph of Chroma's in memory: levels, links and hashes of the vectors, not the vectors.
//!
//! Promise: every link leads to an element that is there and reaches the link's layer, never to the element itself and
//! never twice. Memory at M 16, bytes an element:
//!
//! | part | graph | matching | linking |
//! | --- | --- | --- | --- |
//! | links of layer 0 (8M), and length of the list | 129 | 129 | 129 |
//! | links of upper layers, (4M + 1) / (M - 1) on average | 4.3 | 4.3 | 4.3 |
//! | level, deleted, first upper list | 6 | 6 | 6 |
//! | hash of the vector | 8 | 8 | |
//! | in cosine spaces: hash of the rough vector (4), table (6), chain (4) | 4 | 14 | |
//! | table of hashes (6), chain of equal ones (4) | | 10 | 4 |
//! | first row (6), its check (6), rows (1), order (4) | | 17 | 11 |
//! | marks in lists | | | 1.1 |
//! | ordinals (4), search (4.2) | | | 8.2 |
//! | together | 151 | 188 | 164 |
//!
//! Beside it: 12 bytes for each row that joins another's element, 6 for each row that has none, and while the vectors
//! of such rows grow, as much again. May import `hash` and `lists`.

use std::collections::TryReserveError;

pub use super::hash::{Form, Keys};
use super::lists::{Lists, NONE, at};

/// The highest level that this reads.
const TOP: u64 = 63;
/// Of a hundred links, so many may be damaged.
const DAMAGED: u64 = 1;

/// What a graph is called to be before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphShape {
    /// The M of hnswlib and pgvector: links in a list above layer 0.
    pub m: u16,
    /// Elements, deleted ones included.
    pub count: u32,
    /// The breadth of search that the graph was built with.
    pub ef_construction: u64,
    /// Dimensions.
    pub dimension: u32,
}

/// Why there is no graph that can be used, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoGraph {
    /// The vectors are in the queue alone.
    #[error("the collection has no graph: Chroma has not written index files for it yet")]
    NoFiles,
    /// A file is not there.
    #[error("{file} is missing")]
    Missing {
        /// The file's name.
        file: &'static str,
    },
    /// A file is shorter than the header says.
    #[error(
        "{file} ends early: {elements} elements take at least {needed} bytes, and it has {bytes}"
    )]
    EndsEarly {
        /// The file's name.
        file: &'static str,
        /// Elements, as the header says.
        elements: u64,
        /// Bytes that these take.
        needed: u64,
        /// Bytes that are there.
        bytes: u64,
    },
    /// A file holds something else than it should.
    #[error("{file} is damaged: {what}")]
    Damaged {
        /// The file's name.
        file: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The operating system does not give a file.
    #[error("a file of the graph cannot be read: {what}")]
    Unreadable {
        /// The system's words.
        what: String,
    },
    /// No M of pgvector's.
    #[error("M of the graph is {m}, and pgvector's indexes have 2 to 100")]
    OtherM {
        /// The M.
        m: u64,
    },
    /// Layer 0 is not twice as wide as the others.
    #[error(
        "the graph has {found} links at the lowest layer, and pgvector's indexes have twice M, which is {m}"
    )]
    OtherWidth {
        /// Links in a list of layer 0.
        found: u64,
        /// The M.
        m: u64,
    },
    /// The graph is of other vectors.
    #[error(
        "the vectors of the graph have {found} dimensions, and those of the collection {expected}"
    )]
    OtherDimension {
        /// Dimensions, as the header says.
        found: u32,
        /// Dimensions of the collection.
        expected: u32,
    },
    /// An element is on more layers than an index can hold.
    #[error(
        "an element of the graph has level {level}, and pgvector's indexes with M {m} have at most {most}"
    )]
    TooHigh {
        /// The element's level.
        level: u64,
        /// The M.
        m: u16,
        /// The highest level.
        most: u64,
    },
    /// Too many links are damaged.
    #[error(
        "{damaged} of the graph's {links} links are damaged: they lead to no element, or to the same one, or twice to one"
    )]
    TooManyDamaged {
        /// Links that are left out.
        damaged: u64,
        /// All links.
        links: u64,
    },
    /// It takes more memory than there is.
    #[error("reading the graph takes {needed} bytes of memory, and {allowed} are allowed")]
    Memory {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are allowed, or could be had.
        allowed: u64,
    },
}

/// A graph, checked.
pub struct Graph {
    pub(super) m: u16,
    pub(super) dimension: u32,
    pub(super) form: Form,
    pub(super) cosine: bool,
    pub(super) entry: Option<u32>,
    pub(super) keys: Keys,
    /// By element: the highest layer that it is on.
    pub(super) levels: Vec<u8>,
    /// By element: not deleted.
    pub(super) live: Vec<bool>,
    /// By element: the hash of its vector.
    pub(super) hashes: Vec<u64>,
    /// By element, in cosine spaces: the hash of its vector cut to a few bits.
    pub(super) rough: Vec<u32>,
    /// By element: its first list above layer 0.
    pub(super) upper: Vec<u32>,
    pub(super) lists: Lists,
    pub(super) damaged: u64,
}

impl Graph {
    /// Bytes of memory that a graph of so many elements takes at most, until its index is written; without the rows that
    /// it does not have (6 bytes each, 12 for a moment) and those that share an element with others (12 and 24).
    pub fn bytes_needed(count: u64, m: u16) -> u64 {
        let m = u64::from(m);
        // So many lists above layer 0 there are, on average.
        let upper = count.div_ceil(m.saturating_sub(1).max(1));
        Graph::bytes_of(count, m, upper)
    }

    fn bytes_of(count: u64, m: u64, upper: u64) -> u64 {
        let element = m.saturating_mul(8).saturating_add(60);
        let list = m.saturating_mul(4).saturating_add(3);
        let elements = count.saturating_mul(element);
        elements.saturating_add(upper.saturating_mul(list))
    }

    /// Elements, deleted ones included.
    pub fn count(&self) -> usize {
        self.levels.len()
    }

    /// Elements that are not deleted.
    pub fn live(&self) -> usize {
        self.live.iter().filter(|live| **live).count()
    }

    /// The M.
    pub fn m(&self) -> u16 {
        self.m
    }

    /// Dimensions of its vectors.
    pub fn dimension(&self) -> u32 {
        self.dimension
    }

    /// Links that were left out, since they could not be used.
    pub fn damaged_links(&self) -> u64 {
        self.damaged
    }

    /// How its vectors are hashed.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
}

/// The number of the list of `element` at `layer`, for levels and first upper lists as a [`Graph`] has them.
pub(super) fn list(upper: &[u32], element: u32, layer: u8) -> usize {
    match layer.checked_sub(1) {
        None => at(element),
        Some(above) => {
            let first = upper.get(at(element)).copied().unwrap_or(NONE);
            at(first).saturating_add(above.into())
        }
    }
}

/// The highest level in an index of pgvector's with this M: its list of neighbours must fit a page.
pub fn top_level(m: u16) -> u64 {
    let links = (8192 - 24 - 8 - 4 - 4) / 6 / u64::from(m.max(1));
    links.saturating_sub(2).min(TOP)
}

/// What a graph is of.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// M, elements and dimensions.
    pub shape: GraphShape,
    /// Components of the rows.
    pub form: Form,
    /// Whether a row may hold a vector that Chroma rounds: those of cosine spaces.
    pub cosine: bool,
    /// Lists above layer 0.
    pub upper: u64,
    /// Most bytes of memory.
    pub allowed: u64,
}

/// A graph that is being read: first the levels of every element, with their links above layer 0, then the elements.
pub struct Building {
    graph: Graph,
    count: u32,
    links: u64,
}

impl Building {
    /// An empty graph. The caller has seen that files are long enough for its counts.
    ///
    /// # Errors
    /// [`NoGraph::OtherM`], [`NoGraph::Memory`].
    pub fn new(kind: Kind) -> Result<Building, NoGraph> {
        let GraphShape {
            m,
            count,
            dimension,
            ..
        } = kind.shape;
        if !(2..=100).contains(&m) {
            return Err(NoGraph::OtherM { m: m.into() });
        }
        let needed = Graph::bytes_of(count.into(), m.into(), kind.upper);
        let memory = |allowed: u64| NoGraph::Memory { needed, allowed };
        if needed > kind.allowed || kind.upper > u64::from(NONE - 1).saturating_sub(count.into()) {
            return Err(memory(kind.allowed));
        }
        let lists = usize::try_from(kind.upper).map_err(|_| memory(kind.allowed))?;
        let none = |_: TryReserveError| memory(0);
        let with_room = |size| -> Result<Vec<u8>, TryReserveError> {
            let mut values = Vec::new();
            values.try_reserve_exact(size)?;
            Ok(values)
        };
        let mut hashes = Vec::new();
        hashes.try_reserve_exact(at(count)).map_err(none)?;
        let mut rough = Vec::new();
        let roughly = if kind.cosine { at(count) } else { 0 };
        rough.try_reserve_exact(roughly).map_err(none)?;
        let mut live = Vec::new();
        live.try_reserve_exact(at(count)).map_err(none)?;
        let mut upper = Vec::new();
        upper.try_reserve_exact(at(count)).map_err(none)?;
        Ok(Building {
            graph: Graph {
                m,
                dimension,
                form: kind.form,
                cosine: kind.cosine,
                entry: None,
                keys: Keys::default(),
                levels: with_room(at(count)).map_err(none)?,
                live,
                hashes,
                rough,
                upper,
                lists: Lists::new(m.into(), at(count), lists).map_err(none)?,
                damaged: 0,
            },
            count,
            links: 0,
        })
    }

    /// The next element's `level`.
    ///
    /// # Errors
    /// [`NoGraph::TooHigh`].
    pub fn level(&mut self, level: u64) -> Result<(), NoGraph> {
        let graph = &mut self.graph;
        let (m, most) = (graph.m, top_level(graph.m));
        let high = NoGraph::TooHigh { level, m, most };
        let level = u8::try_from(level).ok().filter(|_| level <= most);
        let level = level.ok_or(high)?;
        let first = match (graph.levels.last(), graph.upper.last()) {
            (Some(level), Some(first)) => first.saturating_add((*level).into()),
            _ => self.count,
        };
        graph.levels.push(level);
        graph.upper.push(first);
        Ok(())
    }

    /// The links at `layer`, above 0, of the element that [`Building::level`] was called for last: their number as the
    /// file says, and the words behind it.
    pub fn upper(&mut self, layer: u8, number: u16, words: &[u8]) {
        let element = u32::try_from(self.graph.levels.len().saturating_sub(1)).unwrap_or(NONE);
        let list = list(&self.graph.upper, element, layer);
        self.take(list, element, number, words);
    }

    /// The next element: whether it is deleted, its links at layer 0, and its vector as a row has it.
    pub fn element(&mut self, deleted: bool, number: u16, words: &[u8], vector: &[u8]) {
        let graph = &mut self.graph;
        let element = u32::try_from(graph.live.len()).unwrap_or(NONE);
        graph.live.push(!deleted);
        graph.hashes.push(graph.keys.hash(vector));
        if graph.cosine {
            graph.rough.push(graph.keys.rough(vector, graph.form));
        }
        self.take(at(element), element, number, words);
    }

    fn take(&mut self, list: usize, element: u32, number: u16, words: &[u8]) {
        let lists = &mut self.graph.lists;
        let capacity = lists.capacity(list);
        self.links = self.links.saturating_add(number.into());
        if usize::from(number) > capacity {
            // Nothing in it can be trusted.
            self.graph.damaged = self.graph.damaged.saturating_add(number.into());
            return;
        }
        let count = self.count;
        for word in words.chunks_exact(4).take(number.into()) {
            let link = word
                .first_chunk()
                .map_or(NONE, |word| u32::from_le_bytes(*word));
            let good = link < count && link != element && !lists.of(list).contains(&link);
            if !good || !lists.push(list, link) {
                self.graph.damaged = self.graph.damaged.saturating_add(1);
            }
        }
    }

    /// The graph, whose search begins at `entry`.
    ///
    /// # Errors
    /// [`NoGraph::TooManyDamaged`].
    pub fn finish(self, entry: u32) -> Result<Graph, NoGraph> {
        let Building {
            mut graph, links, ..
        } = self;
        let mut damaged = graph.damaged;
        let (levels, lists) = (&graph.levels, &mut graph.lists);
        for (element, level) in (0_u32..).zip(levels) {
            for layer in 1..=*level {
                let low = lists.edit(list(&graph.upper, element, layer), |link, _| {
                    let high = levels.get(at(link)).is_some_and(|level| *level >= layer);
                    high.then_some(link)
                });
                damaged = damaged.saturating_add(low.into());
            }
        }
        if damaged.saturating_mul(100) > links.saturating_mul(DAMAGED) {
            return Err(NoGraph::TooManyDamaged { damaged, links });
        }
        graph.damaged = damaged;
        graph.entry = Some(entry).filter(|entry| at(*entry) < graph.levels.len());
        Ok(graph)
    }
}
