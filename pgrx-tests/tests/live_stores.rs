//! Stores that another process is using, or was using when it was killed: read all the same, left as they are.

use std::fs;

use rusqlite::Connection;
use vector_migrate_tests::{Db, Store, store};

const DOCUMENTS: &str = "SELECT count(*) FROM chroma_records";

/// A writer, which waits for readers.
fn open(source: &Store) -> Connection {
    let writer = Connection::open(source.path().join("chroma.sqlite3")).expect("a database");
    writer
        .busy_timeout(std::time::Duration::from_secs(30))
        .expect("a timeout");
    writer
}

/// No backend of this database has a private copy.
fn assert_no_copies(db: &Db) {
    let folders = "SELECT f FROM pg_ls_dir('base/pgsql_tmp', true, false) f JOIN pg_stat_activity a
        ON f LIKE 'pgsql\\_tmp\\_vector\\_migrate.' || a.pid || '-%' WHERE a.datname = current_database()";
    assert_eq!(db.lines(folders), [""; 0]);
}

#[test]
fn in_write_ahead_mode_every_committed_row_is_there() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let writer = open(&source);
    writer
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
             UPDATE embedding_metadata SET string_value = 'in the log' WHERE key = 'chroma:document'",
        )
        .expect("an update");
    let before = source.snapshot();
    let written = format!(
        "{DOCUMENTS}({}) WHERE document = 'in the log'",
        source.sql()
    );
    assert_eq!(db.line(&written), "18");
    let report = db.migrate(&source, "collection => 'library_a', entity_target => NULL");
    assert_eq!(report.total().migrated, 9);
    assert_eq!(source.snapshot(), before);
    assert_no_copies(&db);
    drop(writer);
}

#[test]
fn after_a_kill_the_journal_is_rolled_back_in_a_copy() {
    let (db, source, killed) = (
        Db::new(),
        store("special/two-collections"),
        store("special/two-collections"),
    );
    let writer = open(&source);
    writer
        .execute_batch(
            "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;
             UPDATE embedding_metadata SET string_value = 'never committed' WHERE key = 'chroma:document';
             UPDATE embedding_metadata SET string_value = string_value || ' again'",
        )
        .expect("an open transaction");
    // What a killed writer leaves: the database with pages of the transaction, and its journal.
    for name in ["chroma.sqlite3", "chroma.sqlite3-journal"] {
        fs::copy(source.path().join(name), killed.path().join(name)).expect("a copy");
    }
    killed.chmod("chroma/chroma.sqlite3-journal", 0o644);
    let before = killed.snapshot();
    let all = format!("{DOCUMENTS}({})", killed.sql());
    assert_eq!(db.line(&all), "18");
    assert_eq!(
        db.line(&format!("{all} WHERE document LIKE 'never committed%'")),
        "0"
    );
    assert_eq!(killed.snapshot(), before);
    assert_no_copies(&db);
    drop(writer);
}

#[test]
fn a_cursor_that_pauses_lets_a_writer_commit() {
    let (db, source) = (Db::new(), store("special/many"));
    let writer = open(&source);
    let reader = db.session();
    reader.run("SET vector_migrate.batch_bytes = '64kB'; BEGIN");
    reader.run(&format!(
        "DECLARE c CURSOR FOR SELECT chroma_records({})",
        source.sql()
    ));
    assert_eq!(reader.lines("FETCH 1 FROM c").len(), 1);
    writer
        .execute(
            "UPDATE embedding_metadata SET string_value = 'later' WHERE key = 'chroma:document'",
            [],
        )
        .expect("a commit while the cursor is open");
    let rest = reader.lines("FETCH ALL FROM c");
    let all = db.line(&format!("{DOCUMENTS}({})", source.sql()));
    assert_eq!((rest.len() + 1).to_string(), all);
    assert!(
        !rest.iter().any(|row| row.contains("later")),
        "a mixed result"
    );
    reader.run("ROLLBACK");
    assert_no_copies(&db);
}

#[test]
fn a_result_that_is_not_read_to_its_end_gives_the_lock_back() {
    let (db, source) = (Db::new(), store("special/many"));
    let writer = open(&source);
    let reader = db.session();
    reader.run("BEGIN");
    reader.run(&format!(
        "DECLARE c CURSOR FOR SELECT id FROM chroma_records({})",
        source.sql()
    ));
    assert_eq!(reader.lines("FETCH 1 FROM c").len(), 1);
    reader.run("CLOSE c");
    writer
        .execute("UPDATE embeddings_queue SET encoding = encoding", [])
        .expect("a commit");
    reader.run("ROLLBACK");
    assert_no_copies(&db);
}

#[test]
fn a_run_that_waits_for_its_target_lets_a_writer_commit() {
    let (db, source) = (Db::new(), store("special/many"));
    db.migrate(&source, "entity_target => NULL");
    let holder = db.session();
    holder.run("BEGIN; LOCK TABLE content_vectors IN SHARE ROW EXCLUSIVE MODE");
    let runner = db.session();
    let call = format!(
        "SELECT sum(skipped) FROM migrate_chroma({}, entity_target => NULL)",
        source.sql()
    );
    let run = std::thread::spawn(move || runner.line(&call));
    while db.line(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'content_vectors'::regclass",
    ) == "0"
    {
        assert!(!run.is_finished(), "the run did not wait");
    }
    let writer = open(&source);
    writer
        .execute_batch(
            "PRAGMA foreign_keys = 0; DELETE FROM embeddings_queue; DELETE FROM embeddings",
        )
        .expect("a commit while the run waits");
    holder.run("ROLLBACK");
    // The records of the moment at which the run began.
    assert_eq!(run.join().expect("a result"), "2500");
    assert_no_copies(&db);
}
