//! The contents of an index's pages: the meta page, elements, and their neighbours.
//!
//! Promise: what is written is what pgvector 0.8 writes; what is read is checked against its own lengths, and borrows
//! from the page. Imports [`super::page`] only.
//!
//! ```text
//! element:    type 1 | level | deleted | version | 10 heap TIDs | TID of its neighbours | 2 bytes | the value
//! neighbours: type 2 | version | count (2 bytes) | m TIDs for each layer from `level` to 1 | 2m TIDs for layer 0
//! ```

use super::Tid;
use super::page::{
    self, MOST, NO_BLOCK, Page, PageError, View, aligned, array_at, put, put_u16, put_u32, u16_at,
    u32_at,
};

/// The tuples' types, `HNSW_ELEMENT_TUPLE_TYPE` and `HNSW_NEIGHBOR_TUPLE_TYPE`.
pub(super) const ELEMENT: u8 = 1;
pub(super) const NEIGHBOURS: u8 = 2;

/// The version that a new tuple has since pgvector 0.8.0.
const VERSION: u8 = 1;

/// Heap tuples for which an element has room, `HNSW_HEAPTIDS`.
pub const HEAP_TIDS: usize = 10;

/// Bytes of a TID.
const TID: usize = 6;

/// `ItemPointerSetInvalid`.
const NO_TID: [u8; TID] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0];

/// Bytes of an element before its value.
const BEFORE_VALUE: usize = 4 + HEAP_TIDS * TID + TID + 2;

/// `HNSW_MAGIC_NUMBER`, `HNSW_VERSION`.
const MAGIC: u32 = 0xA953_A953;
const INDEX_VERSION: u32 = 1;

/// Bytes of the meta page's content.
const META: usize = 28;

/// What all elements of an index share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Links of an element on a layer; twice as many on layer 0.
    pub m: u16,
    /// Candidates that an insert looks at.
    pub ef_construction: u16,
    /// The values' dimensions.
    pub dimensions: u32,
    /// Bytes of a value, its four-byte header included.
    pub value_bytes: usize,
}

impl Shape {
    /// Whether pgvector could have an index of this shape.
    ///
    /// # Errors
    ///
    /// [`PageError::Setting`] with what is out of its bounds.
    pub fn check(&self) -> Result<(), PageError> {
        let refuse = |what, value| Err(PageError::Setting { what, value });
        let ef = self.ef_construction;
        if !(2..=100).contains(&self.m) {
            return refuse("m", usize::from(self.m));
        }
        if !(4..=1000).contains(&ef) || ef < 2 * self.m {
            return refuse("ef_construction", usize::from(ef));
        }
        if self.dimensions == 0 {
            return refuse("the number of dimensions", 0);
        }
        // A header, the dimensions, and at least one component.
        if self.value_bytes <= 8 || self.value_bytes > MOST - BEFORE_VALUE {
            return refuse("the size of a value", self.value_bytes);
        }
        Ok(())
    }

    /// The highest level of an element, so that its neighbours fit in a page. pgvector before 0.8.6 sets no other bound
    /// than that; a level above 63 does not come by chance.
    pub fn highest_level(&self) -> u8 {
        highest_level(self.m)
    }

    /// Bytes of an element.
    pub fn element_bytes(&self) -> usize {
        aligned(BEFORE_VALUE + self.value_bytes)
    }

    /// Bytes of the neighbours of an element of this level.
    pub fn neighbours_bytes(&self, level: u8) -> usize {
        aligned(4 + places(self.m, level) * TID)
    }
}

/// See [`Shape::highest_level`].
pub(super) fn highest_level(m: u16) -> u8 {
    let layers = (MOST - 4) / TID / usize::from(m.max(1));
    u8::try_from(layers.saturating_sub(2).min(63)).unwrap_or(63)
}

/// All places for links of an element of this level.
fn places(m: u16, level: u8) -> usize {
    (usize::from(level) + 2) * usize::from(m)
}

/// The places for links on a layer.
pub fn layer_places(m: u16, layer: u8) -> usize {
    usize::from(m) * if layer == 0 { 2 } else { 1 }
}

/// What the meta page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The values' dimensions.
    pub dimensions: u32,
    /// Links of an element on a layer.
    pub m: u16,
    /// Candidates that an insert looked at when the index was built.
    pub ef_construction: u16,
    /// The element where a search begins, and its level; `None` in an index without elements.
    pub entry: Option<(Tid, u8)>,
    /// The first page where an insert looks for room.
    pub insert_page: u32,
}

impl Meta {
    /// The meta page, block 0.
    pub fn page(&self) -> Page {
        let mut content = [0; META];
        let (tid, level) = match self.entry {
            Some((tid, level)) => (tid, i16::from(level)),
            None => (
                Tid {
                    block: NO_BLOCK,
                    offset: 0,
                },
                -1,
            ),
        };
        put_u32(&mut content, 0, MAGIC);
        put_u32(&mut content, 4, INDEX_VERSION);
        put_u32(&mut content, 8, self.dimensions);
        put_u16(&mut content, 12, self.m);
        put_u16(&mut content, 14, self.ef_construction);
        put_u32(&mut content, 16, tid.block);
        put_u16(&mut content, 20, tid.offset);
        put(&mut content, 22, &level.to_le_bytes());
        put_u32(&mut content, 24, self.insert_page);
        let mut page = page::empty();
        page::set_content(&mut page, &content);
        page
    }

    /// Reads the meta page.
    ///
    /// # Errors
    ///
    /// Those of [`View::of`]; [`PageError::Meta`] with the field that is not valid.
    pub fn read(page: &Page) -> Result<Meta, PageError> {
        let content = View::of(page)?.content();
        if u32_at(content, 0) != MAGIC {
            return Err(PageError::Meta("magic number"));
        }
        if u32_at(content, 4) != INDEX_VERSION {
            return Err(PageError::Meta("version"));
        }
        let m = u16_at(content, 12);
        if !(2..=100).contains(&m) {
            return Err(PageError::Meta("m"));
        }
        let block = u32_at(content, 16);
        let level = i16::from_le_bytes(array_at(content, 22));
        let entry = if block == NO_BLOCK {
            None
        } else {
            let level = u8::try_from(level)
                .ok()
                .filter(|&level| level <= highest_level(m));
            let level = level.ok_or(PageError::Meta("entry level"))?;
            Some((
                Tid {
                    block,
                    offset: u16_at(content, 20),
                },
                level,
            ))
        };
        Ok(Meta {
            dimensions: u32_at(content, 8),
            m,
            ef_construction: u16_at(content, 14),
            entry,
            insert_page: u32_at(content, 24),
        })
    }
}

/// The type of a tuple: 1 an element, 2 neighbours; zero for an empty one.
pub(super) fn kind(tuple: &[u8]) -> u8 {
    tuple.first().copied().unwrap_or_default()
}

/// An element as a page has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// The highest layer it is on.
    pub level: u8,
    /// Whether a vacuum took it out; its value is gone then, and its links.
    pub deleted: bool,
    /// Its neighbours have the same.
    pub version: u8,
    heap: &'a [u8],
    /// Where its neighbours are.
    pub neighbours: Tid,
    /// The value with its four-byte header; empty in a deleted element.
    pub value: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads an element from a tuple's bytes.
    ///
    /// # Errors
    ///
    /// [`PageError::Type`] for another tuple, [`PageError::Short`] for a cut one, [`PageError::Value`] for a value that
    /// is not plain or goes beyond the tuple.
    pub fn read(tuple: &'a [u8]) -> Result<Element<'a>, PageError> {
        expect(tuple, ELEMENT)?;
        let (head, value) = tuple
            .split_at_checked(BEFORE_VALUE)
            .ok_or(PageError::Short(tuple.len()))?;
        let [_, level, deleted, version] = array_at(head, 0);
        let deleted = deleted != 0;
        let neighbours = tid_of(array_at(head, 4 + HEAP_TIDS * TID));
        let header = u32_at(value, 0);
        // Of a plain value with a four-byte header the lower two bits are zero, and the others its length.
        let length = usize::try_from(header >> 2)
            .ok()
            .filter(|&length| header & 3 == 0 && length >= 4);
        let value = match length.and_then(|length| value.get(..length)) {
            _ if deleted => &[],
            Some(value) => value,
            None => return Err(PageError::Value),
        };
        let heap = head.get(4..4 + HEAP_TIDS * TID).unwrap_or_default();
        Ok(Element {
            level,
            deleted,
            version,
            heap,
            neighbours,
            value,
        })
    }

    /// The heap tuples with this value, as a scan has them: up to the first invalid one.
    pub fn heap(&self) -> impl Iterator<Item = Tid> + 'a {
        self.heap_places().map_while(|tid| tid)
    }

    /// All places for heap tuples.
    pub(super) fn heap_places(&self) -> impl Iterator<Item = Option<Tid>> + 'a {
        tids(self.heap)
    }
}

/// An element's links as a page has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbours<'a> {
    /// Their element has the same.
    pub version: u8,
    /// The places for links, used or not.
    pub count: u16,
    tids: &'a [u8],
}

impl<'a> Neighbours<'a> {
    /// Reads neighbours from a tuple's bytes.
    ///
    /// # Errors
    ///
    /// [`PageError::Type`] for another tuple, [`PageError::Short`] for one that ends before its `count` does.
    pub fn read(tuple: &'a [u8]) -> Result<Neighbours<'a>, PageError> {
        expect(tuple, NEIGHBOURS)?;
        let short = PageError::Short(tuple.len());
        let [_, version] = array_at(tuple, 0);
        let count = u16_at(tuple, 2);
        let tids = tuple
            .get(4..)
            .and_then(|rest| rest.get(..usize::from(count) * TID));
        let tids = tids.ok_or(short)?;
        Ok(Neighbours {
            version,
            count,
            tids,
        })
    }

    /// Whether these are as many places as an element of this level has.
    pub fn belong_to(&self, level: u8, m: u16) -> bool {
        usize::from(self.count) == places(m, level)
    }

    /// All places of a layer, from an element of this level; none where there is no such layer.
    pub fn places(&self, layer: u8, level: u8, m: u16) -> impl Iterator<Item = Option<Tid>> + 'a {
        let layers_before = level.checked_sub(layer).map(usize::from);
        let start = layers_before.map(|layers| layers * usize::from(m) * TID);
        let rest = start.and_then(|start| self.tids.get(start..));
        let layer = rest.and_then(|rest| rest.get(..layer_places(m, layer) * TID));
        tids(layer.unwrap_or_default())
    }

    /// The links of a layer, as a search has them: up to the first invalid one.
    pub fn links(&self, layer: u8, level: u8, m: u16) -> impl Iterator<Item = Tid> + 'a {
        self.places(layer, level, m).map_while(|tid| tid)
    }
}

/// Fills the place of an element; the place is one of [`Shape::element_bytes`] zeros.
///
/// # Errors
///
/// [`PageError::HeapTids`] for none or too many of them, [`PageError::Full`] where the value does not fit.
pub(super) fn write_element(
    place: &mut [u8],
    level: u8,
    heap: &[Tid],
    neighbours: Tid,
    value: &[u8],
) -> Result<(), PageError> {
    if heap.is_empty() || heap.len() > HEAP_TIDS {
        return Err(PageError::HeapTids(heap.len()));
    }
    let (head, rest) = place
        .split_at_mut_checked(BEFORE_VALUE)
        .ok_or(PageError::Full(BEFORE_VALUE))?;
    put(head, 0, &[ELEMENT, level, 0, VERSION]);
    for (at, tid) in (4..).step_by(TID).zip(padded(heap, HEAP_TIDS)) {
        put(head, at, &tid);
    }
    put(head, 4 + HEAP_TIDS * TID, &tid_bytes(neighbours));
    let place = rest
        .get_mut(..value.len())
        .ok_or(PageError::Full(value.len()))?;
    place.copy_from_slice(value);
    Ok(())
}

/// Fills the head of neighbours' place; the place is one of [`Shape::neighbours_bytes`] zeros. Returns the places of
/// the links, for [`write_layer`].
pub(super) fn write_neighbours(place: &mut [u8], level: u8, m: u16) -> &mut [u8] {
    let count = u16::try_from(places(m, level)).unwrap_or(u16::MAX);
    put(place, 0, &[NEIGHBOURS, VERSION]);
    put_u16(place, 2, count);
    place.get_mut(4..).unwrap_or_default()
}

/// Fills a layer's places at the head of `rest`, and returns what is behind them. Layers go from the highest to 0.
///
/// # Errors
///
/// [`PageError::Links`] for more links than places.
pub(super) fn write_layer<'a>(
    rest: &'a mut [u8],
    layer: u8,
    m: u16,
    links: &[Tid],
) -> Result<&'a mut [u8], PageError> {
    let most = layer_places(m, layer);
    if links.len() > most {
        return Err(PageError::Links {
            layer,
            count: links.len(),
            most,
        });
    }
    let (places, behind) = rest
        .split_at_mut_checked(most * TID)
        .ok_or(PageError::Full(most * TID))?;
    for (place, tid) in places.chunks_exact_mut(TID).zip(padded(links, most)) {
        place.copy_from_slice(&tid);
    }
    Ok(behind)
}

/// TIDs as bytes, and invalid ones up to `count`.
fn padded(tids: &[Tid], count: usize) -> impl Iterator<Item = [u8; TID]> {
    let valid = tids.iter().map(|&tid| tid_bytes(tid));
    valid.chain(std::iter::repeat(NO_TID)).take(count)
}

/// A TID as `ItemPointerData` has it: the block's higher half, its lower half, the offset.
fn tid_bytes(tid: Tid) -> [u8; TID] {
    let [a, b, c, d] = tid.block.to_le_bytes();
    let [e, f] = tid.offset.to_le_bytes();
    [c, d, a, b, e, f]
}

/// See [`tid_bytes`].
fn tid_of([c, d, a, b, e, f]: [u8; TID]) -> Tid {
    Tid {
        block: u32::from_le_bytes([a, b, c, d]),
        offset: u16::from_le_bytes([e, f]),
    }
}

/// TIDs from their bytes; `None` for what `ItemPointerIsValid` calls invalid.
fn tids(bytes: &[u8]) -> impl Iterator<Item = Option<Tid>> {
    let (tids, _) = bytes.as_chunks::<TID>();
    tids.iter()
        .map(|&bytes| Some(tid_of(bytes)).filter(|tid| tid.offset != 0))
}

/// Whether a tuple has this type.
fn expect(tuple: &[u8], expected: u8) -> Result<(), PageError> {
    match kind(tuple) {
        found if found == expected => Ok(()),
        found => Err(PageError::Type { found, expected }),
    }
}

#[cfg(test)]
#[path = "tuple_tests.rs"]
mod tests;
