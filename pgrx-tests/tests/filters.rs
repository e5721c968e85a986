//! Chroma's filters in SQL: `chroma_where`, `chroma_document`, and the argument `filter`, against what chromadb 1.5.9 and 0.6.3
//! found by 2,000 random filters (`fixtures/make/filters.sh`).

use serde_json::Value as Json;
use vector_migrate_tests::{Db, Session, Store, quote, store};

fn answers() -> Json {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/filters/answers.json");
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    serde_json::from_str(&text).expect("is JSON")
}

/// The fixture's records in a table that has document and metadata as Chroma has them.
fn table() -> (Db, Store) {
    let (db, source) = (Db::new(), store("filters/store"));
    db.run("CREATE TABLE docs (id text PRIMARY KEY, document text, metadata jsonb, embedding vector(2))");
    let report = db.migrate(
        &source,
        "target => 'docs', entity_target => NULL, columns =>
         '{\"id\": \"id\", \"document\": \"document\", \"metadata\": \"metadata\", \"embedding\": \"vector\"}'",
    );
    assert_eq!(report.total().migrated, 60);
    (db, source)
}

/// The ids of `rows` as the answers have them: a number in hexadecimal, bit i is record i.
fn found(db: &Session, rows: &str) -> String {
    db.line(&format!(
        "SELECT to_hex(coalesce(sum(1::bigint << substr(id, 2)::int), 0)::bigint) FROM {rows}"
    ))
}

/// An answer's filters as a condition on a table.
fn condition(filter: &Json) -> String {
    let clause = (filter.get("where"))
        .map(|it| format!("metadata @@ chroma_where({})", quote(&it.to_string())));
    let document = (filter.get("document"))
        .map(|it| format!("chroma_document(document, {})", quote(&it.to_string())));
    let parts: Vec<String> = clause.into_iter().chain(document).collect();
    parts.join(" AND ")
}

/// Whether a `where` compares with what integers and floats answer differently in chromadb 1.x: `jsonb` does not tell them apart.
fn tells_numbers_apart(json: &Json, under: &str) -> bool {
    match json {
        Json::Object(object) => object.iter().any(|(key, it)| tells_numbers_apart(it, key)),
        Json::Array(list) => list.iter().any(|it| tells_numbers_apart(it, under)),
        Json::Number(number) => {
            let number = number.as_f64().expect("a double");
            under.ends_with("contains") || number.fract() != 0.0 || number.abs() > 9e15
        }
        _ => false,
    }
}

fn asks_for_document(json: &Json) -> bool {
    json.to_string().contains("#document")
}

#[test]
fn a_table_answers_each_filter_as_chromadb_does() {
    let (db, _source) = table();
    let (mut newer, mut by_value, mut apart) = (0, 0, 0);
    for filter in answers()["filters"].as_array().expect("a list") {
        let clause = filter.get("where").unwrap_or(&Json::Null);
        if asks_for_document(clause) {
            continue;
        }
        let condition = condition(filter);
        let ids = found(&db, &format!("docs WHERE {condition}"));
        let unknown = db.count(&format!("docs WHERE ({condition}) IS NULL"));
        assert_eq!(unknown, 0, "{filter}");
        if !tells_numbers_apart(clause, "") {
            assert_eq!(ids, filter["ids"], "{filter}");
            newer += 1;
        } else if let (Some(older), None) = (filter["older"].as_str(), filter.get("document")) {
            // The older release compares by value.
            assert_eq!(ids, older, "{filter}");
            by_value += 1;
        } else if ids == filter["ids"] {
            newer += 1;
        } else {
            apart += 1;
        }
    }
    println!(
        "{newer} as the newer release, {by_value} as the older one, {apart} as neither was asked"
    );
    assert!(newer > 1500 && by_value > 20, "{newer} {by_value}");
    // Of those that tell integers from floats and that the older release cannot answer.
    assert!(apart < 20, "{apart}");
}

#[test]
fn migrate_chroma_and_chroma_records_take_the_language() {
    let (db, source) = (Db::new(), store("filters/store"));
    let answers = answers();
    let all = answers["filters"].as_array().expect("a list");
    let operators = all
        .iter()
        .filter(|it| it.get("document").is_none() && it["where"].to_string().contains("\"$"));
    for (at, filter) in operators.take(150).enumerate() {
        let clause = quote(&filter["where"].to_string());
        let records = format!("chroma_records({}, filter => {clause})", source.sql());
        assert_eq!(found(&db, &records), filter["ids"], "{filter}");
        if at % 5 == 0 {
            let report = db.migrate(&source, &format!("dry_run => true, filter => {clause}"));
            let ids = u64::from_str_radix(filter["ids"].as_str().expect("a text"), 16);
            let ids = ids.expect("hexadecimal").count_ones();
            assert_eq!(report.total().migrated, i64::from(ids), "{filter}");
        }
    }
}

#[test]
fn a_filter_without_operators_is_containment() {
    let (db, source) = (Db::new(), store("filters/store"));
    let ids = |filter: &str| {
        db.lines(&format!(
            "SELECT id FROM chroma_records({}, filter => {})",
            source.sql(),
            quote(filter)
        ))
    };
    let contained = |filter: &str| {
        db.lines(&format!(
            "SELECT id FROM chroma_records({}) WHERE coalesce(metadata, '{{}}') @> {}",
            source.sql(),
            quote(filter)
        ))
    };
    for filter in [
        r#"{"b": true}"#,
        r#"{"n": 1, "b": true}"#,
        r#"{"mixed": ["alpha"]}"#,
        r#"{"tags": ["alpha", "beta"]}"#,
        r#"{"f": 0.5}"#,
        "{}",
    ] {
        assert_eq!(ids(filter), contained(filter), "{filter}");
    }
    assert!(!ids(r#"{"mixed": ["alpha"]}"#).is_empty());
}

#[test]
fn what_chromadb_refuses_is_an_error_that_says_what_it_takes() {
    let (db, source) = (Db::new(), store("filters/store"));
    for filter in answers()["refused"].as_array().expect("a list") {
        let refused = match (filter.get("where"), filter.get("document")) {
            (Some(clause), _) => format!("chroma_where({})", quote(&clause.to_string())),
            (_, Some(it)) => format!("chroma_document('x', {})", quote(&it.to_string())),
            _ => panic!("{filter}"),
        };
        db.refused(&format!("SELECT {refused}"), "22023")
            .names("\"filter\"")
            .hints("Chroma ");
    }
    for call in [
        "chroma_where('[]')",
        "chroma_where('null')",
        "chroma_document('x', '\"a\"')",
        &format!(
            "chroma_where('{}1{}')",
            "{\"a\":".repeat(200),
            "}".repeat(200)
        ),
    ] {
        db.refused(&format!("SELECT {call}"), "22023")
            .hints("Give a JSON object");
    }
    let mixed = r#"filter => '{"a": 1, "b": {"$gt": 2}}'"#;
    db.migrate_error(&source, mixed)
        .expect("22023")
        .hints("elements of one $and");
    db.refused(
        r##"SELECT chroma_where('{"#document": {"$contains": "x"}}')"##,
        "22023",
    )
    .hints("chroma_document()");
}

#[test]
fn null_is_a_record_without_document_and_no_filter() {
    let db = Db::new();
    let answers = db.lines(
        r#"SELECT chroma_document(NULL, '{"$contains": "x"}'), chroma_document(NULL, '{"$not_contains": "x"}'),
                  chroma_document(NULL, '{"$regex": "x?"}'), chroma_document(NULL, '{"$not_regex": "x?"}'),
                  chroma_document('', '{"$regex": "x?"}'), chroma_document('x', NULL) IS NULL, chroma_where(NULL) IS NULL"#,
    );
    assert_eq!(answers, ["f|t|f|t|t|t|t"]);
}

#[test]
fn a_filter_is_answered_anew_where_it_differs_from_row_to_row() {
    let db = Db::new();
    let rows = db.lines(
        r#"SELECT chroma_document(d, f::jsonb) FROM (VALUES ('a', '{"$regex": "^a$"}'), ('a', '{"$regex": "^b$"}'), ('b', '{"$regex": "^b$"}'),
               ('b', '{"$contains": "a"}')) v (d, f)"#,
    );
    assert_eq!(rows, ["t", "f", "t", "f"]);
    // An error leaves the next call its own filter.
    db.refused(r#"SELECT chroma_document('a', '{"$regex": "("}')"#, "22023");
    assert!(db.one::<bool>(r#"SELECT chroma_document('a', '{"$contains": "a"}')"#));
}

#[test]
fn a_gin_index_finds_what_is_compared_for_equality() {
    let db = Db::new();
    db.run(
        r#"CREATE TABLE docs AS
             SELECT n AS id, jsonb_build_object('n', n, 'half', n / 2.0, 's', 'word ' || n, 'tags', jsonb_build_array('tag ' || n, 'all'), 'k"ey', n)
                    AS metadata
               FROM generate_series(1, 20000) n;
           CREATE INDEX ON docs USING gin (metadata jsonb_path_ops);
           ANALYZE docs"#,
    );
    for (filter, rows) in [
        (r#"{"s": "word 77"}"#, 1),
        (r#"{"n": {"$eq": 77}}"#, 1),
        (r#"{"n": {"$eq": 77.0}}"#, 1),
        (r#"{"half": 77.5}"#, 1),
        (
            r#"{"s": {"$in": ["word 1", "word 2", "word 3", "none"]}}"#,
            3,
        ),
        (r#"{"tags": {"$contains": "tag 9"}}"#, 1),
        (r#"{"k\"ey": 5}"#, 1),
        (
            r#"{"$and": [{"n": {"$gt": 5}}, {"s": {"$ne": "x"}}, {"s": "word 77"}]}"#,
            1,
        ),
        (
            r#"{"$or": [{"n": 7}, {"$and": [{"s": "word 8"}, {"half": {"$lt": 9}}]}]}"#,
            2,
        ),
    ] {
        let condition = format!("metadata @@ chroma_where({})", quote(filter));
        assert_eq!(
            db.count(&format!("docs WHERE {condition}")),
            rows,
            "{filter}"
        );
        let plan = db.lines(&format!(
            "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM docs WHERE {condition}"
        ));
        let scan = plan.iter().find(|it| it.contains("Bitmap Index Scan"));
        let scan = scan.unwrap_or_else(|| panic!("{filter}: {plan:#?}"));
        assert!(
            scan.contains(&format!("rows={rows} ")) || scan.contains(&format!("rows={rows}.00 ")),
            "{filter}: {scan}"
        );
    }
}

#[test]
fn both_functions_can_stand_in_an_index() {
    let (db, _source) = table();
    db.run(
        r#"CREATE INDEX ON docs (id) WHERE metadata @@ chroma_where('{"b": true}');
           CREATE INDEX ON docs (chroma_document(document, '{"$regex": "(?i)fox"}'))"#,
    );
}

#[test]
fn a_list_of_many_values_and_a_long_key_are_no_trouble() {
    let db = Db::new();
    let values: Vec<String> = (0..20_000).map(|it| it.to_string()).collect();
    let filter = format!(
        r#"{{"{}": {{"$in": [{}]}}}}"#,
        "k".repeat(1000),
        values.join(",")
    );
    assert!(db.one::<bool>(&format!(
        "SELECT jsonb_build_object(repeat('k', 1000), 19999) @@ chroma_where({0})
            AND NOT jsonb_build_object(repeat('k', 1000), 20000) @@ chroma_where({0})",
        quote(&filter)
    )));
}

#[test]
fn a_long_search_by_a_regular_expression_obeys_a_cancel() {
    let db = Db::new();
    db.run("SET statement_timeout = '1s'");
    db.refused(
        r#"SELECT chroma_document(repeat('ab', 2000000), '{"$regex": "(?:[ab]{1,90}c?){1,90}d"}')"#,
        "57014",
    );
}

#[test]
fn everybody_may_call_both() {
    let db = Db::new();
    let stranger = db.session_as(&db.role("stranger"));
    let answer = stranger.lines(
        r#"SELECT '{"a": 1}'::jsonb @@ chroma_where('{"a": 1}'), chroma_document('a', '{"$contains": "a"}')"#,
    );
    assert_eq!(answer, ["t|t"]);
}
