//! Each reason why a record is not migrated: produced, counted in the answer, written to `run_errors`.

use vector_migrate_tests::{Db, Report, Session, store, tables};

/// The run's errors as `reason|records`, after a check that they are what the answer counted.
fn reasons(db: &Session, report: &Report) -> Vec<String> {
    let skips = "reason IN ('no_user_id', 'user_not_found', 'already_exists')";
    let counts = db.line(&format!(
        "SELECT count(*) FILTER (WHERE {skips}), count(*) FILTER (WHERE NOT {skips})
           FROM vector_migrate.run_errors WHERE run_id = {}",
        report.run_id()
    ));
    let total = report.total();
    assert_eq!(counts, format!("{}|{}", total.skipped, total.failed));
    let nameless =
        "vector_migrate.run_errors WHERE message = '' OR record_id = '' OR collection = ''";
    assert_eq!(db.count(nameless), 0);
    db.lines(&format!(
        "SELECT reason, count(*) FROM vector_migrate.run_errors WHERE run_id = {} GROUP BY 1 ORDER BY 1",
        report.run_id()
    ))
}

#[test]
fn no_user_id_and_bad_user_id() {
    let db = Db::new();
    // A table that the run made would have the owners' type.
    db.run("SELECT init_content_tables(16, 'bigint', entity_target => NULL)");
    let report = db.migrate(
        &store("chroma-1.5.9"),
        "collection => 'content', entity_target => NULL",
    );
    assert_eq!(reasons(&db, &report), ["bad_user_id|1", "no_user_id|4"]);
    assert_eq!(
        db.lines("SELECT collection, record_id, user_id FROM vector_migrate.run_errors ORDER BY 2"),
        [
            "content|content-no-user-1|∅",
            "content|content-no-user-2|∅",
            "content|content-no-user-3|∅",
            "content|content-user-alice|alice",
            "content|content-user-empty|∅",
        ]
    );
    assert_eq!(report.user(Some("alice")).failed, 1);
    assert_eq!(report.user(None).skipped, 4);
}

#[test]
fn user_not_found() {
    let db = Db::new();
    db.run("CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users VALUES (1)");
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "bigint REFERENCES users",
        "vector(8)",
        "",
    ));
    let report = db.migrate(
        &store("special/two-collections"),
        "collection => 'library_a', entity_target => NULL",
    );
    assert_eq!(reasons(&db, &report), ["user_not_found|4"]);
    assert_eq!(report.user(Some("2")).skipped, 4);
    assert_eq!(
        db.lines("SELECT DISTINCT user_id FROM vector_migrate.run_errors"),
        ["2"]
    );
}

#[test]
fn already_exists() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "entity_target => NULL");
    let report = db.migrate(&source, "entity_target => NULL");
    assert_eq!(reasons(&db, &report), ["already_exists|18"]);
    assert_eq!(report.outcome(), (18, 0, 18, 0));
}

#[test]
fn id_collision() {
    let db = Db::new();
    db.run(&tables::minimal(8, ""));
    let report = db.migrate(&store("special/two-collections"), "entity_target => NULL");
    assert_eq!(reasons(&db, &report), ["id_collision|6"]);
    assert_eq!(
        db.lines("SELECT collection || ' ' || record_id FROM vector_migrate.run_errors ORDER BY record_id"),
        ["003", "004", "005", "006", "007", "008"].map(|n| format!("library_b content-{n}"))
    );
}

#[test]
fn bad_id() {
    let db = Db::new();
    db.run(&tables::minimal_of(
        "bigint PRIMARY KEY",
        "bigint",
        "vector(2)",
        "",
    ));
    let report = db.migrate(
        &store("chroma-1.5.9"),
        "collection => 'odd_ids', orphans => 'keep', entity_target => NULL",
    );
    // Two of the ids are numbers: 0 and 007.
    assert_eq!(reasons(&db, &report), ["bad_id|23"]);
    assert_eq!(
        db.lines("SELECT id FROM content_vectors ORDER BY id"),
        ["0", "7"]
    );
}

#[test]
fn no_vector() {
    let db = Db::new();
    let report = db.migrate(
        &store("special/no-vector"),
        "embeddings => 'stored', entity_target => NULL",
    );
    assert_eq!(reasons(&db, &report), ["no_vector|3"]);
    assert_eq!(report.total().reused, 5);
    assert_eq!(
        db.lines("SELECT record_id FROM vector_migrate.run_errors ORDER BY 1"),
        ["content-002", "content-004", "content-005"]
    );
}

#[test]
fn no_text() {
    let db = Db::new();
    let report = db.migrate(
        &store("chroma-1.5.9"),
        "collection => 'odd_ids', embeddings => 'generate', orphans => 'keep', entity_target => NULL",
    );
    assert_eq!(report.outcome(), (25, 25, 0, 0));
    let source = store("chroma-1.5.9");
    let report = db.migrate(
        &source,
        "collection => 'types', embeddings => 'generate', orphans => 'keep', entity_target => NULL, target => 'other'",
    );
    let words = reasons(&db, &report);
    assert!(
        words.len() == 1 && words[0].starts_with("no_text|"),
        "{words:?}"
    );
    let there = "SELECT record_id FROM vector_migrate.run_errors WHERE record_id IN ('nothing', 'document unicode')";
    assert_eq!(db.lines(there), ["nothing"]);
}

#[test]
fn dimension_mismatch() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    source.damage("UPDATE embeddings_queue SET vector = substr(vector, 1, 20) WHERE id = 'q-3'");
    let report = db.migrate(
        &source,
        "collection => 'cosine_queue', orphans => 'keep', entity_target => NULL",
    );
    assert_eq!(reasons(&db, &report), ["dimension_mismatch|1"]);
    assert_eq!(
        db.line("SELECT record_id FROM vector_migrate.run_errors"),
        "q-3"
    );
    assert_eq!(report.total().migrated, 14);
}

#[test]
fn bad_vector_bad_text_and_bad_content() {
    let db = Db::new();
    let report = db.migrate(&store("special/bad-values-0.6.3"), "entity_target => NULL");
    reasons(&db, &report);
    let reason = |ids: &str| {
        db.lines(&format!("SELECT DISTINCT reason FROM vector_migrate.run_errors WHERE record_id LIKE ANY ('{ids}')"))
    };
    assert_eq!(reason("{nan-_,inf-_}"), ["bad_vector"]);
    assert_eq!(
        reason("{nul-document-1,nul-value-1,nul-key-1,nul-id%}"),
        ["bad_text"]
    );
    assert_eq!(reason("{nul-content}"), ["bad_content"]);
    assert_eq!(reason("{nul-user}"), ["bad_user_id"]);
    assert_eq!(report.outcome(), (17, 7, 0, 10));
    assert_eq!(
        db.lines("SELECT id FROM content_vectors ORDER BY 1"),
        [
            "ends-of-float4",
            "good-1",
            "good-2",
            "good-3",
            "good-4",
            "good-5",
            "infinite-metadata"
        ]
    );
}

#[test]
fn constraint() {
    let db = Db::new();
    db.run(&tables::minimal(8, ", CHECK (id <> 'content-003')"));
    let report = db.migrate(
        &store("special/two-collections"),
        "collection => 'library_a', entity_target => NULL",
    );
    assert_eq!(reasons(&db, &report), ["constraint|1"]);
    let message = db.line("SELECT message FROM vector_migrate.run_errors");
    assert!(
        message.contains("violates check constraint \"content_vectors_id_check\""),
        "{message}"
    );
}

#[test]
fn a_bad_record_never_stops_the_run_and_the_summary_gives_reasons_with_counts() {
    let db = Db::new();
    db.migrate(&store("special/bad-values-0.6.3"), "entity_target => NULL");
    let said: String = db
        .notices()
        .into_iter()
        .map(|notice| notice.text + "\n")
        .collect();
    for word in ["bad_vector", "bad_text", "bad_content"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(said.contains('4'), "four bad vectors: {said}");
}

#[test]
fn the_summary_says_what_to_do_about_orphans() {
    let db = Db::new();
    db.migrate(
        &store("chroma-1.5.9"),
        "collection => 'content', entity_target => NULL",
    );
    let said: String = db
        .notices()
        .into_iter()
        .map(|notice| notice.text + "\n")
        .collect();
    assert!(
        said.contains("orphans => 'keep'") && said.contains("default_user_id"),
        "{said}"
    );
}

#[test]
fn the_ledger_adds_up_with_the_answer() {
    let db = Db::new();
    let report = db.migrate(
        &store("chroma-1.5.9"),
        "collection => 'content', embeddings => 'stored'",
    );
    let t = report.total();
    let row = "SELECT found, migrated, skipped, failed, reused, embedded, entities, status, role = current_user,
                      path, finished_at >= started_at, jsonb_typeof(options), jsonb_typeof(source_fingerprint)
                 FROM vector_migrate.runs WHERE run_id = ";
    let line = db.line(&format!("{row}{}", report.run_id()));
    let numbers = [
        t.found, t.migrated, t.skipped, t.failed, t.reused, t.embedded, t.entities,
    ]
    .map(|n| n.to_string());
    assert!(
        line.starts_with(&format!("{}|completed|t|/", numbers.join("|"))),
        "{line}"
    );
    assert!(line.ends_with("|t|object|object"), "{line}");
}
