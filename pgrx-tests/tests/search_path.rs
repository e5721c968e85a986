//! No name in the extension's SQL is looked up in a schema where others may have put something of that name.

use vector_migrate_tests::{Db, Session, Store, store, tables, traps};

/// The schema where everybody may create, as `public` is on PostgreSQL 14.
const TRAPPED: &str = "public";

/// A database where a role has planted traps in the target schema; pgvector is elsewhere.
fn trapped() -> Db {
    let db = Db::bare();
    let role = db.role("planter");
    db.run(&format!(
        "CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions; CREATE SCHEMA app;
         GRANT CREATE ON SCHEMA public TO {role}"
    ));
    traps::plant(&db.session_as(&role), TRAPPED);
    db
}

#[track_caller]
fn nothing_sprung(db: &Db, session: &Session, after: &str) {
    let plain = db.session();
    plain.run("SET search_path = pg_catalog");
    let sprung = traps::sprung(&plain, TRAPPED);
    let told: Vec<String> = session
        .notices()
        .into_iter()
        .map(|notice| notice.text)
        .filter(|text| text.contains("sprung"))
        .collect();
    assert_eq!(sprung, 0, "after {after}: {told:#?}");
}

/// `search_path` as users have it, and the worst: the schema with the traps before the server's own.
const PATHS: [&str; 2] = ["public", "public, pg_catalog"];

#[test]
fn the_traps_work() {
    let db = trapped();
    for (path, sql) in [
        ("public", "SELECT cardinality('{1}'::xid[])"),
        ("public, pg_catalog", "SELECT now() = now()"),
        (
            "public, pg_catalog",
            "SELECT 'x' IN (SELECT 'y'::pg_catalog.name)",
        ),
        ("public, pg_catalog", "SELECT 'x'::text"),
        (
            "public, pg_catalog",
            "SELECT pg_catalog.count(*) FROM pg_class",
        ),
    ] {
        let session = db.session();
        session.run(&format!("SET search_path = {path}"));
        let _ = session.attempt(sql);
        let warned = session.notices();
        assert!(
            warned.iter().any(|notice| notice.text.contains("sprung")),
            "{path}: {sql}"
        );
    }
}

/// What depends on something that was planted: constraints, defaults, policies, types of functions and columns.
fn dependents(db: &Db) -> Vec<String> {
    let plain = db.session();
    plain.run("SET search_path = pg_catalog");
    plain.lines(
        "SELECT pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(d.refclassid, d.refobjid, 0)
           FROM pg_depend d
           LEFT JOIN pg_proc f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
           LEFT JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
           LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
           JOIN pg_roles r ON r.oid IN (f.proowner, t.typowner, o.oprowner) AND NOT r.rolsuper
          ORDER BY 1, 2",
    )
}

#[test]
fn create_extension_calls_and_keeps_nothing_of_the_target_schema() {
    let db = trapped();
    let before = dependents(&db);
    db.run("CREATE EXTENSION vector_migrate SCHEMA public");
    nothing_sprung(&db, &db, "CREATE EXTENSION");
    let mut after = dependents(&db);
    after.retain(|line| !before.contains(line));
    assert!(after.is_empty(), "{after:#?}");
}

/// What the functions are for, in schema `app`: each statement, with the SQLSTATE that it ends with.
fn life(source: &Store, vectors: &Store) -> Vec<(String, &'static str)> {
    let (path, demo) = (source.sql(), vectors.sql());
    let into = |table: &str, more: &str| {
        format!("SELECT * FROM public.migrate_chroma({path}, target => 'app.{table}', {more})")
    };
    let mut statements: Vec<(String, &'static str)> = [
        format!("SELECT * FROM public.chroma_collections({path})"),
        format!("SELECT * FROM public.chroma_store({path})"),
        format!("SELECT * FROM public.chroma_records({path}, filter => '{{\"n\": 1}}')"),
        format!("SELECT * FROM public.check_model({demo})"),
        "SELECT * FROM public.model_info()".into(),
        "SELECT public.embed_text('a'), public.embed_text('{a,b}'::pg_catalog._text)".into(),
        "SELECT public.init_content_tables(8, 'pg_catalog.uuid', 'app.i', 'app.ie')".into(),
        into("made", "entity_target => 'app.entities', embeddings => 'stored', dry_run => true"),
        into("made", "entity_target => 'app.entities', embeddings => 'stored'"),
        into("made", "entity_target => 'app.entities', embeddings => 'stored'"),
        into("made", "entity_target => 'app.entities', embeddings => 'stored', on_conflict => 'update'"),
        into("made", "entity_target => 'app.entities', embeddings => 'stored', dry_run => true"),
        into("own", "entity_target => NULL, embeddings => 'stored', dry_run => true"),
        into("own", "entity_target => NULL, embeddings => 'stored'"),
        into("own", "entity_target => NULL, embeddings => 'stored', on_conflict => 'update'"),
        into("viewed", "entity_target => NULL, embeddings => 'stored'"),
        "SELECT * FROM public.verify_migration()".into(),
        "SELECT * FROM public.verify_migration(full => true)".into(),
        format!(
            "SELECT * FROM public.migrate_chroma({demo}, target => 'app.texts', entity_target => 'app.words', default_user_id => '1')"
        ),
        "SELECT * FROM public.search_content('cheese', user_id => '1', content_type => 'article', target => 'app.texts')".into(),
        "SELECT * FROM public.search_content('cheese', match_count => 1000, target => 'app.texts')".into(),
        "SELECT * FROM public.search_entities('cheese', user_id => '1', target => 'app.words')".into(),
        r#"SELECT * FROM public.chroma_query('cheese', 3, '{"a": {"$ne": 1}}', '{"$not_contains": "q"}', 'texts', 'app.texts')"#.into(),
        r#"SELECT * FROM public.chroma_query((SELECT embedding FROM app.texts LIMIT 1), 1000, target => 'app.texts', space => 'l2')"#.into(),
        r#"SELECT * FROM public.chroma_get(ARRAY['a', 'b'], '{"a": {"$in": [1, 2]}}', '{"$regex": "e"}', target => 'app.texts')"#.into(),
        "SELECT * FROM public.chroma_get(target => 'app.own')".into(),
        "SELECT public.chroma_distance('[1,2]', '[3,4]', 'cosine')".into(),
        "SELECT * FROM public.rollback_migration()".into(),
        "SELECT * FROM public.rollback_migration()".into(),
        "SELECT * FROM public.rollback_migration(force => true)".into(),
        "SELECT * FROM public.rollback_migration()".into(),
        "SELECT * FROM public.rollback_migration()".into(),
        "SELECT * FROM public.rollback_migration()".into(),
    ]
    .map(|sql| (sql, "00000"))
    .into();
    statements.extend([
        (
            into("made", "entity_target => NULL, embeddings => 'none'"),
            "22023",
        ),
        (into("bare", "entity_target => NULL"), "42703"),
        (
            "SELECT * FROM public.search_content('x', target => 'app.bare')".into(),
            "42703",
        ),
        (
            "SELECT * FROM public.search_content('x', target => 'app.none')".into(),
            "42P01",
        ),
        (
            "SELECT * FROM public.rollback_migration(999)".into(),
            "42704",
        ),
    ]);
    statements
}

#[test]
fn functions_call_nothing_of_the_callers_search_path() {
    let (source, demo) = (
        store("special/two-collections"),
        vector_migrate_tests::demo_store(),
    );
    for path in PATHS {
        let db = trapped();
        db.run("CREATE EXTENSION vector_migrate SCHEMA public");
        // An application's tables: users, keys of several columns, a trigger, a view.
        db.run(&format!(
            "SET search_path = app, extensions, pg_catalog;
             CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users SELECT n FROM generate_series(1, 3) n;
             {minimal}
             ALTER TABLE content_vectors RENAME TO own;
             ALTER TABLE own DROP CONSTRAINT content_vectors_pkey, ADD PRIMARY KEY (id, user_id),
                 ADD FOREIGN KEY (user_id) REFERENCES users;
             CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER nothing BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION nothing();
             CREATE TABLE bare (id text);
             CREATE VIEW viewed AS SELECT id, user_id, title, full_content, searchable_text, embedding FROM own
                 WHERE pg_catalog.length(id) OPERATOR(pg_catalog.>) 0",
            minimal = tables::minimal(8, ", topics text[], tags jsonb, note varchar(9)")
        ));
        let session = db.session();
        session.run(&format!("SET search_path = {path}"));
        for (sql, state) in life(&source, &demo) {
            match session.attempt(&sql) {
                Ok(_) => assert_eq!(state, "00000", "{path}: {sql}"),
                Err(failure) => {
                    nothing_sprung(&db, &session, &sql);
                    assert_eq!(failure.code, state, "{path}: {sql}: {failure:#?}");
                }
            }
            nothing_sprung(&db, &session, &sql);
        }
    }
}

#[test]
fn the_ledgers_policies_call_nothing_of_the_readers_search_path() {
    let db = trapped();
    db.run("CREATE EXTENSION vector_migrate SCHEMA public");
    db.run("SET search_path = pg_catalog");
    let session = db.session_as(&db.role("reader"));
    session.run("SET search_path = public, pg_catalog");
    for table in ["runs", "run_targets", "run_errors", "run_rows"] {
        session.run(&format!("SELECT * FROM vector_migrate.{table}"));
    }
    nothing_sprung(&db, &session, "reading the ledger");
}
