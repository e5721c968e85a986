//! The proof after an import: a walk over every page of an index of pgvector's, each read twice.
//!
//! Promise: any page can come, damaged or not, and what is wrong is counted and said, never a panic. What is counted
//! holds for the pages as they came: nobody may change the index between the passes. At most 24 bytes an element are
//! kept (most need 12), and four a page; with the links 150 more at m 16. Imports [`super::page`] and [`super::tuple`].
//!
//! ```text
//! Walk::new(meta page) -> page, page, ... -> second_pass() -> page, page, ... -> done() -> Summary
//!                         elements, heap TIDs, chain          links, reachability
//! ```

mod elements;
mod links;
mod reach;
mod summary;
#[cfg(test)]
mod tests;

use super::Tid;
use super::page::{NO_BLOCK, Page, PageError, View};
use super::tuple::{ELEMENT, Element, Meta, NEIGHBOURS, highest_level, kind};
use elements::{Apart, Elements, Found};
pub use links::LinkWalk;
pub use summary::{Findings, Summary, TidSum};

/// The first pass, over the elements.
#[derive(Debug)]
pub struct Walk {
    keep_links: bool,
    elements: Elements,
    /// The block that follows each in the chain; by block.
    next: Vec<u32>,
    heap: Vec<u64>,
    apart: Vec<Apart>,
    summary: Summary,
}

impl Walk {
    /// Begins with block 0. `keep_links` keeps all links, to say in the end how many elements a search can reach.
    ///
    /// # Errors
    ///
    /// Those of [`Meta::read`]: without the meta page nothing else can be read.
    pub fn new(meta: &Page, keep_links: bool) -> Result<Walk, PageError> {
        let mut summary = Summary::of(Meta::read(meta)?);
        if View::of(meta)?.next().is_some() {
            summary
                .findings
                .add(|| "the meta page has a next block".to_owned());
        }
        Ok(Walk {
            keep_links,
            elements: Elements::new(),
            next: vec![NO_BLOCK],
            heap: Vec::new(),
            apart: Vec::new(),
            summary,
        })
    }

    /// Takes the next page, from block 1 on.
    pub fn page(&mut self, page: &Page) {
        let block = self.summary.pages;
        self.summary.pages = block.saturating_add(1);
        self.elements.begin_page();
        let view = match View::of(page) {
            Ok(view) => view,
            Err(error) => {
                self.next.push(NO_BLOCK);
                return self
                    .summary
                    .findings
                    .add(|| format!("block {block}: {error}"));
            }
        };
        self.next.push(view.next().unwrap_or(NO_BLOCK));
        for offset in 1..=view.count() {
            let tid = Tid { block, offset };
            let read = match view.tuple(offset) {
                Ok(None) => Ok(()),
                Ok(Some(tuple)) => self.tuple(tid, tuple),
                Err(error) => Err(error),
            };
            if let Err(error) = read {
                self.summary
                    .findings
                    .add(|| format!("{}: {error}", at(tid)));
            }
        }
    }

    /// A tuple; neighbours are read in the second pass.
    fn tuple(&mut self, tid: Tid, tuple: &[u8]) -> Result<(), PageError> {
        match kind(tuple) {
            NEIGHBOURS => Ok(()),
            ELEMENT => self.element(tid, &Element::read(tuple)?),
            found => Err(PageError::Type {
                found,
                expected: ELEMENT,
            }),
        }
    }

    fn element(&mut self, tid: Tid, element: &Element<'_>) -> Result<(), PageError> {
        let highest = highest_level(self.summary.meta.m);
        if element.level > highest && !element.deleted {
            return Err(PageError::Level {
                level: element.level,
                highest,
            });
        }
        let found = Found {
            offset: tid.offset,
            level: if element.deleted {
                Found::DELETED
            } else {
                element.level
            },
            version: element.version,
        };
        let number = self.elements.add(found).ok_or(PageError::TooManyPages)?;
        if element.neighbours.block != tid.block {
            self.apart.push(Apart {
                place: element.neighbours,
                owner: number,
            });
        }
        let before = self.heap.len();
        self.heap.extend(element.heap().map(packed));
        let tids = self.heap.len() - before;
        if valid_behind_invalid(element.heap_places()) {
            self.summary
                .findings
                .add(|| format!("{}: a heap tuple comes behind an empty place", at(tid)));
        }
        if !element.deleted {
            self.summary.count_element(element.level, tids);
            return Ok(());
        }
        self.summary.deleted += 1;
        if tids > 0 {
            self.summary
                .findings
                .add(|| format!("{}: a deleted element has heap tuples", at(tid)));
        }
        Ok(())
    }

    /// What can be said after the first pass, and the second one.
    pub fn second_pass(mut self) -> LinkWalk {
        self.elements.begin_page();
        self.check_chain();
        self.check_heap();
        self.check_entry();
        let Walk {
            keep_links,
            elements,
            mut apart,
            mut summary,
            ..
        } = self;
        apart.sort_unstable_by_key(|apart| apart.place);
        for apart in &apart {
            if apart.place.block == 0 || apart.place.block >= summary.pages {
                let owner = elements.tid(apart.owner);
                summary.findings.add(|| {
                    format!(
                        "{}: its links are on a page that the index does not have",
                        at(owner)
                    )
                });
            }
        }
        LinkWalk::new(elements, apart, keep_links, summary)
    }

    /// Whether the chain from block 1 has every page once.
    fn check_chain(&mut self) {
        let findings = &mut self.summary.findings;
        let mut met = vec![false; self.next.len()];
        let (mut block, mut count) = (1, 1);
        while block != NO_BLOCK {
            let at = usize::try_from(block).unwrap_or(usize::MAX);
            match (met.get_mut(at), self.next.get(at)) {
                (Some(met), Some(&next)) if block != 0 && !*met => {
                    *met = true;
                    count += 1;
                    block = next;
                }
                (Some(_), _) => {
                    findings.add(|| format!("the chain of pages comes to block {block} twice"));
                    break;
                }
                (None, _) => {
                    findings.add(|| {
                        format!(
                            "the chain of pages leads to block {block}, which the index \
                             does not have"
                        )
                    });
                    break;
                }
            }
        }
        let left = self.next.len().saturating_sub(count);
        if left > 0 {
            findings.add(|| format!("{left} pages are not in the chain that begins at block 1"));
        }
    }

    /// Whether each heap tuple is there once. The TIDs are given up here.
    fn check_heap(&mut self) {
        let mut heap = std::mem::take(&mut self.heap);
        heap.sort_unstable();
        for pair in heap.array_windows::<2>() {
            if let [a, b] = *pair
                && a == b
            {
                self.summary.duplicates += 1;
                let tid = unpacked(a);
                self.summary.findings.add(|| {
                    format!(
                        "the heap tuple ({},{}) is in two places",
                        tid.block, tid.offset
                    )
                });
            }
        }
        for &tid in &heap {
            self.summary.heap.add(unpacked(tid));
        }
    }

    /// Whether the entry point is an element of the level that the meta page says.
    fn check_entry(&mut self) {
        let findings = &mut self.summary.findings;
        let Some((tid, level)) = self.summary.meta.entry else {
            if self.summary.elements > 0 {
                findings.add(|| "the meta page has no entry point".to_owned());
            }
            return;
        };
        match self.elements.find(tid) {
            None => findings.add(|| "the entry point is not an element".to_owned()),
            Some((_, found)) if found.is_deleted() => {
                findings.add(|| "the entry point is deleted".to_owned())
            }
            Some((_, found)) if found.level != level => {
                findings.add(|| {
                    format!(
                        "the entry point has level {}, the meta page says {level}",
                        found.level
                    )
                });
            }
            Some(_) => {}
        }
    }
}

/// A place in the index, as findings name it.
fn at(tid: Tid) -> String {
    format!("block {}, tuple {}", tid.block, tid.offset)
}

/// Whether a valid TID comes behind an invalid one, where no reader looks.
fn valid_behind_invalid(mut places: impl Iterator<Item = Option<Tid>>) -> bool {
    places.by_ref().any(|place| place.is_none()) && places.any(|place| place.is_some())
}

/// A TID in six bytes of a number, in its order.
fn packed(tid: Tid) -> u64 {
    u64::from(tid.block) << 16 | u64::from(tid.offset)
}

/// See [`packed`].
fn unpacked(tid: u64) -> Tid {
    let [a, b, c, d, e, f, _, _] = tid.to_le_bytes();
    Tid {
        block: u32::from_le_bytes([c, d, e, f]),
        offset: u16::from_le_bytes([a, b]),
    }
}
