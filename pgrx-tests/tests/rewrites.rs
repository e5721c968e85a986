//! What rewrites tables, and what becomes of a later rollback: `docs/rollback.md` has the same as a table.

use vector_migrate_tests::{Db, Session, Store, store, tables};

const STORED: &str = "collection => 'library_a', embeddings => 'stored', entity_target => NULL";

/// `removed|restored|kept` of the content table.
fn undo(db: &Session) -> String {
    db.line("SELECT removed, restored, kept FROM rollback_migration()")
}

fn nine() -> (Db, Store) {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ", small int DEFAULT 1"));
    assert_eq!(db.migrate(&source, STORED).total().migrated, 9);
    (db, source)
}

const ALL: &str = "9|0|0";
const NONE: &str = "0|0|9";

#[test]
fn what_keeps_xmin_keeps_rows_undoable() {
    for statement in [
        "VACUUM FULL content_vectors",
        "CLUSTER content_vectors USING content_vectors_pkey",
        "VACUUM (FREEZE) content_vectors",
        "ALTER TABLE content_vectors ADD more int DEFAULT 5",
        "ALTER TABLE content_vectors DROP COLUMN small",
        "ALTER TABLE content_vectors RENAME TO moved",
        "CREATE SCHEMA app; ALTER TABLE content_vectors SET SCHEMA app",
        "REINDEX TABLE content_vectors",
        "SELECT * FROM content_vectors FOR UPDATE",
        "VACUUM FULL vector_migrate.runs; VACUUM FULL vector_migrate.run_rows",
        "VACUUM FULL vector_migrate.run_marks; VACUUM (FREEZE) vector_migrate.run_marks",
    ] {
        let (db, _source) = nine();
        for statement in statement.split("; ") {
            db.run(statement);
        }
        assert_eq!(undo(&db), ALL, "{statement}");
    }
}

#[test]
fn what_gives_rows_another_xmin_makes_them_kept() {
    for statement in [
        "ALTER TABLE content_vectors ALTER small TYPE bigint",
        "ALTER TABLE content_vectors ADD more float DEFAULT random()",
        "ALTER TABLE content_vectors SET UNLOGGED",
        "UPDATE content_vectors SET small = small",
        "CREATE TEMP TABLE c AS SELECT * FROM content_vectors; DELETE FROM content_vectors; INSERT INTO content_vectors SELECT * FROM c",
    ] {
        let (db, _source) = nine();
        let before = db.lines("SELECT id, title FROM content_vectors ORDER BY 1");
        db.run(statement);
        assert_eq!(undo(&db), NONE, "{statement}");
        assert_eq!(
            db.lines("SELECT id, title FROM content_vectors ORDER BY 1"),
            before
        );
        // Nothing was undone: the run is not rolled back, and can be by force.
        assert_eq!(
            db.line("SELECT status FROM vector_migrate.runs"),
            "completed"
        );
        let forced = "SELECT removed, restored, kept FROM rollback_migration(force => true)";
        assert_eq!(db.line(forced), ALL, "{statement}");
        assert_eq!(
            db.line("SELECT status FROM vector_migrate.runs"),
            "rolled back"
        );
    }
}

#[test]
fn changes_in_the_transaction_of_the_run_are_changes() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ", small int DEFAULT 1"));
    db.run("BEGIN");
    db.migrate(&source, STORED);
    db.run("UPDATE content_vectors SET title = 'mine' WHERE id = 'content-001'; COMMIT");
    assert_eq!(undo(&db), "8|0|1");
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ", small int DEFAULT 1"));
    db.run("BEGIN");
    db.migrate(&source, STORED);
    db.run("ALTER TABLE content_vectors ALTER small TYPE bigint; COMMIT");
    assert_eq!(undo(&db), NONE);
}

#[test]
fn a_table_that_takes_the_place_of_another_is_not_the_runs() {
    let (db, _source) = nine();
    db.run(
        "CREATE TABLE copy AS SELECT * FROM content_vectors;
         ALTER TABLE content_vectors RENAME TO old; ALTER TABLE copy RENAME TO content_vectors",
    );
    assert_eq!(
        db.line("SELECT target, removed FROM rollback_migration()"),
        "old|9"
    );
    assert_eq!((db.count("content_vectors"), db.count("old")), (9, 0));
    let (db, _source) = nine();
    db.run(
        "CREATE TABLE copy AS SELECT * FROM content_vectors;
         DROP TABLE content_vectors; ALTER TABLE copy RENAME TO content_vectors",
    );
    db.error("SELECT * FROM rollback_migration()")
        .expect("42P01");
    assert_eq!(db.count("content_vectors"), 9);
}

#[test]
fn emptied_tables_leave_nothing_to_undo() {
    let (db, _source) = nine();
    db.run("TRUNCATE content_vectors");
    assert_eq!(undo(&db), "0|0|0");
    assert_eq!(
        db.line("SELECT status FROM vector_migrate.runs"),
        "rolled back"
    );
}

#[test]
fn ids_that_are_equal_by_chance_after_a_restore_mean_nothing() {
    let (db, _source) = nine();
    // As after a restore: every row has the xmin of the restore, and the ledger too; here the ids are even the same.
    db.run(
        "CREATE TEMP TABLE marks AS SELECT * FROM vector_migrate.run_marks; DELETE FROM vector_migrate.run_marks;
         INSERT INTO vector_migrate.run_marks SELECT * FROM marks;
         UPDATE content_vectors SET title = 'mine';
         UPDATE vector_migrate.run_rows SET xids = array_fill((SELECT xmin FROM content_vectors LIMIT 1), ARRAY[9])",
    );
    db.notices();
    assert_eq!(undo(&db), NONE);
    assert!(
        db.notices()
            .iter()
            .any(|it| it.text.contains("dump and restore"))
    );
    assert_eq!(db.count("content_vectors WHERE title = 'mine'"), 9);
}
