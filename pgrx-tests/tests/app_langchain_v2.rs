//! The tables of LangChain's PGVectorStore: `preset => 'langchain_v2'`.

use vector_migrate_tests::apps::{Application, Table};
use vector_migrate_tests::{Db, store};

const fn table(name: &'static str) -> Table {
    Table {
        name,
        key: "langchain_id",
        own: &[],
        records: true,
    }
}

const LANGCHAIN: Application = Application {
    name: "langchain_v2",
    store: "langchain",
    tables: &[
        table("lc_langchain"),
        table("lc_manual"),
        table("lc_requests"),
    ],
    calls: &[
        "collection => 'langchain', target => 'lc_langchain'",
        MANUAL,
        "collection => 'requests', target => 'lc_requests'",
    ],
    makes: &[(
        "preset => 'langchain_v2', collection => 'langchain', target => 'lc_langchain'",
        &["lc_langchain"],
    )],
    failed: &[],
    blank: None,
};
const MANUAL: &str = "collection => 'manual', target => 'lc_manual'";

/// A table for the collection `manual` with these columns after the key and the text.
fn with_columns(columns: &str) -> Db {
    let db = Db::new();
    db.run(&format!(
        "CREATE TABLE lc_manual (langchain_id text PRIMARY KEY, content text NOT NULL, embedding vector(8) NOT NULL, {columns})"
    ));
    db
}

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    LANGCHAIN.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    LANGCHAIN.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    LANGCHAIN.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    LANGCHAIN.assert_a_rollback_leaves_the_tables_as_they_were(
        "INSERT INTO lc_manual VALUES ('own', 'own', '[1,2,3,4,5,6,7,8]', 7, NULL, '{ \"a\":  1.0 }')",
    );
}

#[test]
fn a_missing_table_is_made_as_the_client_makes_it() {
    LANGCHAIN.assert_the_preset_makes_missing_tables();
}

#[test]
fn a_column_of_a_metadata_key_takes_its_value_and_the_rest_goes_on() {
    let (db, _recorded) = LANGCHAIN.filled();
    assert_eq!(
        db.line(
            "SELECT step, title, langchain_metadata FROM lc_manual WHERE langchain_id = 'step-3'"
        )
        .replace(' ', ""),
        r#"3|Howtodo3|{"lang":"en"}"#
    );
    assert_eq!(
        db.lines("SELECT user_id, open, langchain_metadata->>'urgency', langchain_metadata->>'open' FROM lc_requests ORDER BY 3"),
        ["1|t|0|∅", "2|f|1|∅", "1|t|2|∅", "2|f|3|∅", "1|t|4|∅"]
    );
}

#[test]
fn where_every_key_has_a_column_an_empty_object_is_left() {
    let db = with_columns("step integer, title text, lang text, langchain_metadata json");
    let source = LANGCHAIN.recorded().store;
    assert_eq!(db.migrate(&source, MANUAL).outcome(), (6, 6, 0, 0));
    assert_eq!(
        db.lines("SELECT DISTINCT langchain_metadata::text FROM lc_manual"),
        ["{}"]
    );
}

#[test]
fn a_key_that_a_record_does_not_have_is_null() {
    let db = with_columns("step integer, publisher text, langchain_metadata json");
    let source = LANGCHAIN.recorded().store;
    assert_eq!(db.migrate(&source, MANUAL).outcome(), (6, 6, 0, 0));
    assert_eq!(
        db.count("lc_manual WHERE publisher IS NULL AND step IS NOT NULL"),
        6
    );
}

#[test]
fn a_value_that_its_column_cannot_hold_is_that_records_error() {
    let db = with_columns("title integer, langchain_metadata json");
    let source = LANGCHAIN.recorded().store;
    source.damage(
        "UPDATE embedding_metadata SET string_value = NULL, int_value = 17
          WHERE key = 'title' AND id IN (SELECT id FROM embeddings WHERE embedding_id = 'step-2')",
    );
    let report = db.migrate(&source, MANUAL);
    assert_eq!(report.outcome(), (6, 1, 0, 5));
    assert_eq!(
        db.line("SELECT langchain_id, title FROM lc_manual"),
        "step-2|17"
    );
    let messages =
        db.lines("SELECT message FROM vector_migrate.run_errors WHERE record_id = 'step-1'");
    assert!(
        messages[0].contains("title") || messages[0].contains("How to do 1"),
        "{messages:?}"
    );
}

#[test]
fn an_id_that_is_no_uuid_is_not_changed_into_one() {
    let (db, source) = (Db::new(), LANGCHAIN.recorded().store);
    db.notices();
    let report = db.migrate(
        &source,
        "preset => 'langchain_v2', collection => 'manual', target => 'lc_manual'",
    );
    assert_eq!(report.outcome(), (6, 0, 0, 6));
    assert_eq!(
        db.lines("SELECT reason, count(*), bool_and(message LIKE '%id_column%') FROM vector_migrate.run_errors GROUP BY 1"),
        ["bad_id|6|t"]
    );
    assert_eq!(db.count("lc_manual"), 0);
}

#[test]
fn records_without_document_are_left_out() {
    let (db, source) = (Db::new(), store("special/memories"));
    let report = db.migrate(&source, "preset => 'langchain_v2', target => 'lc_memories'");
    assert_eq!(report.outcome(), (12, 0, 0, 12));
    assert_eq!(
        db.lines("SELECT DISTINCT reason FROM vector_migrate.run_errors"),
        ["no_text"]
    );
}

#[test]
fn columns_of_other_names_are_described_in_the_call() {
    let db = Db::new();
    db.run(
        "CREATE TABLE own_names (doc_id text PRIMARY KEY, body text NOT NULL, vec vector(8) NOT NULL, number integer, more json)",
    );
    let source = LANGCHAIN.recorded().store;
    let columns = r#"columns => '{"doc_id": "id", "body": "document", "vec": "vector", "number": "key step",
        "more": "metadata, rest"}'"#;
    let call = format!("collection => 'manual', target => 'own_names', {columns}");
    assert_eq!(db.migrate(&source, &call).outcome(), (6, 6, 0, 0));
    assert_eq!(
        db.line("SELECT body, number, more->>'title', more->>'step' FROM own_names WHERE doc_id = 'step-4'"),
        "Step 4|4|How to do 4|∅"
    );
    assert_eq!(db.migrate(&source, &call).outcome(), (6, 0, 6, 0));
    db.run("SELECT * FROM rollback_migration()");
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count("own_names"), 0);
}

#[test]
fn the_words_for_hybrid_search_are_not_filled_by_guess() {
    let db = with_columns("langchain_metadata json, content_tsv tsvector NOT NULL");
    let source = LANGCHAIN.recorded().store;
    db.migrate_error(&source, MANUAL).names("content_tsv");
    assert_eq!(db.count("lc_manual"), 0);
}

#[test]
fn a_vector_of_another_dimension_is_not_cut_and_not_filled_up() {
    let db = Db::new();
    db.run(
        "CREATE TABLE lc_wide (langchain_id text PRIMARY KEY, content text NOT NULL, embedding vector(9) NOT NULL,
             langchain_metadata json)",
    );
    let source = LANGCHAIN.recorded().store;
    let report = db.attempt(&format!(
        "SELECT sum(migrated), sum(failed) FROM migrate_chroma({}, target => 'lc_wide', collection => 'manual')",
        source.sql()
    ));
    // Refused as a whole, or record by record: nothing is written.
    if let Ok(rows) = report {
        assert_eq!(rows, [[Some("0".to_owned()), Some("6".to_owned())]]);
        assert_eq!(
            db.lines("SELECT DISTINCT reason FROM vector_migrate.run_errors"),
            ["dimension_mismatch"]
        );
    }
    assert_eq!(db.count("lc_wide"), 0);
}
