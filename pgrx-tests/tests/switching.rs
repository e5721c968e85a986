//! Every line of SQL in `docs/switching.md`.

use serde_json::json;
use vector_migrate_tests::{Db, Store, Written, store_written};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/switching.md");
    std::fs::read_to_string(path).expect("docs/switching.md is there")
}

/// The statements of the page's blocks of SQL, in order.
fn statements(page: &str) -> Vec<String> {
    let blocks = page.split("```").skip(1).step_by(2);
    let sql: Vec<&str> = blocks.filter_map(|it| it.strip_prefix("sql\n")).collect();
    sql.join("\n")
        .split(";\n")
        .map(|statement| statement.trim().to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// A store with the page's collection: its vectors are the server's model's.
fn library(db: &Db) -> Store {
    let texts = [
        "a cup of tea",
        "tea and bread",
        "number 7 in the harbour",
        "a train to the sea",
        "green tea, number 12",
    ];
    let records = texts.iter().enumerate().map(|(n, text)| Written {
        collection: "library_a",
        id: ["a", "b", "c", "d", "e"][n].to_owned(),
        vector: db.one(&format!("SELECT embed_text('{text}')::real[]")),
        metadata: json!({
            "title": text, "topic": if n % 2 == 0 { "tea" } else { "bread" }, "year": 1880 + 40 * n, "chroma:document": text,
        }),
    });
    let store = store_written(&records.collect::<Vec<_>>());
    store.damage("UPDATE collections SET dimension = 384 WHERE name = 'library_a'");
    store
}

#[test]
fn every_statement_of_the_page_runs_and_finds_what_it_says() {
    let db = Db::new();
    let store = library(&db);
    let vector: String = db.one("SELECT embed_text('a cup of tea')::text");
    let statements = statements(&page());
    assert!(statements.len() > 20, "{statements:#?}");
    let mut answers = Vec::new();
    for statement in &statements {
        let sql = statement
            .replace("'/srv/chroma'", &store.sql())
            .replace("'library'", "'library_a'")
            .replace("$1", &format!("'{vector}'"));
        answers.push((statement, db.lines(&sql)));
    }
    // What reads gives something, but for pages beyond the end.
    for (statement, answer) in &answers {
        let reads = statement.starts_with("SELECT") && !statement.contains("OFFSET");
        assert!(!reads || !answer.is_empty(), "{statement}");
    }
    let of = |part: &str| {
        let found = answers
            .iter()
            .find(|(statement, _)| statement.contains(part));
        &found
            .unwrap_or_else(|| panic!("{part} is not on the page"))
            .1
    };
    assert_eq!(of("chroma_get('{a,b}')").len(), 2);
    let found = of("chroma_query($1::vector, 5");
    assert!(found.len() == 1 && found[0].starts_with("e|"), "{found:?}");
    assert_eq!(of("unnest(ARRAY").len(), 6);
    assert!(of("'tea and bread', 5")[0].starts_with("b|"));
    assert_eq!(of("metadata @> "), &["a", "c", "e"]);
    assert_eq!(of("count(*) FROM content_vectors WHERE"), &["5"]);
    // What the last statements left: nothing.
    assert_eq!(db.count("content_vectors"), 0);
}

#[test]
fn what_is_added_by_the_page_is_there_until_it_is_deleted() {
    let db = Db::new();
    let store = library(&db);
    let vector: String = db.one("SELECT embed_text('a cup of tea')::text");
    let mut seen = Vec::new();
    for statement in statements(&page()) {
        let sql = statement
            .replace("'/srv/chroma'", &store.sql())
            .replace("'library'", "'library_a'")
            .replace("$1", &format!("'{vector}'"));
        db.run(&sql);
        let now = "SELECT document, metadata FROM chroma_get('{new}')";
        if sql.starts_with("INSERT") || sql.starts_with("UPDATE") || sql.starts_with("DELETE") {
            seen.push(db.lines(now).concat());
        }
    }
    assert_eq!(
        seen[..5],
        [
            r#"a document about tea|{"year": 2024, "topic": "tea"}"#,
            r#"another document|{"topic": "bread"}"#,
            r#"another document|{"year": 2025, "topic": "bread"}"#,
            r#"another document|{"topic": "bread"}"#,
            "",
        ]
    );
}
