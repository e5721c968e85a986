//! Presets for tables that no package of the application's was run for: LangChain JS (n8n), Flowise, Spring AI, AnythingLLM,
//! and the `documents` table of Supabase's documentation.

use vector_migrate_tests::apps::packed_store;
use vector_migrate_tests::{Db, Store, store};

/// Seven records, all with documents and uuids.
const SOURCE: &str = "collection => 'langchain'";
const OWLS: &str = "5e1f0000-1c1c-4000-8000-000000000001";

/// Of LangChain JS: `loc` is kept as two keys in Chroma; one record has but one of them.
fn of_langchain_js() -> Store {
    let store = packed_store("langchain");
    store.damage(&format!(
        "INSERT INTO embedding_metadata (id, key, int_value)
             SELECT id, 'locFrom', 3 FROM embeddings WHERE embedding_id IN ('{OWLS}', '5e1f0000-1c1c-4000-8000-000000000002');
         INSERT INTO embedding_metadata (id, key, int_value) SELECT id, 'locTo', 9 FROM embeddings WHERE embedding_id = '{OWLS}'"
    ));
    store
}

/// A run, the same again, and its rollback; `table` is empty before.
#[track_caller]
fn filled_known_and_undone(db: &Db, source: &Store, call: &str, table: &str, rows: i64) {
    assert_eq!(db.migrate(source, call).outcome(), (rows, rows, 0, 0));
    assert_eq!(db.count(table), rows);
    assert_eq!(db.migrate(source, call).outcome(), (rows, 0, rows, 0));
    for _ in 0..2 {
        db.run("SELECT * FROM rollback_migration()");
    }
    assert_eq!(db.count(table), 0);
    assert_eq!(db.migrate(source, call).outcome(), (rows, rows, 0, 0));
}

#[test]
fn langchain_js_has_lines_of_the_source_in_an_object() {
    let (db, source) = (Db::new(), of_langchain_js());
    db.run(
        "CREATE TABLE n8n_vectors (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), text text, metadata jsonb, embedding vector)",
    );
    filled_known_and_undone(
        &db,
        &source,
        &format!("{SOURCE}, target => 'n8n_vectors'"),
        "n8n_vectors",
        7,
    );
    // One of the two alone stays as it is: the client puts them together only where both are there.
    assert_eq!(
        db.lines(
            "SELECT text, metadata->'loc', metadata->'locFrom', metadata->'locTo', metadata->>'file' FROM n8n_vectors
              WHERE metadata ?| ARRAY['loc', 'locFrom', 'locTo'] ORDER BY id"
        ),
        [
            r#"Owls hunt at night.|{"lines": {"to": 9, "from": 3}}|∅|∅|owls.txt"#,
            "Frogs sing in spring.|∅|3|∅|frogs.txt"
        ]
    );
    assert_eq!(db.count("n8n_vectors WHERE metadata = '{}'"), 1);
}

#[test]
fn langchain_js_finds_the_row_of_its_collection() {
    let (db, source) = (Db::new(), of_langchain_js());
    db.run(
        "CREATE TABLE n8n_vector_collections (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar, cmetadata jsonb);
         INSERT INTO n8n_vector_collections (name) VALUES ('other'), ('langchain');
         CREATE TABLE n8n_vectors (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), text text, metadata jsonb, embedding vector,
             collection_id uuid REFERENCES n8n_vector_collections (uuid) ON DELETE CASCADE)",
    );
    let report = db.migrate(&source, &format!("{SOURCE}, target => 'n8n_vectors'"));
    assert_eq!(report.outcome(), (7, 7, 0, 0));
    let names = "SELECT name, count(*) FROM n8n_vectors JOIN n8n_vector_collections ON uuid = collection_id GROUP BY 1";
    assert_eq!(db.lines(names), ["langchain|7"]);
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(
        (db.count("n8n_vectors"), db.count("n8n_vector_collections")),
        (0, 2)
    );
}

#[test]
fn the_columns_of_n8n_can_have_other_names() {
    let (db, source) = (Db::new(), of_langchain_js());
    db.run("CREATE TABLE notes (id uuid PRIMARY KEY, content text, meta jsonb, vec vector)");
    let columns = r#"columns => '{"content": "document, without U+0000", "vec": "vector",
        "meta": "metadata, nest loc.lines.from: locFrom, nest loc.lines.to: locTo"}'"#;
    let call = format!("preset => 'langchain_js', {SOURCE}, target => 'notes', {columns}");
    filled_known_and_undone(&db, &source, &call, "notes", 7);
    let row = format!("SELECT content, meta->'loc'->'lines'->>'to' FROM notes WHERE id = '{OWLS}'");
    assert_eq!(db.line(&row), "Owls hunt at night.|9");
}

#[test]
fn flowises_text_has_another_name() {
    let (db, source) = (Db::new(), of_langchain_js());
    db.run(
        "CREATE TABLE documents (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), \"pageContent\" text, metadata jsonb,
             embedding vector)",
    );
    filled_known_and_undone(
        &db,
        &source,
        &format!("{SOURCE}, target => 'documents'"),
        "documents",
        7,
    );
    let row = format!(
        "SELECT \"pageContent\", metadata->'loc'->'lines'->>'to' FROM documents WHERE id = '{OWLS}'"
    );
    assert_eq!(db.line(&row), "Owls hunt at night.|9");
}

#[test]
fn spring_ais_table_is_filled_and_made() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    filled_known_and_undone(
        &db,
        &source,
        &format!("preset => 'spring_ai', {SOURCE}"),
        "vector_store",
        7,
    );
    let row = format!(
        "SELECT content, metadata->>'weight', json_typeof(metadata->'draft'), vector_dims(embedding) FROM vector_store WHERE id = '{OWLS}'"
    );
    assert_eq!(db.line(&row), "Owls hunt at night.|1.0|boolean|8");
    let index = "SELECT indexdef LIKE '%hnsw (embedding vector_cosine_ops)%' FROM pg_indexes WHERE indexname = 'spring_ai_vector_index'";
    assert_eq!(db.line(index), "t");
}

#[test]
fn spring_ais_ids_may_be_texts() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    let others = "preset => 'spring_ai', collection => 'manual'";
    assert_eq!(db.migrate(&source, others).outcome(), (6, 0, 0, 6));
    assert_eq!(
        db.lines("SELECT reason, bool_and(message LIKE '%id-type%') FROM vector_migrate.run_errors GROUP BY 1"),
        ["bad_id|t"]
    );
    db.run(
        "DROP TABLE vector_store;
         CREATE TABLE vector_store (id text PRIMARY KEY, content text, metadata json, embedding vector(8))",
    );
    assert_eq!(db.migrate(&source, others).outcome(), (6, 6, 0, 0));
}

#[test]
fn anythingllms_namespace_is_the_collection_and_its_text_is_in_the_metadata() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    db.run(
        "CREATE TABLE anythingllm_vectors (id uuid PRIMARY KEY, namespace text, embedding vector(8), metadata jsonb,
             created_at timestamp DEFAULT CURRENT_TIMESTAMP)",
    );
    let call = format!("{SOURCE}, target => 'anythingllm_vectors'");
    filled_known_and_undone(&db, &source, &call, "anythingllm_vectors", 7);
    let row = format!(
        "SELECT namespace, metadata->>'text', metadata->>'file', created_at IS NOT NULL FROM anythingllm_vectors WHERE id = '{OWLS}'"
    );
    assert_eq!(db.line(&row), "langchain|Owls hunt at night.|owls.txt|t");
}

#[test]
fn the_documents_of_supabases_documentation_are_known_by_the_ledger() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    db.run("CREATE TABLE documents (id bigserial PRIMARY KEY, content text, metadata jsonb, embedding vector(8))");
    filled_known_and_undone(
        &db,
        &source,
        &format!("{SOURCE}, target => 'documents'"),
        "documents",
        7,
    );
    assert_eq!(
        db.line("SELECT content, metadata->>'part' FROM documents WHERE metadata->>'file' = 'owls.txt' AND metadata ? 'draft'"),
        "Owls hunt at night.|0.25"
    );
}

#[test]
fn the_documents_of_supabases_documentation_are_made() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    let call = format!("preset => 'supabase_documents', {SOURCE}");
    filled_known_and_undone(&db, &source, &call, "documents", 7);
    assert_eq!(
        db.line("SELECT count(DISTINCT id), bool_and(id > 0) FROM documents"),
        "7|t"
    );
}

#[test]
fn an_id_that_the_key_cannot_hold_is_never_changed_into_one_that_it_can() {
    for preset in ["langchain_js", "flowise", "anythingllm"] {
        let (db, source) = (Db::new(), store("special/north"));
        let report = db.migrate(&source, &format!("preset => '{preset}'"));
        assert_eq!(report.outcome(), (10, 0, 0, 10), "{preset}");
        assert_eq!(
            db.lines("SELECT DISTINCT reason FROM vector_migrate.run_errors"),
            ["bad_id"],
            "{preset}"
        );
    }
}
