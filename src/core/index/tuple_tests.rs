use super::super::fixtures::{BUILT, VACUUMED, pages};
use super::*;

const SHAPE: Shape = Shape {
    m: 16,
    ef_construction: 64,
    dimensions: 384,
    value_bytes: 8 + 4 * 384,
};

fn tid(block: u32, offset: u16) -> Tid {
    Tid { block, offset }
}

/// A value of so many bytes, its header included.
fn value(bytes: usize) -> Vec<u8> {
    let mut value = vec![7; bytes];
    put_u32(&mut value, 0, (bytes as u32) << 2);
    value
}

#[test]
fn tuples_have_the_sizes_of_pgvectors() {
    assert_eq!(SHAPE.element_bytes(), 1616);
    assert_eq!(SHAPE.neighbours_bytes(0), 200);
    assert_eq!(SHAPE.neighbours_bytes(3), 488);
    let wide = Shape {
        dimensions: 2000,
        value_bytes: 8008,
        ..SHAPE
    };
    assert_eq!(wide.element_bytes(), 8080);
}

#[test]
fn the_highest_level_fits_a_page() {
    let highest = |m| {
        Shape {
            m,
            ef_construction: 1000,
            ..SHAPE
        }
        .highest_level()
    };
    assert_eq!(
        [2, 16, 20, 21, 22, 100].map(highest),
        [63, 63, 63, 62, 59, 11]
    );
    for m in 2..=100 {
        let shape = Shape {
            m,
            ef_construction: 1000,
            ..SHAPE
        };
        assert!(shape.neighbours_bytes(shape.highest_level()) <= MOST);
    }
}

#[test]
fn only_pgvectors_own_settings_are_a_shape() {
    assert_eq!(SHAPE.check(), Ok(()));
    assert_eq!(
        Shape {
            value_bytes: 8084,
            ..SHAPE
        }
        .check(),
        Ok(())
    );
    for (wrong, what) in [
        (Shape { m: 1, ..SHAPE }, "m"),
        (
            Shape {
                m: 101,
                ef_construction: 1000,
                ..SHAPE
            },
            "m",
        ),
        (
            Shape {
                ef_construction: 31,
                ..SHAPE
            },
            "ef_construction",
        ),
        (
            Shape {
                m: 2,
                ef_construction: 3,
                ..SHAPE
            },
            "ef_construction",
        ),
        (
            Shape {
                ef_construction: 1001,
                ..SHAPE
            },
            "ef_construction",
        ),
        (
            Shape {
                dimensions: 0,
                ..SHAPE
            },
            "the number of dimensions",
        ),
        (
            Shape {
                value_bytes: 8,
                ..SHAPE
            },
            "the size of a value",
        ),
        (
            Shape {
                value_bytes: 8085,
                ..SHAPE
            },
            "the size of a value",
        ),
        (
            Shape {
                value_bytes: usize::MAX,
                ..SHAPE
            },
            "the size of a value",
        ),
    ] {
        match wrong.check() {
            Err(PageError::Setting { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
}

#[test]
fn an_element_is_read_as_it_was_written() {
    let value = value(20);
    for count in [1, 3, 10] {
        let heap: Vec<Tid> = (0..count).map(|i| tid(0x1_0002 + i, 3)).collect();
        let mut tuple = [0; 96];
        write_element(&mut tuple, 5, &heap, tid(0xABCD_1234, 9), &value).unwrap();
        let element = Element::read(&tuple).unwrap();
        assert_eq!(
            (element.level, element.deleted, element.version),
            (5, false, 1)
        );
        assert_eq!(element.neighbours, tid(0xABCD_1234, 9));
        assert_eq!(element.value, value);
        assert!(element.heap().eq(heap));
        assert_eq!(
            tuple[4..10],
            [1, 0, 2, 0, 3, 0],
            "block high, block low, offset"
        );
        assert_eq!(tuple[64..72], [0xCD, 0xAB, 0x34, 0x12, 9, 0, 0, 0]);
    }
}

#[test]
fn an_element_has_one_to_ten_heap_tuples() {
    let write = |count| {
        let heap = vec![tid(1, 1); count];
        write_element(&mut [0; 96], 0, &heap, tid(1, 2), &value(20))
    };
    assert_eq!(
        [0, 1, 10, 11].map(write),
        [
            Err(PageError::HeapTids(0)),
            Ok(()),
            Ok(()),
            Err(PageError::HeapTids(11))
        ]
    );
}

#[test]
fn an_element_that_is_not_whole_is_refused() {
    let mut tuple = [0; 96];
    write_element(&mut tuple, 0, &[tid(1, 1)], tid(1, 2), &value(20)).unwrap();
    for end in 0..92 {
        let expected = match end {
            0 => PageError::Type {
                found: 0,
                expected: 1,
            },
            1..72 => PageError::Short(end),
            _ => PageError::Value,
        };
        assert_eq!(Element::read(&tuple[..end]), Err(expected), "{end}");
    }
    for header in [0, 3 << 2, 20 << 2 | 1, 20 << 2 | 2, 25 << 2, u32::MAX << 2] {
        put_u32(&mut tuple, 72, header);
        assert_eq!(Element::read(&tuple), Err(PageError::Value), "{header}");
    }
    // Vacuum writes zeros over a deleted element's value.
    put_u32(&mut tuple, 72, 0);
    tuple[2] = 1;
    assert!(Element::read(&tuple).unwrap().value.is_empty());
}

#[test]
fn links_are_read_as_they_were_written() {
    const M: u16 = 2;
    for level in 0..=5 {
        let shape = Shape {
            m: M,
            ef_construction: 8,
            ..SHAPE
        };
        let mut tuple = vec![0; shape.neighbours_bytes(level)];
        // On layer n its first n places are used, as far as it has so many.
        let links = |layer: u8| -> Vec<Tid> {
            let count = usize::from(layer).min(layer_places(M, layer));
            (0..count)
                .map(|i| tid(u32::from(layer) + 70_000, i as u16 + 1))
                .collect()
        };
        let mut rest = write_neighbours(&mut tuple, level, M);
        for layer in (0..=level).rev() {
            rest = write_layer(rest, layer, M, &links(layer)).unwrap();
        }
        assert!(rest.iter().all(|&byte| byte == 0), "the padding");

        let neighbours = Neighbours::read(&tuple).unwrap();
        assert_eq!(neighbours.version, 1);
        assert_eq!(neighbours.count, (u16::from(level) + 2) * M);
        assert!(neighbours.belong_to(level, M));
        assert!(!neighbours.belong_to(level + 1, M));
        for layer in 0..=level {
            assert!(
                neighbours.links(layer, level, M).eq(links(layer)),
                "level {level}, layer {layer}"
            );
            assert_eq!(
                neighbours.places(layer, level, M).count(),
                layer_places(M, layer)
            );
        }
        assert_eq!(neighbours.links(level + 1, level, M).count(), 0);
    }
}

#[test]
fn a_layer_has_no_more_links_than_places() {
    let mut places = [0; 64];
    let links = [tid(1, 1); 5];
    let error = PageError::Links {
        layer: 1,
        count: 3,
        most: 2,
    };
    assert_eq!(
        write_layer(&mut places, 1, 2, &links[..3]).unwrap_err(),
        error
    );
    let error = PageError::Links {
        layer: 0,
        count: 5,
        most: 4,
    };
    assert_eq!(write_layer(&mut places, 0, 2, &links).unwrap_err(), error);
    assert!(write_layer(&mut places, 0, 2, &links[..4]).is_ok());
}

#[test]
fn the_meta_page_is_read_as_it_was_written() {
    let meta = Meta {
        dimensions: 384,
        m: 16,
        ef_construction: 64,
        entry: Some((tid(70_000, 3), 2)),
        insert_page: 9,
    };
    for meta in [
        meta,
        Meta {
            entry: None,
            insert_page: 1,
            ..meta
        },
    ] {
        assert_eq!(Meta::read(&meta.page()), Ok(meta));
    }
    let wrong = |at: usize, value: u16| {
        let mut page = meta.page();
        put_u16(&mut page, at, value);
        Meta::read(&page).unwrap_err()
    };
    assert_eq!(wrong(24, 0), PageError::Meta("magic number"));
    assert_eq!(wrong(28, 2), PageError::Meta("version"));
    assert_eq!(wrong(36, 1), PageError::Meta("m"));
    assert_eq!(wrong(36, 101), PageError::Meta("m"));
    assert_eq!(wrong(46, 64), PageError::Meta("entry level"));
    assert_eq!(wrong(46, 0xFFFF), PageError::Meta("entry level"));
}

#[test]
fn no_byte_of_a_tuple_can_make_reading_panic() {
    let mut random = fastrand::Rng::with_seed(13);
    for name in BUILT.into_iter().chain(VACUUMED) {
        for page in &pages(name)[1..] {
            let view = View::of(page).unwrap();
            for offset in 1..=view.count() {
                let mut tuple = view.tuple(offset).unwrap().unwrap().to_vec();
                for _ in 0..4 {
                    let at = random.usize(..tuple.len().min(80));
                    tuple[at] = random.u8(..);
                }
                tuple.truncate(random.usize(..=tuple.len()));
                if let Ok(element) = Element::read(&tuple) {
                    assert!(
                        element.heap().count() <= HEAP_TIDS && element.value.len() <= tuple.len()
                    );
                }
                if let Ok(neighbours) = Neighbours::read(&tuple) {
                    for (layer, level, m) in
                        [(0, 0, 2), (3, 5, 4), (0, 255, 100), (255, 0, u16::MAX)]
                    {
                        assert!(
                            neighbours.links(layer, level, m).count()
                                <= usize::from(neighbours.count)
                        );
                    }
                }
            }
        }
    }
}
