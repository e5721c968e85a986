//! The tables of langchain_community's PGVector, LibreChat's too: `preset => 'langchain_legacy'`.

use vector_migrate_tests::apps::{Application, Table};
use vector_migrate_tests::{Db, Session, store};

const TABLES: &[Table] = &[
    Table {
        name: "langchain_pg_collection",
        key: "name",
        own: &["uuid"],
        records: false,
    },
    Table {
        name: "langchain_pg_embedding",
        key: "custom_id",
        own: &["uuid", "collection_id"],
        records: true,
    },
];

/// With metadata in a json column, the class's default.
const LEGACY: Application = Application {
    name: "langchain_legacy",
    store: "langchain",
    tables: TABLES,
    calls: &[CALL],
    makes: &[(MADE, &["langchain_pg_collection", "langchain_pg_embedding"])],
    failed: &[("no-document", "no_text"), ("nul", "bad_text")],
    blank: None,
};
const WITH_JSONB: Application = Application {
    name: "langchain_legacy_jsonb",
    makes: &[],
    ..LEGACY
};
const CALL: &str = "target => 'langchain_pg_embedding'";
const MADE: &str = "preset => 'langchain_legacy'";
const STARTED: &str = "INSERT INTO langchain_pg_collection (uuid, name, cmetadata)
    VALUES ('11111111-2222-4333-8444-555555555555', 'langchain', 'null')";

fn rows_in_collections(db: &Session) -> Vec<String> {
    db.lines(
        "SELECT name, count(e.uuid) FROM langchain_pg_collection c LEFT JOIN langchain_pg_embedding e ON collection_id = c.uuid
          GROUP BY 1 ORDER BY 1",
    )
}

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    LEGACY.assert_fills_the_tables_as_its_client_does();
    WITH_JSONB.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    LEGACY.assert_a_second_run_adds_nothing();
    WITH_JSONB.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    LEGACY.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    LEGACY.assert_a_rollback_leaves_the_tables_as_they_were(STARTED);
    WITH_JSONB.assert_a_rollback_leaves_the_tables_as_they_were(STARTED);
}

#[test]
fn missing_tables_are_made_as_the_client_makes_them() {
    LEGACY.assert_the_preset_makes_missing_tables();
}

#[test]
fn each_row_has_a_key_of_its_own() {
    let (db, _recorded) = LEGACY.filled();
    assert_eq!(
        db.line("SELECT count(DISTINCT uuid), count(*) FROM langchain_pg_embedding"),
        "22|22"
    );
}

#[test]
fn equal_ids_in_two_collections_are_two_rows() {
    let (db, source) = (Db::new(), store("special/same-ids"));
    assert_eq!(db.migrate(&source, MADE).outcome(), (30, 30, 0, 0));
    assert_eq!(
        rows_in_collections(&db),
        ["ddl|10", "documentation|10", "sql|10"]
    );
    assert_eq!(db.migrate(&source, MADE).outcome(), (30, 0, 30, 0));
}

#[test]
fn collections_of_one_name_are_taken_as_one_as_the_client_takes_them() {
    let (db, recorded) = LEGACY.ready();
    // The name is not unique in these tables.
    db.run(STARTED);
    db.run(&STARTED.replace("11111111-", "22222222-"));
    assert_eq!(LEGACY.fill(&db, &recorded.store)[0].total().migrated, 22);
    let of_langchain = "SELECT count(DISTINCT collection_id), count(*) FROM langchain_pg_embedding
                         WHERE collection_id IN (SELECT uuid FROM langchain_pg_collection WHERE name = 'langchain')";
    assert_eq!(db.line(of_langchain), "1|7");
}
