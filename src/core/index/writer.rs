//! The pages of a new index, one after another.
//!
//! Promise: each page is given once, whole, in the order of its block from 0 on; elements go where the [`Placement`]
//! has them, and anything else is an error, not a damaged index. Holds one page, and allocates nothing for an element.
//! Imports [`super::page`], [`super::tuple`] and [`super::placement`].

use super::Tid;
use super::page::{self, Page, PageError};
use super::placement::{FIRST_BLOCK, Placement};
use super::tuple::{self, Meta};

/// Writes an index, to a function that takes each page with its block.
pub struct Writer<'a, O> {
    placement: &'a Placement,
    out: O,
    page: Page,
    block: u32,
    written: usize,
    links: Vec<Tid>,
}

impl<'a, O, E> Writer<'a, O>
where
    O: FnMut(u32, &Page) -> Result<(), E>,
    E: From<PageError>,
{
    /// Writes the meta page. `entry` is the ordinal of the element where a search begins; `None` only without elements.
    ///
    /// # Errors
    ///
    /// [`PageError::Placement`] for an entry that was not placed; what `out` returns.
    pub fn begin(placement: &'a Placement, entry: Option<usize>, mut out: O) -> Result<Self, E> {
        let shape = placement.shape();
        let place = match entry {
            Some(ordinal) => Some(
                placement
                    .place(ordinal)
                    .ok_or(PageError::Placement(ordinal))?,
            ),
            None if placement.is_empty() => None,
            None => return Err(PageError::Missing("entry point").into()),
        };
        let meta = Meta {
            dimensions: shape.dimensions,
            m: shape.m,
            ef_construction: shape.ef_construction,
            entry: place.map(|place| (place.element, place.level)),
            insert_page: placement.last_block(),
        };
        out(0, &meta.page())?;
        Ok(Writer {
            placement,
            out,
            page: page::empty(),
            block: FIRST_BLOCK,
            written: 0,
            links: Vec::with_capacity(2 * usize::from(shape.m)),
        })
    }

    /// Writes the next element: its heap tuples (1 to 10), its value with the four-byte header, and its links. `links`
    /// is called for each layer from `level` to 0, with an empty list for the elements that the layer's links lead to.
    ///
    /// # Errors
    ///
    /// [`PageError::Placement`] for another level than was placed, or an element too many; [`PageError::Size`],
    /// [`PageError::HeapTids`], [`PageError::Links`]; what `out` returns.
    pub fn element(
        &mut self,
        level: u8,
        heap: &[Tid],
        value: &[u8],
        links: &mut dyn FnMut(u8, &mut Vec<Tid>),
    ) -> Result<(), E> {
        let shape = self.placement.shape();
        let wrong = PageError::Placement(self.written);
        let place = self
            .placement
            .place(self.written)
            .filter(|place| place.level == level);
        let Some(place) = place else {
            return Err(wrong.into());
        };
        if value.len() != shape.value_bytes {
            return Err(PageError::Size {
                found: value.len(),
                expected: shape.value_bytes,
            }
            .into());
        }

        let bytes = self.add(place.element, shape.element_bytes())?;
        tuple::write_element(bytes, level, heap, place.neighbours, value)?;

        // The list is lent out of `self` while its page is borrowed.
        let mut list = std::mem::take(&mut self.links);
        let mut rest = tuple::write_neighbours(
            self.add(place.neighbours, shape.neighbours_bytes(level))?,
            level,
            shape.m,
        );
        for layer in (0..=level).rev() {
            list.clear();
            links(layer, &mut list);
            rest = tuple::write_layer(rest, layer, shape.m, &list)?;
        }
        self.links = list;
        self.written += 1;
        Ok(())
    }

    /// Writes the last page.
    ///
    /// # Errors
    ///
    /// [`PageError::Placement`] where elements are missing; what `out` returns.
    pub fn finish(mut self) -> Result<(), E> {
        if self.written != self.placement.len() {
            return Err(PageError::Placement(self.written).into());
        }
        (self.out)(self.block, &self.page)
    }

    /// The place of a tuple, on this page or the next.
    fn add(&mut self, tid: Tid, bytes: usize) -> Result<&mut [u8], E> {
        if tid.block == self.block + 1 {
            page::set_next(&mut self.page, tid.block);
            (self.out)(self.block, &self.page)?;
            page::init(&mut self.page);
            self.block = tid.block;
        }
        match page::add(&mut self.page, bytes)? {
            (offset, place)
                if (Tid {
                    block: self.block,
                    offset,
                }) == tid =>
            {
                Ok(place)
            }
            _ => Err(PageError::Placement(self.written).into()),
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
