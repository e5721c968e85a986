use super::super::placement::Placement;
use super::super::rewrite::rewrite;
use super::super::tuple::{HEAP_TIDS, Shape, layer_places};
use super::super::walk::{Summary, TidSum, Walk};
use super::*;

/// An element of a made-up graph: its level, its heap tuples, and for each layer from 0 the ordinals that it links to.
struct Node {
    level: u8,
    heap: Vec<Tid>,
    links: Vec<Vec<usize>>,
}

fn shape(m: u16, value_bytes: usize) -> Shape {
    Shape {
        m,
        ef_construction: (2 * m).max(4),
        dimensions: 3,
        value_bytes,
    }
}

fn value(bytes: usize) -> Vec<u8> {
    let mut value = vec![7; bytes];
    value[..4].copy_from_slice(&((bytes as u32) << 2).to_le_bytes());
    value
}

/// A graph of any links that pgvector allows.
fn graph(random: &mut fastrand::Rng, count: usize, m: u16, highest: u8) -> Vec<Node> {
    let levels: Vec<u8> = (0..count)
        .map(|_| random.u8(..=highest).min(random.u8(..=highest)))
        .collect();
    let mut row = 0;
    let node = |ordinal: usize| {
        let heap = (0..random.usize(1..=HEAP_TIDS)).map(|_| {
            row += 1;
            Tid {
                block: row / 7,
                offset: (row % 7) as u16 + 1,
            }
        });
        let heap = heap.collect();
        let links = (0..=levels[ordinal]).map(|layer| {
            let others = (0..count).filter(|&other| other != ordinal && levels[other] >= layer);
            random.choose_multiple(
                others,
                layer_places(m, layer).saturating_sub(usize::from(layer)),
            )
        });
        Node {
            level: levels[ordinal],
            heap,
            links: links.collect(),
        }
    };
    (0..count).map(node).collect()
}

/// Its pages.
fn write(shape: Shape, nodes: &[Node]) -> Result<Vec<Page>, PageError> {
    let placement = Placement::of(shape, nodes.iter().map(|node| node.level))?;
    let entry = (0..nodes.len()).max_by_key(|&ordinal| nodes[ordinal].level);
    let mut pages = Vec::new();
    let mut writer = Writer::begin(&placement, entry, |block, page: &Page| {
        assert_eq!(block as usize, pages.len(), "each page once, in order");
        pages.push(*page);
        Ok::<(), PageError>(())
    })?;
    for node in nodes {
        writer.element(
            node.level,
            &node.heap,
            &value(shape.value_bytes),
            &mut |layer, links| {
                assert!(links.is_empty());
                let targets = &node.links[usize::from(layer)];
                links.extend(
                    targets
                        .iter()
                        .map(|&other| placement.element(other).unwrap()),
                );
            },
        )?;
    }
    writer.finish()?;
    assert_eq!(pages.len(), placement.pages() as usize);
    Ok(pages)
}

fn walk(pages: &[Page]) -> Summary {
    let mut walk = Walk::new(&pages[0], true).unwrap();
    pages[1..].iter().for_each(|page| walk.page(page));
    let mut walk = walk.second_pass();
    pages[1..].iter().for_each(|page| walk.page(page));
    walk.done()
}

#[test]
fn what_was_written_is_found_again() {
    let mut random = fastrand::Rng::with_seed(1);
    for (m, value_bytes, highest) in [
        (2, 20, 5),
        (16, 1544, 3),
        (16, 8008, 2),
        (100, 2928, 11),
        (5, 13, 1),
    ] {
        let shape = shape(m, value_bytes);
        let nodes = graph(&mut random, 60, m, highest);
        let pages = write(shape, &nodes).unwrap();
        let summary = walk(&pages);
        assert_eq!(
            summary.findings.sentences(),
            [""; 0],
            "m {m}, {value_bytes} bytes"
        );
        assert_eq!(summary.pages as usize, pages.len());
        assert_eq!(summary.elements, 60);
        let mut heap = TidSum::default();
        nodes
            .iter()
            .rev()
            .flat_map(|node| &node.heap)
            .for_each(|&tid| heap.add(tid));
        assert_eq!(summary.heap, heap);
        for (layer, &links) in summary.links.iter().enumerate() {
            let expected: usize = nodes
                .iter()
                .filter_map(|node| node.links.get(layer))
                .map(Vec::len)
                .sum();
            assert_eq!(links, expected as u64, "layer {layer}");
        }
        assert_eq!(rewrite(&pages).unwrap().difference, None);
    }
}

#[test]
fn an_index_without_elements_is_two_pages() {
    let pages = write(shape(16, 1544), &[]).unwrap();
    assert_eq!(pages.len(), 2);
    assert_eq!(pages[1], page::empty());
    assert_eq!(Meta::read(&pages[0]).unwrap().entry, None);
    assert_eq!(Meta::read(&pages[0]).unwrap().insert_page, 1);
}

#[test]
fn elements_other_than_those_placed_are_refused() {
    let shape = shape(4, 20);
    let placement = Placement::of(shape, [1, 0].into_iter()).unwrap();
    let heap = [Tid {
        block: 0,
        offset: 1,
    }];
    let begin = |entry| Writer::begin(&placement, entry, |_, _: &Page| Ok::<(), PageError>(()));
    let mut none = |_: u8, _: &mut Vec<Tid>| {};

    assert_eq!(
        begin(None).err().unwrap(),
        PageError::Missing("entry point")
    );
    assert_eq!(begin(Some(2)).err().unwrap(), PageError::Placement(2));
    let mut writer = begin(Some(0)).unwrap();
    assert_eq!(
        writer.element(0, &heap, &value(20), &mut none),
        Err(PageError::Placement(0)),
        "another level"
    );
    writer.element(1, &heap, &value(20), &mut none).unwrap();
    assert_eq!(
        writer.finish().err(),
        Some(PageError::Placement(1)),
        "one is missing"
    );

    let mut writer = begin(Some(0)).unwrap();
    writer.element(1, &heap, &value(20), &mut none).unwrap();
    writer.element(0, &heap, &value(20), &mut none).unwrap();
    assert_eq!(
        writer.element(0, &heap, &value(20), &mut none),
        Err(PageError::Placement(2)),
        "one too many"
    );
}

#[test]
fn an_element_that_pgvector_would_not_write_is_refused() {
    let placement = Placement::of(shape(2, 20), [1].into_iter()).unwrap();
    let tid = Tid {
        block: 0,
        offset: 1,
    };
    let write = |heap: usize, bytes: usize, full: u8, links: usize| {
        let mut writer =
            Writer::begin(&placement, Some(0), |_, _: &Page| Ok::<(), PageError>(())).unwrap();
        writer.element(1, &vec![tid; heap], &value(bytes), &mut |layer, list| {
            list.extend(vec![tid; if layer == full { links } else { 0 }]);
        })
    };
    assert_eq!(write(1, 20, 0, 4), Ok(()));
    assert_eq!(write(1, 20, 1, 2), Ok(()));
    assert_eq!(write(0, 20, 0, 4), Err(PageError::HeapTids(0)));
    assert_eq!(write(11, 20, 0, 4), Err(PageError::HeapTids(11)));
    assert_eq!(
        write(1, 24, 0, 4),
        Err(PageError::Size {
            found: 24,
            expected: 20
        })
    );
    assert_eq!(
        write(1, 20, 0, 5),
        Err(PageError::Links {
            layer: 0,
            count: 5,
            most: 4
        })
    );
    assert_eq!(
        write(1, 20, 1, 3),
        Err(PageError::Links {
            layer: 1,
            count: 3,
            most: 2
        })
    );
}

#[test]
fn an_error_of_the_receiver_ends_the_writing() {
    let placement = Placement::of(shape(16, 8008), [0, 0].into_iter()).unwrap();
    let heap = [Tid {
        block: 0,
        offset: 1,
    }];
    for failing in 0..placement.pages() {
        let run = || {
            let mut writer = Writer::begin(&placement, Some(0), |block, _: &Page| match block {
                block if block == failing => Err(PageError::Full(99)),
                _ => Ok(()),
            })?;
            for _ in 0..2 {
                writer.element(0, &heap, &value(8008), &mut |_, _| {})?;
            }
            writer.finish()
        };
        assert_eq!(run(), Err(PageError::Full(99)), "block {failing}");
    }
}

/// Run by hand: cargo test --release ... -- --ignored --nocapture
#[test]
#[ignore = "a measurement"]
fn how_long_a_million_elements_take() {
    const COUNT: u32 = 1_000_000;
    let shape = Shape {
        dimensions: 384,
        ..shape(16, 1544)
    };
    let start = std::time::Instant::now();
    let levels = (0..COUNT).map(|i| ((i + 1).trailing_zeros() / 4) as u8);
    let placement = Placement::of(shape, levels.clone()).unwrap();
    let placed = start.elapsed();
    let mut value = value(1544);
    let mut pages: Vec<Page> = Vec::new();
    let (mut state, mut sum) = (1_u64, 0_u64);
    let start = std::time::Instant::now();
    let mut keep = |_: u32, page: &Page| {
        sum += u64::from(page[100]);
        Ok::<(), PageError>(())
    };
    let mut run = |out: &mut dyn FnMut(u32, &Page) -> Result<(), PageError>| {
        let mut writer = Writer::begin(&placement, Some(0xFFFF), out).unwrap();
        for (i, level) in levels.clone().enumerate() {
            value[20] = i as u8;
            let heap = Tid {
                block: i as u32 / 20,
                offset: (i % 20) as u16 + 1,
            };
            writer
                .element(level, &[heap], &value, &mut |layer, links| {
                    // Targets anywhere, as in a real graph; of the right level by their trailing bits.
                    for _ in 0..layer_places(16, layer) {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        let step = 1 << (4 * layer);
                        let target =
                            (state >> 33) as usize % (COUNT as usize / step) * step + step - 1;
                        let target = if target == i {
                            (target + step) % COUNT as usize
                        } else {
                            target
                        };
                        links.push(placement.element(target).unwrap());
                    }
                })
                .unwrap();
        }
        writer.finish().unwrap();
    };
    run(&mut keep);
    println!("placed {placed:?}, written {:?} ({sum})", start.elapsed());
    run(&mut |_, page| {
        pages.push(*page);
        Ok(())
    });
    for keep_links in [false, true] {
        let start = std::time::Instant::now();
        let mut walk = Walk::new(&pages[0], keep_links).unwrap();
        pages[1..].iter().for_each(|page| walk.page(page));
        let first = start.elapsed();
        let mut walk = walk.second_pass();
        pages[1..].iter().for_each(|page| walk.page(page));
        let second = start.elapsed();
        let summary = walk.done();
        println!(
            "first pass {first:?}, both {second:?}, all {:?}, {summary:?}",
            start.elapsed()
        );
    }
}
