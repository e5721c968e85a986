//! Bookmarks of metadata segments (`max_seq_id`) beyond every number that the queue gave, as failed upgrades leave them.

mod common;

use common::{Copy, copy, named, open, records};
use vector_migrate_core::source::Source;

const RELEASES: [&str; 6] = [
    "chroma-0.4.0",
    "chroma-0.4.24",
    "chroma-0.5.23",
    "chroma-0.6.3",
    "chroma-1.0.21",
    "chroma-1.5.9",
];

/// Sets every metadata segment's bookmark to the bytes `11 11` and six digits, as its release would keep such a number.
fn spoil(copy: &Copy) {
    copy.sql(
        "UPDATE max_seq_id SET seq_id = iif(typeof(seq_id) = 'blob', X'1111313233343538', 1229822654365841720)
          WHERE segment_id IN (SELECT id FROM segments WHERE scope = 'METADATA')",
    );
}

/// Every record of every collection, in order.
fn all(copy: &Copy) -> Vec<String> {
    let store = open(&copy.directory);
    let of = |collection| {
        let records = records(&store, collection).into_iter();
        records.map(|record| format!("{record:?}"))
    };
    store.collections().iter().flat_map(of).collect()
}

fn warnings(copy: &Copy) -> Vec<String> {
    let store = open(&copy.directory);
    let about = |it: &&String| it.contains("bookmark");
    store.warnings().iter().filter(about).cloned().collect()
}

#[test]
fn what_the_tables_hold_already_is_the_same_after_it_is_applied_again() {
    for release in RELEASES {
        let copy = copy(release);
        let before = all(&copy);
        assert!(warnings(&copy).is_empty(), "{release}");
        spoil(&copy);
        assert!(!warnings(&copy).is_empty(), "{release}");
        for (was, is) in before.iter().zip(all(&copy)) {
            assert_eq!(*was, is, "{release}");
        }
        assert_eq!(before.len(), all(&copy).len(), "{release}");
    }
}

#[test]
fn writes_behind_an_impossible_bookmark_are_applied_and_told() {
    let copy = copy("chroma-1.5.9");
    let count = |copy: &Copy| {
        let store = open(&copy.directory);
        records(&store, named(&store, "l2_history")).len()
    };
    let before = count(&copy);
    let write = "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata)
        SELECT 0, q.topic, 'late-' || n.value, q.vector, q.encoding, '{\"late\": 1}'
          FROM collections c JOIN embeddings_queue q ON q.topic LIKE '%' || c.id AND q.vector IS NOT NULL,
               json_each('[1, 2]') n
         WHERE c.name = 'l2_history' GROUP BY n.value";
    spoil(&copy);
    copy.sql(write);
    assert_eq!(count(&copy), before + 2);
    let told = warnings(&copy);
    let told = told
        .iter()
        .find(|it| it.contains("\"l2_history\""))
        .unwrap();
    assert!(
        told.contains("1229822654365841720") && told.contains(" 2 writes"),
        "{told}"
    );
}

#[test]
fn a_bookmark_that_the_tables_bear_out_is_believed() {
    // As after the queue was emptied by hand: Chroma counts from 1 again, and ignores what is written.
    let copy = copy("chroma-1.5.9");
    copy.sql(
        "DELETE FROM embeddings_queue;
         INSERT INTO embeddings_queue (seq_id, operation, topic, id, vector, encoding, metadata)
         SELECT 1, 0, 'persistent://default/default/' || id, 'late', zeroblob(32), 'FLOAT32', '{}' FROM collections
          WHERE name = 'l2_history'",
    );
    assert_eq!(warnings(&copy), [""; 0]);
    let store = open(&copy.directory);
    let found = records(&store, named(&store, "l2_history"));
    assert!(found.iter().all(|record| record.id != "late"));
}
