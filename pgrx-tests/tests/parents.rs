//! Rows of the table that a target refers to, one for each collection: beside sessions that make, take or use them.

use std::thread;

use vector_migrate_tests::apps::packed_store;
use vector_migrate_tests::{Db, Session};

const CALL: &str = "preset => 'langchain_v1'";

fn tables(db: &Db, unique: bool) {
    let unique = if unique { " UNIQUE" } else { "" };
    db.run(&format!(
        "CREATE TABLE langchain_pg_collection (uuid uuid PRIMARY KEY, name varchar NOT NULL{unique}, cmetadata json);
         CREATE TABLE langchain_pg_embedding (id varchar PRIMARY KEY, collection_id uuid
            REFERENCES langchain_pg_collection (uuid) ON DELETE CASCADE, embedding vector, document varchar, cmetadata jsonb)"
    ));
}

fn collections(db: &Session) -> Vec<String> {
    db.lines("SELECT name, uuid FROM langchain_pg_collection ORDER BY 1, 2")
}

#[test]
fn a_row_that_another_session_makes_meanwhile_is_taken() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    tables(&db, true);
    let (run, application) = (db.session(), db.session());
    let process: i32 = run.one("SELECT pg_backend_pid()");
    let uuid = "11111111-2222-4333-8444-555555555555";
    application.run(&format!(
        "BEGIN; INSERT INTO langchain_pg_collection VALUES ('{uuid}', 'langchain', 'null')"
    ));
    let of_store = &source;
    let report = thread::scope(|scope| {
        let running = scope
            .spawn(move || run.migrate(of_store, &format!("{CALL}, collection => 'langchain'")));
        let waiting =
            format!("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {process} AND NOT granted)");
        while !db.one::<bool>(&waiting) {
            assert!(!running.is_finished(), "the run did not wait for the row");
        }
        application.run("COMMIT");
        running.join().expect("the run ends")
    });
    assert!(report.total().migrated > 0);
    assert_eq!(collections(&db), [format!("langchain|{uuid}")]);
    assert_eq!(
        db.count(&format!(
            "langchain_pg_embedding WHERE collection_id <> '{uuid}'"
        )),
        0
    );
    // It is not the run's own.
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(collections(&db), [format!("langchain|{uuid}")]);
}

#[test]
fn a_row_that_a_session_is_about_to_use_is_kept_by_a_rollback() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    tables(&db, true);
    db.migrate(&source, &format!("{CALL}, collection => 'langchain'"));
    let (undo, application) = (db.session(), db.session());
    let process: i32 = undo.one("SELECT pg_backend_pid()");
    application.run(
        "BEGIN; INSERT INTO langchain_pg_embedding (id, collection_id, document)
           SELECT 'own', uuid, 'own' FROM langchain_pg_collection",
    );
    thread::scope(|scope| {
        let running = scope.spawn(move || undo.run("SELECT * FROM rollback_migration()"));
        let waiting =
            format!("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {process} AND NOT granted)");
        while !db.one::<bool>(&waiting) {
            assert!(
                !running.is_finished(),
                "the rollback did not wait for the row"
            );
        }
        application.run("COMMIT");
        running.join().expect("the rollback ends");
    });
    assert_eq!(collections(&db).len(), 1);
    assert_eq!(db.lines("SELECT id FROM langchain_pg_embedding"), ["own"]);
    assert_eq!(db.count("vector_migrate.run_parents"), 1);
}

#[test]
fn a_row_that_the_application_has_changed_is_kept_unless_forced() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    tables(&db, true);
    let call = format!("{CALL}, collection => 'langchain'");
    db.migrate(&source, &call);
    db.run("UPDATE langchain_pg_collection SET cmetadata = '{\"a\": 1}'");
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(collections(&db).len(), 1);
    db.migrate(&source, &call);
    db.run("SELECT * FROM rollback_migration(2)");
    assert_eq!(
        collections(&db).len(),
        1,
        "it was there before the second run"
    );
    // Forced, a row goes that nothing refers to, and no other.
    db.run("DELETE FROM langchain_pg_collection");
    db.migrate(&source, &call);
    db.run("UPDATE langchain_pg_collection SET cmetadata = '{\"a\": 1}'");
    db.run("SELECT * FROM rollback_migration(3, true)");
    assert_eq!(db.count("langchain_pg_collection"), 0);
}

#[test]
fn a_uuid_of_chromas_that_another_name_has_is_not_taken_again() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    tables(&db, false);
    let call = format!("{CALL}, collection => 'langchain'");
    db.migrate(&source, &call);
    db.run(
        "UPDATE langchain_pg_collection SET name = 'renamed'; DELETE FROM langchain_pg_embedding",
    );
    assert!(db.migrate(&source, &call).total().migrated > 0);
    assert_eq!(collections(&db).len(), 2);
    let of = "SELECT DISTINCT name FROM langchain_pg_embedding JOIN langchain_pg_collection ON uuid = collection_id";
    assert_eq!(db.lines(of), ["langchain"]);
}

#[test]
fn a_collection_of_the_callers_own_name_takes_all_rows() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    tables(&db, true);
    let columns = r#"columns => '{"collection_id": "parent manuals"}'"#;
    db.migrate(
        &source,
        &format!("{CALL}, collection => 'langchain', {columns}"),
    );
    let names = db.lines("SELECT DISTINCT name FROM langchain_pg_embedding JOIN langchain_pg_collection ON uuid = collection_id");
    assert_eq!(names, ["manuals"]);
}

#[test]
fn a_role_without_rights_on_the_table_is_refused() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    tables(&db, true);
    let role = db.reader("parents");
    db.run(&format!(
        "GRANT SELECT, INSERT ON langchain_pg_embedding TO {role}"
    ));
    let session = db.session_as(&role);
    let refused = session.migrate_error(&source, CALL);
    refused.expect("42501").names("langchain_pg_collection");
    db.run(&format!(
        "GRANT SELECT, INSERT ON langchain_pg_collection TO {role}"
    ));
    assert!(session.migrate(&source, CALL).total().migrated > 0);
}

#[test]
fn a_collection_without_metadata_has_what_its_client_writes_for_none() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    let call = format!("{CALL}, collection => 'langchain'");
    for (ty, none) in [("json", "null"), ("jsonb", "∅")] {
        tables(&db, true);
        db.run(&format!(
            "ALTER TABLE langchain_pg_collection ALTER cmetadata TYPE {ty} USING cmetadata::{ty}"
        ));
        db.migrate(&source, &call);
        assert_eq!(
            db.line("SELECT cmetadata FROM langchain_pg_collection"),
            none
        );
        db.run("DROP TABLE langchain_pg_embedding, langchain_pg_collection");
    }
}
