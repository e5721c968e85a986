//! Where each element of a new index goes, before a byte of it is written.
//!
//! Promise: the places are those that pgvector's build gives the same elements in the same order (`CreateGraphPages` in
//! `hnswbuild.c`); with them links can be written as soon as their element is, in one pass over the pages. Seven bytes
//! an element. Imports [`super::page`] and [`super::tuple`].

use super::Tid;
use super::page::{MOST, POINTER, PageError};
use super::tuple::Shape;

/// The block of the first element's page.
pub(super) const FIRST_BLOCK: u32 = 1;

/// Where one element goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The element.
    pub element: Tid,
    /// Its neighbours.
    pub neighbours: Tid,
    /// Its level.
    pub level: u8,
}

/// The places of all elements of an index, by their ordinals: the order in which they are written.
#[derive(Debug, Clone)]
pub struct Placement {
    shape: Shape,
    blocks: Vec<u32>,
    offsets: Vec<u16>,
    levels: Vec<u8>,
    last_block: u32,
}

impl Placement {
    /// Places elements of these levels, in this order.
    ///
    /// # Errors
    ///
    /// Those of [`Shape::check`]; [`PageError::Level`] for a level above [`Shape::highest_level`],
    /// [`PageError::TooManyPages`].
    pub fn of(shape: Shape, levels: impl Iterator<Item = u8>) -> Result<Placement, PageError> {
        shape.check()?;
        let highest = shape.highest_level();
        let count = levels.size_hint().0;
        let mut blocks = Vec::with_capacity(count);
        let mut offsets = Vec::with_capacity(count);
        let mut placed = Vec::with_capacity(count);
        let mut room = Room::first();
        let element = shape.element_bytes();
        for level in levels {
            if level > highest {
                return Err(PageError::Level { level, highest });
            }
            let neighbours = shape.neighbours_bytes(level);
            if room.free() < element
                || (together(shape, level) && room.free() < element + neighbours + POINTER)
            {
                room.next_page()?;
            }
            let place = room.take(element);
            if room.free() < neighbours {
                room.next_page()?;
            }
            room.take(neighbours);
            blocks.push(place.block);
            offsets.push(place.offset);
            placed.push(level);
        }
        Ok(Placement {
            shape,
            blocks,
            offsets,
            levels: placed,
            last_block: room.block,
        })
    }

    /// What all elements share.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Where an element goes, by its ordinal.
    pub fn element(&self, ordinal: usize) -> Option<Tid> {
        let block = *self.blocks.get(ordinal)?;
        let offset = *self.offsets.get(ordinal)?;
        Some(Tid { block, offset })
    }

    /// Where an element and its neighbours go, and its level, by its ordinal.
    pub fn place(&self, ordinal: usize) -> Option<Place> {
        let element = self.element(ordinal)?;
        let level = *self.levels.get(ordinal)?;
        let neighbours = if together(self.shape, level) {
            Tid {
                block: element.block,
                offset: element.offset + 1,
            }
        } else {
            Tid {
                block: element.block + 1,
                offset: 1,
            }
        };
        Some(Place {
            element,
            neighbours,
            level,
        })
    }

    /// The last block of the index. There is always block 1, if an empty one.
    pub fn last_block(&self) -> u32 {
        self.last_block
    }

    /// The number of pages, the meta page included.
    pub fn pages(&self) -> u32 {
        // `Room::next_page` gives no block above u32::MAX - 1.
        self.last_block + 1
    }
}

/// Whether an element of this level and its neighbours go on one page. Where they do not fit in one, no room is left
/// behind the element, and the neighbours are the first tuple of the next page.
fn together(shape: Shape, level: u8) -> bool {
    shape.element_bytes() + shape.neighbours_bytes(level) + POINTER <= MOST
}

/// What is left of the page at the end.
struct Room {
    block: u32,
    tuples: u16,
    /// Between the line pointers and the tuples.
    between: usize,
}

impl Room {
    fn first() -> Room {
        Room {
            block: FIRST_BLOCK,
            tuples: 0,
            between: MOST + POINTER,
        }
    }

    /// As `PageGetFreeSpace`, which keeps room for one line pointer.
    fn free(&self) -> usize {
        self.between.saturating_sub(POINTER)
    }

    fn next_page(&mut self) -> Result<(), PageError> {
        // The last block number is `InvalidBlockNumber`.
        let block = self.block.checked_add(1).filter(|&block| block < u32::MAX);
        *self = Room {
            block: block.ok_or(PageError::TooManyPages)?,
            ..Room::first()
        };
        Ok(())
    }

    /// A tuple of an aligned size, for which there is room.
    fn take(&mut self, bytes: usize) -> Tid {
        self.between = self.between.saturating_sub(bytes + POINTER);
        self.tuples += 1;
        Tid {
            block: self.block,
            offset: self.tuples,
        }
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
