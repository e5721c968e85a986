//! Haystack's tables: `preset => 'haystack'`.

use vector_migrate_tests::apps::{Application, Table};
use vector_migrate_tests::{Db, store};

const fn table(name: &'static str) -> Table {
    Table {
        name,
        key: "id",
        own: &[],
        records: true,
    }
}

const HAYSTACK: Application = Application {
    name: "haystack",
    store: "haystack",
    tables: &[
        table("haystack_documents"),
        table("letters"),
        table("halves"),
    ],
    calls: &[
        "collection => 'documents', target => 'haystack_documents'",
        "collection => 'letters', target => 'letters'",
        "collection => 'halves', target => 'halves'",
    ],
    makes: &[(
        "preset => 'haystack', collection => 'documents', target => 'haystack_documents'",
        &["haystack_documents"],
    )],
    failed: &[(LONG, "bad_id|constraint")],
    blank: None,
};

/// The id of 129 characters.
const LONG: &str = "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm";

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    HAYSTACK.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    HAYSTACK.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    HAYSTACK.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    HAYSTACK.assert_a_rollback_leaves_the_tables_as_they_were(
        "INSERT INTO haystack_documents (id, content, meta) VALUES ('own', 'own', '{\"a\": 1.0}')",
    );
}

#[test]
fn a_missing_table_is_made_as_the_client_makes_it() {
    HAYSTACK.assert_the_preset_makes_missing_tables();
}

#[test]
fn the_preset_is_found_by_the_columns_and_named() {
    let (db, recorded) = HAYSTACK.ready();
    db.notices();
    db.migrate(&recorded.store, HAYSTACK.calls[0]);
    assert!(db.told(&["haystack"]));
}

#[test]
fn an_id_of_more_than_128_characters_is_that_records_error() {
    let (db, recorded) = HAYSTACK.ready();
    let report = db.migrate(&recorded.store, HAYSTACK.calls[2]);
    assert_eq!(report.outcome(), (5, 4, 0, 1));
    let message = db.line("SELECT message FROM vector_migrate.run_errors");
    assert!(message.contains("128"), "{message}");
}

#[test]
fn u_0000_is_taken_out_of_the_content_as_the_client_does_it() {
    let (db, _recorded) = HAYSTACK.filled();
    assert_eq!(
        db.line("SELECT content FROM haystack_documents WHERE id = 'nul'"),
        "A NUL  that an old reader left."
    );
}

#[test]
fn a_record_without_document_has_no_content() {
    let (db, source) = (Db::new(), store("special/memories"));
    let made = "preset => 'haystack', collection => 'memories'";
    assert_eq!(db.migrate(&source, made).outcome(), (12, 12, 0, 0));
    let without =
        "haystack_documents WHERE content IS NULL AND blob_data IS NULL AND meta ? 'data'";
    assert_eq!(db.count(without), 12);
}

#[test]
fn two_collections_are_not_put_into_one_table() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let refused = db.migrate_error(
        &source,
        "preset => 'haystack', target => 'haystack_documents'",
    );
    assert!(refused.text().contains("collection"), "{refused:?}");
    assert_eq!(db.count("vector_migrate.runs"), 0);
}

#[test]
fn a_second_table_has_an_index_of_its_own_name_where_the_clients_is_taken() {
    let (db, recorded) = (Db::new(), HAYSTACK.recorded());
    for table in ["one", "two"] {
        let call = format!("preset => 'haystack', collection => 'documents', target => '{table}'");
        db.migrate(&recorded.store, &call);
    }
    let names =
        "SELECT tablename, indexname FROM pg_indexes WHERE indexname LIKE '%keyword%' ORDER BY 1";
    assert_eq!(
        db.lines(names),
        ["one|haystack_keyword_index", "two|two_keyword_index"]
    );
}
