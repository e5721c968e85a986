//! The self-test: an index that pgvector built, read and written anew.
//!
//! Promise: no difference means that this pgvector's pages, for this sample, are those that [`super::writer`] makes, bit for
//! bit. For a small index, all of whose pages are in memory. Imports the other files of this folder that make pages.

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
    use super::super::fixtures::{BUILT, pages};
    use super::*;

    #[test]
    fn what_pgvector_built_is_written_byte_for_byte() {
        for name in BUILT {
            let rewritten = rewrite(&pages(name)).unwrap();
            println!("{name}: {rewritten:?}");
            assert_eq!(rewritten.difference, None, "{name}");
        }
    }
}
