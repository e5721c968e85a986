//! What a walk found.

use super::{Meta, Tid, packed};

/// Sentences that are kept of what is wrong.
const KEPT: usize = 20;

/// A checksum over TIDs that does not depend on their order: equal ones come of the same TIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TidSum {
    /// How many TIDs there were.
    pub count: u64,
    /// The sum of each one's hash.
    pub sum: u64,
}

impl TidSum {
    /// Adds a TID.
    pub fn add(&mut self, tid: Tid) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(mixed(packed(tid)));
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014), which maps no two numbers to the same.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What is wrong with an index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    count: u64,
    sentences: Vec<String>,
}

impl Findings {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first 20 of them.
    pub fn sentences(&self) -> &[String] {
        &self.sentences
    }

    pub(super) fn add(&mut self, sentence: impl FnOnce() -> String) {
        self.count += 1;
        if self.sentences.len() < KEPT {
            self.sentences.push(sentence());
        }
    }
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The meta page.
    pub meta: Meta,
    /// Pages, the meta page included.
    pub pages: u32,
    /// Elements that are not deleted.
    pub elements: u64,
    /// How many of them are of each level, from 0 to the highest.
    pub levels: Vec<u64>,
    /// How many of them have no heap tuple: a vacuum was interrupted, or is at work.
    pub emptied: u64,
    /// Elements that a vacuum deleted, and whose places are free for others.
    pub deleted: u64,
    /// The heap tuples of all elements.
    pub heap: TidSum,
    /// Heap tuples that are there once more than they should be. Each is a finding as well.
    pub duplicates: u64,
    /// Links on each layer, from 0.
    pub links: Vec<u64>,
    /// Elements whose list on layer 0 is not full, all of which a vacuum with something to delete would rebuild.
    pub not_full: u64,
    /// Links to deleted elements. Each is a finding as well.
    pub links_to_deleted: u64,
    /// Elements that a search cannot come to from the entry point; `None` in a walk that did not keep the links.
    pub unreachable: Option<u64>,
    /// What is wrong.
    pub findings: Findings,
}

impl Summary {
    pub(super) fn of(meta: Meta) -> Summary {
        Summary {
            meta,
            pages: 1,
            elements: 0,
            levels: Vec::new(),
            emptied: 0,
            deleted: 0,
            heap: TidSum::default(),
            duplicates: 0,
            links: Vec::new(),
            not_full: 0,
            links_to_deleted: 0,
            unreachable: None,
            findings: Findings::default(),
        }
    }

    /// Counts an element that is not deleted.
    pub(super) fn count_element(&mut self, level: u8, heap_tids: usize) {
        self.elements += 1;
        add(&mut self.levels, level, 1);
        self.emptied += u64::from(heap_tids == 0);
    }

    /// Counts the links of an element on a layer.
    pub(super) fn count_links(&mut self, layer: u8, count: usize) {
        add(
            &mut self.links,
            layer,
            u64::try_from(count).unwrap_or(u64::MAX),
        );
    }
}

/// Adds to a level's counter.
fn add(counters: &mut Vec<u64>, level: u8, count: u64) {
    let level = usize::from(level);
    if counters.len() <= level {
        counters.resize(level + 1, 0);
    }
    if let Some(counter) = counters.get_mut(level) {
        *counter += count;
    }
}
