//! An error while tables are open: it ends the call, not the server, and what was open is closed by the time that a block
//! catches it.

use vector_migrate_tests::{Db, Session, Store, store, tables};

/// The table, whose numbers come from a sequence, and a session that keeps others from the sequence.
fn behind_a_sequence(prepare: &str) -> (Db, Store, Session) {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ", number bigserial"));
    db.run(prepare);
    let holder = db.session();
    holder.run("BEGIN; ALTER SEQUENCE content_vectors_number_seq INCREMENT BY 2");
    db.run("SET lock_timeout = '200ms'");
    (db, source, holder)
}

const ARGUMENTS: &str = "embeddings => 'stored', entity_target => NULL";

#[test]
fn a_sequence_that_cannot_be_had_in_time_ends_the_run_and_not_the_server() {
    for (way, prepare) in [
        ("directly", ""),
        ("not directly", "SET vector_migrate.direct_load = off"),
        (
            "by INSERT",
            "CREATE RULE also AS ON INSERT TO content_vectors DO ALSO NOTHING",
        ),
    ] {
        let (db, source, holder) = behind_a_sequence(prepare);
        let started = "SELECT pg_postmaster_start_time()::text";
        let before = db.line(started);
        // nextval() waits under the transaction's own resource owner, and a timeout leaves that in place.
        db.migrate_error(&source, ARGUMENTS).expect("55P03");
        assert_eq!(db.line(started), before, "{way}");
        holder.run("ROLLBACK");
        let report = db.migrate(&source, ARGUMENTS);
        assert_eq!(report.total().migrated, 12, "{way}");
    }
}

#[test]
fn a_block_that_catches_the_error_finds_the_table_closed() {
    let (db, source, holder) = behind_a_sequence("");
    db.notices();
    db.run("BEGIN");
    db.run(&format!(
        "DO $$ BEGIN
             PERFORM * FROM migrate_chroma({}, {ARGUMENTS});
         EXCEPTION WHEN lock_not_available THEN NULL; END $$",
        source.sql()
    ));
    // Refused for a table that is open.
    db.run("ALTER TABLE content_vectors ADD COLUMN later int");
    holder.run("ROLLBACK");
    db.migrate(&source, ARGUMENTS);
    db.run("COMMIT");
    assert_eq!(db.count("content_vectors"), 12);
    let warned = db.notices();
    assert!(
        warned.iter().all(|notice| notice.severity != "WARNING"),
        "{warned:?}"
    );
}
