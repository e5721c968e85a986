//! How many pages rows and index entries take: PostgreSQL's and pgvector's layouts, in numbers.
//!
//! Promise: plain arithmetic, of values of any size. Imports nothing.
//!
//! | what | bytes |
//! | --- | --- |
//! | page | 8192, of which 24 are its header |
//! | row or entry on it | its own, up to a multiple of 8, and 4 for its pointer |
//! | B-tree | pages of 8152 bytes, four fifths full; 8 bytes a key beside the key; one page more |
//! | HNSW | 72 bytes and the vector, 200 bytes of neighbours, both on one page if they fit; one page more |

/// Bytes of a page.
const PAGE: u64 = 8192;
/// Bytes that are left of a page for rows and their pointers.
const ROOM: u64 = PAGE - 24;
/// Bytes of a B-tree's page for entries, at the fill that keys in mixed order end with.
const LEAF: u64 = (ROOM - 16) * 4 / 5;
/// Bytes of an HNSW page for elements.
const ELEMENTS: u64 = ROOM - 8;
/// An element without its vector.
const ELEMENT: u64 = 72;
/// The neighbours of nearly every element, with pgvector's own `m` of 16.
const NEIGHBOURS: u64 = 200;
/// Pointer to a row of the page.
const POINTER: u64 = 4;
/// Most dimensions that are indexed as `vector`, and as `halfvec`.
const MOST_WHOLE: u64 = 2_000;
const MOST_HALF: u64 = 4_000;

/// Pages that are filled one after the other, as COPY does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pages {
    pages: u64,
    free: u64,
}

impl Pages {
    /// Puts a row of `bytes` on the last page, or on a new one.
    pub fn put(&mut self, bytes: u64) {
        let needed = aligned(bytes).saturating_add(POINTER);
        self.take(needed, ROOM);
    }

    /// Puts the element of a vector of `bytes` with its neighbours.
    pub fn put_element(&mut self, bytes: u64) {
        let element = aligned(bytes.saturating_add(ELEMENT)).saturating_add(POINTER);
        let neighbours = NEIGHBOURS + POINTER;
        if element.saturating_add(neighbours) <= ELEMENTS {
            self.take(element.saturating_add(neighbours), ELEMENTS);
        } else {
            self.take(element, ELEMENTS);
            self.take(neighbours, ELEMENTS);
        }
    }

    fn take(&mut self, needed: u64, room: u64) {
        if needed > self.free {
            self.pages = self.pages.saturating_add(1);
            self.free = room;
        }
        self.free = self.free.saturating_sub(needed);
    }

    /// Bytes of the pages.
    pub fn bytes(&self) -> u64 {
        self.pages.saturating_mul(PAGE)
    }

    /// Bytes of an index of these pages: one more describes it.
    pub fn index_bytes(&self) -> u64 {
        self.bytes().saturating_add(PAGE)
    }
}

/// A B-tree.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tree {
    bytes: u64,
}

impl Tree {
    /// Adds `count` keys of `bytes`, each alone in its entry.
    pub fn put(&mut self, bytes: u64, count: u64) {
        let entry = aligned(bytes.saturating_add(8)).saturating_add(POINTER);
        self.bytes = self.bytes.saturating_add(entry.saturating_mul(count));
    }

    /// Adds `count` rows to entries of many rows with the same key.
    pub fn put_again(&mut self, count: u64) {
        self.bytes = self.bytes.saturating_add(count.saturating_mul(6));
    }

    /// Bytes of its pages.
    pub fn bytes(&self) -> u64 {
        let leaves = self.bytes.div_ceil(LEAF);
        // Above more than one leaf there is a root, and about one page in two hundred.
        let upper = if leaves > 1 { 1 + leaves / 200 } else { 0 };
        PAGE.saturating_mul(leaves.saturating_add(upper).saturating_add(1))
    }
}

/// Bytes of a vector of `dimension` in its HNSW index; `None` where there will be no index.
pub(super) fn indexed(dimension: u64) -> Option<u64> {
    match dimension {
        0..=MOST_WHOLE => Some(4 * dimension + 8),
        _ if dimension <= MOST_HALF => Some(2 * dimension + 8),
        _ => None,
    }
}

/// Up to a multiple of 8.
pub(super) fn aligned(bytes: u64) -> u64 {
    bytes.div_ceil(8).saturating_mul(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fill_pages_in_turn() {
        let mut pages = Pages::default();
        assert_eq!(pages.bytes(), 0);
        (0..4).for_each(|_| pages.put(2_032));
        assert_eq!(pages.bytes(), PAGE);
        pages.put(1);
        assert_eq!(pages.bytes(), PAGE);
        pages.put(2_032);
        assert_eq!(pages.bytes(), 2 * PAGE);
    }

    #[test]
    fn an_element_stays_with_its_neighbours_where_it_can() {
        let of = |dimension: u64, count: u64| {
            let mut pages = Pages::default();
            (0..count).for_each(|_| pages.put_element(indexed(dimension).unwrap()));
            pages.index_bytes() / PAGE
        };
        assert_eq!(of(384, 4), 2);
        assert_eq!(of(384, 5), 3);
        assert_eq!(of(1_536, 10), 11);
        assert_eq!(of(2_000, 10), 21);
        assert_eq!(of(3_072, 10), 11);
        assert_eq!(indexed(4_001), None);
    }

    #[test]
    fn a_tree_has_a_page_of_its_own_and_a_root_above_two_leaves() {
        let mut tree = Tree::default();
        assert_eq!(tree.bytes(), PAGE);
        tree.put(16, 1);
        assert_eq!(tree.bytes(), 2 * PAGE);
        (0..300).for_each(|_| tree.put(16, 1));
        assert_eq!(tree.bytes(), 4 * PAGE);
    }

    #[test]
    fn absurd_sizes_do_no_harm() {
        let mut pages = Pages::default();
        pages.put(u64::MAX);
        pages.put_element(u64::MAX);
        let mut tree = Tree::default();
        tree.put(u64::MAX, 1);
        tree.put_again(1);
        assert!(tree.bytes() > 0 && pages.bytes() > 0);
    }
}
