//! Texts that are in the metadata, where records have no document.

use vector_migrate_tests::models::{cosine, embed};
use vector_migrate_tests::{Db, store};

const MEMORIES: &str = "collection => 'memories', entity_target => NULL";

#[test]
fn the_text_is_the_value_of_the_key_that_is_named() {
    let (db, source) = (Db::new(), store("special/memories"));
    let report = db.migrate(&source, &format!("{MEMORIES}, text_key => 'data'"));
    assert_eq!(report.outcome(), (12, 12, 0, 0));
    assert_eq!(report.users(), [Some("alice"), Some("bob")]);
    let same =
        "content_vectors WHERE searchable_text = metadata->>'data' AND searchable_text <> ''";
    assert_eq!(db.count(same), 12);
    assert!(!db.told(&["text_key"]));
}

#[test]
fn without_it_a_notice_names_the_key_that_has_texts() {
    let (db, source) = (Db::new(), store("special/memories"));
    let report = db.migrate(&source, MEMORIES);
    assert_eq!(report.outcome(), (12, 12, 0, 0));
    assert!(db.told(&["memories", "text_key => 'data'"]));
    // A collection that has documents needs none.
    db.migrate(
        &store("special/same-ids"),
        "entity_target => NULL, target => 'other'",
    );
    assert!(!db.told(&["text_key"]));
}

#[test]
fn a_document_comes_before_the_key() {
    let (db, source) = (Db::new(), store("special/north"));
    let report = db.migrate(&source, "entity_target => NULL, text_key => 'source'");
    assert_eq!(report.outcome(), (10, 10, 0, 0));
    let documents = "content_vectors WHERE searchable_text LIKE 'Page % of the northern office.'";
    assert_eq!(db.count(documents), 10);
}

#[test]
fn a_key_that_no_record_has_changes_nothing() {
    let (db, source) = (Db::new(), store("special/memories"));
    db.migrate(&source, &format!("{MEMORIES}, target => 'without'"));
    db.migrate(
        &source,
        &format!("{MEMORIES}, target => 'unknown', text_key => 'nonsense'"),
    );
    let rows = |table: &str| format!("SELECT id, searchable_text, full_content FROM {table}");
    let sql = format!("{} EXCEPT {}", rows("unknown"), rows("without"));
    assert_eq!(db.lines(&sql), [""; 0]);
}

#[test]
fn what_is_embedded_is_that_text() {
    let (db, source) = (Db::new(), store("special/memories"));
    let arguments = format!("{MEMORIES}, text_key => 'data', embeddings => 'generate'");
    let report = db.migrate(&source, &arguments);
    assert_eq!(report.total().embedded, 12);
    let rows = db.query(
        "SELECT metadata->>'data', embedding FROM content_vectors ORDER BY id LIMIT 3",
        &[],
    );
    for row in rows {
        let (text, vector): (String, pgvector::Vector) = (row.get(0), row.get(1));
        let same = cosine(&embed(&db, &text), vector.as_slice());
        assert!(same > 0.99999, "{text}: {same}");
    }
    let found =
        "SELECT user_id, title IS NOT NULL FROM search_content('Who has a dog?', match_count => 1)";
    assert_eq!(db.lines(found).len(), 1);
}

#[test]
fn times_and_other_keys_arrive_as_ever() {
    let (db, source) = (Db::new(), store("special/memories"));
    db.run("SET TimeZone = 'UTC'");
    db.migrate(&source, &format!("{MEMORIES}, text_key => 'data'"));
    let row = "SELECT user_id, created_at, metadata ? 'hash' FROM content_vectors
                WHERE metadata->>'data' = 'drinks tea without sugar'";
    assert_eq!(db.line(row), "alice|2025-03-01 16:30:00.123456+00|t");
}

#[test]
fn a_later_call_with_the_key_mends_what_one_without_has_made() {
    let (db, source) = (Db::new(), store("special/memories"));
    db.migrate(&source, MEMORIES);
    let update = format!("{MEMORIES}, text_key => 'data', on_conflict => 'update'");
    assert_eq!(db.migrate(&source, &update).outcome(), (12, 12, 0, 0));
    let same = "content_vectors WHERE searchable_text = metadata->>'data'";
    assert_eq!(db.count(same), 12);
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count(same), 0);
    assert_eq!(db.count("content_vectors"), 12);
}

#[test]
fn a_dry_run_says_the_same() {
    for more in ["", ", text_key => 'data'", ", text_key => 'nonsense'"] {
        let (db, source) = (Db::new(), store("special/memories"));
        let rows = |dry: bool| db.answer(&source, &format!("dry_run => {dry}, {MEMORIES}{more}"));
        assert_eq!(rows(true), rows(false), "{more}");
    }
}

#[test]
fn an_empty_key_is_refused() {
    let (db, source) = (Db::new(), store("special/memories"));
    let call = format!(
        "SELECT * FROM migrate_chroma({}, text_key => '')",
        source.sql()
    );
    db.refused(&call, "22023").names("text_key");
}
