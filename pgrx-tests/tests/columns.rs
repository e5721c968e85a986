//! `columns`: tables of any shape, a word for each of their columns.

use serde_json::{Value, json};
use vector_migrate_tests::{Db, Store, Written, store_written};

const CALL: &str = "collection => 'library_a', target => 'mine'";

/// A vector of length 1.
fn vector(at: usize) -> Vec<f32> {
    (0..8)
        .map(|n| if n == at % 8 { 1.0 } else { 0.0 })
        .collect()
}

/// `library_a` with these records, whose ids are `r0`, `r1` and so on.
fn store_with(metadata: &[Value]) -> Store {
    let written = metadata.iter().enumerate().map(|(n, metadata)| Written {
        collection: "library_a",
        id: format!("r{n}"),
        vector: vector(n),
        metadata: metadata.clone(),
    });
    store_written(&written.collect::<Vec<_>>())
}

fn call(columns: &str) -> String {
    format!("{CALL}, columns => '{columns}'")
}

#[test]
fn every_word_fills_its_column() {
    let db = Db::new();
    let source = store_with(&[json!({
        "chroma:document": "Text.", "topic": "tea", "year": 1999, "score": 1.0, "read": true, "from": 1, "to": 9
    })]);
    db.run(
        "CREATE TABLE mine (doc_id text PRIMARY KEY, body text, vec vector(8), coll text, coll_id uuid, ten text, db text,
            sp text, uri text, at timestamptz, u uuid, topic text, y integer, kind text, pages jsonb, all_of_it json,
            rest jsonb, n integer DEFAULT 7)",
    );
    let columns = r#"{"doc_id": "id", "body": "document", "vec": "vector", "coll": "collection", "coll_id": "collection_uuid",
        "ten": "tenant", "db": "database", "sp": "space", "uri": "uri", "at": "created_at", "u": "new uuid", "topic": "key",
        "y": "key year", "kind": "const a kind", "pages": "metadata, rest, nest pages.first: from, nest pages.last: to",
        "all_of_it": "metadata", "rest": "metadata, rest + of: document"}"#;
    let report = db.migrate(&source, &call(columns));
    assert_eq!(report.outcome(), (1, 1, 0, 0));
    assert_eq!(
        db.line("SELECT doc_id, body, coll, ten, db, uri, topic, y, kind, n FROM mine"),
        "r0|Text.|library_a|default_tenant|default_database|∅|tea|1999|a kind|7"
    );
    let nil = "'00000000-0000-0000-0000-000000000000'";
    assert_eq!(
        db.line(&format!(
            "SELECT vec = '[1,0,0,0,0,0,0,0]', at < now(), u <> {nil} FROM mine"
        )),
        "t|t|t"
    );
    let id = format!(
        "SELECT coll_id = (SELECT id FROM chroma_collections({}) WHERE collection = 'library_a'), \
                sp = (SELECT space FROM chroma_collections({}) WHERE collection = 'library_a') FROM mine",
        source.sql(),
        source.sql()
    );
    assert_eq!(db.line(&id), "t|t");
    assert_eq!(
        db.line("SELECT pages, rest FROM mine"),
        r#"{"read": true, "pages": {"last": 9, "first": 1}, "score": 1.0}|{"of": "Text.", "to": 9, "from": 1, "read": true, "score": 1.0}"#
    );
    let whole = r#"{"to": 9, "from": 1, "read": true, "year": 1999, "score": 1.0, "topic": "tea"}"#;
    assert_eq!(db.line("SELECT all_of_it::jsonb FROM mine"), whole);
}

#[test]
fn a_key_goes_into_its_columns_type_or_is_that_records_error() {
    let db = Db::new();
    let source = store_with(&[
        json!({"n": 7, "f": 1, "b": true, "t": "2026-01-02T03:04:05Z", "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "j": "x"}),
        json!({"n": "8", "f": 0.5, "b": "no", "t": 1_700_000_000, "num": 12.50}),
        json!({"n": "seven"}),
        json!({"n": 1_i64 << 31}),
        json!({"u": "no uuid"}),
        json!({}),
    ]);
    db.run(
        "CREATE TABLE mine (id text PRIMARY KEY, v vector(8), n integer, f double precision, b boolean, t timestamptz, u uuid,
            j jsonb, num numeric, r real)",
    );
    let columns = r#"{"id": "id", "v": "vector", "*": "key"}"#;
    let report = db.migrate(&source, &call(columns));
    assert_eq!(report.outcome(), (6, 3, 0, 3));
    db.run("SET TimeZone = 'UTC'");
    assert_eq!(
        db.lines("SELECT id, n, f, b, t, u, j, num FROM mine ORDER BY id"),
        [
            r#"r0|7|1|t|2026-01-02 03:04:05+00|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|"x"|∅"#,
            "r1|8|0.5|f|2023-11-14 22:13:20+00|∅|∅|12.5",
            "r5|∅|∅|∅|∅|∅|∅|∅",
        ]
    );
    assert_eq!(
        db.lines("SELECT record_id, reason, message FROM vector_migrate.run_errors ORDER BY 1"),
        [
            r#"r2|bad_value|metadata value "seven" of "n" does not fit column "n""#,
            r#"r3|bad_value|metadata value 2147483648 of "n" does not fit column "n""#,
            r#"r4|bad_value|metadata value "no uuid" of "u" does not fit column "u""#,
        ]
    );
}

#[test]
fn single_words_of_a_preset_are_changed() {
    let db = Db::new();
    let source = store_with(&[json!({"chroma:document": "Text.", "a": 1})]);
    db.run("CREATE TABLE mine (id uuid PRIMARY KEY, body text, metadata jsonb, embedding vector)");
    let refused = db.migrate_error(&source, CALL).expect("42703");
    assert!(refused.text().contains("columns"), "{refused:?}");
    let columns = r#"preset => 'flowise', columns => '{"body": "document", "id": "new uuid"}'"#;
    let report = db.migrate(&source, &format!("{CALL}, {columns}"));
    assert_eq!(report.outcome(), (1, 1, 0, 0));
    assert_eq!(
        db.line("SELECT body, metadata FROM mine"),
        r#"Text.|{"a": 1}"#
    );
    // Also of a preset that is found by the columns.
    db.run("CREATE TABLE notes (id varchar PRIMARY KEY, vec vector(8), metadata jsonb)");
    db.migrate(
        &source,
        r#"collection => 'library_a', target => 'notes', columns => '{"metadata": "metadata + body: document"}'"#,
    );
    assert_eq!(
        db.line("SELECT id, metadata FROM notes"),
        r#"r0|{"a": 1, "body": "Text."}"#
    );
}

#[test]
fn columns_that_make_no_mapping_are_refused_by_name() {
    let db = Db::new();
    let source = store_with(&[json!({})]);
    let error = |columns: &str| db.migrate_error(&source, &call(columns));
    error(r#"{"id": "id", "vec": "vector"}"#)
        .expect("42P01")
        .hints("preset");
    db.run(
        "CREATE TABLE mine (id text, vec vector(8), other vector(8), n integer NOT NULL, b bytea)",
    );
    error(r#"{"id": "id"}"#).expect("42703").names("vector");
    error(r#"{"id": "id", "vec": "vector", "other": "vector"}"#)
        .expect("42702")
        .names("other");
    error(r#"{"id": "id", "vec": "vector"}"#)
        .expect("23502")
        .names("n");
    error(r#"{"id": "id", "vec": "vector", "n": "const seven"}"#)
        .expect("22023")
        .names("const seven");
    error(r#"{"id": "id", "vec": "vector", "n": "const 7", "b": "document"}"#)
        .expect("42804")
        .names("document");
    error(r#"{"vec": "vector", "n": "const 7"}"#)
        .expect("42P16")
        .hints("id");
    error(r#"{"id": "id", "vec": "vector", "n": "parent"}"#)
        .expect("42830")
        .names("n");
    error(r#"["id"]"#).expect("22023").names("columns");
    db.run("ALTER TABLE mine ALTER n DROP NOT NULL");
    let report = db.migrate(&source, &call(r#"{"id": "id", "vec": "vector"}"#));
    assert_eq!(report.outcome(), (1, 1, 0, 0));
}

#[test]
fn the_columns_key_tells_what_is_there_and_owners_are_taken_where_a_column_has_them() {
    let db = Db::new();
    let source = store_with(&[json!({"who": "ada", "k": 1}), json!({"who": "bob", "k": 2})]);
    db.run(
        "CREATE TABLE mine (coll text, doc text, owner text, k integer, vec vector(8), UNIQUE (coll, doc))",
    );
    let columns =
        r#"{"coll": "collection", "doc": "id", "owner": "owner", "k": "key", "vec": "vector"}"#;
    let both = |more: &str| {
        format!(
            "{}{more}",
            call(columns).replace("collection => 'library_a', ", "")
        )
    };
    let report = db.migrate(&source, &both(", owner_key => 'who', user_id => 'ada'"));
    assert_eq!(report.outcome(), (1, 1, 0, 0));
    assert_eq!(report.lines[0].user_id.as_deref(), Some("ada"));
    let report = db.migrate(&source, &both(", owner_key => 'who'"));
    assert_eq!(report.outcome(), (2, 1, 1, 0));
    db.run("UPDATE mine SET k = 9");
    let report = db.migrate(
        &source,
        &both(", owner_key => 'who', on_conflict => 'update'"),
    );
    assert_eq!(report.outcome(), (2, 2, 0, 0));
    assert_eq!(
        db.lines("SELECT coll, doc, owner, k FROM mine ORDER BY 2"),
        ["library_a|r0|ada|1", "library_a|r1|bob|2"]
    );
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(
        db.lines("SELECT doc, k FROM mine ORDER BY 1"),
        ["r0|9", "r1|9"]
    );
    let ledger = "SELECT preset, id_columns, collection_columns, user_columns FROM vector_migrate.run_targets LIMIT 1";
    assert_eq!(db.line(ledger), "∅|{doc}|{coll}|{owner}");
}
