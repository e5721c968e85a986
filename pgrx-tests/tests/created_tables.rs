//! Tables that a run or `init_content_tables` makes, and the rows that records become in them.

use vector_migrate_tests::{Db, store};

const COLUMNS: &str =
    "SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped AND attrelid =";

fn index_of(db: &Db, table: &str) -> Vec<String> {
    db.lines(&format!(
        "SELECT amname, opcname, pg_get_indexdef(i.indexrelid, 1, true) FROM pg_index i
           JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
           JOIN pg_opclass o ON o.oid = i.indclass[0]
          WHERE i.indrelid = '{table}'::regclass AND NOT i.indisunique AND amname = 'hnsw'"
    ))
}

#[test]
fn a_missing_content_table_is_made_with_the_documented_columns() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "entity_target => NULL");
    let mut columns = db.lines(&format!("{COLUMNS} 'public.content_vectors'::regclass"));
    columns.sort();
    let is = |name: &str, rest: &str| {
        let found = columns
            .iter()
            .find(|line| line.starts_with(&format!("{name}|")));
        let found = found.unwrap_or_else(|| panic!("no column {name}: {columns:?}"));
        assert!(found.starts_with(&format!("{name}|{rest}")), "{found}");
    };
    is("id", "text|t");
    is("user_id", "bigint|f");
    is("embedding", "vector(8)|");
    is("title", "text|t");
    is("content_type", "text|");
    is("mode", "text|");
    is("summary", "text|f");
    is("topics", "jsonb|f");
    is("tags", "jsonb|f");
    is("collections", "jsonb|f");
    is("source_url", "text|f");
    is("has_transcript", "boolean|");
    is("full_content", "jsonb|t");
    is("file_size_bytes", "bigint|f");
    is("searchable_text", "text|t");
    is("created_at", "timestamp with time zone|");
    is("updated_at", "timestamp with time zone|");
    is("chroma_collection", "text|t");
    is("metadata", "jsonb|t");
    is("uri", "text|f");
    assert_eq!(columns.len(), 20, "{columns:?}");
    let key = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid = 'content_vectors'::regclass";
    assert_eq!(db.line(key), "PRIMARY KEY (chroma_collection, id)");
    for (column, default) in [("content_type", "'other'"), ("mode", "'general'")] {
        let found = columns
            .iter()
            .find(|line| line.starts_with(&format!("{column}|")))
            .expect("is there");
        assert!(found.contains(default), "{found}");
    }
}

#[test]
fn a_missing_entity_table_is_made_with_the_documented_columns() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "embeddings => 'stored'");
    let columns = db.lines(&format!("{COLUMNS} 'public.entity_vectors'::regclass"));
    let names: Vec<&str> = columns
        .iter()
        .filter_map(|line| line.split('|').next())
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let wanted = [
        "chroma_collection",
        "content_id",
        "created_at",
        "embedding",
        "entity_name",
        "entity_type",
        "id",
        "user_id",
    ];
    assert_eq!(sorted, wanted);
    let has = |start: &str| {
        assert!(
            columns.iter().any(|line| line.starts_with(start)),
            "{start}: {columns:?}"
        )
    };
    has("id|bigint|t");
    has("user_id|bigint|f");
    has("content_id|text|");
    has("entity_name|text|t");
    has("entity_type|text|f");
    has("embedding|vector(384)|f");
    has("created_at|timestamp with time zone|");
    assert_eq!(
        db.line("SELECT attidentity <> '' FROM pg_attribute WHERE attrelid = 'entity_vectors'::regclass AND attname = 'id'"),
        "t"
    );
}

#[test]
fn making_a_table_is_said() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "embeddings => 'stored'");
    let notices = db.notices();
    for table in ["content_vectors", "entity_vectors"] {
        let says = |text: &str| text.contains("creat") && text.contains(table);
        assert!(
            notices
                .iter()
                .any(|notice| notice.severity == "NOTICE" && says(&notice.text)),
            "{notices:#?}"
        );
    }
    db.migrate(&source, "embeddings => 'stored'");
    assert!(
        !db.notices()
            .iter()
            .any(|notice| notice.text.contains("creat"))
    );
}

#[test]
fn made_tables_are_no_members_of_the_extension() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "embeddings => 'stored'");
    db.run("SELECT init_content_tables(target => 'more', entity_target => 'more_entities')");
    db.run("DROP EXTENSION vector_migrate");
    assert_eq!(db.count("content_vectors"), 18);
    assert_eq!(db.count("more") + db.count("more_entities"), 0);
    assert!(db.count("entity_vectors") > 0);
}

#[test]
fn the_index_follows_the_collections_space() {
    let source = store("chroma-1.5.9");
    for (collection, operators) in [
        ("l2_history", "vector_l2_ops"),
        ("cosine_history", "vector_cosine_ops"),
        ("ip_persisted", "vector_ip_ops"),
    ] {
        let db = Db::new();
        db.migrate(
            &source,
            &format!("collection => '{collection}', orphans => 'keep', entity_target => NULL"),
        );
        assert_eq!(
            index_of(&db, "content_vectors"),
            [format!("hnsw|{operators}|embedding")]
        );
    }
}

#[test]
fn collections_of_different_spaces_share_a_cosine_index_and_it_is_said() {
    let (db, source) = (Db::new(), store("chroma-0.6.3"));
    // What is left has 8 dimensions: l2_history and cosine_history.
    source.damage("DELETE FROM collections WHERE name NOT LIKE '%\\_history' ESCAPE '\\'");
    let report = db.migrate(&source, "orphans => 'keep', entity_target => NULL");
    assert_eq!(report.collection("l2_history").migrated, 48);
    assert_eq!(report.collection("cosine_history").migrated, 53);
    assert_eq!(
        index_of(&db, "content_vectors"),
        ["hnsw|vector_cosine_ops|embedding"]
    );
    assert!(
        db.notices()
            .iter()
            .any(|notice| notice.text.contains("cosine"))
    );
}

#[test]
fn init_content_tables_changes_nothing_the_second_time() {
    let db = Db::new();
    db.run("SELECT init_content_tables(8, 'integer')");
    let before = db.lines("SELECT oid, relname FROM pg_class ORDER BY 1");
    db.run("SELECT init_content_tables(8, 'integer')");
    assert_eq!(
        db.lines("SELECT oid, relname FROM pg_class ORDER BY 1"),
        before
    );
}

#[test]
fn init_content_tables_says_how_a_table_that_is_there_differs() {
    let db = Db::new();
    db.run("SELECT init_content_tables(8, 'integer')");
    let refused = |call: &str, has: &str, asked: &str| {
        let failure = db.refused(&format!("SELECT init_content_tables({call})"), "42804");
        failure.names(has).names(asked).hints("target");
    };
    refused(
        "16, 'integer'",
        "content_vectors is there already, and its column \"embedding\" is of type vector(8)",
        "vector(16)",
    );
    refused(
        "8, 'uuid'",
        "column \"user_id\" is of type pg_catalog.int4",
        "pg_catalog.uuid",
    );
    // The content table fits; the entity table does not.
    db.run("SELECT init_content_tables(16, 'integer', 'wide', NULL)");
    refused(
        "16, 'integer', 'wide'",
        "entity_vectors is there already",
        "vector(16)",
    );
    db.run("ALTER TABLE content_vectors ALTER embedding TYPE vector; ALTER TABLE entity_vectors ALTER embedding TYPE vector");
    db.run("SELECT init_content_tables(16, 'integer')");
}

#[test]
fn types_of_users_are_the_servers_whatever_search_path_has_by_their_names() {
    let db = Db::new();
    db.run("CREATE SCHEMA app");
    for name in ["int2", "int4", "int8", "uuid", "text", "varchar"] {
        db.run(&format!(
            "CREATE DOMAIN app.{name} AS pg_catalog.{name} CHECK (VALUE IS NULL)"
        ));
    }
    db.run("SET search_path = app, pg_catalog, public");
    for (at, ty) in [
        "bigint",
        "smallint",
        "pg_catalog.uuid",
        "pg_catalog.text",
        "varchar",
    ]
    .iter()
    .enumerate()
    {
        db.run(&format!(
            "SELECT init_content_tables(8, '{ty}', 't{at}', 'e{at}')"
        ));
        let types = format!(
            "SELECT DISTINCT atttypid = '{ty}'::pg_catalog.regtype, typnamespace = 'pg_catalog'::pg_catalog.regnamespace
               FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
              WHERE attrelid IN ('app.t{at}'::regclass, 'app.e{at}'::regclass) AND attname = 'user_id'"
        );
        assert_eq!(db.lines(&types), ["t|t"], "{ty}");
    }
    // The type of that name in the path is not the server's: the error says which one it is.
    db.refused("SELECT init_content_tables(8, 'text', 'no')", "22023")
        .names("app.text");
}

#[test]
fn a_run_fills_tables_that_init_content_tables_made() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("SELECT init_content_tables(8, 'integer', 'app_content', 'app_entities')");
    let arguments =
        "target => 'app_content', entity_target => 'app_entities', embeddings => 'stored'";
    assert_eq!(db.migrate(&source, arguments).outcome(), (18, 18, 0, 0));
    assert_eq!(db.count("app_content"), 18);
    assert_eq!(
        db.line("SELECT to_regclass('content_vectors'), to_regclass('entity_vectors')"),
        "∅|∅"
    );
}

#[test]
fn targets_are_found_by_qualified_and_quoted_names() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("CREATE SCHEMA \"My App\"");
    db.migrate(&source, "target => '\"My App\".\"Content; --\"', entity_target => '\"My App\".entities', embeddings => 'stored'");
    assert_eq!(db.count("\"My App\".\"Content; --\""), 18);
    assert!(db.count("\"My App\".entities") > 0);
}

#[test]
fn an_item_becomes_a_row_field_by_field() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.run("SET TimeZone = 'UTC'");
    db.migrate(&source, "collection => 'content', entity_target => NULL");
    let row = "SELECT user_id, title, content_type, mode, summary, topics, tags, collections, source_url, has_transcript,
                      file_size_bytes, created_at, uri, chroma_collection
                 FROM content_vectors WHERE id = 'content-004'";
    assert_eq!(
        db.line(row),
        "2|Vacuum without fear|podcast|study|Autovacuum removes dead rows; tune it for each large table.|\
         [\"postgresql\", \"databases\"]|[\"podcast\", \"part-1\"]|[\"reading list\"]|https://example.org/items/4|t|\
         1148|2024-05-05 08:04:00+00|∅|content"
    );
    let content = "SELECT full_content->>'id', full_content->>'transcript', full_content->'key_points'->0->>'timestamp'
                     FROM content_vectors WHERE id = 'content-004'";
    assert_eq!(
        db.line(content),
        "content-004|Autovacuum removes dead rows; tune it for each large table.|40"
    );
}

#[test]
fn no_large_value_is_stored_twice() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.migrate(&source, "collection => 'content', entity_target => NULL");
    let keys = |id: &str| {
        db.line(&format!(
            "SELECT (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(metadata) k),
                    (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(full_content) k)
               FROM content_vectors WHERE id = '{id}'"
        ))
    };
    let metadata = "content_type created_at";
    // Parsed: in its own column only.
    assert!(
        keys("content-004").starts_with(&format!("{metadata} source_url")),
        "{}",
        keys("content-004")
    );
    // Not parsed, or not there: metadata has everything, full_content just names the item.
    assert!(keys("content-bad-json").starts_with(&format!("{metadata} full_content source_url")));
    assert!(keys("content-bad-json").ends_with("|id title"));
    assert!(keys("content-array").starts_with(&format!("{metadata} full_content source_url")));
    assert!(keys("content-no-full-content").ends_with("|id title"));
}

#[test]
fn a_full_content_that_does_not_parse_falls_back_to_the_metadata() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.migrate(&source, "collection => 'content', entity_target => NULL");
    let row = |id: &str| {
        db.line(&format!("SELECT title, content_type, topics->>0, full_content->>'title' FROM content_vectors WHERE id = '{id}'"))
    };
    assert_eq!(
        row("content-bad-json"),
        "Vacuum without fear, part 5|podcast|postgresql|Vacuum without fear, part 5"
    );
    let heat = "Repairing a bicycle wheel 🚲, part 5";
    assert_eq!(
        row("content-no-full-content"),
        format!("{heat}|video|bicycle|{heat}")
    );
    assert_eq!(row("content-no-title"), "Untitled|note|railway|Untitled");
}

#[test]
fn the_text_is_the_document_or_else_the_recipe() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.migrate(&source, "collection => 'content', entity_target => NULL");
    let text = |id: &str| {
        db.line(&format!(
            "SELECT searchable_text FROM content_vectors WHERE id = '{id}'"
        ))
    };
    assert_eq!(
        text("content-no-document"),
        "Title: Bread with rye and patience, part 6\n\
         Summary: Rye dough is sticky, rests overnight and bakes in a hot pot.\n\
         Type: recipe\n\
         Topics: baking\n\
         Key Points: Rye dough is sticky, rests overnight and bakes in a hot pot. Second thought on baking.\n\
         Entities: rye flour, sourdough\n\
         Action Items: Try it once.\n\
         Tags: recipe, part-6"
    );
    assert_eq!(
        text("content-001"),
        "Title: Bread with rye and patience\n\
         Summary: Rye dough is sticky, rests overnight and bakes in a hot pot.\n\
         Type: recipe\n\
         Topics: baking"
    );
}

#[test]
fn arrays_of_the_store_and_changes_after_the_last_sync_arrive() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.migrate(&source, "collection => 'content', entity_target => NULL");
    let one = |sql: &str| db.line(&format!("SELECT {sql} FROM content_vectors"));
    assert_eq!(
        one("min(metadata->>'topics') FILTER (WHERE id = 'content-real-arrays')"),
        "[\"energy\", \"home\"]"
    );
    assert_eq!(
        one("min(uri) FILTER (WHERE id = 'content-with-uri')"),
        "file:///library/items/42.mp4"
    );
    assert_eq!(
        one("min(metadata->>'summary') FILTER (WHERE id = 'content-003')"),
        "Moss and stone make a quiet place."
    );
    assert_eq!(
        one("min(metadata->>'mode') FILTER (WHERE id = 'content-005')"),
        "study"
    );
    assert_eq!(one("count(*) FILTER (WHERE id = 'content-020')"), "0");
}
