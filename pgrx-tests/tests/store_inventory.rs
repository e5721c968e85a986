//! `chroma_store` against the files, and its rows against those that a migration writes.

use vector_migrate_tests::{Db, Expected, Store, store};

const STORES: [&str; 12] = [
    "chroma-0.4.24",
    "chroma-0.5.23",
    "chroma-0.6.3",
    "chroma-1.0.21",
    "chroma-1.5.9",
    "special/no-vector",
    "special/two-collections",
    "special/north",
    "special/memories",
    "special/chat-files",
    "special/same-ids",
    "special/owners",
];

fn line(db: &Db, source: &Store, columns: &str) -> String {
    db.line(&format!(
        "SELECT {columns} FROM chroma_store({})",
        source.sql()
    ))
}

#[test]
fn pages_and_characters_are_those_of_the_files() {
    for name in STORES {
        let (db, source) = (Db::new(), store(name));
        let pragma = |pragma: &str| {
            source
                .texts(&format!(
                    "SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"
                ))
                .concat()
        };
        let documents = Expected::of(name).collections.into_iter();
        let characters: usize = documents
            .flat_map(|collection| collection.records)
            .filter_map(|record| record.document)
            .map(|document| document.chars().count())
            .sum();
        assert_eq!(
            line(
                &db,
                &source,
                "page_size, free_pages, document_characters, cardinality(warnings)"
            ),
            format!(
                "{}|{}|{characters}|0",
                pragma("page_size"),
                pragma("freelist_count")
            ),
            "{name}"
        );
        let versions = source.texts(
            "SELECT dir || ' ' || max(version) FROM migrations GROUP BY dir ORDER BY dir DESC",
        );
        assert_eq!(versions.len(), 3, "{name}");
        for version in versions {
            assert!(
                line(&db, &source, "schema_version").contains(&version),
                "{name}: {version}"
            );
        }
    }
}

#[test]
fn the_estimated_rows_are_those_that_a_run_writes() {
    for name in STORES {
        let (db, source) = (Db::new(), store(name));
        let total = db.migrate(&source, "").total();
        assert_eq!(
            line(&db, &source, "estimated_rows"),
            (total.migrated + total.entities).to_string(),
            "{name}"
        );
    }
}

#[test]
fn a_store_with_unreadable_records_is_described_with_a_warning() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let whole = line(&db, &source, "records, collections");
    let root: usize = source
        .texts("SELECT CAST(rootpage AS TEXT) FROM sqlite_master WHERE name = 'embedding_metadata'")
        .concat()
        .parse()
        .expect("a number");
    let path = source.path().join("chroma.sqlite3");
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[(root - 1) * 4096..root * 4096].fill(0xff);
    std::fs::write(&path, bytes).expect("writes");
    assert_eq!(line(&db, &source, "records, collections"), whole);
    assert_eq!(
        line(
            &db,
            &source,
            "estimated_rows, warnings::text LIKE '%parts of table embedding_metadata cannot be read%'"
        ),
        // Those that have no row in the table.
        "46|t"
    );
}
