//! Rows find the elements of a graph, and the elements are linked as pgvector's: every row once, every link to an
//! element that is there, every list full, every element reached.

mod common;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::graphs::{Made, check, slots, tid, vector};
use fastrand::Rng;
use half::f16;
use vector_migrate_core::index::graph::{Building, Form, Graph, NoGraph};
use vector_migrate_core::index::links::Means;

/// A graph of which nothing is known but the vectors.
fn unlinked(count: usize) -> Made {
    Made::new(2, vec![vec![Vec::new()]; count])
}

fn tids(numbers: std::ops::Range<u32>) -> BTreeSet<vector_migrate_core::index::Tid> {
    numbers.map(tid).collect()
}

fn components(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn a_row_finds_the_element_of_its_vector_and_no_other_row_finds_one() {
    let made = unlinked(4);
    let rows = [
        vector(2),
        vector(7),
        vector(0),
        vector(2)[..4].to_vec(),
        vector(3),
    ];
    let matcher = made.matched(&rows);
    let counts = matcher.counts();
    assert_eq!(
        (counts.offered, counts.placed, counts.joined, counts.rest),
        (5, 3, 0, 2)
    );
    let linked = matcher.link(&mut Means::alone(&mut || {}));
    check(&linked, &tids(0..5));
    let found: Vec<_> = (0..3).map(|at| linked.element(at).unwrap()).collect();
    assert_eq!(found.each_slot(), [2, 0, 3]);
    assert_eq!(found[1].tids(), [tid(2)]);
    assert_eq!(linked.rest().collect::<Vec<_>>(), [tid(1), tid(3)]);
}

/// A vector, and another one that Chroma makes of it: divided by its length and multiplied again, all in f32.
fn moved() -> ([f32; 2], [f32; 2]) {
    let kept = |given: [f32; 2]| {
        let length = (given[0] * given[0] + given[1] * given[1]).sqrt();
        given.map(|value| value * (1.0 / (length + 1e-30)) * length)
    };
    let any = (1..1_000).map(|number| [0.3, number as f32 / 7.0]);
    any.map(|given| (given, kept(given)))
        .find(|(given, kept)| given != kept)
        .unwrap()
}

trait EachSlot {
    fn each_slot(&self) -> Vec<u32>;
}

impl EachSlot for Vec<vector_migrate_core::index::linked::Element> {
    fn each_slot(&self) -> Vec<u32> {
        self.iter().map(|element| element.slot).collect()
    }
}

#[test]
fn equal_rows_share_elements_ten_by_ten_as_long_as_there_are_some() {
    let mut made = unlinked(5);
    made.vectors = [7, 7, 1, 7, 2].map(vector).to_vec();
    let rows = vec![vector(7); 34];
    let matcher = made.matched(&rows);
    let counts = matcher.counts();
    assert_eq!((counts.placed, counts.joined, counts.rest), (3, 27, 4));
    assert_eq!((counts.largest_group, counts.in_large_groups), (34, 34));
    let linked = matcher.link(&mut Means::alone(&mut || {}));
    check(&linked, &tids(0..34));
    let found: Vec<_> = (0..3).map(|at| linked.element(at).unwrap()).collect();
    assert_eq!(found.each_slot(), [0, 1, 3]);
    assert_eq!(found[1].tids(), (10..20).map(tid).collect::<Vec<_>>());
}

#[test]
fn nine_equal_rows_are_no_large_group() {
    let counts = unlinked(8).matched(&vec![vector(7); 9]).counts();
    assert_eq!(
        (counts.placed, counts.joined, counts.largest_group),
        (1, 8, 0)
    );
}

#[test]
fn many_equal_vectors_take_no_more_time_than_others() {
    let mut made = unlinked(200_000);
    made.vectors.fill(vector(7));
    let matcher = made.matched(&vec![vector(7); 200_000]);
    let counts = matcher.counts();
    assert_eq!((counts.placed, counts.joined), (20_000, 180_000));
    check(
        &matcher.link(&mut Means::alone(&mut || {})),
        &tids(0..200_000),
    );
}

#[test]
fn a_row_as_it_was_given_finds_what_chroma_made_of_it() {
    let (given, kept) = moved();
    let mut made = unlinked(1);
    made.vectors = vec![components(&kept)];
    made.cosine = true;
    let counts = made.matched(&[components(&given)]).counts();
    assert_eq!((counts.placed, counts.by_rounding), (1, 1));
    made.cosine = false;
    assert_eq!(made.matched(&[components(&given)]).counts().rest, 1);
}

#[test]
fn vectors_are_found_that_differ_in_their_last_places() {
    let mut rng = Rng::with_seed(9);
    let mut given: Vec<f32> = (0..20_000).map(|_| rng.f32() * 2.0 - 1.0).collect();
    // Round numbers, which rounding moves to either side.
    given.extend((0..200_u8).map(|number| f32::from(number) / 8.0 - 12.0));
    let moved =
        |value: &f32| f32::from_bits(value.to_bits().wrapping_add(rng.u32(..5)).wrapping_sub(2));
    let kept: Vec<f32> = given.iter().map(moved).collect();
    let pairs = || given.chunks(2).zip(kept.chunks(2));
    let mut made = unlinked(given.len() / 2);
    made.cosine = true;
    let half = |values: &[f32]| -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| f16::from_f32(*value).to_le_bytes())
            .collect()
    };
    let rows: Vec<_> = pairs().map(|(given, _)| components(given)).collect();
    made.vectors = pairs().map(|(_, kept)| components(kept)).collect();
    let counts = made.matched(&rows).counts();
    assert!(counts.by_rounding > 8_000 && counts.rest < 5, "{counts:?}");
    made.form = Form::Half;
    let rows: Vec<_> = pairs().map(|(given, _)| half(given)).collect();
    made.vectors = pairs().map(|(_, kept)| half(kept)).collect();
    let counts = made.matched(&rows).counts();
    assert!(counts.by_rounding > 5 && counts.rest < 5, "{counts:?}");
}

#[test]
fn vectors_that_are_nearly_equal_get_an_element_each() {
    let mut made = unlinked(1_000);
    made.cosine = true;
    let nearly = |number: u32| components(&[1.0 + number as f32 * f32::EPSILON, 1.0]);
    made.vectors = (0..1_000).map(nearly).collect();
    let rows: Vec<_> = (500..1_500).map(nearly).collect();
    let matcher = made.matched(&rows);
    let counts = matcher.counts();
    assert_eq!((counts.placed, counts.joined, counts.rest), (1_000, 0, 0));
    check(
        &matcher.link(&mut Means::alone(&mut || {})),
        &tids(0..1_000),
    );
}

#[test]
fn rows_of_one_element_are_equal_byte_for_byte() {
    let (given, kept) = moved();
    let mut made = unlinked(2);
    made.vectors = vec![components(&kept); 2];
    made.cosine = true;
    let rows = [
        components(&given),
        components(&kept),
        components(&kept),
        components(&given),
    ];
    let matcher = made.matched(&rows);
    let counts = matcher.counts();
    assert_eq!((counts.placed, counts.joined, counts.rest), (2, 1, 1));
    let linked = matcher.link(&mut Means::alone(&mut || {}));
    assert_eq!(linked.element(1).unwrap().tids(), [tid(1), tid(2)]);
}

#[test]
fn halves_are_compared_as_halves() {
    let half = |number: f32| {
        [number, 1.0]
            .map(f16::from_f32)
            .map(f16::to_le_bytes)
            .concat()
    };
    let mut made = unlinked(2);
    made.form = Form::Half;
    made.vectors = vec![half(1.0), half(2.0)];
    let counts = made.matched(&[half(2.0), vector(1), half(3.0)]).counts();
    assert_eq!((counts.placed, counts.rest), (1, 2));
}

#[test]
fn a_deleted_element_takes_no_row() {
    let mut made = unlinked(3);
    made.deleted[1] = true;
    assert_eq!(made.read().unwrap().live(), 2);
    let counts = made.matched(&made.vectors).counts();
    assert_eq!((counts.placed, counts.rest), (2, 1));
}

#[test]
fn a_whole_graph_keeps_all_of_its_links() {
    let mut rng = Rng::with_seed(1);
    let made = Made::line(500, 4, &mut rng);
    let linked = made.linked();
    for (slot, layers) in (0..).zip(&made.links) {
        for (layer, links) in (0..).zip(layers) {
            let found = slots(&linked, slot, layer);
            assert!(
                links.iter().all(|link| found.contains(link)),
                "{slot} at {layer}"
            );
        }
    }
    let counts = linked.counts();
    assert_eq!(
        (counts.dropped, counts.repaired, counts.unreached_at_first),
        (0, 0, 0)
    );
    assert!(counts.filled > 0 && linked.entry().is_some_and(|(at, top)| (at, top) == (0, 6)));
    // Who is near is known without a distance: nobody is linked to the other end of the line.
    for slot in 0..500 {
        let far = slots(&linked, slot, 0)
            .iter()
            .map(|other| other.abs_diff(slot))
            .max();
        assert!(far.is_some_and(|far| far <= 10), "{slot}: {far:?}");
    }
}

#[test]
fn whatever_is_left_out_and_doubled_the_rest_is_an_index() {
    for seed in 0..150 {
        let mut rng = Rng::with_seed(seed);
        let m = rng.u16(2..9);
        let mut made = Made::line(rng.u32(1..300), m, &mut rng);
        let count = made.vectors.len();
        let share = rng.f32();
        for deleted in &mut made.deleted {
            *deleted = rng.f32() < share * share;
        }
        made.entry = rng.u32(..count as u32 + 2);
        for _ in 0..rng.usize(..count) {
            made.vectors[rng.usize(..count)] = vector(rng.u32(..20));
        }
        // Links to anywhere, and none.
        for layers in &mut made.links {
            if rng.u8(..8) == 0 {
                layers[0].clear();
            } else if let (Some(link), 0) = (layers[0].last_mut(), rng.u8(..8)) {
                *link = rng.u32(..count as u32);
            }
        }
        let graph = made.read();
        if matches!(graph, Err(NoGraph::TooManyDamaged { .. })) {
            continue;
        }
        let rows: Vec<_> = (0..rng.usize(..2 * count))
            .map(|_| made.vectors[rng.usize(..count)].clone())
            .collect();
        let linked = made.matched(&rows).link(&mut Means::alone(&mut || {}));
        check(&linked, &tids(0..rows.len() as u32));
    }
}

#[test]
fn a_link_to_an_element_without_a_row_leads_to_its_neighbours_instead() {
    // A star: all know the middle, which knows them; and a far part that is known only through two of them.
    let count = 60_u32;
    let mut links: Vec<Vec<Vec<u32>>> = vec![vec![vec![0]]; count as usize];
    links[0] = vec![(1..=4).collect()];
    let mut made = Made::new(2, links);
    made.deleted[0] = true;
    let linked = made
        .matched(&made.vectors)
        .link(&mut Means::alone(&mut || {}));
    let counts = linked.counts();
    assert_eq!((counts.dropped, counts.repaired, counts.own), (59, 59, 0));
    for slot in 5..count {
        // One link was lost, and one of the middle's neighbours is in its place.
        let known = slots(&linked, slot, 0);
        assert!(
            known.iter().any(|link| (1..=4).contains(link)),
            "{slot}: {known:?}"
        );
    }
}

#[test]
fn where_the_neighbours_are_gone_too_it_leads_on_to_theirs() {
    let mut links: Vec<Vec<Vec<u32>>> = vec![vec![vec![1]], vec![vec![2]], vec![vec![9, 8]]];
    links.resize(60, vec![Vec::new()]);
    let mut made = Made::new(2, links);
    (made.deleted[1], made.deleted[2]) = (true, true);
    let linked = made
        .matched(&made.vectors)
        .link(&mut Means::alone(&mut || {}));
    assert_eq!(linked.counts().repaired, 1);
    assert!(slots(&linked, 0, 0).contains(&9));
}

#[test]
fn a_link_to_a_vector_that_is_there_twice_leads_to_the_one_with_its_rows() {
    let mut links: Vec<Vec<Vec<u32>>> = vec![vec![Vec::new()]; 60];
    links[59] = vec![vec![40]];
    links[58] = vec![vec![40, 20]];
    let mut made = Made::new(2, links);
    (made.vectors[20], made.vectors[30], made.vectors[40]) = (vector(7), vector(7), vector(7));
    let linked = made.linked();
    // 7 has the rows of the three others.
    assert_eq!(linked.counts().matched.joined, 3);
    assert!(slots(&linked, 59, 0).contains(&7));
    assert!(slots(&linked, 58, 0).contains(&7));
    assert!(slots(&linked, 7, 0).contains(&59), "the way back");
}

#[test]
fn in_a_small_index_everybody_is_linked_to_everybody() {
    for count in 1..=9 {
        let linked = Made::new(4, vec![vec![Vec::new()]; count]).linked();
        for slot in 0..count as u32 {
            assert_eq!(slots(&linked, slot, 0).len(), count - 1);
        }
    }
}

#[test]
fn an_element_that_nobody_knows_is_made_known_to_its_neighbours() {
    let mut rng = Rng::with_seed(3);
    let mut made = Made::line(400, 4, &mut rng);
    // Full lists of their own, so that there is no room for the way back; and one that nobody is linked to.
    for slot in 0..400_u32 {
        let of = (slot + 1..slot + 9)
            .map(|other| other % 399)
            .filter(|other| *other != slot);
        made.links[slot as usize][0] = of.collect();
    }
    made.links[399] = vec![vec![5, 6]];
    made.links[5][0].truncate(2);
    for layers in &mut made.links {
        layers
            .iter_mut()
            .skip(1)
            .for_each(|links| links.retain(|link| *link != 399));
    }
    let linked = made.linked();
    assert_eq!(linked.rest().len(), 0);
    assert!(slots(&linked, 5, 0).contains(&399));
}

#[test]
fn what_cannot_be_reached_is_left_to_pgvector() {
    // Two halves that know nothing of each other, and whose lists are full.
    let of = |slot: u32| {
        (1..9)
            .map(move |step| slot / 50 * 50 + (slot + step) % 50)
            .collect()
    };
    let made = Made::new(4, (0..100).map(|slot| vec![of(slot)]).collect());
    let linked = made.linked();
    let counts = linked.counts();
    assert_eq!(
        (linked.len(), counts.unreached_at_first, counts.unreached),
        (50, 50, 50)
    );
    assert_eq!(linked.rest().collect::<BTreeSet<_>>(), tids(50..100));
}

#[test]
fn halves_that_only_the_filling_joins_are_told_of() {
    // As above, with room in every list.
    let of = |slot: u32| {
        (1..5)
            .map(move |step| slot / 50 * 50 + (slot + step) % 50)
            .collect()
    };
    let mut made = Made::new(40, (0..100).map(|slot| vec![of(slot)]).collect());
    let counts = made.linked().counts();
    assert_eq!((counts.apart, counts.unreached), (50, 0));
    made.links[3][0].push(70);
    assert_eq!(made.linked().counts().apart, 0);
}

#[test]
fn a_search_begins_at_another_element_of_the_top_level_if_the_first_is_gone() {
    let mut rng = Rng::with_seed(4);
    let mut made = Made::line(300, 4, &mut rng);
    made.deleted[0] = true;
    let linked = made
        .matched(&made.vectors)
        .link(&mut Means::alone(&mut || {}));
    check(&linked, &tids(0..300));
    for entry in [300, u32::MAX, 1] {
        made.entry = entry;
        let linked = made
            .matched(&made.vectors)
            .link(&mut Means::alone(&mut || {}));
        check(&linked, &tids(0..300));
    }
}

#[test]
fn rows_may_come_in_any_order_of_the_table() {
    let mut rng = Rng::with_seed(5);
    let made = Made::line(300, 4, &mut rng);
    let mut order: Vec<u32> = (0..300).collect();
    rng.shuffle(&mut order);
    let mut matcher = made.matched(&[]);
    for number in &order {
        matcher.offer(tid(*number), &vector(*number));
    }
    let linked = matcher.link(&mut Means::alone(&mut || {}));
    let first = |at| linked.element(at).unwrap().tids()[0];
    let found: Vec<_> = (0..300).map(first).collect();
    assert_eq!(
        found,
        order.iter().map(|number| tid(*number)).collect::<Vec<_>>()
    );
}

#[test]
fn linking_can_be_broken_off() {
    let mut rng = Rng::with_seed(6);
    let made = Made::line(10_000, 4, &mut rng);
    let mut ticks = 0;
    made.matched(&made.vectors)
        .link(&mut Means::alone(&mut || ticks += 1));
    assert!(ticks >= 10, "{ticks}");
    for last in [0, ticks / 2, ticks - 1] {
        let mut left = last;
        let matcher = made.matched(&made.vectors);
        let broken = catch_unwind(AssertUnwindSafe(|| {
            matcher.link(&mut Means::alone(&mut || {
                assert!(left > 0);
                left -= 1;
            }))
        }));
        assert!(broken.is_err());
    }
}

#[test]
fn threads_change_nothing() {
    let mut rng = Rng::with_seed(8);
    let made = Made::line(40_000, 4, &mut rng);
    let links = |threads: usize| {
        let quiet = std::cell::Cell::new(0);
        let linked = made.matched(&made.vectors).link(&mut Means {
            tick: &mut || {},
            threads,
            quietly: &|start| {
                quiet.set(quiet.get() + 1);
                start();
            },
        });
        assert_eq!(quiet.get() > 0, threads > 1);
        let links = |ordinal| linked.links(ordinal, 0).collect::<Vec<_>>();
        (
            linked.counts(),
            (0..linked.len()).map(links).collect::<Vec<_>>(),
        )
    };
    let alone = links(1);
    assert_eq!(alone, links(2));
    assert_eq!(alone, links(3));
}

#[test]
fn damaged_links_are_left_out_and_counted() {
    let mut rng = Rng::with_seed(7);
    let mut made = Made::line(1_000, 4, &mut rng);
    let high = made
        .links
        .iter()
        .position(|layers| layers.len() > 3)
        .unwrap();
    let low = made
        .links
        .iter()
        .position(|layers| layers.len() == 1)
        .unwrap();
    made.links[high][3] = vec![low as u32];
    made.links[10][0] = vec![10, 11, 11, 1_000, u32::MAX, 12];
    let graph = made.read().unwrap();
    assert_eq!(graph.damaged_links(), 5);
    let linked = made.linked();
    assert_eq!(linked.counts().damaged, 5);
    assert!(slots(&linked, 10, 0).contains(&12));
    // More links than there is room for: nothing in the list can be trusted.
    made.links[10][0] = (11..20).collect();
    assert_eq!(made.read().unwrap().damaged_links(), 10);
}

#[test]
fn a_graph_with_many_damaged_links_is_none() {
    let mut rng = Rng::with_seed(8);
    let mut made = Made::line(1_000, 4, &mut rng);
    for slot in 0..30 {
        made.links[slot][0].fill(5_000);
    }
    let reason = made.read().err().unwrap();
    assert!(
        matches!(reason, NoGraph::TooManyDamaged { damaged: 117, .. }),
        "{reason}"
    );
}

#[test]
fn limits_of_pgvector_and_of_memory_are_kept_before_anything_is_made() {
    let made = unlinked(3);
    for m in [0, 1, 101] {
        let mut kind = made.kind();
        kind.shape.m = m;
        assert_eq!(
            Building::new(kind).err(),
            Some(NoGraph::OtherM { m: m.into() })
        );
    }
    let mut kind = made.kind();
    kind.shape.count = u32::MAX - 1;
    kind.allowed = 1 << 40;
    let needed = Graph::bytes_needed(u64::from(u32::MAX - 1), 2) / 2;
    assert!(needed > 100 << 30);
    kind.allowed = needed / 2;
    assert!(matches!(Building::new(kind), Err(NoGraph::Memory { .. })));
    kind.shape.count = 3;
    kind.upper = u64::MAX / 2;
    kind.allowed = u64::MAX;
    assert!(matches!(Building::new(kind), Err(NoGraph::Memory { .. })));
    let mut building = Building::new(made.kind()).ok().unwrap();
    assert!(matches!(
        building.level(64),
        Err(NoGraph::TooHigh { most: 63, .. })
    ));
}

#[test]
fn an_element_takes_less_than_two_hundred_bytes_at_m_16() {
    assert!(Graph::bytes_needed(1_000_000, 16) < 200_000_000);
    assert_eq!(Graph::bytes_needed(u64::MAX, 100), u64::MAX);
}
