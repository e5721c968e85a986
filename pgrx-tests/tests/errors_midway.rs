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

#[test]
fn nothing_is_left_open_or_set_behind_a_call() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run(&tables::minimal(16, ""));
    db.run("CREATE INDEX mine ON content_vectors USING hnsw (embedding vector_l2_ops)");
    let reader = db.session();
    reader.run(
        "BEGIN; SET LOCAL enable_seqscan = off;
         SELECT * FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector LIMIT 5",
    );
    // Else the extensions' settings come with their libraries.
    db.run("SELECT * FROM model_info(); SELECT '[1]'::vector <-> '[2]'");
    let settings = "SELECT md5(string_agg(name || '=' || coalesce(setting, ''), ',' ORDER BY name)), current_user
                      FROM pg_settings WHERE name NOT LIKE 'transaction%'";
    let before = db.line(settings);
    db.notices();
    let into = "embeddings => 'stored', entity_target => NULL, orphans => 'keep', collection => 'euclidean'";
    let calls = [
        // Row by row, as another session has the index open.
        format!("migrate_chroma({}, {into})", source.sql()),
        format!(
            "migrate_chroma({}, {into}, target => 'made', index => 'import')",
            source.sql()
        ),
        format!(
            "migrate_chroma({}, {into}, target => 'other', index => 'build')",
            source.sql()
        ),
        format!(
            "migrate_chroma({}, {into}, target => 'other', on_conflict => 'update')",
            source.sql()
        ),
        format!("import_index('made', {}, 'euclidean')", source.sql()),
        "check_vector_index('mine')".to_owned(),
        "rollback_migration()".to_owned(),
    ];
    for call in calls {
        db.run("BEGIN");
        db.run(&format!("SELECT * FROM {call}"));
        assert_eq!(db.line(settings), before, "{call}");
        // A reference, a pin or a snapshot that is left is warned of when the transaction is committed.
        db.run("COMMIT");
        let warned = db.notices();
        assert!(
            warned.iter().all(|notice| notice.severity != "WARNING"),
            "{call}: {warned:?}"
        );
        if call.contains("on_conflict") {
            reader.run("COMMIT");
        }
    }
    assert_eq!(db.count("content_vectors"), 700);
}

#[test]
fn a_notice_that_the_client_cannot_read_ends_the_run_as_any_error_does() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    // A name that has no place in the client's encoding; the error has.
    let arguments = format!("{ARGUMENTS}, target => U&'\\76EE'");
    db.run("SET client_encoding = latin1");
    db.migrate_error(&source, &arguments).expect("22P05");
    db.run("SET client_encoding = utf8");
    assert_eq!(db.count("pg_class WHERE relname = U&'\\76EE'"), 0);
    // Had it passed Rust's frames by, the first run would still be thought to go on.
    assert_eq!(db.migrate(&source, &arguments).total().migrated, 18);
}
