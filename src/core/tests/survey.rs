//! A store in one row: pages, characters, and what it would be in PostgreSQL.

mod common;

use std::fs;

use common::{copy, fixtures, named, open};
use serde_json::Value as Json;
use vector_migrate_core::source::chroma::StoreSummary;
use vector_migrate_core::survey::{Size, survey};

/// Fixtures with the content and entity rows that `migrate_chroma` makes of them.
const STORES: [(&str, u64, u64); 8] = [
    ("chroma-0.4.24", 155, 0),
    ("chroma-0.5.23", 227, 37),
    ("chroma-0.6.3", 109, 0),
    ("chroma-1.0.21", 263, 37),
    ("chroma-1.5.9", 274, 39),
    ("special/no-vector", 8, 11),
    ("special/two-collections", 18, 26),
    ("special/mixed-dimensions", 12, 20),
];

fn of(directory: &std::path::Path) -> (StoreSummary, Option<Size>) {
    let found = survey(&open(directory)).unwrap();
    (found.store, found.size)
}

/// Characters of the documents that Chroma returned.
fn characters(name: &str) -> u64 {
    let path = fixtures().join("expected").join(format!("{name}.json"));
    let json: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let collections = json["collections"].as_array().unwrap().iter();
    let records = collections.flat_map(|collection| collection["records"].as_array().unwrap());
    records
        .filter_map(|record| record["document"].as_str())
        .map(|document| document.chars().count() as u64)
        .sum()
}

#[test]
fn every_fixture_is_measured() {
    for (name, content_rows, entity_rows) in STORES {
        let (store, size) = of(&fixtures().join(name));
        let size = size.unwrap();
        assert_eq!(size.document_characters, characters(name), "{name}");
        assert_eq!(
            (size.content_rows, size.entity_rows),
            (content_rows, entity_rows),
            "{name}"
        );
        assert_eq!(size.bytes == 0, content_rows == 0, "{name}");
        assert_eq!(store.warnings, Vec::<String>::new(), "{name}");
        let sqlite = copy(name).sqlite();
        let pragma = |pragma: &str| {
            sqlite
                .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))
                .unwrap() as u64
        };
        assert_eq!(store.page_size, pragma("page_size"), "{name}");
        assert_eq!(store.free_pages, pragma("freelist_count"), "{name}");
        assert_eq!(
            store.sqlite_bytes,
            store.page_size * pragma("page_count"),
            "{name}"
        );
    }
}

#[test]
fn the_sample_stores_size_is_what_its_tables_had() {
    let demo = fixtures().join("../../demo/store");
    let (_, size) = of(&demo);
    let size = size.unwrap();
    // pg_total_relation_size of both tables after migrate_chroma, PostgreSQL 15 and pgvector 0.8.
    let real = 1_671_168 + 851_968;
    assert!(
        size.bytes.abs_diff(real) * 10 < real,
        "{} instead of {real}",
        size.bytes
    );
    assert_eq!((size.content_rows, size.entity_rows), (288, 288));
}

#[test]
fn free_pages_are_counted() {
    let copy = copy("chroma-1.5.9");
    let before = of(&copy.directory).0.free_pages;
    copy.sql("CREATE TABLE large AS SELECT zeroblob(100000) AS x; DROP TABLE large");
    let after = of(&copy.directory).0.free_pages;
    assert!(after >= before + 20, "{before}, then {after}");
}

#[test]
fn of_a_collection_without_owners_all_records_are_rows_until_one_has_an_owner() {
    let copy = copy("chroma-1.5.9");
    let rows = || of(&copy.directory).1.unwrap().content_rows;
    let before = rows();
    let id = named(&open(&copy.directory), "l2_history").id.clone();
    let put = |record: &str, metadata: &str| {
        copy.sql(&format!(
            "INSERT INTO embeddings_queue (operation, topic, id, metadata) VALUES \
             (2, 'persistent://default/default/{id}', '{record}', '{metadata}')"
        ));
    };
    put(
        "one more",
        "{\"chroma:document\": \"a\", \"user_id\": \"  \"}",
    );
    assert_eq!(rows(), before + 1);
    // 48 records and that one are no longer migrated; owners may be of any kind.
    put(
        "of alice",
        "{\"chroma:document\": \"b\", \"user_id\": \"alice\"}",
    );
    assert_eq!(rows(), before - 48 + 1);
    // Nobody can be the owner of this one: it fails, and is an owner's.
    put("of alice", "{\"user_id\": true}");
    assert_eq!(rows(), before - 48);
}

#[test]
fn each_dimension_has_tables_of_its_own() {
    let copy = copy("special/mixed-dimensions");
    let bytes = || of(&copy.directory).1.unwrap().bytes;
    let two = bytes();
    copy.sql("UPDATE collections SET dimension = 8");
    let (one, table) = (bytes(), 8 * 8192);
    assert!(
        two > one + 2 * table && two < one + 3 * table,
        "{one}, {two}"
    );
}

#[test]
fn characters_are_unicodes_and_documents_of_the_queue_count() {
    let copy = copy("chroma-1.5.9");
    let before = of(&copy.directory);
    let id = named(&open(&copy.directory), "l2_history").id.clone();
    copy.sql(&format!(
        "INSERT INTO embeddings_queue (operation, topic, id, metadata) VALUES \
         (2, 'persistent://default/default/{id}', 'new one', '{{\"chroma:document\": \"g\u{301}ré🙂\"}}'), \
         (2, 'persistent://default/default/{id}', 'gone again', '{{\"chroma:document\": \"twelve chars\"}}'), \
         (3, 'persistent://default/default/{id}', 'gone again', NULL)"
    ));
    let after = of(&copy.directory);
    let (before_size, after_size) = (before.1.unwrap(), after.1.unwrap());
    assert_eq!(after.0.records, before.0.records + 1);
    assert_eq!(
        after_size.document_characters,
        before_size.document_characters + 5
    );
}

#[test]
fn a_store_with_unreadable_records_is_still_described() {
    let copy = copy("chroma-1.5.9");
    let root: i64 = copy
        .sqlite()
        .query_row(
            "SELECT rootpage FROM sqlite_master WHERE name = 'embedding_metadata'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let mut bytes = fs::read(copy.database()).unwrap();
    let at = usize::try_from(root - 1).unwrap() * 4096;
    bytes[at..at + 4096].fill(0xff);
    fs::write(copy.database(), bytes).unwrap();
    let (store, size) = of(&copy.directory);
    assert_eq!((store.records, store.collections), (303, 16));
    // Those that have no row in the table.
    assert_eq!(size.map(|size| size.content_rows), Some(46));
    assert!(
        store
            .warnings
            .iter()
            .any(|warning| warning.contains("parts of table embedding_metadata cannot be read")),
        "{:?}",
        store.warnings
    );
}

#[test]
fn what_the_queue_says_badly_is_a_warning_of_the_answer() {
    let copy = copy("chroma-1.5.9");
    let id = named(&open(&copy.directory), "l2_history").id.clone();
    copy.sql(&format!(
        "INSERT INTO embeddings_queue (operation, topic, id, metadata) VALUES \
         (2, 'persistent://default/default/{id}', 'odd', '{{\"a\": ')"
    ));
    let (store, size) = of(&copy.directory);
    assert!(size.is_some());
    assert!(
        store
            .warnings
            .iter()
            .any(|warning| warning.contains("\"odd\"")),
        "{:?}",
        store.warnings
    );
}
