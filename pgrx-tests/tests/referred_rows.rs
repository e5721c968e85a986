//! A rollback takes nothing with it that the run did not put there: rows that rows of other tables refer to are kept.

use std::thread;

use vector_migrate_tests::{Db, Session, Store, store, tables};

const STORED: &str = "collection => 'library_a', embeddings => 'stored'";

/// `removed|restored|kept` of the content table.
fn undo(db: &Session, arguments: &str) -> String {
    db.line(&format!(
        "SELECT removed, restored, kept FROM rollback_migration({arguments}) WHERE target LIKE '%content_vectors'"
    ))
}

/// Nine rows, content-000 to content-008, in an application's table.
fn nine() -> (Db, Store) {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    let report = db.migrate(&source, &format!("{STORED}, entity_target => NULL"));
    assert_eq!(report.total().migrated, 9);
    (db, source)
}

fn notices(db: &Session) -> String {
    let texts: Vec<String> = db.notices().into_iter().map(|it| it.text).collect();
    texts.join("\n")
}

#[test]
fn rows_that_others_refer_to_are_kept_whatever_the_key_does() {
    for action in [
        "",
        "ON DELETE RESTRICT",
        "ON DELETE CASCADE",
        "ON DELETE SET NULL",
        "DEFAULT 'content-008' ON DELETE SET DEFAULT",
        "DEFERRABLE",
        "DEFERRABLE INITIALLY DEFERRED",
        "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
    ] {
        let (db, _source) = nine();
        let (default, action) = match action.strip_prefix("DEFAULT 'content-008' ") {
            Some(action) => ("DEFAULT 'content-008'", action),
            None => ("", action),
        };
        db.run(&format!(
            "CREATE SCHEMA app;
             CREATE TABLE app.notes (n int, about text {default} REFERENCES content_vectors {action});
             INSERT INTO app.notes VALUES (1, 'content-003'), (2, 'content-003'), (3, 'content-007'), (4, NULL)"
        ));
        db.notices();
        assert_eq!(undo(&db, ""), "7|0|2", "{action}");
        assert!(notices(&db).contains("rows of app.notes refer"), "{action}");
        let left = ["content-003", "content-007"];
        assert_eq!(db.lines("SELECT id FROM content_vectors ORDER BY 1"), left);
        assert_eq!(
            db.lines("SELECT about FROM app.notes ORDER BY n"),
            ["content-003", "content-003", "content-007", "∅"]
        );
        // What was kept can be undone when nothing refers to it any more.
        db.run("DELETE FROM app.notes");
        let run = db.line("SELECT run_id FROM vector_migrate.runs");
        assert_eq!(undo(&db, &run), "2|0|0");
    }
}

#[test]
fn force_takes_what_the_keys_let_it_take() {
    let keys = [
        ("ON DELETE CASCADE", "9|0|0", 0),
        ("ON DELETE SET NULL", "9|0|0", 1),
        ("", "8|0|1", 1),
        ("ON DELETE RESTRICT", "8|0|1", 1),
        ("DEFERRABLE INITIALLY DEFERRED", "8|0|1", 1),
    ];
    for (action, outcome, notes) in keys {
        let (db, _source) = nine();
        db.run(&format!(
            "CREATE TABLE notes (about text REFERENCES content_vectors {action});
             INSERT INTO notes VALUES ('content-003')"
        ));
        assert_eq!(undo(&db, "force => true"), outcome, "{action}");
        assert_eq!(db.count("notes"), notes, "{action}");
    }
}

#[test]
fn keys_of_several_columns_of_partitions_and_of_the_table_itself_count() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "embeddings => 'stored', entity_target => NULL");
    db.run(
        "CREATE TABLE notes (id text, col text, about text,
             FOREIGN KEY (col, about) REFERENCES content_vectors (chroma_collection, id) ON DELETE CASCADE) PARTITION BY LIST (col);
         CREATE TABLE notes_a PARTITION OF notes FOR VALUES IN ('library_a');
         CREATE TABLE notes_b PARTITION OF notes DEFAULT;
         INSERT INTO notes VALUES ('1', 'library_a', 'content-000'), ('2', 'library_b', 'content-004'), ('3', NULL, 'content-002')",
    );
    assert_eq!(undo(&db, ""), "16|0|2");
    assert_eq!(
        db.lines("SELECT chroma_collection, id FROM content_vectors ORDER BY 1"),
        ["library_a|content-000", "library_b|content-004"]
    );
    assert_eq!(db.count("notes"), 3);
    // A key to a single partition.
    let db = Db::new();
    db.run(
        "CREATE TABLE content_vectors (id text, user_id integer, title text NOT NULL, full_content jsonb NOT NULL,
             searchable_text text NOT NULL, embedding vector(8), PRIMARY KEY (user_id, id)) PARTITION BY LIST (user_id);
         CREATE TABLE content_1 PARTITION OF content_vectors FOR VALUES IN (1);
         CREATE TABLE content_2 PARTITION OF content_vectors FOR VALUES IN (2);
         CREATE TABLE notes (u integer, about text, FOREIGN KEY (u, about) REFERENCES content_1 ON DELETE CASCADE)",
    );
    db.migrate(&source, &format!("{STORED}, entity_target => NULL"));
    db.run("INSERT INTO notes SELECT user_id, id FROM content_1 ORDER BY id LIMIT 1");
    assert_eq!(undo(&db, ""), "8|0|1");
    assert_eq!(db.count("notes"), 1);
}

#[test]
fn rows_that_refer_to_each_other_go_together_and_stay_together() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(
        8,
        ", parent text REFERENCES content_vectors ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
    ));
    // The run's own rows refer to each other: 000 to itself, 001 to 000, 002 to 001 ...
    db.run(
        "CREATE FUNCTION adopt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             NEW.parent := 'content-' || to_char(greatest(substr(NEW.id, 9)::int - 1, 0), 'FM000'); RETURN NEW; END $$;
         CREATE TRIGGER adopt BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION adopt()",
    );
    let arguments = format!("{STORED}, entity_target => NULL");
    db.migrate(&source, &arguments);
    assert_eq!(undo(&db, ""), "9|0|0");
    // The application refers to 004: what that refers to stays, too, and what refers to it goes.
    let run = db.migrate(&source, &arguments).run_id();
    db.run(
        "ALTER TABLE content_vectors DISABLE TRIGGER adopt;
         INSERT INTO content_vectors VALUES ('own', 1, 't', '{}', '', NULL, 'content-004')",
    );
    assert_eq!(undo(&db, &run.to_string()), "4|0|5");
    assert_eq!(
        db.lines("SELECT id FROM content_vectors ORDER BY 1"),
        [
            "content-000",
            "content-001",
            "content-002",
            "content-003",
            "content-004",
            "own"
        ]
    );
}

#[test]
fn entity_rows_that_others_refer_to_keep_their_content_rows() {
    for update in [false, true] {
        let (db, source) = (Db::new(), store("special/two-collections"));
        db.run("SELECT init_content_tables(8)");
        if update {
            db.migrate(&source, STORED);
        }
        let arguments = if update {
            format!("{STORED}, on_conflict => 'update'")
        } else {
            STORED.to_owned()
        };
        let run = db.migrate(&source, &arguments);
        db.run(
            "CREATE TABLE marks (entity bigint REFERENCES entity_vectors ON DELETE CASCADE);
             INSERT INTO marks SELECT min(id) FROM entity_vectors WHERE content_id = 'content-000'",
        );
        let entities = db.count("entity_vectors WHERE content_id = 'content-000'");
        db.notices();
        let outcome = if update { "0|8|1" } else { "8|0|1" };
        assert_eq!(undo(&db, &run.run_id().to_string()), outcome);
        assert!(notices(&db).contains("rows of marks refer"));
        assert_eq!(db.count("marks"), 1);
        assert_eq!(
            db.count("entity_vectors WHERE content_id = 'content-000'"),
            entities
        );
    }
}

#[test]
fn entity_rows_that_the_application_added_or_changed_keep_their_content_rows_whole() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, STORED);
    db.run(
        "INSERT INTO entity_vectors (content_id, chroma_collection, entity_name) VALUES ('content-001', 'library_a', 'own');
         UPDATE entity_vectors SET entity_name = 'Sadi' WHERE entity_name = 'Carnot' AND content_id = 'content-000'",
    );
    let state = "SELECT content_id, entity_name FROM entity_vectors WHERE content_id IN ('content-000', 'content-001') ORDER BY id";
    let before = db.lines(state);
    assert_eq!(undo(&db, ""), "7|0|2");
    assert_eq!(
        db.lines("SELECT id FROM content_vectors ORDER BY 1"),
        ["content-000", "content-001"]
    );
    assert_eq!(db.lines(state), before);
    assert_eq!(db.count("entity_vectors"), before.len() as i64);
}

#[test]
fn referring_rows_that_the_caller_may_not_see_count() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let (role, other) = (db.reader("reader"), db.role("other"));
    db.run(&tables::minimal(8, ""));
    db.run(&format!(
        "GRANT SELECT, INSERT, DELETE ON content_vectors TO {role};
         GRANT REFERENCES ON content_vectors TO {other}; GRANT CREATE ON SCHEMA public TO {other}"
    ));
    let reader = db.session_as(&role);
    reader.migrate(&source, &format!("{STORED}, entity_target => NULL"));
    // A table that the caller has no right to, whose owner does not see its rows either.
    db.session_as(&other).run(
        "CREATE TABLE secrets (about text REFERENCES content_vectors ON DELETE CASCADE);
         INSERT INTO secrets VALUES ('content-005');
         ALTER TABLE secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    );
    assert_eq!(undo(&reader, ""), "8|0|1");
    assert_eq!(db.lines("SELECT about FROM secrets"), ["content-005"]);
    assert_eq!(reader.line("SELECT CURRENT_USER"), role);
}

#[test]
fn keys_under_other_collations_and_types_are_compared_as_the_server_does() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal_of(
        "varchar(50) PRIMARY KEY",
        "bigint",
        "vector(8)",
        "",
    ));
    db.migrate(&source, &format!("{STORED}, entity_target => NULL"));
    db.run(
        "CREATE TABLE notes (about text COLLATE \"C\" REFERENCES content_vectors ON DELETE CASCADE);
         INSERT INTO notes VALUES ('content-002')",
    );
    assert_eq!(undo(&db, ""), "8|0|1");
    assert_eq!(db.count("notes"), 1);
}

/// Waits until `pid` waits for a lock.
fn wait_for_a_lock(db: &Session, pid: i32) {
    let waits = format!("SELECT count(*) FROM pg_locks WHERE pid = {pid} AND NOT granted");
    while db.one::<i64>(&waits) == 0 {
        thread::yield_now();
    }
}

#[test]
fn a_row_that_comes_to_refer_at_the_same_moment_is_seen_or_refused() {
    for isolation in ["READ COMMITTED", "REPEATABLE READ"] {
        let (db, _source) = nine();
        db.run("CREATE TABLE notes (about text REFERENCES content_vectors ON DELETE CASCADE)");
        let (writer, undoer) = (db.session(), db.session());
        let pid: i32 = undoer.one("SELECT pg_backend_pid()");
        writer.run("BEGIN; INSERT INTO notes VALUES ('content-004')");
        let outcome = thread::scope(|scope| {
            let undoing = scope.spawn(move || {
                undoer.run(&format!("BEGIN ISOLATION LEVEL {isolation}; SELECT 1"));
                let answer =
                    undoer.attempt("SELECT removed, kept FROM rollback_migration() LIMIT 1");
                undoer.run(if answer.is_ok() { "COMMIT" } else { "ROLLBACK" });
                answer
            });
            wait_for_a_lock(&db, pid);
            writer.run("COMMIT");
            undoing.join().expect("ends")
        });
        match isolation {
            "READ COMMITTED" => {
                let row = outcome.expect("is undone").remove(0);
                assert_eq!(row, [Some("8".to_owned()), Some("1".to_owned())]);
            }
            _ => {
                outcome
                    .expect_err("the snapshot is too old")
                    .expect("40001");
            }
        }
        assert_eq!(db.lines("SELECT about FROM notes"), ["content-004"]);
        assert_eq!(db.count("content_vectors WHERE id = 'content-004'"), 1);
    }
    // The other order: the rollback has looked, the application comes after.
    let (db, _source) = nine();
    db.run("CREATE TABLE notes (about text REFERENCES content_vectors ON DELETE CASCADE)");
    let (writer, undoer) = (db.session(), db.session());
    let pid: i32 = writer.one("SELECT pg_backend_pid()");
    undoer.run("BEGIN");
    assert_eq!(undo(&undoer, ""), "9|0|0");
    thread::scope(|scope| {
        let writing =
            scope.spawn(move || writer.attempt("INSERT INTO notes VALUES ('content-004')"));
        wait_for_a_lock(&db, pid);
        undoer.run("COMMIT");
        writing
            .join()
            .expect("ends")
            .expect_err("the row is gone")
            .expect("23503");
    });
}

#[test]
fn an_entity_row_that_comes_at_the_same_moment_is_not_lost() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, STORED);
    let (writer, undoer) = (db.session(), db.session());
    let pid: i32 = undoer.one("SELECT pg_backend_pid()");
    writer.run(
        "BEGIN; INSERT INTO entity_vectors (content_id, chroma_collection, entity_name) VALUES ('content-004', 'library_a', 'own')",
    );
    let line = thread::scope(|scope| {
        let undoing = scope.spawn(move || undo(&undoer, ""));
        wait_for_a_lock(&db, pid);
        writer.run("COMMIT");
        undoing.join().expect("ends")
    });
    assert_eq!(line, "8|0|1");
    assert_eq!(db.count("entity_vectors WHERE entity_name = 'own'"), 1);
}
