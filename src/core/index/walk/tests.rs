use std::collections::BTreeSet;

use super::*;
use crate::index::fixtures::{BUILT, VACUUMED, pages};
use crate::index::page::{PAGE, put};
use crate::index::rewrite::rewrite;
use crate::index::tuple::Neighbours;

/// Both passes over an index.
fn walk(pages: &[Page]) -> Result<Summary, PageError> {
    let mut walk = Walk::new(&pages[0], true)?;
    pages[1..].iter().for_each(|page| walk.page(page));
    let mut walk = walk.second_pass();
    pages[1..].iter().for_each(|page| walk.page(page));
    Ok(walk.done())
}

fn tuple(pages: &[Page], tid: Tid) -> &[u8] {
    View::of(&pages[tid.block as usize])
        .unwrap()
        .tuple(tid.offset)
        .unwrap()
        .unwrap()
}

/// Writes into a tuple.
fn alter(pages: &mut [Page], tid: Tid, at: usize, bytes: &[u8]) {
    let page = &mut pages[tid.block as usize];
    let start = tuple(std::slice::from_ref(page), Tid { block: 0, ..tid }).as_ptr() as usize
        - page.as_ptr() as usize;
    put(page, start + at, bytes);
}

fn tid_bytes(tid: Tid) -> [u8; 6] {
    let [a, b, c, d] = tid.block.to_le_bytes();
    let [e, f] = tid.offset.to_le_bytes();
    [c, d, a, b, e, f]
}

/// The elements that are not deleted.
fn elements(pages: &[Page]) -> Vec<(Tid, Element<'_>)> {
    let all = (1..pages.len() as u32).flat_map(|block| {
        let count = View::of(&pages[block as usize]).unwrap().count();
        (1..=count).map(move |offset| Tid { block, offset })
    });
    let read = all.filter_map(|tid| Some((tid, Element::read(tuple(pages, tid)).ok()?)));
    read.filter(|(_, element)| !element.deleted).collect()
}

/// The place of an element of this level with one heap tuple, and of its neighbours.
fn of_level(pages: &[Page], level: u8) -> (Tid, Tid) {
    let found = elements(pages)
        .into_iter()
        .rev()
        .find(|(_, element)| element.level == level && element.heap().count() == 1);
    found
        .map(|(tid, element)| (tid, element.neighbours))
        .unwrap()
}

/// What a walk says of the first fixture after a change.
fn after(change: impl FnOnce(&mut Vec<Page>)) -> Summary {
    let mut pages = pages("dim3-m4");
    change(&mut pages);
    let summary = walk(&pages).unwrap();
    assert_eq!(
        summary.findings.count().min(20),
        summary.findings.sentences().len() as u64
    );
    summary
}

/// Asserts that a change is found, in these words.
fn finds(words: &str, change: impl FnOnce(&mut Vec<Page>)) {
    let summary = after(change);
    let said = summary.findings.sentences();
    assert!(
        said.iter().any(|sentence| sentence.contains(words)),
        "{words}: {said:#?}"
    );
}

#[test]
fn nothing_is_wrong_with_what_pgvector_built() {
    for name in BUILT.into_iter().chain(VACUUMED) {
        let summary = walk(&pages(name)).unwrap();
        assert_eq!(summary.findings.sentences(), [""; 0], "{name}");
        assert_eq!(
            (
                summary.emptied,
                summary.duplicates,
                summary.links_to_deleted
            ),
            (0, 0, 0),
            "{name}"
        );
        assert_eq!(
            summary.elements,
            summary.levels.iter().sum::<u64>(),
            "{name}"
        );
    }
}

#[test]
fn elements_and_heap_tuples_are_counted() {
    let count = |name| {
        let summary = walk(&pages(name)).unwrap();
        (summary.elements, summary.heap.count, summary.deleted > 0)
    };
    // The NULL and the vector of length 0 are left out, equal rows are in common elements.
    assert_eq!(count("dim3-m4"), (152, 179, false));
    assert_eq!(count("dim384"), (15, 15, false));
    assert_eq!(count("dim2000"), (3, 3, false));
    assert_eq!(count("cosine"), (50, 79, false));
    assert_eq!(count("empty"), (0, 0, false));
    assert_eq!((count("vacuumed").1, count("vacuumed").2), (129, true));
    assert_eq!((count("reused").1, count("reused").2), (159, true));
    assert_eq!(count("all-deleted"), (0, 0, true));
    // The lists of 15 elements cannot have 32 links.
    assert_eq!(walk(&pages("dim384")).unwrap().not_full, 15);
    assert_eq!(walk(&pages("dim3-m4")).unwrap().not_full, 0);
}

#[test]
fn the_sum_of_tids_does_not_depend_on_their_order() {
    let sum = |tids: &[(u32, u16)]| {
        let mut sum = TidSum::default();
        tids.iter()
            .for_each(|&(block, offset)| sum.add(Tid { block, offset }));
        sum
    };
    assert_eq!(
        sum(&[(1, 2), (3, 4), (5, 6)]),
        sum(&[(5, 6), (1, 2), (3, 4)])
    );
    assert_ne!(sum(&[(1, 2), (3, 4)]), sum(&[(1, 4), (3, 2)]));
    assert_ne!(sum(&[(0, 1)]), sum(&[(0, 1), (0, 1)]));
    assert_eq!(
        unpacked(packed(Tid {
            block: 0xFEDC_BA98,
            offset: 0x7654
        })),
        Tid {
            block: 0xFEDC_BA98,
            offset: 0x7654
        }
    );
}

#[test]
fn what_a_search_can_come_to_is_what_a_plain_search_comes_to() {
    for name in BUILT.into_iter().chain(VACUUMED) {
        let pages = pages(name);
        let meta = Meta::read(&pages[0]).unwrap();
        let mut seen: BTreeSet<Tid> = meta.entry.into_iter().map(|(tid, _)| tid).collect();
        for layer in (0..=meta.entry.map_or(0, |(_, level)| level)).rev() {
            let mut waiting: Vec<Tid> = seen.iter().copied().collect();
            while let Some(tid) = waiting.pop() {
                let element = Element::read(tuple(&pages, tid)).unwrap();
                let neighbours = Neighbours::read(tuple(&pages, element.neighbours)).unwrap();
                waiting.extend(
                    neighbours
                        .links(layer, element.level, meta.m)
                        .filter(|&tid| seen.insert(tid)),
                );
            }
        }
        let unreachable = (elements(&pages).len() - seen.len()) as u64;
        assert_eq!(
            walk(&pages).unwrap().unreachable,
            Some(unreachable),
            "{name}"
        );
    }
}

#[test]
fn elements_without_a_link_to_them_cannot_be_reached() {
    assert_eq!(after(|_| {}).unreachable, Some(0));
    // All links of all elements but the entry point's own taken away: its are left.
    let summary = after(|pages| {
        let entry = Meta::read(&pages[0]).unwrap().entry.unwrap().0;
        let places: Vec<Tid> = elements(pages)
            .iter()
            .filter(|e| e.0 != entry)
            .map(|e| e.1.neighbours)
            .collect();
        for place in places {
            let count = (tuple(pages, place).len() - 4) / 6;
            alter(
                pages,
                place,
                4,
                &[0xFF, 0xFF, 0xFF, 0xFF, 0, 0].repeat(count),
            );
        }
    });
    assert_eq!(summary.findings.count(), 0);
    assert_eq!(summary.not_full, 151);
    let links = summary.links[0];
    assert_eq!(links, 8);
    let unreachable = summary.unreachable.unwrap();
    // More than four fifths of the 151.
    assert!((121..=151 - links).contains(&unreachable), "{summary:?}");
    assert_eq!(
        after(|pages| pages[0] = Meta {
            entry: None,
            ..Meta::read(&pages[0]).unwrap()
        }
        .page())
        .unreachable,
        Some(152)
    );
}

#[test]
fn a_chain_that_has_not_every_page_once_is_found() {
    let next = |block: u32| {
        move |pages: &mut Vec<Page>| crate::index::page::set_next(&mut pages[2], block)
    };
    finds("2 pages are not in the chain", next(NO_BLOCK));
    finds("comes to block 1 twice", next(1));
    finds("comes to block 2 twice", next(2));
    finds("leads to block 99, which", next(99));
    finds("1 pages are not in the chain", next(4));
    finds("the meta page has a next block", |pages| {
        crate::index::page::set_next(&mut pages[0], 1)
    });
    finds("leads to block 1, which", |pages| pages.truncate(1));
}

#[test]
fn a_wrong_entry_point_is_found() {
    let entry = |change: fn(Tid, u8, Tid) -> Option<(Tid, u8)>| {
        move |pages: &mut Vec<Page>| {
            let meta = Meta::read(&pages[0]).unwrap();
            let (tid, level) = meta.entry.unwrap();
            let neighbours = Element::read(tuple(pages, tid)).unwrap().neighbours;
            pages[0] = Meta {
                entry: change(tid, level, neighbours),
                ..meta
            }
            .page();
        }
    };
    finds("the meta page says 0", entry(|tid, _, _| Some((tid, 0))));
    finds(
        "the entry point is not an element",
        entry(|_, level, neighbours| Some((neighbours, level))),
    );
    finds(
        "the entry point is not an element",
        entry(|tid, level, _| Some((Tid { block: 0, ..tid }, level))),
    );
    finds("the meta page has no entry point", entry(|_, _, _| None));
    finds("the entry point is deleted", |pages| {
        let tid = Meta::read(&pages[0]).unwrap().entry.unwrap().0;
        alter(pages, tid, 2, &[1]);
    });
}

#[test]
fn heap_tuples_that_are_there_twice_are_found() {
    let summary = after(|pages| {
        let found = elements(pages);
        let (from, to) = (found[3].1.heap().next().unwrap(), found[90].0);
        let tid = tid_bytes(from);
        alter(pages, to, 4, &tid);
    });
    assert_eq!(
        (
            summary.duplicates,
            summary.heap.count,
            summary.findings.count()
        ),
        (1, 179, 1)
    );
    assert!(summary.findings.sentences()[0].contains("is in two places"));
    finds("a heap tuple comes behind an empty place", |pages| {
        let (tid, _) = of_level(pages, 0);
        alter(pages, tid, 4 + 9 * 6, &[0, 0, 9, 9, 9, 9]);
    });
    let emptied = after(|pages| {
        let (tid, _) = of_level(pages, 0);
        alter(pages, tid, 8, &[0, 0]);
    });
    assert_eq!(
        (emptied.emptied, emptied.elements, emptied.findings.count()),
        (1, 152, 0)
    );
    finds("a deleted element has heap tuples", |pages| {
        let (tid, _) = of_level(pages, 0);
        alter(pages, tid, 2, &[1]);
    });
}

#[test]
fn elements_and_links_that_do_not_belong_together_are_found() {
    finds("level 64 is above the highest", |pages| {
        let (tid, _) = of_level(pages, 0);
        alter(pages, tid, 1, &[64]);
    });
    finds("has level 1, its links 8 places", |pages| {
        let (tid, _) = of_level(pages, 0);
        alter(pages, tid, 1, &[1]);
    });
    finds("has version 1, its links 2", |pages| {
        let (_, place) = of_level(pages, 0);
        alter(pages, place, 1, &[2]);
    });
    finds("the tuple ends too early", |pages| {
        let (_, place) = of_level(pages, 0);
        alter(pages, place, 2, &[9]);
    });
    finds("the tuple has type 3", |pages| {
        let (_, place) = of_level(pages, 0);
        alter(pages, place, 0, &[3]);
    });
    let other = |pages: &mut Vec<Page>, place: Tid| {
        let (tid, _) = of_level(pages, 0);
        alter(pages, tid, 64, &tid_bytes(place));
        tid
    };
    finds("shares its links", |pages| {
        let (_, place) = of_level(pages, 1);
        other(pages, place);
    });
    finds("the links of no element", |pages| {
        let (_, place) = of_level(pages, 1);
        other(pages, place);
    });
    finds("the tuple has type 1, not 2", |pages| {
        let (tid, _) = of_level(pages, 1);
        other(pages, tid);
    });
    finds("the page has no line pointer 4000", |pages| {
        other(
            pages,
            Tid {
                block: 1,
                offset: 4000,
            },
        );
    });
    for block in [0, 5, NO_BLOCK] {
        finds("on a page that the index does not have", |pages| {
            other(pages, Tid { block, offset: 2 });
        });
    }
}

#[test]
fn links_that_lead_nowhere_are_found() {
    // The layer above 0 of an element of level 1, and layer 0 of one of level 0, begin at byte 4.
    let link = |level: u8, to: fn(&[Page], Tid, Tid) -> Tid| {
        move |pages: &mut Vec<Page>| {
            let (tid, place) = of_level(pages, level);
            let target = to(pages, tid, place);
            alter(pages, place, 4, &tid_bytes(target));
        }
    };
    finds("on layer 0 to itself", link(0, |_, tid, _| tid));
    finds("on layer 1 to itself", link(1, |_, tid, _| tid));
    finds("no element", link(0, |_, _, place| place));
    finds("no element", link(0, |_, tid, _| Tid { block: 5, ..tid }));
    finds("no element", link(0, |_, tid, _| Tid { block: 0, ..tid }));
    finds(
        "no element",
        link(0, |_, tid, _| Tid {
            offset: u16::MAX,
            ..tid
        }),
    );
    finds(", of level 0", link(1, |pages, _, _| of_level(pages, 0).0));
    finds(
        "behind an empty place on layer 0",
        link(0, |_, tid, _| Tid { offset: 0, ..tid }),
    );
    let summary = after(|pages| {
        let (tid, _) = of_level(pages, 0);
        alter(pages, tid, 2, &[1]);
    });
    assert!(summary.links_to_deleted > 0 && summary.findings.count() > summary.links_to_deleted);
    assert_eq!((summary.deleted, summary.elements), (1, 151));
}

#[test]
fn pages_that_changed_between_the_passes_are_found() {
    let run = |again: &[Page]| {
        let pages = pages("dim3-m4");
        let mut walk = Walk::new(&pages[0], true).unwrap();
        pages[1..].iter().for_each(|page| walk.page(page));
        let mut walk = walk.second_pass();
        again.iter().for_each(|page| walk.page(page));
        walk.done().findings.sentences().join("\n")
    };
    let mut pages = pages("dim3-m4");
    assert_eq!(run(&pages[1..]), "");
    assert_eq!(
        run(&pages[1..4]),
        "the second pass saw 4 pages, the first 5"
    );
    let last = pages.len() - 1;
    let (_, bytes) = crate::index::page::add(&mut pages[last], 96).unwrap();
    crate::index::tuple::write_element(
        bytes,
        0,
        &[Tid {
            block: 9,
            offset: 9,
        }],
        Tid {
            block: 1,
            offset: 2,
        },
        &[48, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    )
    .unwrap();
    assert!(run(&pages[1..]).contains("the element came between the passes"));
}

#[test]
fn damaged_pages_make_no_walk_panic() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut found = 0;
    for name in BUILT.into_iter().chain(VACUUMED) {
        let whole = pages(name);
        for _ in 0..100 {
            let mut pages = whole.clone();
            for _ in 0..random.usize(1..30) {
                let page = random.usize(..pages.len());
                let at = match random.u8(..3) {
                    0 => random.usize(..60),
                    1 => random.usize(PAGE - 60..PAGE),
                    _ => random.usize(..PAGE),
                };
                pages[page][at] = if random.bool() {
                    random.u8(..)
                } else {
                    pages[page][at] ^ (1 << random.u8(..8))
                };
            }
            if random.u8(..8) == 0 {
                pages.truncate(random.usize(1..=pages.len()));
            }
            found += u64::from(walk(&pages).is_ok_and(|summary| summary.findings.count() > 0));
            // A difference or an error, never a panic.
            let _ = rewrite(&pages);
        }
    }
    assert!(found > 300, "{found}");
}
