//! `pg_dump` keeps the user's tables and the ledger; `DROP EXTENSION` keeps the user's tables.

use std::io::Write;
use std::process::{Command, Stdio};

use vector_migrate_tests::{Db, Session, store};

/// A program of the server's own release, connected as the tests are.
fn program(db: &Db, name: &str) -> Command {
    let folder: String = db.one("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
    let mut command = Command::new(format!("{folder}/{name}"));
    let setting = |name: &str| std::env::var(name).expect("the harness has checked it");
    command
        .args([
            "-h",
            &setting("VECTOR_MIGRATE_HOST"),
            "-p",
            &setting("VECTOR_MIGRATE_PORT"),
        ])
        .args(["-U", &setting("VECTOR_MIGRATE_USER"), "-d", db.name()]);
    command
}

fn dump(db: &Db) -> Vec<u8> {
    let output = program(db, "pg_dump").output().expect("pg_dump runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn restore(db: &Db, dump: &[u8]) {
    let mut psql = program(db, "psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql runs");
    psql.stdin
        .take()
        .expect("piped")
        .write_all(dump)
        .expect("writes");
    let output = psql.wait_with_output().expect("ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn everything(db: &Session) -> Vec<String> {
    [
        "content_vectors",
        "entity_vectors",
        "vector_migrate.runs",
        "vector_migrate.run_targets",
        "vector_migrate.run_errors",
        "vector_migrate.run_rows",
    ]
    .iter()
    .flat_map(|table| db.lines(&format!("SELECT t::text FROM {table} t ORDER BY 1")))
    .collect()
}

#[test]
fn a_dump_keeps_the_tables_and_the_ledger() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let run = db
        .migrate(&source, "collection => 'content', embeddings => 'stored'")
        .run_id();
    let copy = Db::bare();
    restore(&copy, &dump(&db));
    assert_eq!(everything(&copy), everything(&db));
    // The copy works on, with run ids that go on.
    let report = copy.migrate(&source, "collection => 'content', embeddings => 'stored'");
    assert_eq!(report.outcome(), (37, 0, 37, 0));
    assert!(report.run_id() > run);
    assert_eq!(
        copy.lines("SELECT count(*) FROM pg_indexes WHERE tablename = 'content_vectors'"),
        db.lines("SELECT count(*) FROM pg_indexes WHERE tablename = 'content_vectors'")
    );
}

#[test]
fn a_run_can_be_undone_after_a_restore_by_force() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let arguments = "collection => 'content', embeddings => 'stored'";
    db.migrate(&source, arguments);
    db.run("UPDATE content_vectors SET title = 'mine' WHERE id = 'content-001'");
    db.migrate(&source, &format!("{arguments}, on_conflict => 'update'"));
    let copy = Db::bare();
    restore(&copy, &dump(&db));
    let undo = |call: &str| {
        copy.line(&format!(
            "SELECT removed, restored, kept FROM rollback_migration({call}) WHERE target LIKE '%content_vectors'"
        ))
    };
    assert_eq!(undo(""), "0|0|33", "a restore gives every row another xmin");
    assert_eq!(undo("2, force => true"), "0|33|0");
    assert_eq!(
        copy.lines("SELECT id FROM content_vectors WHERE title = 'mine'"),
        ["content-001"]
    );
    assert_eq!(undo("1, force => true"), "33|0|0");
    assert_eq!(copy.count("content_vectors"), 0);
}

#[test]
fn a_dump_of_an_unused_extension_restores() {
    let (db, copy) = (Db::new(), Db::bare());
    restore(&copy, &dump(&db));
    assert_eq!(copy.count("vector_migrate.runs"), 0);
}

#[test]
fn dropping_the_extension_keeps_the_users_tables_and_takes_the_rest() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let report = db.migrate(&source, "embeddings => 'stored'");
    db.run("DROP EXTENSION vector_migrate");
    assert_eq!(db.count("content_vectors"), 18);
    assert_eq!(db.count("entity_vectors"), report.total().entities);
    assert_eq!(db.line("SELECT to_regnamespace('vector_migrate')"), "∅");
    db.run("CREATE EXTENSION vector_migrate");
    assert_eq!(
        db.migrate(&source, "embeddings => 'stored'").outcome(),
        (18, 0, 18, 0)
    );
}

#[test]
fn create_extension_cascade_brings_pgvector() {
    let db = Db::bare();
    db.run("CREATE EXTENSION vector_migrate CASCADE");
    assert_eq!(
        db.lines("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"),
        ["vector", "vector_migrate"]
    );
}
