//! Who may call what, read which path, write which table and see whose runs.

use vector_migrate_tests::{Db, FUNCTIONS, quote, store, tables};

const STORED: &str = "embeddings => 'stored'";

const FILE_FUNCTIONS: [&str; 5] = [
    "check_model",
    "chroma_collections",
    "chroma_records",
    "chroma_store",
    "migrate_chroma",
];

#[test]
fn functions_that_read_files_are_not_for_everybody() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let stranger = db.session_as(&db.role("stranger"));
    for function in FILE_FUNCTIONS {
        let failure = stranger
            .error(&format!("SELECT * FROM {function}({})", source.sql()))
            .expect("42501");
        assert!(
            failure.message.contains("permission denied for function"),
            "{failure:#?}"
        );
    }
    let granted = "SELECT DISTINCT proname FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner)))
                    WHERE grantee = 0 AND proname = ANY ('{chroma_collections,chroma_records,chroma_store,migrate_chroma,check_model,verify_migration}')";
    assert!(db.lines(granted).is_empty(), "{:?}", db.lines(granted));
}

#[test]
fn execute_alone_is_not_enough_and_existing_and_missing_paths_look_the_same() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let role = db.role("caller");
    db.run(&format!("GRANT EXECUTE ON FUNCTION {FUNCTIONS} TO {role}"));
    let caller = db.session_as(&role);
    for function in FILE_FUNCTIONS {
        let refused = |path: &str| {
            caller
                .error(&format!("SELECT * FROM {function}({path})"))
                .expect("42501")
        };
        let there = refused(&source.sql());
        assert!(there.hint.contains("pg_read_server_files"), "{there:#?}");
        assert_eq!(there, refused("'/no/such/path'"), "{function}");
        assert_eq!(there, refused("'relative'"), "{function}");
    }
}

#[test]
fn a_member_of_pg_read_server_files_migrates_into_tables_of_its_own() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let role = db.reader("reader");
    let reader = db.session_as(&role);
    let report = reader.migrate(&source, STORED);
    assert_eq!(report.total().migrated, 18);
    assert_eq!(
        db.line("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'content_vectors'"),
        role
    );
    assert_eq!(db.line("SELECT role FROM vector_migrate.runs"), role);
    reader.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count("content_vectors"), 0);
}

#[test]
fn an_inherited_membership_counts() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let (group, member) = (db.reader("group"), db.role("member"));
    db.run(&format!("GRANT {group} TO {member}"));
    assert_eq!(
        db.session_as(&member)
            .migrate(&source, "dry_run => true, embeddings => 'stored'")
            .total()
            .migrated,
        18
    );
}

#[test]
fn the_target_must_be_one_that_the_role_may_insert_into() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let role = db.reader("reader");
    db.run(&tables::minimal(8, ""));
    let reader = db.session_as(&role);
    for dry_run in ["false", "true"] {
        let arguments = format!("entity_target => NULL, dry_run => {dry_run}");
        reader
            .migrate_error(&source, &arguments)
            .expect("42501")
            .names("content_vectors");
    }
    db.run(&format!(
        "GRANT SELECT, INSERT ON content_vectors TO {role}"
    ));
    assert_eq!(
        reader
            .migrate(&source, "entity_target => NULL")
            .total()
            .migrated,
        12
    );
}

#[test]
fn an_update_asks_for_the_privilege_to_update() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let role = db.reader("reader");
    db.run(&tables::minimal(8, ""));
    db.run(&format!(
        "GRANT SELECT, INSERT ON content_vectors TO {role}"
    ));
    db.migrate(&source, "entity_target => NULL");
    let before = db.lines("SELECT xmin, t::text FROM content_vectors t ORDER BY 2");
    let reader = db.session_as(&role);
    reader
        .migrate_error(&source, "entity_target => NULL, on_conflict => 'update'")
        .expect("42501")
        .names("content_vectors");
    assert_eq!(
        db.lines("SELECT xmin, t::text FROM content_vectors t ORDER BY 2"),
        before
    );
}

#[test]
fn a_table_where_no_table_may_be_made_is_refused() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let role = db.reader("reader");
    // Before PostgreSQL 15 everybody may create tables there.
    db.run(&format!(
        "REVOKE CREATE ON SCHEMA public FROM {role}, PUBLIC"
    ));
    db.session_as(&role)
        .migrate_error(&source, STORED)
        .expect("42501")
        .names("public");
}

#[test]
fn a_role_sees_its_own_runs_only() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let (ada, ben) = (db.reader("ada"), db.reader("ben"));
    let (ada, ben) = (db.session_as(&ada), db.session_as(&ben));
    let arguments =
        |table: &str| format!("target => '{table}', entity_target => NULL, embeddings => 'stored'");
    let of_ada = ada.migrate(&source, &arguments("ada")).run_id();
    ada.migrate(&source, &arguments("ada"));
    let of_ben = ben.migrate(&source, &arguments("ben")).run_id();
    let runs = "SELECT run_id FROM vector_migrate.runs ORDER BY 1";
    assert_eq!(ada.lines(runs).len(), 2);
    assert_eq!(ben.lines(runs), [of_ben.to_string()]);
    assert_eq!(db.lines(runs).len(), 3, "a superuser sees all");
    assert_eq!(
        (
            ada.count("vector_migrate.run_errors"),
            ben.count("vector_migrate.run_errors")
        ),
        (18, 0)
    );
    ben.error(&format!("SELECT * FROM rollback_migration({of_ada})"))
        .expect("42704");
    // The newest run that ada may see is her own, not ben's.
    assert_eq!(ada.line("SELECT removed FROM rollback_migration()"), "0");
    assert_eq!(ada.line("SELECT removed FROM rollback_migration()"), "18");
    assert_eq!((db.count("ada"), db.count("ben")), (0, 18));
}

#[test]
fn a_run_of_a_role_that_is_gone_hides_nobody_elses() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, STORED);
    db.run("UPDATE vector_migrate.runs SET role = 'gone'");
    let reader = db.session_as(&db.reader("reader"));
    assert_eq!(reader.count("vector_migrate.runs"), 0);
    assert_eq!(db.count("vector_migrate.runs"), 1);
}

#[test]
fn nobody_writes_the_ledger_but_the_extension() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let reader = db.session_as(&db.reader("reader"));
    reader.migrate(&source, STORED);
    for sql in [
        "DELETE FROM vector_migrate.runs",
        "UPDATE vector_migrate.runs SET status = 'rolled back'",
        "DELETE FROM vector_migrate.run_rows",
        "UPDATE vector_migrate.run_targets SET migrated = 0",
        "INSERT INTO vector_migrate.run_errors VALUES (1, 'c', 'r', NULL, 'x', 'y')",
        "TRUNCATE vector_migrate.run_errors",
        "DROP TABLE vector_migrate.runs",
        "CREATE TABLE vector_migrate.mine ()",
    ] {
        reader.error(sql).expect("42501");
    }
}

#[test]
fn a_rollback_does_nothing_that_the_role_could_not_do_itself() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let role = db.reader("reader");
    db.run(&tables::minimal(8, ""));
    db.run(&format!(
        "GRANT SELECT, INSERT ON content_vectors TO {role}"
    ));
    let reader = db.session_as(&role);
    reader.migrate(&source, "entity_target => NULL");
    reader
        .error("SELECT * FROM rollback_migration()")
        .expect("42501");
    assert_eq!(db.count("content_vectors"), 12);
    db.run(&format!("GRANT DELETE ON content_vectors TO {role}"));
    reader.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count("content_vectors"), 0);
}

#[test]
fn allowed_roots_hold_for_everybody_and_for_links() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let elsewhere = store("special/two-collections");
    let root = source.parent().to_str().expect("UTF-8").to_owned();
    db.run(&format!(
        "SET vector_migrate.allowed_roots = {}",
        quote(&format!("/nonexistent:{root}"))
    ));
    assert_eq!(
        db.migrate(&source, "dry_run => true, embeddings => 'stored'")
            .total()
            .found,
        18
    );
    db.migrate_error(&elsewhere, "")
        .expect("42501")
        .hints("vector_migrate.allowed_roots");
    let missing = db
        .error("SELECT * FROM chroma_store('/no/such/path')")
        .expect("42501");
    assert!(missing.message.contains("/no/such/path"));
    std::os::unix::fs::symlink(elsewhere.path(), source.parent().join("link")).expect("links");
    for path in [
        format!("{root}/link"),
        format!(
            "{root}/../{}",
            elsewhere
                .path()
                .strip_prefix(source.parent().parent().expect("a parent"))
                .expect("beside")
                .display()
        ),
    ] {
        db.error(&format!("SELECT * FROM chroma_store({})", quote(&path)))
            .expect("42501");
    }
    // A folder whose name merely begins like the root is outside.
    db.run(&format!(
        "SET vector_migrate.allowed_roots = {}",
        quote(&root[..root.len() - 1])
    ));
    db.migrate_error(&source, "").expect("42501");
}

#[test]
fn settings_that_name_paths_or_raise_limits_are_the_superusers() {
    let db = Db::new();
    let reader = db.session_as(&db.reader("reader"));
    // Before the library is loaded any name of the prefix can be set; loading it takes that back.
    reader.run("SET vector_migrate.max_memory_mb = 4096");
    for session in [&reader, &*db] {
        session.error("SELECT * FROM chroma_store('/no/such/path')");
    }
    assert_eq!(reader.line("SHOW vector_migrate.max_memory_mb"), "1GB");
    reader
        .error("SHOW vector_migrate.model_path")
        .expect("42501");
    for setting in ["model_path", "onnxruntime_path", "allowed_roots"] {
        reader
            .error(&format!("SET vector_migrate.{setting} = '/tmp'"))
            .expect("42501");
        db.run(&format!("SET vector_migrate.{setting} = '/tmp'"));
    }
    reader
        .error("SET vector_migrate.max_memory_mb = 4096")
        .expect("42501");
    for setting in ["embed_threads", "progress_interval"] {
        reader.run(&format!("SET vector_migrate.{setting} = 1"));
    }
    reader.run(
        "SET vector_migrate.embed_batch_tokens = 1024; SET vector_migrate.batch_bytes = 65536",
    );
}

#[test]
fn unknown_settings_of_the_prefix_are_refused() {
    let db = Db::new();
    // Loads the library, which reserves the prefix.
    db.run("SELECT * FROM model_info()");
    let set = "SET vector_migrate.no_such_setting = 1";
    // PostgreSQL 14 knows no reserved prefixes.
    if db.one::<bool>("SELECT current_setting('server_version_num')::int >= 150000") {
        db.error(set).expect("42602");
    } else {
        db.run(set);
    }
}

#[test]
fn functions_of_the_callers_schema_are_not_taken_for_the_servers() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(
        "CREATE SCHEMA evil;
         CREATE FUNCTION evil.trap(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
         CREATE OPERATOR evil.= (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = evil.trap);
         CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
         CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
         SET search_path = evil, pg_catalog, public",
    );
    db.run("CREATE SCHEMA app");
    let arguments =
        "target => 'app.content', entity_target => 'app.entities', embeddings => 'stored'";
    assert_eq!(db.migrate(&source, arguments).total().migrated, 18);
    assert_eq!(db.migrate(&source, arguments).total().skipped, 18);
    db.run("SELECT * FROM rollback_migration(); SELECT * FROM rollback_migration()");
}
