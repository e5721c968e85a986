//! `search_content` on tables that are not ours: which column is searched, which is the id, what stands for the content.

use vector_migrate_tests::Db;

const WORDS: &str = "unnest('{sun,cheese,train}'::text[]) w";

/// The best row for `bread and butter`: its id, title and content.
fn best(db: &Db, table: &str) -> String {
    db.line(&format!(
        "SELECT id, title, user_id, full_content FROM search_content('bread and butter', match_count => 1, target => '{table}')"
    ))
}

#[test]
fn applications_tables_are_searched_as_they_are() {
    let db = Db::new();
    for (table, columns, row, wanted) in [
        (
            "mem0",
            "id uuid PRIMARY KEY, vector vector(384), payload jsonb",
            "md5(w)::uuid, embed_text(w), jsonb_build_object('data', w)",
            r#"fea0f1f6-fede-90bd-0a92-5b4194deac11|∅|∅|{"id": "fea0f1f6-fede-90bd-0a92-5b4194deac11", "payload": {"data": "cheese"}}"#,
        ),
        (
            "langchain_pg_embedding",
            "id varchar PRIMARY KEY, collection_id uuid, embedding vector, document varchar, cmetadata jsonb",
            "'i-' || w, NULL, embed_text(w), w, '{\"n\": 1.0}'",
            r#"i-cheese|∅|∅|{"id": "i-cheese", "document": "cheese", "cmetadata": {"n": 1.0}, "collection_id": null}"#,
        ),
        (
            "legacy",
            "collection_id uuid, embedding vector(384), document varchar, cmetadata json, custom_id varchar, uuid uuid PRIMARY KEY",
            "NULL, embed_text(w), w, '{}', 'c-' || w, md5(w)::uuid",
            r#"c-cheese|∅|∅|{"uuid": "fea0f1f6-fede-90bd-0a92-5b4194deac11", "document": "cheese", "cmetadata": {}, "custom_id": "c-cheese", "collection_id": null}"#,
        ),
        (
            "lc_tickets",
            "langchain_id uuid PRIMARY KEY, content text NOT NULL, embedding vector(384) NOT NULL, title int, langchain_metadata json",
            "md5(w)::uuid, w, embed_text(w), 7, NULL",
            r#"fea0f1f6-fede-90bd-0a92-5b4194deac11|7|∅|{"title": 7, "content": "cheese", "langchain_id": "fea0f1f6-fede-90bd-0a92-5b4194deac11", "langchain_metadata": null}"#,
        ),
        (
            "data_quickstart",
            "id bigserial PRIMARY KEY, text varchar NOT NULL, metadata_ json, node_id varchar, embedding halfvec(384)",
            "length(w), w, '{}', 'n-' || w, embed_text(w)::halfvec",
            r#"n-cheese|∅|∅|{"id": 6, "text": "cheese", "node_id": "n-cheese", "metadata_": {}}"#,
        ),
        (
            "documents",
            "id bigserial PRIMARY KEY, content text, metadata jsonb, embedding vector(384)",
            "length(w), w, NULL, embed_text(w)",
            r#"6|∅|∅|{"id": 6, "content": "cheese", "metadata": null}"#,
        ),
        (
            "\"vecs\".\"Tea 'n' \"\"Things\"\"\"",
            "\"Key\" varchar PRIMARY KEY, \"Vec \"\"Col\" vector(384) NOT NULL, \"select\" jsonb",
            "w, embed_text(w), '[]'",
            r#"cheese|∅|∅|{"Key": "cheese", "select": []}"#,
        ),
        (
            "no_id",
            "title text, vec vector(384)",
            "w, embed_text(w)",
            r#"∅|cheese|∅|{"title": "cheese"}"#,
        ),
    ] {
        db.run(&format!(
            "CREATE SCHEMA IF NOT EXISTS vecs; CREATE TABLE {table} ({columns});
             INSERT INTO {table} SELECT {row} FROM {WORDS}"
        ));
        assert_eq!(best(&db, &table.replace('\'', "''")), wanted, "{table}");
    }
}

#[test]
fn an_index_on_a_column_of_any_name_serves() {
    let db = Db::new();
    if db.attempt("LOAD 'auto_explain'").is_err() {
        println!("skipped: this server does not have auto_explain");
        return;
    }
    db.run(
        "CREATE TABLE t (id text PRIMARY KEY, \"Vec \"\"Col\" vector(384));
         INSERT INTO t SELECT w || n, embed_text(w) FROM unnest('{sun,cheese,train}'::text[]) w, generate_series(1, 50) n;
         SET enable_seqscan = off; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
         SET client_min_messages = log",
    );
    for (index, operator) in [
        ("hnsw (\"Vec \"\"Col\" vector_l2_ops)", "<->"),
        (
            "hnsw ((\"Vec \"\"Col\"::halfvec(384)) halfvec_cosine_ops)",
            "halfvec",
        ),
    ] {
        db.run(&format!(
            "DROP INDEX IF EXISTS near; CREATE INDEX near ON t USING {index}; ANALYZE t"
        ));
        db.notices();
        assert_eq!(
            db.line(
                "SELECT count(*) FROM search_content('bread', match_count => 5, target => 't')"
            ),
            "5"
        );
        let plans: Vec<_> = db
            .notices()
            .into_iter()
            .filter(|it| it.text.contains("using near on"))
            .collect();
        assert!(
            plans.len() == 1 && plans[0].text.contains(operator),
            "{plans:#?}"
        );
    }
}

#[test]
fn the_whole_row_is_made_for_the_rows_that_come_back_only() {
    let db = Db::new();
    // To show a value of this kind is counted.
    db.run(
        "CREATE TYPE counted AS (n int);
         CREATE SEQUENCE shown;
         CREATE FUNCTION to_json_counted(counted) RETURNS json LANGUAGE sql VOLATILE AS $$
             SELECT json_build_object('n', ($1).n, 'shown', nextval('shown')) $$;
         CREATE CAST (counted AS json) WITH FUNCTION to_json_counted(counted);
         CREATE TABLE t (id text, vec vector(384), v counted);
         INSERT INTO t SELECT n::text, embed_text('sea'), ROW(n)::counted FROM generate_series(1, 40) n",
    );
    let found =
        "SELECT count(full_content) FROM search_content('sea', match_count => 3, target => 't')";
    assert_eq!(db.line(found), "3");
    let shown: i64 = db.one("SELECT last_value FROM shown");
    assert!(shown <= 3, "{shown}");
}

#[test]
fn of_several_columns_with_vectors_the_one_called_embedding_is_searched() {
    let db = Db::new();
    db.run(&format!(
        "CREATE TABLE t (id text, first vector(384), second halfvec(384));
         INSERT INTO t SELECT w, embed_text(w), embed_text('bread and butter')::halfvec FROM {WORDS}"
    ));
    db.refused("SELECT FROM search_content('x', target => 't')", "42702")
        .names("\"first\", \"second\"")
        .hints("embedding");
    db.run("ALTER TABLE t RENAME first TO embedding");
    assert!(best(&db, "t").starts_with("cheese|"));
    // The others are values as any.
    assert!(best(&db, "t").contains("\"second\": "));
    db.run("ALTER TABLE t DROP second, ALTER embedding TYPE text, ADD vec vector(384)");
    db.run("UPDATE t SET vec = embed_text(id)");
    assert!(best(&db, "t").starts_with("cheese|"));
}

#[test]
fn columns_that_the_caller_may_not_read_are_left_out_of_the_row() {
    let db = Db::new();
    db.run(&format!(
        "CREATE TABLE t (id text, body text, secret text, vec vector(384));
         INSERT INTO t SELECT w, w, 'x', embed_text(w) FROM {WORDS}"
    ));
    let role = db.reader("reader");
    db.run(&format!("GRANT SELECT (id, body, vec) ON t TO {role}"));
    let session = db.session_as(&role);
    assert_eq!(
        session.line("SELECT full_content FROM search_content('bread and butter', match_count => 1, target => 't')"),
        r#"{"id": "cheese", "body": "cheese"}"#
    );
}

/// Open WebUI's table, of so many dimensions.
fn document_chunk(db: &Db, ty: &str, dimensions: u32) {
    db.run(&format!(
        "CREATE TABLE document_chunk (id text PRIMARY KEY, vector {ty}({dimensions}), collection_name text NOT NULL, text text, vmetadata jsonb);
         INSERT INTO document_chunk
         SELECT 'c-' || w, (embed_text(w)::real[] || array_fill(0::real, ARRAY[{dimensions} - 384]))::{ty}, 'files', w, '{{}}'
           FROM {WORDS}"
    ));
}

#[test]
fn a_query_gets_the_zeros_that_open_webuis_vectors_have() {
    for (ty, class) in [
        ("vector", "vector_cosine_ops"),
        ("halfvec", "halfvec_cosine_ops"),
    ] {
        let db = Db::new();
        document_chunk(&db, ty, 1536);
        let found = "SELECT id, full_content->>'text', full_content ? 'vector', similarity > 0.99
                       FROM search_content('cheese', match_count => 1, target => 'document_chunk')";
        assert_eq!(db.line(found), "c-cheese|cheese|f|t", "{ty}");
        db.run(&format!(
            "CREATE INDEX ON document_chunk USING hnsw (vector {class}); SET enable_seqscan = off"
        ));
        assert_eq!(db.line(found), "c-cheese|cheese|f|t", "{ty}");
    }
}

#[test]
fn a_query_gets_no_zeros_for_other_tables_and_none_is_cut() {
    let db = Db::new();
    document_chunk(&db, "vector", 1536);
    let search = "SELECT FROM search_content('x', target => 'document_chunk')";
    db.run("ALTER TABLE document_chunk RENAME text TO body");
    db.refused(search, "22000").names("384").names("1536");
    db.run(
        "DROP TABLE document_chunk;
         CREATE TABLE document_chunk (id text PRIMARY KEY, vector vector(8), collection_name text NOT NULL, text text, vmetadata jsonb)",
    );
    db.refused(search, "22000").names("384").names("8");
}
