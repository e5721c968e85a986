//! Elements by hash.
//!
//! Promise: finding the elements of a hash takes the same time, however many there are. Imports `lists`.

use super::lists::{NONE, at};

/// A hash of elements.
pub(super) trait Hash: Copy + Eq {
    /// It, as a part of a table of `size`.
    fn part(self, size: usize) -> usize;
}

impl Hash for u64 {
    fn part(self, size: usize) -> usize {
        let scaled = u128::from(self).saturating_mul(size as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }
}

impl Hash for u32 {
    fn part(self, size: usize) -> usize {
        let scaled = u128::from(self).saturating_mul(size as u128) >> 32;
        usize::try_from(scaled).unwrap_or(0)
    }
}

/// For each hash the elements that have it, one after the other, in rising order.
pub(super) struct Table {
    /// Open addressing: the first element of a hash.
    heads: Vec<u32>,
    /// By element: the next one of the same hash.
    next: Vec<u32>,
}

impl Table {
    /// The elements that are `live`, by hash.
    pub fn new<H: Hash>(hashes: &[H], live: &[bool]) -> Table {
        let count = hashes.len();
        let mut table = Table {
            heads: vec![NONE; count.saturating_add(count / 2).saturating_add(1)],
            next: vec![NONE; count],
        };
        // From behind, so that the first is the lowest.
        for (element, hash) in (0..u32::try_from(count).unwrap_or(NONE)).zip(hashes).rev() {
            if !live.get(at(element)).is_some_and(|live| *live) {
                continue;
            }
            let place = table.place(*hash, hashes);
            if let (Some(head), Some(next)) =
                (table.heads.get_mut(place), table.next.get_mut(at(element)))
            {
                *next = std::mem::replace(head, element);
            }
        }
        table
    }

    /// Where the first element of `hash` is, or would be.
    pub fn place<H: Hash>(&self, hash: H, hashes: &[H]) -> usize {
        let size = self.heads.len();
        let mut place = hash.part(size);
        // A third of the places are free.
        while let Some(&element) = self.heads.get(place)
            && element != NONE
            && hashes.get(at(element)) != Some(&hash)
        {
            place = place.saturating_add(1);
            if place == size {
                place = 0;
            }
        }
        place
    }

    /// The first element at `place`; [`NONE`] if there is none.
    pub fn head(&self, place: usize) -> u32 {
        self.heads.get(place).copied().unwrap_or(NONE)
    }

    /// The element after `element`; [`NONE`] if that is the last one.
    pub fn next(&self, element: u32) -> u32 {
        self.next.get(at(element)).copied().unwrap_or(NONE)
    }

    /// Makes the element after `element` the first at `place`, if there is one; whether there is.
    pub fn advance(&mut self, place: usize, element: u32) -> bool {
        let next = self.next(element);
        match self.heads.get_mut(place) {
            Some(head) if next != NONE => {
                *head = next;
                true
            }
            _ => false,
        }
    }

    /// By element: the next one of the same hash.
    pub fn into_next(self) -> Vec<u32> {
        self.next
    }
}
