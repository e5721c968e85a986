//! Neighbour lists of all elements and layers in one block of memory.
//!
//! Promise: no list is longer than pgvector's (2M at layer 0, M above); what is out of range is an empty list, never a
//! panic. Imports nothing of this crate.

use std::collections::TryReserveError;

/// No element, no list.
pub(super) const NONE: u32 = u32::MAX;

/// A number of an element or a list as an index.
pub(super) fn at(number: u32) -> usize {
    number as usize
}

/// `size` times the default value; an error where there is no memory for it.
pub(super) fn filled<T: Clone>(size: usize, value: T) -> Result<Vec<T>, TryReserveError> {
    let mut values = Vec::new();
    values.try_reserve_exact(size)?;
    values.resize(size, value);
    Ok(values)
}

/// Neighbour lists. Those of layer 0 are numbered as their elements; those of the layers above follow, each element's
/// from layer 1 up.
pub(super) struct Lists {
    m: usize,
    elements: usize,
    links: Vec<u32>,
    lengths: Vec<u8>,
}

impl Lists {
    /// Empty lists of `elements` at layer 0, and `upper` of the layers above.
    pub fn new(m: usize, elements: usize, upper: usize) -> Result<Lists, TryReserveError> {
        let lists = elements.saturating_add(upper);
        let links = elements.saturating_mul(2).saturating_add(upper);
        Ok(Lists {
            m,
            elements,
            links: filled(links.saturating_mul(m), 0)?,
            lengths: filled(lists, 0)?,
        })
    }

    /// The most links of `list`.
    pub fn capacity(&self, list: usize) -> usize {
        if list < self.elements {
            self.m.saturating_mul(2)
        } else {
            self.m
        }
    }

    /// How many links `list` has.
    pub fn length(&self, list: usize) -> usize {
        self.lengths.get(list).map_or(0, |length| (*length).into())
    }

    /// Where the links of `list` begin.
    fn start(&self, list: usize) -> usize {
        let upper = list.saturating_sub(self.elements);
        let near = list.saturating_sub(upper).saturating_mul(2);
        near.saturating_add(upper).saturating_mul(self.m)
    }

    /// The links of `list`.
    pub fn of(&self, list: usize) -> &[u32] {
        let start = self.start(list);
        let links = self
            .links
            .get(start..start.saturating_add(self.length(list)));
        links.unwrap_or_default()
    }

    /// The first `most` links of `list`.
    pub fn first(&self, list: usize, most: u8) -> &[u32] {
        let links = self.of(list);
        links.get(..most.into()).unwrap_or(links)
    }

    /// Adds a link; whether there was room.
    pub fn push(&mut self, list: usize, link: u32) -> bool {
        let length = self.length(list);
        if length >= self.capacity(list) {
            return false;
        }
        let place = self.start(list).saturating_add(length);
        match (self.links.get_mut(place), self.lengths.get_mut(list)) {
            (Some(place), Some(length)) => {
                *place = link;
                *length = length.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// Puts a link at `place` of `list`, before the one that is there; if the list was full, its last link goes. Whether
    /// there is such a place.
    pub fn insert(&mut self, list: usize, place: usize, link: u32) -> bool {
        let full = self.length(list) >= self.capacity(list);
        if place >= self.length(list).saturating_add(usize::from(!full)) {
            return false;
        }
        if !full {
            self.push(list, link);
        }
        let start = self.start(list);
        let behind = start.saturating_add(place)..start.saturating_add(self.length(list));
        let Some(behind) = self.links.get_mut(behind) else {
            return false;
        };
        behind.rotate_right(1);
        if let Some(first) = behind.first_mut() {
            *first = link;
        }
        true
    }

    /// Keeps the links that `keep` gives, as it gives them; the number of those that it did not.
    pub fn edit(&mut self, list: usize, mut keep: impl FnMut(u32, &[u32]) -> Option<u32>) -> u8 {
        let (start, length) = (self.start(list), self.length(list));
        let Some(links) = self.links.get_mut(start..start.saturating_add(length)) else {
            return 0;
        };
        let mut kept = 0_usize;
        for from in 0..length {
            let (before, rest) = links.split_at_mut(from);
            let link = rest.first().copied().unwrap_or(NONE);
            let Some(link) = keep(link, before.get(..kept).unwrap_or_default()) else {
                continue;
            };
            if let Some(place) = links.get_mut(kept) {
                *place = link;
                kept = kept.saturating_add(1);
            }
        }
        if let Some(length) = self.lengths.get_mut(list) {
            *length = u8::try_from(kept).unwrap_or(*length);
        }
        u8::try_from(length.saturating_sub(kept)).unwrap_or(u8::MAX)
    }

    /// The lengths of all lists as they are.
    pub fn lengths(&self) -> Vec<u8> {
        self.lengths.clone()
    }
}
