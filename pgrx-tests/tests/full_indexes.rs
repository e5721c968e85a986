//! Rows that an index has no room for: each is an error of its own, in a run and in its dry run alike.

use vector_migrate_tests::{Db, Report, Store, queued_demo_store, store, tables};

/// The sample store's records whose vectors are in the queue, of which one has an id of 3,000 characters that no
/// compression shortens: a btree takes 2,704 bytes.
fn with_a_long_id() -> Store {
    let source = queued_demo_store(|_, vector| vector.to_vec());
    source.damage(
        "CREATE TEMP TABLE long AS SELECT embedding_id AS old, hex(randomblob(1500)) AS new FROM embeddings
           WHERE embedding_id IN (SELECT id FROM embeddings_queue) ORDER BY id LIMIT 1;
         UPDATE embeddings SET embedding_id = (SELECT new FROM long) WHERE embedding_id = (SELECT old FROM long);
         UPDATE embeddings_queue SET id = (SELECT new FROM long) WHERE id = (SELECT old FROM long)",
    );
    source
}

const ALL: &str = "embeddings => 'stored', default_user_id => '1'";

#[track_caller]
fn one_failed(db: &Db, report: &Report) {
    let total = report.total();
    assert!(total.migrated > 0, "{total:?}");
    assert_eq!(total.failed, 1, "{total:?}");
    let errors = db.lines(
        "SELECT reason, length(record_id), message LIKE '%exceeds btree%' FROM vector_migrate.run_errors",
    );
    assert_eq!(errors, ["constraint|3000|t"]);
    assert_eq!(db.count("content_vectors"), total.migrated);
}

#[test]
fn an_id_too_long_for_the_key_of_a_made_table_is_that_records_error() {
    let (db, source) = (Db::new(), with_a_long_id());
    let before = db.migrate(&source, &format!("{ALL}, dry_run => true"));
    let report = db.migrate(&source, ALL);
    assert_eq!(before.outcome(), report.outcome());
    one_failed(&db, &report);
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count("content_vectors") + db.count("entity_vectors"), 0);
    // Told beforehand, too, by a dry run into the table that is there now.
    let dry = db.migrate(&source, &format!("{ALL}, dry_run => true"));
    assert_eq!(dry.outcome(), report.outcome());
}

#[test]
fn an_id_too_long_for_an_applications_key_is_that_records_error() {
    let (db, source) = (Db::new(), with_a_long_id());
    db.run(&tables::minimal(384, ""));
    let arguments = format!("{ALL}, entity_target => NULL");
    let dry = db.migrate(&source, &format!("{arguments}, dry_run => true"));
    let report = db.migrate(&source, &arguments);
    assert_eq!(dry.outcome(), report.outcome());
    one_failed(&db, &report);
}

#[test]
fn vectors_that_an_index_refuses_are_those_records_errors() {
    let source = store("special/two-collections");
    for (column, index) in [
        ("vector", "hnsw ((embedding::vector(3)) vector_l2_ops)"),
        (
            "vector(8)",
            "ivfflat ((embedding::halfvec(8)) halfvec_l2_ops)",
        ),
        ("vector(8)", "ivfflat (embedding vector_l2_ops)"),
    ] {
        let db = Db::new();
        db.run(&tables::minimal_of(
            "text PRIMARY KEY",
            "bigint",
            column,
            "",
        ));
        db.run(&format!("CREATE INDEX ON content_vectors USING {index}"));
        db.notices();
        let arguments = "entity_target => NULL, embeddings => 'stored'";
        let dry = db.migrate(&source, &format!("{arguments}, dry_run => true"));
        let told = db.notices();
        assert!(
            !told
                .iter()
                .any(|notice| notice.text.contains("little data")),
            "{told:?}"
        );
        let report = db.migrate(&source, arguments);
        assert_eq!(dry.outcome(), report.outcome(), "{index}");
        let refused = if index.contains("vector(3)") { 12 } else { 0 };
        assert_eq!(report.total().failed - 6, refused, "{index}");
    }
}

#[test]
fn texts_too_long_for_an_applications_index_are_those_records_errors() {
    let (db, source) = (Db::new(), queued_demo_store(|_, vector| vector.to_vec()));
    source.damage(
        "UPDATE embedding_metadata SET string_value = hex(randomblob(2000)) WHERE key = 'chroma:document'
           AND id IN (SELECT id FROM embedding_metadata WHERE key = 'chroma:document' ORDER BY id LIMIT 3)",
    );
    for index in [
        "(searchable_text)",
        "USING gin (to_tsvector('simple', searchable_text))",
    ] {
        let db = if index.starts_with('(') {
            &db
        } else {
            &Db::new()
        };
        db.run(&tables::minimal(384, ""));
        db.run(&format!("CREATE INDEX ON content_vectors {index}"));
        let arguments = format!("{ALL}, entity_target => NULL");
        let dry = db.migrate(&source, &format!("{arguments}, dry_run => true"));
        let report = db.migrate(&source, &arguments);
        assert_eq!(dry.outcome(), report.outcome());
        let failed = if index.starts_with('(') { 3 } else { 0 };
        assert_eq!(report.total().failed, failed, "{index}");
        assert_eq!(db.count("content_vectors"), report.total().migrated);
    }
}
