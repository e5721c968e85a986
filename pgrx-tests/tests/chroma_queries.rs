//! `chroma_query` and `chroma_get` against what chromadb 1.5.9 answered, in tables of several kinds.

use vector_migrate_tests::queries::{Asked, COLLECTIONS, Queries};
use vector_migrate_tests::{Db, Session};

const OPERATORS: [(&str, &str); 3] = [
    ("l2", "vector_l2_ops"),
    ("cosine", "vector_cosine_ops"),
    ("ip", "vector_ip_ops"),
];

/// The session reads tables through their indexes, and index scans go far enough for an exact answer.
fn through_indexes(db: &Session) {
    db.run("SET enable_seqscan = off; SET hnsw.ef_search = 400");
}

/// A content table for each collection, `in_` and its name.
fn content_tables(queries: &Queries, index: &str) -> Db {
    let db = Db::new();
    let arguments = format!("target => 'in_{{collection}}', index => '{index}'");
    let report = db.migrate(&queries.store, &arguments);
    assert_eq!(report.outcome(), (940, 940, 0, 0));
    db
}

#[test]
fn content_tables_answer_as_chroma_through_their_indexes() {
    let queries = Queries::new();
    let db = content_tables(&queries, "build");
    through_indexes(&db);
    for (collection, space) in COLLECTIONS {
        let operators = OPERATORS.iter().find(|it| it.0 == space).expect("one").1;
        let index = format!(
            "pg_indexes WHERE tablename = 'in_{collection}' AND indexdef LIKE '%{operators}%'"
        );
        assert_eq!(db.count(&index), 1, "{collection}");
        for arguments in ["", "collection => '{}', "] {
            let arguments = arguments.replace("{}", collection);
            let arguments = format!("{arguments}target => 'in_{collection}'");
            let asked = Asked {
                arguments: &arguments,
                space: None,
                documents: true,
            };
            queries.assert_answers(&db, collection, asked);
        }
    }
}

#[test]
fn content_tables_answer_as_chroma_without_an_index() {
    let queries = Queries::new();
    let db = content_tables(&queries, "none");
    for (collection, _) in COLLECTIONS {
        let asked = Asked {
            arguments: &format!("target => 'in_{collection}'"),
            // The run wrote it down.
            space: None,
            documents: true,
        };
        queries.assert_answers(&db, collection, asked);
    }
}

#[test]
fn one_content_table_of_several_spaces_answers_as_chroma_for_each_collection() {
    let queries = Queries::new();
    let db = Db::new();
    db.migrate(&queries.store, "");
    for through in [false, true] {
        if through {
            through_indexes(&db);
        }
        for (collection, space) in COLLECTIONS {
            let asked = Asked {
                arguments: &format!("collection => '{collection}'"),
                space: Some(space),
                documents: true,
            };
            queries.assert_answers(&db, collection, asked);
        }
    }
}

#[test]
fn open_webuis_table_answers_as_chroma() {
    let queries = Queries::new();
    let db = Db::new();
    db.migrate(&queries.store, "preset => 'open_webui'");
    for index in [
        "",
        "CREATE INDEX ON document_chunk USING hnsw (vector vector_cosine_ops)",
    ] {
        db.run(index);
        through_indexes(&db);
        for (collection, space) in COLLECTIONS {
            let asked = Asked {
                arguments: &format!("collection => '{collection}', target => 'document_chunk'"),
                space: Some(space),
                documents: true,
            };
            queries.assert_answers(&db, collection, asked);
            queries.assert_records(&db, collection, asked.arguments);
        }
    }
}

#[test]
fn langchains_tables_and_others_answer_as_chroma() {
    let queries = Queries::new();
    let db = Db::new();
    for (collection, space) in &COLLECTIONS[..3] {
        for (preset, target) in [
            ("langchain_v1", "langchain_pg_embedding"),
            ("langchain_legacy", "legacy_embedding"),
            ("langchain_v2", "lc_{}"),
            ("spring_ai", "spring_{}"),
            ("vecs", "vecs.{}"),
            ("llama_index", "data_{}"),
            ("anythingllm", "anythingllm_vectors"),
        ] {
            if preset == "langchain_legacy" {
                // Its parent has the same name as the newer one's, with other columns.
                db.run("CREATE SCHEMA IF NOT EXISTS legacy");
            }
            let target = match preset {
                "langchain_legacy" => "legacy.langchain_pg_embedding".to_owned(),
                _ => target.replace("{}", collection),
            };
            db.migrate(
                &queries.store,
                &format!(
                    "preset => '{preset}', collection => '{collection}', target => '{target}'"
                ),
            );
            let of_one = target.contains(collection);
            let which = match of_one {
                true => String::new(),
                false => format!("collection => '{collection}', "),
            };
            let arguments = format!("{which}target => '{target}'");
            let asked = Asked {
                arguments: &arguments,
                space: Some(space),
                documents: true,
            };
            queries.assert_answers(&db, collection, asked);
            queries.assert_records(&db, collection, &arguments);
            if of_one {
                db.refused(
                    &format!(
                        "SELECT FROM chroma_get(collection => '{collection}', target => '{target}')"
                    ),
                    "22023",
                )
                .names(collection)
                .hints("No column");
            }
        }
    }
    assert_eq!(
        db.line("SELECT count(*) FROM chroma_get(collection => 'nobodys', target => 'langchain_pg_embedding')"),
        "0"
    );
}

#[test]
fn mem0s_tables_answer_as_chroma() {
    let queries = Queries::new();
    let db = Db::new();
    for (collection, _) in COLLECTIONS {
        db.migrate(
            &queries.store,
            &format!("preset => 'mem0', collection => '{collection}'"),
        );
        for through in [false, true] {
            if through {
                through_indexes(&db);
            }
            let asked = Asked {
                arguments: &format!("target => '{collection}'"),
                // The run wrote it down; the index that mem0 makes is for cosine.
                space: None,
                documents: false,
            };
            queries.assert_answers(&db, collection, asked);
        }
        db.refused(
            &format!("SELECT FROM chroma_get(document_filter => '{{\"$contains\": \"x\"}}', target => '{collection}')"),
            "22023",
        )
        .hints("no column with documents");
    }
}

#[test]
fn records_are_shown_as_chroma_shows_them() {
    let queries = Queries::new();
    let db = content_tables(&queries, "none");
    for (collection, _) in &COLLECTIONS[..3] {
        queries.assert_records(&db, collection, &format!("target => 'in_{collection}'"));
    }
    // Keys in columns of their own come back into the object.
    db.run(
        "CREATE TABLE keys (id text PRIMARY KEY, body text, vec vector(16), year int, topic text, other jsonb)",
    );
    let words = r#"{"id": "id", "body": "document", "vec": "vector", "year": "key", "topic": "key", "other": "metadata, rest"}"#;
    db.migrate(
        &queries.store,
        &format!("collection => 'by_l2', target => 'keys', columns => '{words}'"),
    );
    assert_eq!(db.count("keys WHERE other ?| '{year,topic}'"), 0);
    queries.assert_records(&db, "by_l2", "target => 'keys'");
    let asked = Asked {
        arguments: "target => 'keys'",
        space: None,
        documents: true,
    };
    queries.assert_answers(&db, "by_l2", asked);
}
