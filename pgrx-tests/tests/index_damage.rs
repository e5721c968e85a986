//! Graphs that are damaged, or good for nothing: the index is built where it cannot be imported, and always has every row.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vector_migrate_tests::graph::{Field, GraphFiles};
use vector_migrate_tests::indexes::{Came, Checked, PLAIN, agreement, index_of, migrate_into};
use vector_migrate_tests::{Db, store};

/// What comes of the collection `euclidean` or `cosine` of `graphs/spaces` after `damage`; the index is whole.
#[track_caller]
fn damaged(collection: &str, damage: impl FnOnce(&GraphFiles)) -> (Db, Came) {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    damage(&GraphFiles::of(&source, collection));
    let (came, _) = migrate_into(&db, &source, collection, "auto", "damaged");
    Checked::sound(&db, "damaged", &index_of(&db, "damaged"));
    (db, came)
}

/// The last one is still imported, and finds what a good one finds.
#[track_caller]
fn is_good(db: &Db, operator: &str) {
    Checked::sound(db, "damaged", &index_of(db, "damaged")).reachable();
    let found = agreement(db, "damaged", "embedding", operator);
    assert!(found > 0.95, "{found}");
}

/// What is done to a file's bytes.
type Change = fn(&mut Vec<u8>);

#[test]
fn files_that_are_cut_make_a_build() {
    for (file, reason) in [
        ("data_level0.bin", "data_level0.bin ends early"),
        ("link_lists.bin", "link_lists.bin"),
        ("header.bin", "header.bin is damaged"),
        ("length.bin", "length.bin ends early"),
    ] {
        for thousandths in [0, 500, 999] {
            let (_, came) = damaged("cosine", |files| files.cut(file, thousandths));
            came.expect("built", reason);
        }
    }
}

#[test]
fn files_that_are_missing_make_a_build() {
    for file in [
        "data_level0.bin",
        "link_lists.bin",
        "header.bin",
        "length.bin",
    ] {
        let (_, came) = damaged("cosine", |files| {
            fs::remove_file(files.path(file)).expect("removes")
        });
        came.expect("built", file);
    }
}

#[test]
fn a_header_with_another_m_makes_a_build() {
    for m in [0, 1, 2, 8, 15, 32, 101, u32::MAX] {
        let (_, came) = damaged("euclidean", |files| files.header(Field::M, m));
        came.expect("built", "M");
    }
}

#[test]
fn a_header_with_another_number_of_elements_makes_a_build() {
    for count in [0, 1, 300, 699, 701, 100_000, u32::MAX] {
        let (_, came) = damaged("euclidean", |files| files.header(Field::Count, count));
        assert_eq!(came.way, "built", "{count}: {came:?}");
    }
}

#[test]
fn a_few_links_that_lead_nowhere_are_left_out() {
    let mut left = 40;
    let (db, came) = damaged("euclidean", |files| {
        files.links(|element, link| {
            if element % 20 == 3 && left > 0 {
                left -= 1;
                *link = [u32::MAX, 700, u32::try_from(element).expect("small")][left % 3];
            }
        });
    });
    came.expect("imported", "700 rows linked as in Chroma's graph");
    is_good(&db, "<->");
}

#[test]
fn many_links_that_lead_nowhere_make_a_build() {
    let (_, came) = damaged("euclidean", |files| {
        files.links(|element, link| {
            if element % 20 == 3 {
                *link = 1_000_000;
            }
        });
    });
    came.expect("built", "links are damaged");
    let (_, came) = damaged("euclidean", |files| {
        files.upper_links(|_, link| *link = u32::MAX);
        files.links(|element, link| {
            if element % 50 == 3 {
                *link = 1_000_000;
            }
        });
    });
    came.expect("built", "links are damaged");
}

#[test]
fn links_above_the_lowest_layer_to_elements_that_are_not_there_are_left_out() {
    let (db, came) = damaged("euclidean", |files| {
        // Elements 1 and 2 are on the lowest layer only.
        let mut at = 0;
        files.upper_links(|_, link| {
            at += 1;
            if at % 8 == 0 {
                *link = 1 + at % 2;
            }
        });
    });
    came.expect("imported", "");
    is_good(&db, "<->");
}

#[test]
fn another_element_is_where_a_search_begins() {
    for entry in [0, 1, 699, 700, u32::MAX] {
        let (db, came) = damaged("euclidean", |files| files.header(Field::Entry, entry));
        came.expect("imported", "700 rows");
        is_good(&db, "<->");
    }
}

#[test]
fn a_search_does_not_begin_at_a_deleted_element() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let files = GraphFiles::of(&source, "euclidean");
    let entry = files.entry();
    let record = files.label(entry) - 1;
    files.delete(entry);
    source.damage(&format!(
        "PRAGMA foreign_keys = off; DELETE FROM embeddings WHERE embedding_id = 'euclidean-{record:04}'"
    ));
    let (came, report) = migrate_into(&db, &source, "euclidean", "import", "damaged");
    assert_eq!(report.total().migrated, 699);
    came.expect("imported", "699 rows");
    is_good(&db, "<->");
}

#[test]
fn a_graph_of_one_layer_is_imported() {
    let (db, came) = damaged("euclidean", GraphFiles::without_upper_layers);
    came.expect("imported", "700 rows");
    is_good(&db, "<->");
}

#[test]
fn level_lists_that_end_early_make_a_build() {
    let change: [(&str, Change); 5] = [
        ("one byte less", |bytes| bytes.truncate(bytes.len() - 1)),
        ("one list less", |bytes| bytes.truncate(bytes.len() - 68)),
        ("one byte more", |bytes| bytes.push(0)),
        ("one list more", |bytes| bytes.extend([0; 68])),
        ("a high level", |bytes| {
            bytes[..4].copy_from_slice(&6800_u32.to_le_bytes())
        }),
    ];
    for (what, change) in change {
        let (_, came) = damaged("euclidean", |files| files.change("link_lists.bin", change));
        assert_eq!(came.way, "built", "{what}: {came:?}");
    }
}

#[test]
fn a_graph_with_links_anywhere_makes_a_build() {
    let (_, came) = damaged("euclidean", |files| {
        let count = u32::try_from(files.count).expect("small");
        let mut at = 0_u32;
        files.links(|_, link| {
            at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *link = (at >> 8) % count;
        });
    });
    came.expect("built", "do not lead to near vectors");
}

#[test]
fn a_graph_of_two_parts_makes_a_build() {
    let (db, came) = damaged("euclidean", |files| {
        files.without_upper_layers();
        files.keep_links(|from, to| from % 2 == to % 2);
    });
    came.expect("built", "a search in Chroma's graph cannot come to");
    assert!(agreement(&db, "damaged", "embedding", "<->") > 0.95);
}

#[test]
fn a_graph_without_links_makes_a_build() {
    let (_, came) = damaged("euclidean", |files| {
        files.without_upper_layers();
        files.keep_links(|_, _| false);
    });
    came.expect("built", "cannot come to");
}

#[test]
fn a_graph_of_equal_vectors_makes_a_build() {
    let (db, source) = (Db::new(), store("graphs/equal"));
    let (came, _) = migrate_into(&db, &source, "equal", "auto", "damaged");
    came.expect(
        "built",
        "480 of 600 rows share their vector with nine others or more",
    );
    // pgvector's own build leaves half of such elements where no search comes to.
    let checked = Checked::of(&db, &index_of(&db, "damaged"));
    assert_eq!((checked.rows, checked.problems), (600, 0), "{checked:?}");
}

#[test]
fn a_store_that_is_written_meanwhile_costs_no_row() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let files = GraphFiles::of(&source, "euclidean");
    let names = ["link_lists.bin", "data_level0.bin", "header.bin"];
    let whole = names.map(|name| fs::read(files.path(name)).expect("reads"));
    let over = AtomicBool::new(false);
    let paths = names.map(|name| files.path(name));
    let ways = thread::scope(|scope| {
        scope.spawn(|| {
            let mut at = 0;
            while !over.load(Ordering::Relaxed) {
                at += 1;
                for (path, bytes) in paths.iter().zip(&whole) {
                    let length = if at % 2 == 0 {
                        bytes.len()
                    } else {
                        bytes.len() * (at % 7) / 7
                    };
                    fs::write(path, &bytes[..length]).expect("writes");
                }
            }
        });
        let mut ways = Vec::new();
        for number in 0..3 {
            let target = format!("target_{number}");
            let call = format!(
                "SELECT * FROM migrate_chroma({}, {PLAIN}, collection => 'euclidean', target => '{target}')",
                source.sql()
            );
            match db.attempt(&call) {
                Ok(_) => {
                    ways.push(Came::of_last_run(&db).way);
                    Checked::sound(&db, &target, &index_of(&db, &target));
                }
                Err(failure) => {
                    assert!(
                        ["55000", "55006", "XX001"].contains(&failure.code.as_str()),
                        "{failure:?}"
                    );
                    ways.push(failure.code);
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        ways
    });
    assert!(ways.len() == 3, "{ways:?}");
    for (path, bytes) in paths.iter().zip(&whole) {
        fs::write(path, bytes).expect("writes");
    }
    let (came, _) = migrate_into(&db, &source, "euclidean", "import", "damaged");
    came.expect("imported", "700 rows");
    is_good(&db, "<->");
}
