//! One call, one transaction: all of it or nothing, and a cancel is obeyed.

use std::thread;
use std::time::{Duration, Instant};

use postgres::NoTls;
use vector_migrate_tests::{Db, Session, store, tables};

const STORED: &str = "embeddings => 'stored'";

fn assert_nothing_written(db: &Session) {
    let relations =
        "SELECT count(*) FROM pg_class WHERE relname IN ('content_vectors', 'entity_vectors')";
    assert_eq!(db.one::<i64>(relations), 0);
    assert_eq!(db.line("SELECT count(*) FROM vector_migrate.runs"), "0");
    assert_eq!(db.line("SELECT (SELECT count(*) FROM vector_migrate.run_errors) + (SELECT count(*) FROM vector_migrate.run_rows)"), "0");
}

/// A target whose every row takes 20 ms.
fn slow_table(db: &Session, dimensions: u32) {
    db.run(&tables::minimal(dimensions, ""));
    db.run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
         CREATE TRIGGER slow BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION slow()",
    );
}

#[test]
fn the_callers_rollback_undoes_everything() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("BEGIN");
    db.migrate(&source, STORED);
    assert_eq!(db.count("content_vectors"), 18);
    db.run("ROLLBACK");
    assert_nothing_written(&db);
    assert_eq!(db.migrate(&source, STORED).total().migrated, 18);
}

#[test]
fn a_savepoint_undoes_one_run_of_two() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("BEGIN");
    db.migrate(&source, "collection => 'library_a', entity_target => NULL");
    db.run("SAVEPOINT before");
    db.migrate(&source, "collection => 'library_b', entity_target => NULL");
    db.run("ROLLBACK TO before; COMMIT");
    assert_eq!(
        db.lines("SELECT DISTINCT chroma_collection FROM content_vectors"),
        ["library_a"]
    );
    assert_eq!(db.count("vector_migrate.runs"), 1);
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count("content_vectors"), 0);
}

#[test]
fn an_error_in_the_middle_leaves_nothing() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    db.run("INSERT INTO content_vectors VALUES ('content-008', 1, 'there', '{}', '', NULL)");
    db.migrate_error(&source, "entity_target => NULL, on_conflict => 'error'")
        .expect("23505");
    assert_eq!(db.lines("SELECT id FROM content_vectors"), ["content-008"]);
    assert_eq!(
        db.count("vector_migrate.runs") + db.count("vector_migrate.run_errors"),
        0
    );
}

#[test]
fn an_error_that_a_block_catches_leaves_nothing_and_the_session_works_on() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&format!(
        "DO $$ BEGIN
             PERFORM migrate_chroma({0}, collection => 'library_a', embeddings => 'stored');
             PERFORM migrate_chroma({0}, collection => 'no such');
         EXCEPTION WHEN undefined_object THEN NULL; END $$",
        source.sql()
    ));
    assert_nothing_written(&db);
    assert_eq!(db.migrate(&source, STORED).total().migrated, 18);
}

#[test]
fn a_function_of_the_user_can_call_it() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(
        "CREATE FUNCTION nightly(store text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE line record; n bigint := 0; BEGIN
             FOR line IN SELECT * FROM migrate_chroma(store, embeddings => 'stored') LOOP n := n + line.migrated; END LOOP;
             RETURN n; END $$",
    );
    assert_eq!(
        db.one::<i64>(&format!("SELECT nightly({})", source.sql())),
        18
    );
    assert_eq!(
        db.one::<i64>(&format!("SELECT nightly({})", source.sql())),
        0
    );
}

#[test]
fn a_statement_timeout_ends_a_run_and_leaves_nothing() {
    let (db, source) = (Db::new(), store("special/many"));
    slow_table(&db, 4);
    db.run("SET statement_timeout = '300ms'");
    db.migrate_error(&source, "entity_target => NULL")
        .expect("57014");
    db.run("RESET statement_timeout");
    assert_eq!(
        db.count("content_vectors") + db.count("vector_migrate.runs"),
        0
    );
    assert_eq!(db.one::<i32>("SELECT 1"), 1);
}

/// Runs `sql` in a session of its own, cancels it once it is `begun`, and checks what is left.
fn cancelled(db: &Db, sql: &str, begun: &str) {
    let session = db.session();
    let pid: i32 = session.one("SELECT pg_backend_pid()");
    let token = session.cancel_token();
    let session = thread::scope(|scope| {
        let running = scope.spawn(move || (session.attempt(sql), session));
        let start = Instant::now();
        while !db.one::<bool>(&begun.replace("$pid", &pid.to_string())) {
            assert!(
                start.elapsed() < Duration::from_secs(60) && !running.is_finished(),
                "it never began: {sql}"
            );
            thread::sleep(Duration::from_millis(5));
        }
        token
            .cancel_query(NoTls)
            .expect("the server takes a cancel");
        let (answer, session) = running.join().expect("no panic");
        answer.expect_err("it was cancelled").expect("57014");
        session
    });
    assert_eq!(
        session.one::<i32>("SELECT pg_backend_pid()"),
        pid,
        "the backend lives"
    );
}

#[test]
fn a_cancel_ends_a_run_that_is_writing() {
    let (db, source) = (Db::new(), store("special/many"));
    slow_table(&db, 4);
    let sql = format!(
        "SELECT * FROM migrate_chroma({}, entity_target => NULL)",
        source.sql()
    );
    cancelled(
        &db,
        &sql,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND wait_event = 'PgSleep')",
    );
    assert_eq!(
        db.count("content_vectors") + db.count("vector_migrate.runs"),
        0
    );
    assert_eq!(
        db.session()
            .migrate(
                &source,
                "entity_target => NULL, dry_run => true, user_id => 99"
            )
            .total()
            .found,
        0
    );
}

#[test]
fn a_cancel_ends_a_run_that_is_embedding() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let sql = format!(
        "SELECT * FROM migrate_chroma({}, collection => 'content', embeddings => 'generate')",
        source.sql()
    );
    let active = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND state = 'active'
                   AND clock_timestamp() - query_start > interval '200 ms')";
    cancelled(&db, &sql, active);
    assert_nothing_written(&db);
}

#[test]
fn a_cancel_ends_a_long_embed_text() {
    let db = Db::new();
    let sql = "SELECT count(*) FROM embed_text(ARRAY(SELECT repeat('a sentence of many words ', 40) || n FROM generate_series(1, 3000) n))";
    let active = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND state = 'active'
                   AND clock_timestamp() - query_start > interval '2 s')";
    cancelled(&db, sql, active);
}

#[test]
fn a_cancel_ends_a_dry_run() {
    let (db, source) = (Db::new(), store("special/many"));
    // A check, as the application's triggers are not for a dry run to fire.
    db.run(
        "CREATE FUNCTION slow(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN true; END $$",
    );
    db.run(&tables::minimal(4, ", CHECK (slow(title))"));
    let sql = format!(
        "SELECT * FROM migrate_chroma({}, entity_target => NULL, dry_run => true)",
        source.sql()
    );
    cancelled(
        &db,
        &sql,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND wait_event = 'PgSleep')",
    );
    assert_eq!(
        db.count("content_vectors") + db.count("vector_migrate.runs"),
        0
    );
}

#[test]
fn a_backend_that_is_terminated_leaves_nothing_and_the_server_lives() {
    let (db, source) = (Db::new(), store("special/many"));
    slow_table(&db, 4);
    let mut client = db.client();
    let pid: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .expect("answers")
        .get(0);
    let start: String = db.one("SELECT pg_postmaster_start_time()::text");
    let sql = format!(
        "SELECT * FROM migrate_chroma({}, entity_target => NULL)",
        source.sql()
    );
    thread::scope(|scope| {
        let running = scope.spawn(move || client.simple_query(&sql).is_err());
        let sleeping = format!(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep')"
        );
        while !db.one::<bool>(&sleeping) {
            assert!(!running.is_finished());
            thread::sleep(Duration::from_millis(5));
        }
        assert!(
            db.one::<bool>(&format!("SELECT pg_terminate_backend({pid}, 5000)")),
            "it ends within five seconds"
        );
        assert!(running.join().expect("no panic"));
    });
    assert_eq!(
        db.count("content_vectors") + db.count("vector_migrate.runs"),
        0
    );
    assert_eq!(
        db.one::<String>("SELECT pg_postmaster_start_time()::text"),
        start,
        "no crash"
    );
}

#[test]
fn a_second_run_into_the_same_table_is_refused_while_one_is_open() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    let other = db.session();
    other.run("BEGIN");
    other.migrate(&source, "collection => 'library_a', entity_target => NULL");
    db.migrate_error(&source, "collection => 'library_b', entity_target => NULL")
        .expect("55P03")
        .names("content_vectors");
    other.run("COMMIT");
    assert_eq!(
        db.migrate(&source, "entity_target => NULL")
            .total()
            .migrated,
        3
    );
}

#[test]
fn runs_into_different_tables_do_not_wait_for_each_other() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let other = db.session();
    other.run("BEGIN");
    other.migrate(&source, "entity_target => NULL, target => 'one'");
    assert_eq!(
        db.migrate(&source, "entity_target => NULL, target => 'two'")
            .total()
            .migrated,
        18
    );
    other.run("ROLLBACK");
}

#[test]
fn a_read_only_transaction_is_refused_before_anything_is_read() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("SET default_transaction_read_only = on");
    db.migrate_error(&source, "").expect("25006");
    db.error("SELECT * FROM rollback_migration()")
        .expect("25006");
    let inventory = format!("SELECT count(*) FROM chroma_collections({})", source.sql());
    assert_eq!(db.one::<i64>(&inventory), 2);
    db.run("RESET default_transaction_read_only");
    assert_nothing_written(&db);
}

#[test]
fn a_second_run_into_a_table_that_the_first_is_creating_is_refused() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let other = db.session();
    other.run("BEGIN");
    other.migrate(&source, "collection => 'library_a', entity_target => NULL");
    db.migrate_error(&source, "collection => 'library_b', entity_target => NULL")
        .expect("55P03")
        .names("content_vectors");
    other.run("ROLLBACK");
    let report = db.migrate(&source, "collection => 'library_b', entity_target => NULL");
    assert_eq!(report.total().migrated, 9);
}

#[test]
fn a_trigger_that_migrates_into_its_own_table_ends_the_run() {
    let source = store("special/two-collections");
    for dry in ["false", "true"] {
        for when in ["BEFORE", "AFTER"] {
            let db = Db::new();
            db.run(&tables::minimal(8, ""));
            db.run(&format!(
                "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     PERFORM migrate_chroma({}, entity_target => NULL, collection => 'library_b'); RETURN NEW; END $$;
                 CREATE TRIGGER again {when} INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION again()",
                source.sql()
            ));
            db.migrate_error(
                &source,
                &format!("entity_target => NULL, collection => 'library_a', dry_run => {dry}"),
            )
            .expect("55006")
            .names("content_vectors");
            assert_eq!(db.count("content_vectors"), 0);
            // The session is free again.
            db.run("DROP TRIGGER again ON content_vectors");
            let report = db.migrate(&source, "entity_target => NULL, collection => 'library_a'");
            assert_eq!(report.total().migrated, 9);
        }
    }
}

#[test]
fn a_trigger_may_migrate_into_another_table() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    db.run(&format!(
        "CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM migrate_chroma({}, entity_target => NULL, target => 'other', collection => 'library_b'); RETURN NULL; END $$;
         CREATE TRIGGER elsewhere AFTER INSERT ON content_vectors FOR EACH STATEMENT EXECUTE FUNCTION elsewhere()",
        source.sql()
    ));
    let report = db.migrate(&source, "entity_target => NULL, collection => 'library_a'");
    assert_eq!(report.total().migrated, 9);
    assert_eq!((db.count("content_vectors"), db.count("other")), (9, 9));
}

#[test]
fn what_the_server_cannot_do_at_all_is_no_rows_fault() {
    let source = store("special/two-collections");
    for (code, body) in [
        ("0A000", "RAISE feature_not_supported;"),
        ("54001", "PERFORM deep(NEW.id);"),
    ] {
        let db = Db::new();
        db.run(&tables::minimal(8, ""));
        db.run(&format!(
            "CREATE FUNCTION deep(id text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN deep(id || 'x'); END $$;
             CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.id LIKE '%8' THEN {body} END IF; RETURN NEW; END $$;
             CREATE TRIGGER fails BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION fails()"
        ));
        db.run("SET max_stack_depth = '100kB'");
        db.migrate_error(&source, "entity_target => NULL, collection => 'library_a'")
            .expect(code);
        assert_eq!(db.count("content_vectors"), 0);
    }
}
