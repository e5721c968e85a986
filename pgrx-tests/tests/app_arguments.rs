//! `preset` and `columns`: what they are told is wrong, and what has no meaning beside a preset.

use vector_migrate_tests::{Db, store};

const HAYSTACK: &str = "preset => 'haystack', collection => 'library_a'";

/// The presets, as `chroma_presets()` lists them.
const NAMES: [&str; 15] = [
    "anythingllm",
    "content_library",
    "flowise",
    "haystack",
    "langchain_js",
    "langchain_legacy",
    "langchain_v1",
    "langchain_v2",
    "llama_index",
    "mem0",
    "open_webui",
    "spring_ai",
    "supabase_documents",
    "vanna",
    "vecs",
];

#[test]
fn all_presets_are_listed() {
    let db = Db::new();
    assert_eq!(
        db.lines("SELECT name FROM chroma_presets() ORDER BY 1"),
        NAMES
    );
}

#[test]
fn an_unknown_preset_is_refused_with_the_names_that_there_are() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let refused = db
        .migrate_error(&source, "preset => 'chroma'")
        .expect("22023");
    for name in NAMES {
        assert!(refused.text().contains(name), "{name}: {refused:?}");
    }
}

#[test]
fn arguments_of_the_content_library_have_no_meaning_for_a_preset() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    for argument in [
        "user_id => '1'",
        "user_id => 1::bigint",
        "orphans => 'keep'",
        "orphans => 'skip'",
        "default_user_id => '1'",
        "entity_target => 'my_entities'",
        "owner_key => 'created_by'",
    ] {
        let call = format!(
            "SELECT * FROM migrate_chroma({}, {HAYSTACK}, {argument})",
            source.sql()
        );
        let name = argument.split(' ').next().expect("has a name");
        let refused = db.refused(&call, "22023").names(name);
        assert!(refused.text().contains("haystack"), "{refused:?}");
    }
}

#[test]
fn they_are_refused_where_the_preset_is_found_by_the_columns_too() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("CREATE TABLE memories (id uuid PRIMARY KEY, vector vector(8), payload jsonb)");
    for argument in [
        "user_id => '1'",
        "orphans => 'keep'",
        "owner_key => 'created_by'",
    ] {
        let call = format!(
            "SELECT * FROM migrate_chroma({}, collection => 'library_a', target => 'memories', {argument})",
            source.sql()
        );
        db.refused(&call, "22023").names("mem0");
    }
}

#[test]
fn an_unknown_word_is_refused_with_the_words_that_there_are() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("CREATE TABLE mine (id text, body text, vec vector(8))");
    for word in ["text", "upper(document)", "", "metadata, rest of it"] {
        let columns = format!(r#"columns => '{{"id": "id", "body": "{word}", "vec": "vector"}}'"#);
        let refused = db.migrate_error(
            &source,
            &format!("collection => 'library_a', target => 'mine', {columns}"),
        );
        refused
            .expect("22023")
            .names("document or empty")
            .names("metadata");
    }
}

#[test]
fn a_word_for_a_column_that_is_not_there_is_refused_with_the_columns_that_are() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("CREATE TABLE mine (id text, body text, vec vector(8))");
    let columns = r#"columns => '{"id": "id", "bodies": "document", "vec": "vector"}'"#;
    let refused = db.migrate_error(
        &source,
        &format!("collection => 'library_a', target => 'mine', {columns}"),
    );
    refused.expect("42703").names("bodies").names("body");
}

#[test]
fn a_type_that_cannot_hold_its_word_is_refused_with_the_types_that_can() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("CREATE TABLE mine (id text, body bytea, vec vector(8))");
    let columns = r#"columns => '{"id": "id", "body": "document", "vec": "vector"}'"#;
    let refused = db.migrate_error(
        &source,
        &format!("collection => 'library_a', target => 'mine', {columns}"),
    );
    refused
        .expect("42804")
        .names("body")
        .names("bytea")
        .names("text");
}

#[test]
fn a_table_of_any_shape_is_filled_as_its_words_say() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(
        "CREATE TABLE mine (n bigserial PRIMARY KEY, doc_id text UNIQUE, body text, vec vector(8), owner bigint, kind text,
             rest jsonb, tenant text, source text, space text, base text, at timestamptz DEFAULT '2020-01-01 UTC')",
    );
    let columns = r#"columns => '{"doc_id": "id", "body": "document", "vec": "vector", "owner": "key user_id",
        "kind": "key content_type", "rest": "metadata, rest", "tenant": "const acme", "source": "collection", "space": "space",
        "base": "database"}'"#;
    let call = format!("collection => 'library_a', target => 'mine', {columns}");
    assert_eq!(db.migrate(&source, &call).outcome(), (9, 9, 0, 0));
    assert_eq!(
        db.lines("SELECT DISTINCT tenant, source, space, base, at = '2020-01-01 UTC', rest ? 'user_id' OR rest ? 'content_type'
                    FROM mine"),
        ["acme|library_a|cosine|default_database|t|f"]
    );
    let same = format!(
        "SELECT count(*) FROM mine JOIN chroma_records({}, 'library_a') r ON r.id = doc_id
          WHERE vec::real[] = embedding AND body = document AND owner::text = metadata->>'user_id'
            AND kind IS NOT DISTINCT FROM metadata->>'content_type' AND rest = metadata - 'user_id' - 'content_type'",
        source.sql()
    );
    assert_eq!(db.line(&same), "9");
    assert_eq!(db.migrate(&source, &call).outcome(), (9, 0, 9, 0));
}

#[test]
fn a_table_that_keeps_no_ids_knows_its_runs_by_the_ledger() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("CREATE TABLE documents (id bigserial PRIMARY KEY, content text, metadata jsonb, embedding vector(8))");
    let columns =
        r#"columns => '{"content": "document", "metadata": "metadata", "embedding": "vector"}'"#;
    let call = format!("collection => 'library_a', target => 'documents', {columns}");
    assert_eq!(db.migrate(&source, &call).outcome(), (9, 9, 0, 0));
    assert_eq!(db.migrate(&source, &call).outcome(), (9, 0, 9, 0));
    assert_eq!(db.count("documents"), 9);
    db.run("SELECT * FROM rollback_migration()");
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count("documents"), 0);
    assert_eq!(db.migrate(&source, &call).outcome(), (9, 9, 0, 0));
}
