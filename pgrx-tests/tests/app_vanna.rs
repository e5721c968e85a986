//! Vanna's rows in LangChain's tables: `preset => 'vanna'`.

use vector_migrate_tests::apps::{Application, Table};
use vector_migrate_tests::{Db, store};

const VANNA: Application = Application {
    name: "vanna",
    store: "vanna",
    tables: &[
        Table {
            name: "langchain_pg_collection",
            key: "name",
            own: &["uuid"],
            records: false,
        },
        Table {
            name: "langchain_pg_embedding",
            key: "id",
            own: &["collection_id"],
            records: true,
        },
    ],
    calls: &["preset => 'vanna', target => 'langchain_pg_embedding'"],
    makes: &[(
        "preset => 'vanna'",
        &["langchain_pg_collection", "langchain_pg_embedding"],
    )],
    failed: &[],
    blank: None,
};

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    VANNA.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    VANNA.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    VANNA.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    VANNA.assert_a_rollback_leaves_the_tables_as_they_were(
        "INSERT INTO langchain_pg_collection VALUES ('11111111-2222-4333-8444-555555555555', 'sql', 'null')",
    );
}

#[test]
fn missing_tables_are_made_as_the_client_makes_them() {
    VANNA.assert_the_preset_makes_missing_tables();
}

#[test]
fn the_metadata_have_the_id_without_which_the_client_fails() {
    let (db, _recorded) = VANNA.filled();
    assert_eq!(
        db.count("langchain_pg_embedding WHERE cmetadata->>'id' = id"),
        8
    );
}

#[test]
fn collections_of_others_are_left_out_and_named() {
    let (db, source) = (Db::new(), VANNA.recorded().store);
    db.notices();
    db.migrate(&source, "preset => 'vanna'");
    assert!(db.told(&["notes"]));
    assert_eq!(
        db.lines("SELECT name FROM langchain_pg_collection ORDER BY 1"),
        ["ddl", "documentation", "sql"]
    );
}

#[test]
fn a_store_without_vannas_collections_leaves_nothing() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let answer = db.attempt(&format!(
        "SELECT coalesce(sum(migrated), 0) FROM migrate_chroma({}, preset => 'vanna')",
        source.sql()
    ));
    // An error, or nothing migrated.
    if let Ok(rows) = answer {
        assert_eq!(rows, [[Some("0".to_owned())]]);
    }
}
