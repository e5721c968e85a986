//! The elements that the first pass found, by number: their order on the pages.

use super::Tid;

/// What is known of an element; four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) offset: u16,
    /// Its level, or [`Found::DELETED`].
    pub(super) level: u8,
    pub(super) version: u8,
}

impl Found {
    /// Instead of a level, which is 63 at most.
    pub(super) const DELETED: u8 = u8::MAX;

    pub(super) fn is_deleted(self) -> bool {
        self.level == Found::DELETED
    }
}

/// An element whose neighbours are on another page, and their place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Apart {
    pub(super) place: Tid,
    pub(super) owner: u32,
}

/// All elements.
#[derive(Debug)]
pub(super) struct Elements {
    found: Vec<Found>,
    /// The number of each page's first element, by block. The first page is block 0, which has none.
    starts: Vec<u32>,
}

impl Elements {
    pub(super) fn new() -> Elements {
        Elements {
            found: Vec::new(),
            starts: vec![0],
        }
    }

    /// Elements added from here on are on the next page. Has to be called once more after the last page.
    pub(super) fn begin_page(&mut self) {
        // `add` lets no number above u32::MAX be.
        let start = u32::try_from(self.found.len()).unwrap_or(u32::MAX);
        self.starts.push(start);
    }

    /// Adds an element behind all others; its number, `None` where numbers are used up.
    pub(super) fn add(&mut self, found: Found) -> Option<u32> {
        let number = u32::try_from(self.found.len())
            .ok()
            .filter(|&number| number < u32::MAX)?;
        self.found.push(found);
        Some(number)
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    pub(super) fn get(&self, number: u32) -> Option<Found> {
        self.found.get(usize::try_from(number).ok()?).copied()
    }

    /// The element at a place, with its number.
    pub(super) fn find(&self, tid: Tid) -> Option<(u32, Found)> {
        let block = usize::try_from(tid.block).ok()?;
        let [start, end] = *self.starts.get(block..)?.first_chunk()?;
        let page = self
            .found
            .get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        let index = page
            .binary_search_by_key(&tid.offset, |found| found.offset)
            .ok()?;
        let number = start.checked_add(u32::try_from(index).ok()?)?;
        Some((number, *page.get(index)?))
    }

    /// The place of an element, for what is said of it.
    pub(super) fn tid(&self, number: u32) -> Tid {
        let block = self
            .starts
            .partition_point(|&start| start <= number)
            .saturating_sub(1);
        Tid {
            block: u32::try_from(block).unwrap_or(u32::MAX),
            offset: self.get(number).map_or(0, |found| found.offset),
        }
    }
}
