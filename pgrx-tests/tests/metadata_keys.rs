//! `chroma_collections`: which metadata keys a collection's records have, so that one can see which to name.

use serde_json::{Map, Value as Json, json};
use vector_migrate_tests::{Db, Expected, ExpectedCollection, quote, store};

/// The word for a value's type.
fn type_of(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("{}[]", type_of(&items[0])),
        Json::Bool(_) => "bool".to_owned(),
        Json::Number(number) if number.is_f64() => "float".to_owned(),
        Json::Number(_) => "int".to_owned(),
        Json::String(_) => "string".to_owned(),
        // An infinite number, as the file has it.
        Json::Object(_) => "float".to_owned(),
        Json::Null => panic!("Chroma keeps no null"),
    }
}

/// Types and counts of the keys of every record that chromadb returned; NULL where no record has one.
fn keys_of(collection: &ExpectedCollection) -> Json {
    let mut keys = Map::new();
    for record in &collection.records {
        for (key, value) in record.metadata.as_object().into_iter().flatten() {
            let key = key.replace('\0', "\u{FFFD}");
            let types = keys.entry(key).or_insert_with(|| json!({}));
            let count = types[type_of(value)].as_i64().unwrap_or(0);
            types[type_of(value)] = json!(count + 1);
        }
    }
    match keys.is_empty() {
        true => Json::Null,
        false => Json::Object(keys),
    }
}

#[test]
fn each_key_is_listed_with_the_types_and_counts_of_its_values() {
    for name in [
        "chroma-0.4.24",
        "chroma-1.0.21",
        "chroma-1.5.9",
        "special/bad-values-0.6.3",
        "special/two-collections",
        "special/memories",
        "special/chat-files",
        "special/same-ids",
        "special/nul-characters",
        "special/owners",
    ] {
        let (db, source) = (Db::new(), store(name));
        let rows = db.query(
            &format!(
                "SELECT tenant, database, collection, metadata_keys FROM chroma_collections({})",
                source.sql()
            ),
            &[],
        );
        let expected = Expected::of(name);
        assert_eq!(rows.len(), expected.collections.len(), "{name}");
        for wanted in &expected.collections {
            let place = [&wanted.tenant, &wanted.database, &wanted.name];
            let row = rows
                .iter()
                .find(|row| (0..3).all(|column| row.get::<_, &str>(column) == place[column]));
            let keys: Option<Json> = row.expect("is listed").get("metadata_keys");
            assert_eq!(
                keys.unwrap_or(Json::Null),
                keys_of(wanted),
                "{name} {}",
                wanted.qualified_name()
            );
        }
    }
}

#[test]
fn of_very_many_keys_two_hundred_are_listed_and_the_others_counted() {
    let (db, source) = (Db::new(), store("special/north"));
    let many = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
                INSERT INTO embedding_metadata (id, key, int_value)
                SELECT (SELECT min(id) FROM embeddings), 'key ' || n, n FROM n";
    source.damage(many);
    let keys: Json = db.one(&format!(
        "SELECT metadata_keys FROM chroma_collections({})",
        source.sql()
    ));
    let keys = keys.as_object().expect("an object");
    assert_eq!(keys.len(), 201);
    // What most records have comes first.
    assert_eq!(keys["user_id"], json!({"string": 10}));
    assert_eq!(keys["source"], json!({"string": 10}));
    let remark = keys["..."].as_str().expect("a sentence");
    assert!(remark.contains("4802"), "{remark}");
}

#[test]
fn keys_of_the_queue_count_and_those_that_were_taken_away_do_not() {
    let (db, source) = (Db::new(), store("special/north"));
    source.damage(
        "INSERT INTO embeddings_queue (operation, topic, id, metadata)
         SELECT 2, 'persistent://default/default/' || id, 'chunk-1',
                '{\"owner\": 1.5, \"user_id\": null}' FROM collections",
    );
    let keys: Json = db.one(&format!(
        "SELECT metadata_keys FROM chroma_collections({})",
        source.sql()
    ));
    assert_eq!(
        keys,
        json!({"owner": {"float": 1}, "source": {"string": 10}, "user_id": {"string": 9}})
    );
}

#[test]
fn a_key_that_is_listed_can_be_named() {
    let (db, source) = (Db::new(), store("special/memories"));
    let listed = db.lines(&format!(
        "SELECT k FROM chroma_collections({}), jsonb_object_keys(metadata_keys) k ORDER BY 1",
        source.sql()
    ));
    assert!(listed.contains(&"data".to_owned()));
    for key in listed {
        let arguments = format!(
            "entity_target => NULL, dry_run => true, text_key => {0}, owner_key => {0}",
            quote(&key)
        );
        let total = db.migrate(&source, &arguments).total();
        assert_eq!(total.found, 12, "{key}");
    }
}

#[test]
fn a_key_with_u_0000_is_shown_with_the_replacement_character_and_no_warning() {
    let (db, source) = (Db::new(), store("special/nul-characters"));
    let path = source.sql();
    // Chroma lists the keys in the collection's configuration.
    let listed: bool = db.one(&format!(
        "SELECT configuration::text LIKE U&'%\\FFFD%' AND metadata_keys::text LIKE U&'%\\FFFD%'
           FROM chroma_collections({path})"
    ));
    assert!(listed);
    let warnings: Vec<String> = db.one(&format!("SELECT warnings FROM chroma_store({path})"));
    assert_eq!(warnings, Vec::<String>::new());
}
