//! `chroma_collections.metadata_keys`: which metadata keys there are to name.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use uuid::Uuid;
use vector_migrate_tests::{Db, Expected, ExpectedCollection, Store, store};

const STORES: [&str; 12] = [
    "chroma-0.4.0",
    "chroma-0.4.24",
    "chroma-0.5.5",
    "chroma-0.5.23",
    "chroma-0.6.3",
    "chroma-1.0.21",
    "chroma-1.1.1",
    "chroma-1.3.7",
    "chroma-1.5.9",
    "special/bad-values-0.6.3",
    "special/no-vector",
    "special/two-collections",
];

/// The type that a value has in what chromadb returned.
fn type_of(value: &Json) -> String {
    match value {
        Json::Bool(_) => "bool".to_owned(),
        Json::Number(number) if number.is_f64() => "float".to_owned(),
        Json::Number(_) => "int".to_owned(),
        Json::Array(items) => type_of(&items[0]) + "[]",
        _ => "string".to_owned(),
    }
}

/// The keys of a collection's records with the types of their values, counted.
fn counted(collection: &ExpectedCollection) -> Json {
    let mut keys: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let records = collection.records.iter();
    for (key, value) in records
        .filter_map(|record| record.metadata.as_object())
        .flatten()
    {
        let types = keys.entry(key.replace('\0', "\u{FFFD}")).or_default();
        *types.entry(type_of(value)).or_default() += 1;
    }
    match keys.is_empty() {
        true => Json::Null,
        false => json!(keys),
    }
}

fn shown(db: &Db, source: &Store, id: &str) -> Json {
    let id = Uuid::parse_str(id).expect("a uuid");
    let sql = format!(
        "SELECT metadata_keys FROM chroma_collections({}) WHERE id = $1",
        source.sql()
    );
    let row = db.query(&sql, &[&id]);
    let keys: Option<Json> = row[0].get(0);
    keys.unwrap_or(Json::Null)
}

#[test]
fn every_metadata_key_is_counted_with_the_types_that_chromadb_returns() {
    for name in STORES {
        let (db, source) = (Db::new(), store(name));
        for collection in &Expected::of(name).collections {
            if collection.every > 1 {
                continue;
            }
            let place = format!("{name} {}", collection.qualified_name());
            assert_eq!(
                shown(&db, &source, &collection.id),
                counted(collection),
                "{place}"
            );
        }
    }
}

#[test]
fn of_many_keys_the_two_hundred_of_most_records_are_shown_and_the_others_counted() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let collections = Expected::of("special/two-collections").collections;
    let keys = |from: i64, to: i64, records: &str| {
        source.damage(&format!(
            "WITH RECURSIVE n(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM n WHERE n < {to})
             INSERT INTO embedding_metadata (id, key, string_value)
                 SELECT e.id, printf('key %05d', n), replace(hex(zeroblob(3000)), '0', 'x') FROM n, (
                     SELECT e.id FROM embeddings e JOIN segments s ON s.id = e.segment_id
                       JOIN collections c ON c.id = s.collection AND c.name = 'library_a'
                      ORDER BY e.id {records}) e"
        ));
    };
    source.damage("DELETE FROM embedding_metadata WHERE key NOT LIKE 'chroma:%'");
    keys(1, 199, "");
    keys(200, 256, "LIMIT 1");
    let found = shown(&db, &source, &collections[0].id);
    let records = collections[0].count;
    let mut expected = serde_json::Map::new();
    for key in 1..=200 {
        let records = if key < 200 { records } else { 1 };
        expected.insert(format!("key {key:05}"), json!({"string": records}));
    }
    expected.insert("...".to_owned(), json!("56 more keys"));
    assert_eq!(found, Json::Object(expected));
    assert_eq!(shown(&db, &source, &collections[1].id), Json::Null);
    // The keys are too many to be counted.
    source.damage(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12000)
         INSERT INTO embedding_metadata (id, key, int_value)
             SELECT (SELECT max(id) FROM embeddings), printf('number %05d', n), n FROM n",
    );
    let found = shown(&db, &source, &collections[1].id);
    assert_eq!(
        found["..."],
        json!("more than 9800 more keys: there are too many different ones to count them all")
    );
    assert_eq!(found.as_object().map(serde_json::Map::len), Some(201));
}

#[test]
fn a_key_with_u_0000_is_shown_with_the_replacement_character_and_no_warning() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let collections = Expected::of("special/two-collections").collections;
    source.damage(
        "UPDATE embedding_metadata SET key = 'user' || char(0) || 'id' WHERE key = 'user_id'",
    );
    let found = shown(&db, &source, &collections[0].id);
    let records = collections[0].count;
    assert_eq!(found["user\u{FFFD}id"], json!({"string": records}));
    // Chroma lists the keys in the collection's configuration.
    source.damage(
        r#"UPDATE collections SET schema_str = replace(schema_str, '"user_id":', '"user\u0000id":')"#,
    );
    let path = source.sql();
    let listed: bool = db.one(&format!(
        "SELECT bool_and(configuration->'keys' ? U&'user\\FFFDid') FROM chroma_collections({path})"
    ));
    assert!(listed);
    let warnings: Vec<String> = db.one(&format!("SELECT warnings FROM chroma_store({path})"));
    assert_eq!(warnings, Vec::<String>::new());
}
