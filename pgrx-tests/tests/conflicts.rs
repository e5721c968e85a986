//! Rows that are there already: skipped, updated or an error, as the caller says; nothing twice.

use vector_migrate_tests::{Db, Report, Session, Store, store, tables};

const LIBRARY: &str = "collection => 'library_a', entity_target => NULL";

/// An application's table that has one row of Chroma's ids and one of its own.
fn occupied() -> (Db, Store) {
    let db = Db::new();
    db.run(&tables::minimal(8, ", summary text"));
    db.run(
        "INSERT INTO content_vectors VALUES
             ('content-003', 1, 'Edited by hand', '{\"by\": \"hand\"}', 'by hand', '[1,2,3,4,5,6,7,8]', 'kept?'),
             ('own', 1, 'Own row', '{}', 'own', NULL, NULL)",
    );
    (db, store("special/two-collections"))
}

fn contents(db: &Session, table: &str) -> Vec<String> {
    db.lines(&format!("SELECT t::text FROM {table} t ORDER BY 1"))
}

#[test]
fn rows_that_are_there_are_never_overwritten_by_default() {
    let (db, source) = occupied();
    let report = db.migrate(&source, LIBRARY);
    assert_eq!(report.outcome(), (9, 8, 1, 0));
    assert_eq!(
        db.line("SELECT title, summary FROM content_vectors WHERE id = 'content-003'"),
        "Edited by hand|kept?"
    );
    assert_eq!(
        db.lines("SELECT record_id, reason FROM vector_migrate.run_errors"),
        ["content-003|already_exists"]
    );
}

#[test]
fn update_replaces_what_the_record_has_and_leaves_other_rows_alone() {
    let (db, source) = occupied();
    let report = db.migrate(&source, &format!("{LIBRARY}, on_conflict => 'update'"));
    assert_eq!(report.outcome(), (9, 9, 0, 0));
    let row = "SELECT user_id, title, summary, full_content->>'title' FROM content_vectors WHERE id = 'content-003'";
    assert_eq!(
        db.line(row),
        "2|東京の小さな庭|狭い庭でも、苔と石で静かな場所を作れる。|東京の小さな庭"
    );
    assert_eq!(
        db.line("SELECT title, embedding FROM content_vectors WHERE id = 'own'"),
        "Own row|∅"
    );
    assert_eq!(db.count("content_vectors"), 10);
}

#[test]
fn error_stops_at_the_first_row_that_is_there_and_leaves_nothing() {
    let (db, source) = occupied();
    let before = contents(&db, "content_vectors");
    db.migrate_error(&source, &format!("{LIBRARY}, on_conflict => 'error'"))
        .expect("23505")
        .names("content-003");
    assert_eq!(contents(&db, "content_vectors"), before);
    assert_eq!(db.count("vector_migrate.runs"), 0);
}

#[test]
fn error_is_no_error_where_nothing_is_there() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    assert_eq!(
        db.migrate(&source, "entity_target => NULL, on_conflict => 'error'")
            .outcome(),
        (18, 18, 0, 0)
    );
    db.migrate_error(&source, "entity_target => NULL, on_conflict => 'error'")
        .expect("23505");
}

#[test]
fn a_second_run_changes_nothing() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let arguments = "collection => 'content', embeddings => 'stored', orphans => 'keep'";
    let first = db.migrate(&source, arguments);
    let state = |db: &Db| {
        let row = |table: &str| {
            db.lines(&format!(
                "SELECT xmin, ctid, t::text FROM {table} t ORDER BY 3"
            ))
        };
        (row("content_vectors"), row("entity_vectors"))
    };
    let before = state(&db);
    let second = db.migrate(&source, arguments);
    assert_eq!(state(&db), before);
    let (one, two) = (first.total(), second.total());
    assert_eq!(
        (two.found, two.migrated, two.skipped, two.failed),
        (one.found, 0, one.migrated, one.failed)
    );
    assert_eq!((two.reused, two.embedded, two.entities), (0, 0, 0));
}

#[test]
fn a_second_run_takes_what_came_in_between() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, LIBRARY);
    db.run("DELETE FROM content_vectors WHERE id IN ('content-000', 'content-008')");
    assert_eq!(db.migrate(&source, LIBRARY).outcome(), (9, 2, 7, 0));
    assert_eq!(
        db.migrate(&source, "collection => 'library_b', entity_target => NULL")
            .outcome(),
        (9, 9, 0, 0)
    );
}

#[test]
fn an_update_with_the_same_records_gives_the_same_rows() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let arguments = "collection => 'content', embeddings => 'stored'";
    let first = db.migrate(&source, arguments);
    let entities = "(SELECT user_id, content_id, entity_name, entity_type, embedding, chroma_collection FROM entity_vectors)";
    let before = (contents(&db, "content_vectors"), contents(&db, entities));
    let second = db.migrate(&source, &format!("{arguments}, on_conflict => 'update'"));
    assert_eq!(
        (contents(&db, "content_vectors"), contents(&db, entities)),
        before
    );
    assert_eq!(second.total().migrated, first.total().migrated);
}

#[test]
fn an_update_replaces_a_records_entities() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let arguments = "collection => 'library_a', embeddings => 'stored'";
    db.migrate(&source, arguments);
    let entities =
        "SELECT entity_name FROM entity_vectors WHERE content_id = 'content-000' ORDER BY id";
    assert_eq!(db.lines(entities), ["Carnot", "compressor"]);
    db.run(
        "UPDATE entity_vectors SET entity_name = 'somebody' WHERE entity_name = 'Carnot';
         INSERT INTO entity_vectors (content_id, entity_name, chroma_collection) VALUES ('content-000', 'another', 'library_a')",
    );
    db.migrate(&source, &format!("{arguments}, on_conflict => 'update'"));
    assert_eq!(db.lines(entities), ["Carnot", "compressor"]);
}

#[test]
fn an_update_does_not_take_a_record_twice() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    let report = db.migrate(&source, "entity_target => NULL, on_conflict => 'update'");
    assert_eq!(report.outcome(), (18, 12, 0, 6));
    assert_eq!(
        db.lines("SELECT DISTINCT reason FROM vector_migrate.run_errors"),
        ["id_collision"]
    );
}

#[test]
fn keys_of_made_tables_keep_collections_apart() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    assert_eq!(
        db.migrate(&source, "entity_target => NULL").outcome(),
        (18, 18, 0, 0)
    );
    assert_eq!(db.count("content_vectors WHERE id = 'content-003'"), 2);
}

#[test]
fn an_update_that_the_table_refuses_is_that_records_error() {
    let (db, source) = occupied();
    db.run(
        "ALTER TABLE content_vectors ADD CHECK (id <> 'content-003' OR title = 'Edited by hand')",
    );
    let report = db.migrate(&source, &format!("{LIBRARY}, on_conflict => 'update'"));
    assert_eq!(report.outcome(), (9, 8, 0, 1));
    assert_eq!(
        db.line("SELECT title FROM content_vectors WHERE id = 'content-003'"),
        "Edited by hand"
    );
    assert_eq!(
        db.lines("SELECT record_id, reason FROM vector_migrate.run_errors"),
        ["content-003|constraint"]
    );
}

#[test]
fn a_table_without_any_unique_key_still_knows_its_rows() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal_of("text", "bigint", "vector(8)", ""));
    assert_eq!(db.migrate(&source, LIBRARY).outcome(), (9, 9, 0, 0));
    assert_eq!(db.migrate(&source, LIBRARY).outcome(), (9, 0, 9, 0));
    assert_eq!(
        db.migrate(&source, &format!("{LIBRARY}, on_conflict => 'update'"))
            .outcome(),
        (9, 9, 0, 0)
    );
    assert_eq!(db.count("content_vectors"), 9);
}

/// A run that stops at its first row until the test lets it go on; meanwhile `meanwhile` happens in another session.
fn beside(db: &Db, source: &Store, arguments: &str, meanwhile: &str) -> Report {
    db.run(
        "CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
         CREATE OR REPLACE TRIGGER wait BEFORE INSERT ON content_vectors FOR EACH STATEMENT EXECUTE FUNCTION wait()",
    );
    let (gate, run) = (db.session(), db.session());
    gate.run("SELECT pg_advisory_lock(4711)");
    let pid: i32 = run.one("SELECT pg_backend_pid()");
    std::thread::scope(|scope| {
        let running = scope.spawn(move || run.migrate(source, arguments));
        let waiting = format!(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock')"
        );
        while !db.one::<bool>(&waiting) {
            assert!(!running.is_finished());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        gate.run(meanwhile);
        gate.run("SELECT pg_advisory_unlock(4711)");
        running.join().expect("no panic")
    })
}

#[test]
fn an_update_beside_deletes_puts_the_rows_in_again() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    let arguments = "entity_target => NULL, collection => 'library_a', on_conflict => 'update'";
    db.migrate(&source, arguments);
    // The run waits as it inserts this one; rows to overwrite are locked afterwards.
    db.run("DELETE FROM content_vectors WHERE id = (SELECT min(id) FROM content_vectors)");
    let deleted = "DELETE FROM content_vectors
                    WHERE id IN (SELECT id FROM content_vectors ORDER BY id DESC LIMIT 2)";
    let report = beside(&db, &source, arguments, deleted);
    assert_eq!(report.outcome(), (9, 9, 0, 0));
    assert_eq!(db.count("content_vectors"), 9);
    // Those that were gone are inserts of this run, the others updates.
    let undone = db.line("SELECT removed, restored, kept FROM rollback_migration()");
    assert_eq!(undone, "3|6|0");
}

#[test]
fn rows_that_come_in_beside_a_run_are_treated_as_conflicts() {
    let source = store("special/two-collections");
    let inserted = "SET session_replication_role = replica;
        INSERT INTO content_vectors VALUES ('content-001', 1, 'of the application', '{}', '', NULL)";
    for (way, outcome, title) in [
        ("update", (9, 9, 0, 0), "false"),
        ("skip", (9, 8, 1, 0), "true"),
    ] {
        let db = Db::new();
        db.run(&tables::minimal(8, ""));
        let arguments =
            format!("entity_target => NULL, collection => 'library_a', on_conflict => '{way}'");
        let report = beside(&db, &source, &arguments, inserted);
        assert_eq!(report.outcome(), outcome, "{way}");
        assert_eq!(
            db.line("SELECT bool_or(title = 'of the application') FROM content_vectors"),
            title.replace("true", "t").replace("false", "f")
        );
    }
}
