//! Every documented way to write a call is understood.

use std::path::Path;

use vector_migrate_tests::{Db, store};

const CONTENT: &str = "collection => 'content', entity_target => NULL";

#[test]
fn every_documented_form_of_migrate_chroma_resolves() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let found = |arguments: &str| db.migrate(&source, arguments).total().found;
    assert_eq!(found(""), 18);
    assert_eq!(found("1"), 9);
    assert_eq!(found("NULL, true"), 18);
    assert_eq!(found("'2'"), 9);
    assert_eq!(found("dry_run => true"), 18);
}

#[test]
fn every_type_of_user_id_resolves() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let found = |arguments: &str| {
        db.migrate(&source, &format!("{arguments}, dry_run => true"))
            .total()
            .found
    };
    for user in [
        "1",
        "1::smallint",
        "1::integer",
        "1::bigint",
        "'1'",
        "'1'::text",
        "'1'::varchar",
        "user_id => 1",
        "user_id => '1'",
    ] {
        assert_eq!(found(user), 9, "{user}");
    }
    for nobody in ["NULL", "NULL::text", "NULL::bigint", "NULL::uuid"] {
        assert_eq!(found(nobody), 18, "{nobody}");
    }
}

#[test]
fn a_uuid_user_resolves() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("SELECT init_content_tables(8, 'uuid')");
    let uuid = "5a0d7a3e-2a0b-4bd6-9b15-0b1a1d2f3c4d";
    source.damage(&format!("UPDATE embedding_metadata SET string_value = '{uuid}' WHERE key = 'user_id' AND string_value = '1'"));
    let by_uuid = db.migrate(
        &source,
        &format!("'{uuid}'::uuid, dry_run => true, entity_target => NULL"),
    );
    assert_eq!(by_uuid.total().found, 9);
    assert_eq!(by_uuid.users(), [Some(uuid), Some(uuid)]);
    let by_text = db.migrate(
        &source,
        &format!("'{}', true, entity_target => NULL", uuid.to_uppercase()),
    );
    assert_eq!(by_text.total().found, 9);
}

#[test]
fn every_argument_can_be_named_and_stands_where_it_is_documented() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let named = db.migrate(
        &source,
        "user_id => '1', dry_run => true, collection => 'library_a', filter => '{\"content_type\": \"article\"}',
         embeddings => 'stored', on_conflict => 'skip', orphans => 'skip', default_user_id => '1',
         target => 'content_vectors', entity_target => 'entity_vectors', strict => false, index => 'none',
         owner_key => 'user_id', text_key => 'text', nul_characters => 'remove', collections => NULL, dimension => 8,
         source_name => 'here'",
    );
    let placed = db.migrate(
        &source,
        "'1', true, 'library_a', '{\"content_type\": \"article\"}', 'stored', 'skip', 'skip', '1',
         'content_vectors', 'entity_vectors', false, 'none', 'user_id', 'text', 'remove', NULL, 8, 'here'",
    );
    assert_eq!(named, placed);
    assert!(named.total().found > 0);
    let order = db.line(
        "SELECT DISTINCT array_to_string(proargnames[1:19], ' ') FROM pg_proc WHERE proname = 'migrate_chroma'",
    );
    assert_eq!(
        order,
        "path user_id dry_run collection filter embeddings on_conflict orphans default_user_id target entity_target strict \
         index owner_key text_key nul_characters collections dimension source_name"
    );
}

#[test]
fn drivers_can_pass_parameters() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let path = source.path().to_str().expect("UTF-8");
    let sql = "SELECT sum(found)::bigint FROM migrate_chroma($1::text, user_id => $2::bigint, dry_run => $3)";
    assert_eq!(
        db.query(sql, &[&path, &1_i64, &true])[0].get::<_, i64>(0),
        9
    );
    let sql = "SELECT sum(found)::bigint FROM migrate_chroma($1::text, $2::text, $3)";
    assert_eq!(db.query(sql, &[&path, &"2", &true])[0].get::<_, i64>(0), 9);
}

#[test]
fn the_path_may_be_the_database_file_or_go_roundabout() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let name = |path: &str| db.migrate_path(path);
    let path = source.path().to_str().expect("UTF-8").to_owned();
    let plain = name(&path);
    assert_eq!(plain, 33 + 3 + 1, "all of `content`");
    assert_eq!(name(&format!("{path}/")), plain);
    assert_eq!(name(&format!("{path}/chroma.sqlite3")), plain);
    assert_eq!(name(&format!("{path}/../chroma/./")), plain);
    let link = source.parent().join("link");
    std::os::unix::fs::symlink(Path::new(&path), &link).expect("links");
    assert_eq!(name(link.to_str().expect("UTF-8")), plain);
}

trait Paths {
    fn migrate_path(&self, path: &str) -> i64;
}

impl Paths for Db {
    /// Records found at `path` by a dry run.
    fn migrate_path(&self, path: &str) -> i64 {
        self.one(&format!(
            "SELECT sum(found)::bigint FROM migrate_chroma('{path}', dry_run => true, {CONTENT})"
        ))
    }
}

#[test]
fn init_content_tables_takes_all_or_none_of_its_arguments() {
    let db = Db::new();
    db.run("SELECT init_content_tables()");
    db.run("SELECT init_content_tables(384)");
    db.run("SELECT init_content_tables(384, 'integer', 'mine', 'my_entities')");
    db.run("SELECT init_content_tables(dimensions => 8, user_id_type => 'uuid', target => 'c', entity_target => 'e')");
    let types = "SELECT attrelid::regclass, format_type(atttypid, atttypmod) FROM pg_attribute
                  WHERE attrelid IN ('content_vectors'::regclass, 'mine'::regclass, 'c'::regclass)
                    AND attname IN ('user_id', 'embedding') ORDER BY attrelid::regclass::text, attname";
    assert_eq!(
        db.lines(types),
        [
            "c|vector(8)",
            "c|uuid",
            "content_vectors|vector(384)",
            "content_vectors|bigint",
            "mine|vector(384)",
            "mine|integer"
        ]
    );
}

#[test]
fn the_functions_return_the_documented_columns() {
    let db = Db::new();
    let columns = |function: &str| {
        db.line(&format!(
            "SELECT DISTINCT (SELECT string_agg(a.name || ' ' || format_type(a.type, NULL), ', ' ORDER BY a.n)
                       FROM unnest(p.proargnames, p.proallargtypes, p.proargmodes) WITH ORDINALITY a(name, type, mode, n)
                      WHERE a.mode = 't')
               FROM pg_proc p WHERE proname = '{function}'"
        ))
    };
    assert_eq!(
        columns("migrate_chroma"),
        "run_id bigint, collection text, user_id text, found bigint, migrated bigint, skipped bigint, failed bigint, \
         reused bigint, embedded bigint, entities bigint, note text"
    );
    assert_eq!(
        columns("chroma_collections"),
        "tenant text, database text, collection text, id uuid, dimension integer, space text, records bigint, \
         vectors bigint, documents bigint, users bigint, queued bigint, configuration jsonb, metadata jsonb, \
         exact bigint, restored bigint, missing bigint, stale bigint, metadata_keys jsonb"
    );
    assert_eq!(
        columns("chroma_records"),
        "tenant text, database text, collection text, id text, document text, uri text, metadata jsonb, \
         embedding real[], created_at timestamp with time zone"
    );
    assert_eq!(
        columns("chroma_store"),
        "schema_version text, written_by text, sqlite_bytes bigint, segment_bytes bigint, tenants integer, \
         databases integer, collections integer, records bigint, queued bigint, orphan_segments integer, \
         orphan_bytes bigint, page_size integer, free_pages bigint, document_characters bigint, estimated_rows bigint, \
         estimated_bytes bigint, warnings text[]"
    );
    assert_eq!(
        columns("rollback_migration"),
        "run_id bigint, target text, removed bigint, restored bigint, kept bigint"
    );
    assert_eq!(
        columns("model_info"),
        "path text, name text, digest text, dimension integer, pooling text, max_tokens integer, onnxruntime text, loaded boolean, \
         memory_bytes bigint, shared boolean, private_bytes bigint, shared_bytes bigint"
    );
    assert_eq!(
        columns("search_entities"),
        "content_id text, user_id text, entity_name text, entity_type text, similarity double precision"
    );
    assert_eq!(
        columns("search_content"),
        "id text, user_id text, title text, summary text, source_url text, similarity double precision, full_content jsonb"
    );
}

#[test]
fn the_extension_works_in_a_schema_of_the_users_choice_with_any_search_path() {
    let (db, source) = (Db::bare(), store("special/two-collections"));
    db.run(
        "CREATE SCHEMA vectors; CREATE SCHEMA tools;
         CREATE EXTENSION vector SCHEMA vectors; CREATE EXTENSION vector_migrate SCHEMA tools;
         CREATE SCHEMA app; SET search_path = app",
    );
    let call = |arguments: &str| {
        format!(
            "SELECT sum(migrated)::bigint FROM tools.migrate_chroma({}, {arguments})",
            source.sql()
        )
    };
    assert_eq!(db.one::<i64>(&call("entity_target => NULL")), 18);
    assert_eq!(db.count("app.content_vectors"), 18);
    db.run("SELECT * FROM tools.rollback_migration()");
    assert_eq!(db.count("app.content_vectors"), 0);
    assert_eq!(
        db.one::<String>("SELECT nspname::text FROM pg_namespace WHERE nspname = 'vector_migrate'"),
        "vector_migrate"
    );
}
