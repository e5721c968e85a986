//! What a rollback writes is locked to the end of the transaction, as DELETE and UPDATE would lock it.

use std::thread;

use vector_migrate_tests::{Db, Session, Store, store, tables};

/// A run that inserts nine rows, or overwrites them, with their entity rows.
fn prepared(update: bool) -> (Db, Store) {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ", small int DEFAULT 1"));
    db.run(
        "CREATE TABLE entity_vectors (content_id text, entity_name text, embedding vector(384))",
    );
    if update {
        db.run(
            "INSERT INTO content_vectors SELECT 'content-00' || n, n, 'own', '{}', '', NULL FROM generate_series(0, 8) n",
        );
    }
    let arguments = "collection => 'library_a', embeddings => 'stored', on_conflict => 'update'";
    assert_eq!(db.migrate(&source, arguments).total().migrated, 9);
    (db, source)
}

/// Waits until `pid` waits for a lock.
fn wait_for_a_lock(db: &Session, pid: i32) {
    let waits = format!("SELECT count(*) FROM pg_locks WHERE pid = {pid} AND NOT granted");
    while db.one::<i64>(&waits) == 0 {
        thread::yield_now();
    }
}

#[test]
fn both_tables_are_locked_to_the_end_of_the_transaction() {
    for update in [false, true] {
        let (db, _source) = prepared(update);
        // Nothing of it is undone, as everything has changed since: locked all the same.
        for change in ["", "UPDATE content_vectors SET title = 'mine'"] {
            db.run("BEGIN");
            db.run(change);
            let (other, asked) = (db.session(), db.session());
            if change.is_empty() {
                db.run("SELECT * FROM rollback_migration()");
            } else {
                db.run("ROLLBACK; BEGIN");
                other.run(change);
                db.run("SELECT * FROM rollback_migration()");
            }
            let pid: i32 = db.one("SELECT pg_backend_pid()");
            assert_eq!(
                asked.lines(&format!(
                    "SELECT relation::regclass FROM pg_locks WHERE pid = {pid} AND mode = 'RowExclusiveLock'
                        AND relation IN ('content_vectors'::regclass, 'entity_vectors'::regclass) ORDER BY 1"
                )),
                ["content_vectors", "entity_vectors"]
            );
            db.run("ROLLBACK");
        }
    }
}

#[test]
fn statements_that_would_spoil_it_wait_for_its_end() {
    for statement in [
        "CREATE INDEX CONCURRENTLY late ON content_vectors (title)",
        "TRUNCATE content_vectors",
        "ALTER TABLE content_vectors ALTER small TYPE bigint",
        "ALTER TABLE entity_vectors ALTER entity_name TYPE varchar(200)",
        "CREATE TABLE notes (about text REFERENCES content_vectors ON DELETE CASCADE)",
    ] {
        let (db, _source) = prepared(true);
        let other = db.session();
        let pid: i32 = other.one("SELECT pg_backend_pid()");
        // Kept all: no statement of the rollback's own has locked anything for writing.
        db.run("UPDATE content_vectors SET small = 2");
        db.run("BEGIN; SELECT * FROM rollback_migration()");
        thread::scope(|scope| {
            let waiting = scope.spawn(move || other.run(statement));
            wait_for_a_lock(&db, pid);
            db.run("COMMIT");
            waiting.join().expect(statement);
        });
        if statement.contains("INDEX") {
            assert_eq!(
                db.line("SELECT indisvalid FROM pg_index WHERE indexrelid = 'late'::regclass"),
                "t"
            );
            db.run("SET enable_seqscan = off");
            assert_eq!(db.count("content_vectors WHERE title >= ''"), 9);
        }
    }
}

#[test]
fn a_role_that_may_not_write_the_tables_locks_nothing() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let role = db.reader("reader");
    db.run(&tables::minimal(8, ""));
    db.run(&format!(
        "GRANT SELECT, INSERT ON content_vectors TO {role}"
    ));
    let reader = db.session_as(&role);
    reader.migrate(&source, "entity_target => NULL");
    // It would wait for this one.
    db.run("BEGIN; LOCK TABLE content_vectors IN SHARE MODE");
    reader
        .error("SELECT * FROM rollback_migration()")
        .expect("42501")
        .names("content_vectors");
    db.run("ROLLBACK");
}

#[test]
fn rollbacks_of_two_runs_of_one_table_wait_for_each_other() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    let arguments = "collection => 'library_a', entity_target => NULL, embeddings => 'stored'";
    db.migrate(&source, arguments);
    // The second run overwrites rows of the first, whose blocks follow.
    let update = format!("{arguments}, user_id => '1', on_conflict => 'update'");
    let updated = db.migrate(&source, &update).total().migrated;
    assert!(updated > 0);
    db.run("UPDATE content_vectors SET title = 'mine' WHERE user_id = 1");
    let runs = db.lines("SELECT run_id FROM vector_migrate.runs ORDER BY run_id");
    let (first, second) = (db.session(), db.session());
    let rollback = |run: &str, force: bool| {
        format!("SELECT removed, restored, kept FROM rollback_migration({run}, force => {force})")
    };
    first.run("BEGIN");
    let kept = first.line(&rollback(&runs[0], false));
    assert_eq!(kept, format!("{}|0|{updated}", 9 - updated));
    let pid: i32 = second.one("SELECT pg_backend_pid()");
    let sql = rollback(&runs[1], true);
    thread::scope(|scope| {
        let restoring = scope.spawn(move || second.line(&sql));
        wait_for_a_lock(&db, pid);
        first.run("COMMIT");
        assert_eq!(
            restoring.join().expect("no panic"),
            format!("0|{updated}|0")
        );
    });
    assert_eq!(db.line(&rollback(&runs[0], true)), format!("{updated}|0|0"));
    assert_eq!(db.count("content_vectors"), 0);
}

#[test]
fn a_table_that_is_dropped_while_it_is_waited_for_is_locked_no_longer() {
    let (db, _source) = prepared(false);
    let table: i64 = db.one("SELECT 'entity_vectors'::regclass::oid::bigint");
    let undoer = db.session();
    let pid: i32 = undoer.one("SELECT pg_backend_pid()");
    db.run("BEGIN; DROP TABLE entity_vectors");
    let undoer = thread::scope(|scope| {
        let undoing = scope.spawn(move || {
            undoer.run("BEGIN");
            let removed = undoer.line("SELECT removed FROM rollback_migration()");
            assert_eq!(removed, "9");
            undoer
        });
        wait_for_a_lock(&db, pid);
        db.run("COMMIT");
        undoing.join().expect("no panic")
    });
    let held = format!("SELECT count(*) FROM pg_locks WHERE pid = {pid} AND relation = {table}");
    assert_eq!(db.line(&held), "0");
    undoer.run("COMMIT");
    assert_eq!(db.count("content_vectors"), 0);
}
