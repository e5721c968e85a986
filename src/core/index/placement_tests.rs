use super::super::page::{self, View};
use super::*;

fn shape(m: u16, value_bytes: usize) -> Shape {
    Shape {
        m,
        ef_construction: (2 * m).max(4),
        dimensions: 1,
        value_bytes,
    }
}

fn vector(m: u16, dimensions: usize) -> Shape {
    shape(m, 8 + 4 * dimensions)
}

/// The places of elements, of their neighbours, and the last block.
fn places(shape: Shape, levels: &[u8]) -> (Vec<[(u32, u16); 2]>, u32) {
    let placement = Placement::of(shape, levels.iter().copied()).unwrap();
    assert_eq!(placement.len(), levels.len());
    let places = (0..levels.len()).map(|ordinal| {
        let place = placement.place(ordinal).unwrap();
        assert_eq!(place.level, levels[ordinal]);
        assert_eq!(placement.element(ordinal), Some(place.element));
        [place.element, place.neighbours].map(|tid| (tid.block, tid.offset))
    });
    (places.collect(), placement.last_block())
}

#[test]
fn four_elements_of_384_dimensions_go_on_a_page() {
    let (places, last) = places(vector(16, 384), &[0; 9]);
    assert_eq!(places[0], [(1, 1), (1, 2)]);
    assert_eq!(places[3], [(1, 7), (1, 8)]);
    assert_eq!(places[4], [(2, 1), (2, 2)]);
    assert_eq!(places[8], [(3, 1), (3, 2)]);
    assert_eq!(last, 3);
}

#[test]
fn neighbours_that_do_not_fit_beside_their_element_go_on_the_next_page() {
    let (places, last) = places(vector(16, 2000), &[0, 1, 0]);
    assert_eq!(
        places,
        [[(1, 1), (2, 1)], [(3, 1), (4, 1)], [(5, 1), (6, 1)]]
    );
    assert_eq!(last, 6);
}

#[test]
fn an_element_goes_behind_others_where_only_its_neighbours_need_a_page() {
    // An element of 3,000 bytes; neighbours of 1,208 at level 0, 6,008 at level 8.
    let shape = shape(100, 3000 - 72);
    assert_eq!(
        (
            shape.element_bytes(),
            shape.neighbours_bytes(0),
            shape.neighbours_bytes(8)
        ),
        (3000, 1208, 6008)
    );
    let (places, last) = places(shape, &[0, 8, 0]);
    assert_eq!(
        places,
        [[(1, 1), (1, 2)], [(1, 3), (2, 1)], [(3, 1), (3, 2)]]
    );
    assert_eq!(last, 3);
}

#[test]
fn an_index_without_elements_has_block_1() {
    let placement = Placement::of(vector(16, 384), std::iter::empty()).unwrap();
    assert_eq!(
        (
            placement.last_block(),
            placement.pages(),
            placement.is_empty()
        ),
        (1, 2, true)
    );
    assert_eq!(placement.place(0), None);
}

#[test]
fn a_level_too_high_is_refused() {
    let refused = Placement::of(vector(100, 3), [11, 12].into_iter()).unwrap_err();
    assert_eq!(
        refused,
        PageError::Level {
            level: 12,
            highest: 11
        }
    );
    assert!(Placement::of(vector(100, 3), [11].into_iter()).is_ok());
}

/// `CreateGraphPages` of pgvector 0.8, on real pages.
fn as_pgvector(shape: Shape, levels: &[u8]) -> (Vec<[(u32, u16); 2]>, u32) {
    let (mut page, mut block, mut places) = (page::empty(), 1, Vec::new());
    for &level in levels {
        let (element, neighbours) = (shape.element_bytes(), shape.neighbours_bytes(level));
        let combined = element + neighbours + 4;
        if page::free(&page) < element || (combined <= page::MOST && page::free(&page) < combined) {
            (page, block) = (page::empty(), block + 1);
        }
        let next = View::of(&page).unwrap().count() + 1;
        let expected = if combined <= page::MOST {
            (block, next + 1)
        } else {
            (block + 1, 1)
        };
        let (offset, _) = page::add(&mut page, element).unwrap();
        let place = (block, offset);
        if page::free(&page) < neighbours {
            (page, block) = (page::empty(), block + 1);
        }
        let (offset, _) = page::add(&mut page, neighbours).unwrap();
        assert_eq!((block, offset), expected, "pgvector checks this too");
        places.push([place, expected]);
    }
    (places, block)
}

#[test]
fn any_elements_are_placed_as_pgvector_places_them() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let shape = shape(random.u16(2..=100), random.usize(9..=8084));
        let highest = shape.highest_level();
        let levels: Vec<u8> = (0..50)
            .map(|_| random.u8(..=highest).min(random.u8(..=highest)))
            .collect();
        assert_eq!(
            places(shape, &levels),
            as_pgvector(shape, &levels),
            "{shape:?} {levels:?}"
        );
    }
}
