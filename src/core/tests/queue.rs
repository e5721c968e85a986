//! Rows of the write-ahead queue that the metadata tables do not hold yet: what a killed writer of chromadb 1.x
//! leaves, replayed with Chroma's own meaning.

mod common;

use common::{Copy, copy, named, open, records};
use vector_migrate_core::record::{Record, Value};
use vector_migrate_core::source::Source;

const NAME: &str = "l2_history";

/// Appends a row for `l2_history`; the vector is eight times the number.
fn write(copy: &Copy, operation: i64, id: &str, vector: Option<f32>, metadata: &str) {
    let vector = vector.map(|value| value.to_le_bytes().repeat(8));
    copy.sqlite()
        .execute(
            "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata) SELECT ?1, \
             'persistent://other/words/' || id, ?2, ?3, iif(?3 IS NULL, NULL, 'FLOAT32'), ?4 FROM collections \
             WHERE name = ?5",
            (operation, id, vector, metadata, NAME),
        )
        .unwrap();
}

const ADD: i64 = 0;
const UPDATE: i64 = 1;
const UPSERT: i64 = 2;
const DELETE: i64 = 3;

struct Found(Vec<Record>);

impl Found {
    fn of(copy: &Copy) -> Found {
        let store = open(&copy.directory);
        let collection = named(&store, NAME);
        let found = records(&store, collection);
        let inventory = store.inventory(collection).unwrap();
        assert_eq!(inventory.records, found.len() as u64);
        let count = |test: &dyn Fn(&Record) -> bool| {
            found.iter().filter(|record| test(record)).count() as u64
        };
        assert_eq!(
            inventory.documents,
            count(&|record| record.document.is_some())
        );
        assert_eq!(
            inventory.vectors,
            count(&|record| record.vector.as_ref().is_some_and(|v| v.values.len() == 8))
        );
        let all: u64 = store
            .collections()
            .iter()
            .map(|each| store.inventory(each).unwrap().records)
            .sum();
        assert_eq!(store.summary().unwrap().records, all);
        Found(found)
    }

    fn get(&self, id: &str) -> &Record {
        self.0.iter().find(|record| record.id == id).unwrap()
    }

    fn has(&self, id: &str) -> bool {
        self.0.iter().any(|record| record.id == id)
    }

    fn vector(&self, id: &str) -> Option<f32> {
        let vector = self.get(id).vector.as_ref()?;
        assert_eq!(vector.values.len(), 8);
        Some(vector.values[0])
    }
}

#[test]
fn new_records_come_last_and_in_order() {
    let copy = copy("chroma-1.5.9");
    let before = Found::of(&copy).0;
    write(
        &copy,
        ADD,
        "z",
        Some(1.0),
        r#"{"chroma:document":"Z","n":1,"f":1.0,"l":["a","b"]}"#,
    );
    write(
        &copy,
        UPSERT,
        "a",
        Some(2.0),
        r#"{"chroma:uri":"file:///a","user_id":"7"}"#,
    );
    let after = Found::of(&copy);
    assert_eq!(after.0.len(), before.len() + 2);
    assert_eq!(after.0[..before.len()], before[..]);
    assert_eq!(after.0[before.len()].id, "z");
    let z = after.get("z");
    assert_eq!(z.document.as_deref(), Some("Z"));
    assert!(z.created_at.is_some());
    assert_eq!(z.metadata.get("n"), Some(&Value::Int(1)));
    assert_eq!(z.metadata.get("f"), Some(&Value::Float(1.0)));
    let list = ["a", "b"].map(|text| Value::Str(text.to_owned())).to_vec();
    assert_eq!(z.metadata.get("l"), Some(&Value::List(list)));
    assert_eq!(after.get("a").uri.as_deref(), Some("file:///a"));
    assert_eq!(after.vector("a"), Some(2.0));
    assert_eq!(after.get("a").document, None);
}

#[test]
fn an_add_of_an_existing_id_changes_nothing() {
    let copy = copy("chroma-1.5.9");
    let before = Found::of(&copy).0;
    write(
        &copy,
        ADD,
        "l2-00",
        Some(9.0),
        r#"{"chroma:document":"other","n":9}"#,
    );
    assert_eq!(Found::of(&copy).0, before);
}

#[test]
fn an_update_merges_keys_and_a_null_removes_one() {
    let copy = copy("chroma-1.5.9");
    let before = Found::of(&copy);
    write(
        &copy,
        UPDATE,
        "l2-00",
        None,
        r#"{"n":-5,"group":null,"new":true}"#,
    );
    write(
        &copy,
        UPDATE,
        "l2-01",
        Some(4.0),
        r#"{"chroma:document":null}"#,
    );
    write(&copy, UPDATE, "nobody", Some(4.0), r#"{"n":1}"#);
    let after = Found::of(&copy);
    assert!(!after.has("nobody"));
    let record = after.get("l2-00");
    assert_eq!(record.metadata.get("n"), Some(&Value::Int(-5)));
    assert_eq!(record.metadata.get("group"), None);
    assert_eq!(record.metadata.get("new"), Some(&Value::Bool(true)));
    assert_eq!(
        record.metadata.get("ratio"),
        before.get("l2-00").metadata.get("ratio")
    );
    assert_eq!(record.document, before.get("l2-00").document);
    assert_eq!(record.vector, before.get("l2-00").vector);
    assert_eq!(after.get("l2-01").document, None);
    assert_eq!(after.vector("l2-01"), Some(4.0));
    assert!(!record.stale && !after.get("l2-01").stale);
}

#[test]
fn a_record_that_comes_back_is_a_new_one() {
    let copy = copy("chroma-1.5.9");
    write(&copy, DELETE, "l2-00", None, "{}");
    write(&copy, DELETE, "l2-01", None, "{}");
    write(&copy, DELETE, "nobody", None, "{}");
    write(&copy, ADD, "l2-00", Some(5.0), r#"{"n":1}"#);
    write(&copy, ADD, "l2-00", Some(6.0), r#"{"n":2}"#);
    let after = Found::of(&copy);
    assert!(!after.has("l2-01"));
    let last = after.0.last().unwrap();
    assert_eq!(
        (last.id.as_str(), last.document.as_deref()),
        ("l2-00", None)
    );
    assert_eq!(last.metadata.len(), 1);
    assert_eq!(last.metadata.get("n"), Some(&Value::Int(1)));
    assert_eq!(after.vector("l2-00"), Some(5.0));
}

#[test]
fn unknown_operations_and_odd_rows_do_no_harm() {
    let copy = copy("chroma-1.5.9");
    let before = Found::of(&copy).0.len();
    write(&copy, 4, "backfill", Some(1.0), "{}");
    write(&copy, 99, "x", Some(1.0), "{}");
    write(
        &copy,
        ADD,
        "sparse",
        Some(1.0),
        r##"{"s":{"#type":"sparse_vector","indices":[1]},"n":1}"##,
    );
    write(&copy, ADD, "broken", Some(1.0), "{");
    write(
        &copy,
        ADD,
        "odd \"id\" \u{1f388}\0",
        Some(1.0),
        r#"{"x": NaN, "y": Infinity, "z": "\ud83d"}"#,
    );
    copy.sql("UPDATE embeddings_queue SET vector = x'0102030405' WHERE id = 'broken'");
    let store = open(&copy.directory);
    let found = records(&store, named(&store, NAME));
    assert_eq!(found.len(), before + 3);
    let notices = store.take_notices().join("\n");
    assert!(
        notices.contains("\"sparse\"") && notices.contains("\"broken\""),
        "{notices}"
    );
    let odd = found.last().unwrap();
    assert_eq!(odd.id, "odd \"id\" \u{1f388}\0");
    assert_eq!(odd.metadata.get("y"), Some(&Value::Float(f64::INFINITY)));
    assert_eq!(
        odd.metadata.get("z"),
        Some(&Value::Str("\u{fffd}".to_owned()))
    );
    assert_eq!(odd.metadata.get("x"), None);
    let broken = found.iter().find(|record| record.id == "broken").unwrap();
    assert!(broken.vector.is_none() && broken.damage.is_some());
}

#[test]
fn a_vector_of_another_size_is_given_but_not_counted() {
    let copy = copy("chroma-1.5.9");
    write(&copy, ADD, "short", Some(1.0), "{}");
    copy.sql("UPDATE embeddings_queue SET vector = x'0000803f' WHERE id = 'short'");
    let store = open(&copy.directory);
    let collection = named(&store, NAME);
    let found = records(&store, collection);
    assert_eq!(found.last().unwrap().vector.as_ref().unwrap().values, [1.0]);
    assert_eq!(
        store.inventory(collection).unwrap().vectors,
        found.len() as u64 - 1
    );
}

#[test]
fn tables_behind_the_queue_are_brought_up_to_date() {
    // The unpurged queue of 0.4.24 alone: tables emptied, marks removed.
    let copy = copy("chroma-0.4.24");
    let open_all = || {
        let store = open(&copy.directory);
        let all: Vec<Vec<Record>> = store
            .collections()
            .iter()
            .map(|collection| records(&store, collection))
            .collect();
        all
    };
    let before = open_all();
    copy.sql("DELETE FROM embedding_metadata; DELETE FROM embeddings; DELETE FROM max_seq_id");
    let after = open_all();
    for (left, right) in before.iter().zip(&after) {
        let ids = |records: &[Record]| {
            records
                .iter()
                .map(|record| record.id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(left), ids(right));
        for (left, right) in left.iter().zip(right) {
            assert_eq!(left, right);
        }
    }
}

#[test]
fn a_purged_vector_makes_the_record_stale() {
    let copy = copy("chroma-1.5.9");
    let before = Found::of(&copy);
    assert!(before.0.iter().all(|record| !record.stale));
    // What the cross-collection purge of 0.5.6 to 0.5.12 does: the newest row of a changed vector is gone.
    copy.sql("DELETE FROM embeddings_queue WHERE id = 'l2-12'");
    let after = Found::of(&copy);
    assert!(after.get("l2-12").stale);
    assert_ne!(after.get("l2-12").vector, before.get("l2-12").vector);
    assert_eq!(after.0.iter().filter(|record| record.stale).count(), 1);
}

#[test]
fn users_are_counted_by_their_text() {
    let copy = copy("chroma-1.5.9");
    for (id, user) in [
        ("u1", "7"),
        ("u2", "7.0"),
        ("u3", "\"7\""),
        ("u4", "\"x\""),
        ("u5", "8"),
    ] {
        write(
            &copy,
            ADD,
            id,
            Some(1.0),
            &format!("{{\"user_id\":{user}}}"),
        );
    }
    let store = open(&copy.directory);
    assert_eq!(store.inventory(named(&store, NAME)).unwrap().users, 3);
}
