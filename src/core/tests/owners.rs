//! Whose records are, found out without reading them: the same as from the records, whatever the store.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;

use common::pages::{pages, spoil, zeros};
use common::{Copy, copy, fixtures, named, open, records};
use vector_migrate_core::encode::{ColumnType, canonical_key};
use vector_migrate_core::record::{Collection, Record, Value};
use vector_migrate_core::source::Source;
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::survey::{OwnerKind, Ownership, ownership};

/// A store whose collections hold the same users; its tables have indexes of values.
const TWO: &str = "special/two-collections";

fn kept(text: &str) -> String {
    text.to_owned()
}

fn asked(store: &ChromaStore, collections: &[Collection], key: &str) -> Ownership {
    let found = ownership(store, collections, key, &kept, true).unwrap();
    let less = ownership(store, collections, key, &kept, false).unwrap();
    let expected = Ownership {
        kind: None,
        ..found.clone()
    };
    assert_eq!(less, expected, "{key}");
    found
}

/// The same from whole records.
fn by_records(read: &[Vec<Record>], key: &str) -> Ownership {
    let mut kinds = BTreeSet::new();
    let mut owned = Vec::new();
    for records in read {
        let values = records
            .iter()
            .filter(|record| record.damage.is_none())
            .filter_map(|record| record.metadata.get(key));
        let mut is_owned = false;
        for value in values {
            let text = match value {
                Value::Str(text) if text.contains('\0') => None,
                Value::Str(text) => Some(text.clone()),
                Value::Int(number) => Some(number.to_string()),
                Value::Float(number) => Some(number.to_string()),
                Value::Bool(_) | Value::List(_) => None,
            };
            is_owned |= text.as_deref().is_none_or(|text| !text.trim().is_empty());
            let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
                continue;
            };
            kinds.insert(match canonical_key(ColumnType::Int8, &text) {
                Ok(_) => "integer",
                Err(_) if canonical_key(ColumnType::Uuid, &text).is_ok() => "uuid",
                Err(_) => "text",
            });
        }
        owned.push(is_owned);
    }
    let kind = match kinds.into_iter().collect::<Vec<_>>()[..] {
        [] => None,
        ["integer"] => Some(OwnerKind::Integers),
        ["uuid"] => Some(OwnerKind::Uuids),
        _ => Some(OwnerKind::Text),
    };
    Ownership { owned, kind }
}

/// Fails unless the owners under every key are what the records say: of all collections, and of each alone. The answer is
/// for `user_id` in all of them.
fn assert_exact(copy: &Copy) -> Ownership {
    let store = open(&copy.directory);
    let collections = store.collections();
    let read: Vec<Vec<Record>> = collections
        .iter()
        .map(|collection| records(&store, collection))
        .collect();
    store.take_notices();
    let keys = read.iter().flatten().flat_map(|record| {
        let keys = record.metadata.iter();
        keys.map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
    });
    let mut keys: BTreeSet<String> = keys.collect();
    keys.extend(["user_id", "chroma:document", "no such key"].map(str::to_owned));
    for key in &keys {
        let found = asked(&store, collections, key);
        assert_eq!(found, by_records(&read, key), "{key}");
        for (at, collection) in collections.iter().enumerate() {
            let found = asked(&store, std::slice::from_ref(collection), key);
            assert_eq!(found, by_records(&read[at..=at], key), "{key}");
        }
    }
    assert_eq!(store.take_notices(), Vec::<String>::new());
    asked(&store, collections, "user_id")
}

/// Fails unless every live record's value is given once, damaged ones left out.
fn assert_read(copy: &Copy, key: &str) {
    let store = open(&copy.directory);
    for collection in store.collections() {
        let records = records(&store, collection);
        let whole = records.iter().filter(|record| record.damage.is_none());
        let expected: Vec<Option<Value>> = whole
            .map(|record| record.metadata.get(key).cloned())
            .collect();
        let mut found = Vec::new();
        store
            .read_owners(collection, key, &mut |value| {
                found.push(value.cloned());
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(found, expected, "{} {key}", collection.name);
    }
}

#[test]
fn owners_in_the_stores_of_every_release_are_those_of_their_records() {
    let folders = [fixtures(), fixtures().join("special")];
    for entry in folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
    {
        let path = entry.unwrap().path();
        if path.join("chroma.sqlite3").exists() {
            let name = path.strip_prefix(fixtures()).unwrap().to_str().unwrap();
            let copy = copy(name);
            assert_exact(&copy);
            for key in ["user_id", "n", "tags", "none"] {
                assert_read(&copy, key);
            }
        }
    }
}

#[test]
fn owners_of_every_type_and_their_mixtures_are_told() {
    let uuid = "lower(hex(randomblob(16)))";
    let texts = |value: &str| {
        format!("UPDATE embedding_metadata SET string_value = {value} WHERE key = 'user_id';")
    };
    let typed = |columns: &str| {
        format!(
            "UPDATE embedding_metadata SET string_value = NULL, {columns} WHERE key = 'user_id';"
        )
    };
    let cases = [
        (String::new(), Some(OwnerKind::Integers)),
        (typed("int_value = id"), Some(OwnerKind::Integers)),
        (typed("float_value = id"), Some(OwnerKind::Integers)),
        (typed("float_value = id + 0.5"), Some(OwnerKind::Text)),
        (typed("bool_value = 1"), None),
        (typed("int_value = NULL"), None),
        (texts(uuid), Some(OwnerKind::Uuids)),
        (texts("'  '"), None),
        (texts("char(9)"), None),
        (texts("'a' || char(0)"), None),
        (texts("iif(id % 2, '', id)"), Some(OwnerKind::Integers)),
        (texts("iif(id % 2, 'user-' || id, id)"), Some(OwnerKind::Text)),
        (texts(&format!("iif(id % 2, {uuid}, id)")), Some(OwnerKind::Text)),
        (
            "DELETE FROM embedding_metadata WHERE key = 'user_id'; \
             INSERT INTO embedding_metadata_array (id, key, int_value) SELECT id, 'user_id', 1 FROM embeddings LIMIT 1;"
                .to_owned(),
            None,
        ),
        // Rows of collections that are no longer there.
        (
            "INSERT INTO embedding_metadata (id, key, string_value) VALUES (100001, 'user_id', 'gone');".to_owned(),
            Some(OwnerKind::Integers),
        ),
        // The collections differ.
        (
            format!(
                "{} UPDATE embedding_metadata SET string_value = 'x' WHERE key = 'user_id' AND id = \
                 (SELECT max(id) FROM embeddings);",
                typed("int_value = 5")
            ),
            Some(OwnerKind::Text),
        ),
        (
            "DELETE FROM embedding_metadata WHERE key = 'user_id' AND id IN (SELECT e.id FROM embeddings e \
             JOIN segments s ON s.id = e.segment_id JOIN collections c ON c.id = s.collection AND c.name = 'library_b');"
                .to_owned(),
            Some(OwnerKind::Integers),
        ),
    ];
    let old = "DROP INDEX embedding_metadata_string_value; DROP INDEX embedding_metadata_int_value; \
               DROP INDEX embedding_metadata_float_value;";
    let other = "DROP INDEX embedding_metadata_string_value; \
                 CREATE INDEX embedding_metadata_string_value ON embedding_metadata (string_value, key)";
    let partial = "DROP INDEX embedding_metadata_string_value; \
                   CREATE INDEX embedding_metadata_string_value ON embedding_metadata (key, string_value) \
                   WHERE string_value > 'y'";
    for (change, kind) in &cases {
        for indexes in ["", old, other, partial] {
            let copy = copy(TWO);
            copy.sql(&format!("PRAGMA foreign_keys = 0; {change} {indexes}"));
            assert_eq!(assert_exact(&copy).kind, *kind, "{change} {indexes}");
            assert_read(&copy, "user_id");
        }
    }
}

#[test]
fn a_collection_without_owners_is_told_from_one_with_a_single_one() {
    for keep in [0, 1, 2499, 2500] {
        let copy = copy("special/many");
        copy.sql(&format!(
            "DELETE FROM embedding_metadata WHERE key = 'user_id'; INSERT INTO embedding_metadata (id, key, int_value) \
             SELECT e.id, 'user_id', 7 FROM embeddings e ORDER BY e.id LIMIT 1 OFFSET {keep}"
        ));
        let found = assert_exact(&copy);
        assert_eq!(found.owned.contains(&true), keep < 2500, "{keep}");
    }
}

#[test]
fn many_owners_are_told_with_and_without_their_indexes() {
    let many = |value: &str| {
        let copy = copy("special/many");
        copy.sql(&format!(
            "DELETE FROM embedding_metadata WHERE key = 'user_id'; \
             INSERT INTO embedding_metadata (id, key, string_value) SELECT id, 'user_id', {value} FROM embeddings; \
             PRAGMA foreign_keys = 0; \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
             INSERT INTO embedding_metadata (id, key, string_value) SELECT i + 1000000, 'user_id', 'a' || i FROM n"
        ));
        assert_exact(&copy).kind
    };
    assert_eq!(many("id"), Some(OwnerKind::Integers));
    assert_eq!(
        many("id || printf('%.*c', 9000, 'x')"),
        Some(OwnerKind::Text)
    );
    assert_eq!(many("lower(hex(randomblob(16)))"), Some(OwnerKind::Uuids));
}

/// Appends a row of the queue to `library_a`.
fn queued(copy: &Copy, operation: i64, id: &str, metadata: &str) {
    copy.sqlite()
        .execute(
            "INSERT INTO embeddings_queue (operation, topic, id, metadata) SELECT ?1, 'persistent://a/b/' || id, ?2, ?3 \
             FROM collections WHERE name = 'library_a'",
            (operation, id, metadata),
        )
        .unwrap();
}

#[test]
fn what_waits_in_the_queue_counts() {
    let new = copy(TWO);
    queued(&new, 0, "new", "{\"user_id\": \"alice\"}");
    assert_eq!(assert_exact(&new).kind, Some(OwnerKind::Text));
    assert_read(&new, "user_id");

    // It gives the first owner, and takes the last one.
    let bare = copy(TWO);
    bare.sql("DELETE FROM embedding_metadata WHERE key = 'user_id'");
    let id: String = bare
        .sqlite()
        .query_row(
            "SELECT e.embedding_id FROM embeddings e JOIN segments s ON s.id = e.segment_id \
             JOIN collections c ON c.id = s.collection AND c.name = 'library_a' LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    queued(&bare, 1, &id, "{\"user_id\": 9}");
    let found = assert_exact(&bare);
    assert_eq!(
        (found.owned, found.kind),
        (vec![true, false], Some(OwnerKind::Integers))
    );
    queued(&bare, 1, &id, "{\"user_id\": null}");
    assert_eq!(assert_exact(&bare).owned, [false, false]);
    queued(&bare, 1, &id, "{\"user_id\": 9}");
    queued(&bare, 3, &id, "{}");
    assert_eq!(assert_exact(&bare).owned, [false, false]);
}

#[test]
fn damage_is_not_answered_by_what_is_left() {
    for index in [
        "embedding_metadata_string_value",
        "embedding_metadata_int_value",
    ] {
        let whole = copy("special/many");
        for kind in ["leaf", "internal"] {
            for page in pages(&whole, index, kind) {
                let copy = copy("special/many");
                spoil(&copy, page, &zeros());
                assert_exact(&copy);
            }
        }
    }
    let whole = copy("special/many");
    let leaves = pages(&whole, "embedding_metadata", "leaf");
    for page in [leaves[0], leaves[5], leaves[leaves.len() - 5]] {
        let copy = copy("special/many");
        spoil(&copy, page, &zeros());
        let store = open(&copy.directory);
        let found = asked(&store, store.collections(), "user_id");
        assert_eq!(found.kind, Some(OwnerKind::Integers));
        let notices = store.take_notices();
        assert_eq!(notices, Vec::<String>::new(), "the reading says it");
    }
}

#[test]
fn reading_owners_ends_where_its_reader_wants() {
    let store = open(&fixtures().join("special/many"));
    let mut given = 0;
    let each = &mut |_: Option<&Value>| {
        given += 1;
        match given {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    store
        .read_owners(named(&store, "many"), "user_id", each)
        .unwrap();
    assert_eq!(given, 3);
}
