//! The self-test: an index that pgvector built, read and written anew.
//!
//! Promise: no difference means that this pgvector's pages, for this sample, are those that [`super::writer`] makes,
//! bit for bit. For a small index, all of whose pages are in memory. Imports the other files of this folder that make
//! pages.

use super::Tid;
use super::page::{self, Page, PageError, View};
use super::placement::Placement;
use super::tuple::{ELEMENT, Element, Meta, Neighbours, Shape, kind};
use super::writer::Writer;

/// What came of writing an index anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The first difference, as a sentence; `None` where every byte was the same, LSN and checksum apart.
    pub difference: Option<String>,
    /// The number of elements.
    pub elements: usize,
    /// The number of layers that have elements.
    pub layers: usize,
    /// Elements with more than one heap tuple.
    pub shared: usize,
    /// Heap tuples of all elements.
    pub heap_tids: usize,
}

/// Reads an index from all its pages, writes the same graph anew, and compares.
///
/// # Errors
///
/// What is wrong with the pages, where they are not a whole index as pgvector builds it.
pub fn rewrite(pages: &[Page]) -> Result<Rewritten, PageError> {
    let meta = Meta::read(pages.first().ok_or(PageError::Missing("meta page"))?)?;
    let elements = elements(pages)?;
    let value_bytes = match elements.first() {
        Some((_, element)) => element.value.len(),
        // No element says it, and no byte depends on it.
        None => 12,
    };
    let shape = Shape {
        m: meta.m,
        ef_construction: meta.ef_construction,
        dimensions: meta.dimensions,
        value_bytes,
    };
    let placement = Placement::of(shape, elements.iter().map(|(_, element)| element.level))?;
    let ordinal = |tid: Tid| elements.binary_search_by_key(&tid, |&(at, _)| at).ok();
    let entry = match meta.entry {
        Some((tid, _)) => Some(ordinal(tid).ok_or(PageError::Missing("entry point"))?),
        None => None,
    };

    let mut again = Vec::with_capacity(pages.len());
    let mut keep = |_, page: &Page| -> Result<(), PageError> {
        again.push(*page);
        Ok(())
    };
    let mut writer = Writer::begin(&placement, entry, &mut keep)?;
    let mut heap = Vec::new();
    for (_, element) in &elements {
        let neighbours = neighbours(pages, element.neighbours)?;
        heap.clear();
        heap.extend(element.heap());
        let mut lost = false;
        writer.element(element.level, &heap, element.value, &mut |layer, links| {
            for tid in neighbours.links(layer, element.level, shape.m) {
                let target = ordinal(tid).and_then(|ordinal| placement.element(ordinal));
                lost |= target.is_none();
                links.extend(target);
            }
        })?;
        if lost {
            return Err(PageError::Missing("element where a link leads"));
        }
    }
    writer.finish()?;

    let layers = elements
        .iter()
        .map(|(_, element)| usize::from(element.level) + 1)
        .max();
    Ok(Rewritten {
        difference: first_difference(pages, &again),
        elements: elements.len(),
        layers: layers.unwrap_or_default(),
        shared: elements
            .iter()
            .filter(|(_, element)| element.heap().count() > 1)
            .count(),
        heap_tids: elements
            .iter()
            .map(|(_, element)| element.heap().count())
            .sum(),
    })
}

/// All elements, in the order of their places.
fn elements(pages: &[Page]) -> Result<Vec<(Tid, Element<'_>)>, PageError> {
    let mut elements = Vec::new();
    for (block, page) in (0..).zip(pages).skip(1) {
        let view = View::of(page)?;
        for offset in 1..=view.count() {
            if let Some(tuple) = view.tuple(offset)?
                && kind(tuple) == ELEMENT
            {
                elements.push((Tid { block, offset }, Element::read(tuple)?));
            }
        }
    }
    Ok(elements)
}

/// The neighbours at a place.
fn neighbours(pages: &[Page], tid: Tid) -> Result<Neighbours<'_>, PageError> {
    let missing = PageError::Missing("neighbours where an element has them");
    let page = usize::try_from(tid.block)
        .ok()
        .and_then(|block| pages.get(block));
    let Some(page) = page else {
        return Err(missing);
    };
    Neighbours::read(View::of(page)?.tuple(tid.offset)?.ok_or(missing)?)
}

/// The first difference between pgvector's pages and ours, as a sentence.
fn first_difference(theirs: &[Page], ours: &[Page]) -> Option<String> {
    for (block, (a, b)) in theirs.iter().zip(ours).enumerate() {
        if let Some(at) = page::difference(a, b) {
            let [their, our] = [a, b].map(|page| page.get(at).copied().unwrap_or_default());
            return Some(format!(
                "block {block}, byte {at}: pgvector wrote {their:#04x}, the import {our:#04x}"
            ));
        }
    }
    let counts = (theirs.len(), ours.len());
    (counts.0 != counts.1)
        .then(|| format!("pgvector wrote {} pages, the import {}", counts.0, counts.1))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{BUILT, VACUUMED, pages};
    use super::*;

    #[test]
    fn what_pgvector_built_is_written_byte_for_byte() {
        for name in BUILT {
            assert_eq!(rewrite(&pages(name)).unwrap().difference, None, "{name}");
        }
    }

    #[test]
    fn it_says_what_the_sample_held() {
        let held = |name| {
            let rewritten = rewrite(&pages(name)).unwrap();
            (rewritten.elements, rewritten.shared, rewritten.heap_tids)
        };
        assert_eq!(held("dim3-m4"), (152, 3, 179));
        assert_eq!(held("cosine"), (50, 29, 79));
        assert_eq!(held("dim2000"), (3, 0, 3));
        assert_eq!(held("empty"), (0, 0, 0));
        assert_eq!(rewrite(&pages("empty")).unwrap().layers, 0);
        assert_eq!(rewrite(&pages("dim384")).unwrap().layers, 1);
        for name in ["dim3-m4", "dim3-m2", "cosine"] {
            assert!(rewrite(&pages(name)).unwrap().layers > 1, "{name}");
        }
    }

    #[test]
    fn any_other_byte_is_said() {
        let whole = pages("dim3-m4");
        let differs = |block: usize, at: usize| {
            let mut pages = whole.clone();
            pages[block][at] ^= 1;
            rewrite(&pages)
        };
        let sentence = "block 2, byte 20: pgvector wrote 0x01, the import 0x00";
        assert_eq!(differs(2, 20).unwrap().difference.unwrap(), sentence);
        for (block, page) in whole.iter().enumerate() {
            for at in (10..60).chain((60..page::PAGE).step_by(131)) {
                let same = differs(block, at).is_ok_and(|rewritten| rewritten.difference.is_none());
                // What tuples hold comes from the index itself, and so do two fields of the meta page.
                let tuples = usize::from(page::u16_at(page, 14))..8184;
                let taken_over = if block == 0 {
                    [32..36, 38..40].iter().any(|field| field.contains(&at))
                } else {
                    tuples.contains(&at)
                };
                assert!(!same || taken_over, "block {block}, byte {at}");
            }
        }
        for at in [8, 9] {
            assert_eq!(differs(1, at).unwrap().difference, None, "the checksum");
        }
    }

    #[test]
    fn an_index_that_was_changed_after_it_was_built_differs_or_is_refused() {
        for name in VACUUMED {
            assert!(
                rewrite(&pages(name)).map_or(true, |rewritten| rewritten.difference.is_some()),
                "{name}"
            );
        }
        let mut more = pages("dim3-m4");
        more.push(page::empty());
        let sentence = "pgvector wrote 6 pages, the import 5";
        assert_eq!(rewrite(&more).unwrap().difference.unwrap(), sentence);
        assert_eq!(rewrite(&[]), Err(PageError::Missing("meta page")));
        assert!(rewrite(&pages("dim3-m4")[..4]).is_err());
    }
}
