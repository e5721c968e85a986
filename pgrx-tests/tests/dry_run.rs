//! A dry run predicts the real run's numbers and writes nothing.

use vector_migrate_tests::{Db, Store, store, tables};

/// Everything that a run could leave: relations, rows of each table, sequences.
fn state(db: &Db) -> Vec<String> {
    let mut state = db.lines(
        "SELECT oid, relname, relnatts FROM pg_class WHERE relpersistence <> 't' ORDER BY oid",
    );
    state.extend(db.lines("SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_temp%' AND nspname NOT LIKE 'pg\\_toast%' ORDER BY 1"));
    let own = "SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'vector_migrate'::regnamespace)";
    for table in db.lines(&format!("{own} AND relkind IN ('r', 'p') ORDER BY 1")) {
        state.extend(db.lines(&format!(
            "SELECT '{table}', ctid, xmin, t::text FROM {table} t ORDER BY 2"
        )));
    }
    for sequence in db.lines(&format!("{own} AND relkind = 'S' ORDER BY 1")) {
        state.push(format!(
            "{sequence}: {}",
            db.line(&format!("SELECT last_value, is_called FROM {sequence}"))
        ));
    }
    state
}

/// Dry run, nothing changed, real run, same lines.
#[track_caller]
fn predicts(db: &Db, source: &Store, arguments: &str) {
    let before = state(db);
    let dry = db.migrate(source, &format!("{arguments}, dry_run => true"));
    assert_eq!(
        state(db),
        before,
        "a dry run of {arguments} changes nothing"
    );
    assert!(dry.lines.iter().all(|line| line.run_id.is_none()));
    let real = db.migrate(source, arguments);
    assert_eq!(dry.without_run(), real.without_run(), "{arguments}");
    assert!(real.lines.iter().all(|line| line.run_id.is_some()));
}

#[test]
fn into_tables_that_would_be_made() {
    let source = store("chroma-1.5.9");
    for more in [
        "",
        ", orphans => 'keep'",
        ", default_user_id => '5'",
        ", user_id => 1",
        ", embeddings => 'stored'",
    ] {
        predicts(
            &Db::new(),
            &source,
            &format!("collection => 'content'{more}"),
        );
    }
}

#[test]
fn of_every_collection_of_a_store() {
    predicts(
        &Db::new(),
        &store("special/two-collections"),
        "embeddings => 'stored'",
    );
    predicts(&Db::new(), &store("special/many"), "entity_target => NULL");
    predicts(
        &Db::new(),
        &store("special/bad-values-0.6.3"),
        "entity_target => NULL",
    );
    predicts(
        &Db::new(),
        &store("special/no-vector"),
        "embeddings => 'stored'",
    );
}

#[test]
fn with_vectors_made_by_the_model() {
    let source = store("special/no-vector");
    predicts(
        &Db::new(),
        &source,
        "embeddings => 'auto', entity_target => NULL",
    );
    predicts(&Db::new(), &source, "embeddings => 'generate'");
    let source = store("chroma-1.5.9");
    predicts(
        &Db::new(),
        &source,
        "collection => 'types', embeddings => 'generate', orphans => 'keep'",
    );
}

#[test]
fn with_an_applications_constraints() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.run(&tables::sqlalchemy(16));
    // Titles of 300 characters, unknown users, users that are no integers.
    predicts(
        &db,
        &source,
        "collection => 'content', embeddings => 'stored'",
    );
    // And once more, now that the rows are there.
    predicts(
        &db,
        &source,
        "collection => 'content', embeddings => 'stored'",
    );
    predicts(
        &db,
        &source,
        "collection => 'content', embeddings => 'stored', on_conflict => 'update'",
    );
}

#[test]
fn with_checks_and_unique_indexes() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.run(&tables::minimal(
        16,
        ", content_type text CHECK (content_type <> 'video'), summary text UNIQUE",
    ));
    predicts(
        &db,
        &source,
        "collection => 'content', entity_target => NULL",
    );
}

#[test]
fn with_triggers_that_drop_or_refuse_rows() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.run(&tables::minimal(16, ""));
    db.run(
        "CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.user_id = 2 THEN RETURN NULL; END IF;
             IF NEW.title LIKE 'Notes%' THEN RAISE EXCEPTION 'no notes'; END IF;
             RETURN NEW; END $$;
         CREATE TRIGGER judge BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION judge()",
    );
    predicts(
        &db,
        &source,
        "collection => 'content', entity_target => NULL",
    );
}

#[test]
fn with_rows_that_collide() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    db.run("INSERT INTO content_vectors VALUES ('content-001', 1, 'there', '{}', '', NULL)");
    predicts(&db, &source, "entity_target => NULL");
    predicts(
        &db,
        &source,
        "entity_target => NULL, on_conflict => 'update'",
    );
}

#[test]
fn with_partitions_that_are_missing() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(
        "CREATE TABLE content_vectors (id text, user_id integer, title text NOT NULL, full_content jsonb NOT NULL,
             searchable_text text NOT NULL, embedding vector(8), PRIMARY KEY (user_id, id)) PARTITION BY LIST (user_id);
         CREATE TABLE content_1 PARTITION OF content_vectors FOR VALUES IN (1)",
    );
    predicts(&db, &source, "entity_target => NULL");
}

#[test]
fn sequences_of_the_application_stand_still() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(
        8,
        ", number bigint GENERATED ALWAYS AS IDENTITY, other serial",
    ));
    db.migrate(
        &source,
        "entity_target => NULL, collection => 'library_a', dry_run => true",
    );
    assert_eq!(
        db.line("SELECT last_value, is_called FROM content_vectors_number_seq"),
        "1|f"
    );
    assert_eq!(
        db.line("SELECT last_value, is_called FROM content_vectors_other_seq"),
        "1|f"
    );
    predicts(
        &db,
        &source,
        "entity_target => NULL, collection => 'library_a'",
    );
    assert_eq!(
        db.line("SELECT min(number), max(number) FROM content_vectors"),
        "1|9"
    );
}

#[test]
fn sequences_stand_still_where_row_level_security_and_rules_make_rows_go_in_by_insert() {
    let source = store("special/two-collections");
    for identity in [
        "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "serial PRIMARY KEY",
        "numbered PRIMARY KEY",
        "text PRIMARY KEY DEFAULT 'e' || nextval('numbers')",
    ] {
        for protect in [
            "ALTER TABLE entity_vectors ENABLE ROW LEVEL SECURITY;
             CREATE POLICY anybody ON entity_vectors USING (true)",
            "CREATE RULE also AS ON INSERT TO entity_vectors DO ALSO NOTHING",
        ] {
            let db = Db::new();
            let role = db.reader("reader");
            let keys = ", chroma_collection text NOT NULL, number serial, PRIMARY KEY (chroma_collection, id)";
            db.run(&tables::minimal_of("text", "bigint", "vector(8)", keys));
            db.run(&format!(
                "CREATE SEQUENCE numbers; CREATE DOMAIN numbered AS bigint DEFAULT nextval('numbers');
                 CREATE TABLE entity_vectors (
                     id {identity}, chroma_collection text, user_id bigint, content_id text NOT NULL, entity_name text NOT NULL,
                     entity_type text, embedding vector(384));
                 {protect};
                 GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"
            ));
            let before = state(&db);
            let session = db.session_as(&role);
            let dry = session.migrate(&source, "embeddings => 'stored', dry_run => true");
            assert_eq!(dry.total().migrated, 18, "{identity}, {protect}");
            assert_eq!(state(&db), before, "{identity}, {protect}");
            let real = session.migrate(&source, "embeddings => 'stored'");
            assert_eq!(dry.without_run(), real.without_run());
        }
    }
}

#[test]
fn sequences_below_a_view_stand_still() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let keys =
        ", chroma_collection text NOT NULL, number serial, PRIMARY KEY (chroma_collection, id)";
    db.run(&tables::minimal_of("text", "bigint", "vector(8)", keys));
    db.run(
        "ALTER TABLE content_vectors RENAME TO kept;
         CREATE VIEW content_vectors AS SELECT id, user_id, title, full_content, searchable_text, embedding, chroma_collection FROM kept",
    );
    predicts(
        &db,
        &source,
        "embeddings => 'stored', entity_target => NULL",
    );
    assert_eq!(db.count("kept"), 18);
}

#[test]
fn checks_of_the_table_that_a_row_is_in_are_tried_in_that_table() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let keys = ", chroma_collection text NOT NULL, PRIMARY KEY (chroma_collection, id)";
    db.run(&tables::minimal_of("text", "bigint", "vector(8)", keys));
    db.run("ALTER TABLE content_vectors ADD CHECK (tableoid = 'content_vectors'::regclass)");
    let before = db.line("SELECT count(*) FROM content_vectors");
    let arguments = "embeddings => 'stored', entity_target => NULL";
    let dry = db.migrate(&source, &format!("{arguments}, dry_run => true"));
    assert_eq!(db.line("SELECT count(*) FROM content_vectors"), before);
    let real = db.migrate(&source, arguments);
    assert_eq!(dry.without_run(), real.without_run());
    assert_eq!(real.total().migrated, 18);
}

#[test]
fn a_dry_run_is_followed_by_no_run_to_roll_back() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "dry_run => true, embeddings => 'stored'");
    assert_eq!(
        db.count("vector_migrate.runs") + db.count("vector_migrate.run_errors"),
        0
    );
    db.error("SELECT * FROM rollback_migration()")
        .expect("55000");
}

#[test]
fn a_dry_run_says_that_it_is_one() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "dry_run => true, embeddings => 'stored'");
    let said: String = db
        .notices()
        .into_iter()
        .map(|notice| notice.text + "\n")
        .collect();
    assert!(said.to_lowercase().contains("dry run"), "{said}");
}

#[test]
fn errors_are_the_same_as_the_real_runs() {
    let (db, source) = (Db::new(), store("special/mixed-dimensions"));
    db.run(&tables::minimal(4, ""));
    let arguments = "entity_target => NULL";
    let real = db.migrate_error(&source, arguments).expect("22000");
    let dry = db.migrate_error(&source, &format!("{arguments}, dry_run => true"));
    let dry = dry.expect("22000");
    assert_eq!((real.message, real.detail), (dry.message, dry.detail));
    db.run("DROP TABLE content_vectors");
    let source = store("special/two-collections");
    db.migrate(&source, "entity_target => NULL");
    db.migrate_error(
        &source,
        "entity_target => NULL, on_conflict => 'error', dry_run => true",
    )
    .expect("23505");
}

#[test]
fn in_a_read_only_transaction_with_tables_and_without() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    for arguments in [
        "collection => 'library_a'",
        "collection => 'library_a', user_id => 1",
    ] {
        db.run("BEGIN READ ONLY");
        let dry = db.migrate(&source, &format!("{arguments}, dry_run => true"));
        db.run("COMMIT");
        let real = db.migrate(&source, arguments);
        assert_eq!(dry.without_run(), real.without_run());
        db.run("BEGIN READ ONLY");
        let again = db.migrate(&source, &format!("{arguments}, dry_run => true"));
        db.run("COMMIT");
        assert_eq!(again.total().migrated, 0);
        assert_eq!(again.total().skipped, real.total().found);
        db.run("DROP TABLE content_vectors, entity_vectors");
    }
}
