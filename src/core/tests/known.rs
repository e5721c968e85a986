//! Records that the consumer has already: of them only whose they are is read, whichever they are.

mod common;

use std::ops::ControlFlow;

use common::pages::{pages, spoil, zeros};
use common::{Copy, copy, fixtures, named, open, records};
use vector_migrate_core::record::{Collection, Record};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Consumer, Source};

/// Knows the records whose number `pattern` says.
struct Knowing {
    pattern: fn(usize) -> bool,
    key: &'static str,
    taken: Vec<Record>,
}

/// The number of a record of `special/many`: its id is `m-` and the number. The others have none.
fn number(id: &str) -> usize {
    let number = id.strip_prefix("m-").map(|number| number.parse().unwrap());
    number.unwrap_or(0)
}

impl Consumer for Knowing {
    fn owner_key(&self) -> &str {
        self.key
    }

    fn knows(&mut self, id: &str) -> bool {
        (self.pattern)(number(id))
    }

    fn wants_vector(&mut self, record: &Record) -> bool {
        !(self.pattern)(number(&record.id))
    }

    fn take(&mut self, record: Record) -> ControlFlow<()> {
        self.taken.push(record);
        ControlFlow::Continue(())
    }
}

/// What is left of a record that is known.
fn owner_only(record: &Record, owner: &str) -> Record {
    let mut left = Record {
        document: None,
        uri: None,
        vector: None,
        missing: false,
        ..record.clone()
    };
    let others: Vec<String> = record
        .metadata
        .iter()
        .map(|(key, _)| key.to_owned())
        .collect();
    for key in others.iter().filter(|key| *key != owner) {
        left.metadata.remove(key);
    }
    left
}

/// What a consumer is given that knows what `pattern` says.
fn given(store: &ChromaStore, collection: &Collection, pattern: fn(usize) -> bool) -> Vec<Record> {
    given_by(store, collection, pattern, "user_id")
}

/// The same where owners are under `key`.
fn given_by(
    store: &ChromaStore,
    collection: &Collection,
    pattern: fn(usize) -> bool,
    key: &'static str,
) -> Vec<Record> {
    let taken = Vec::new();
    let mut consumer = Knowing {
        pattern,
        key,
        taken,
    };
    store.feed(collection, &mut consumer).unwrap();
    consumer.taken
}

#[test]
fn known_records_come_with_their_owner_and_the_others_whole() {
    let copy = copy("special/many");
    let store = open(&copy.directory);
    let collection = named(&store, "many");
    let whole = records(&store, collection);
    assert_eq!(whole.len(), 2500);
    // Alternating, in runs shorter and longer than what is stepped over, at the ends, all and none.
    let patterns: [fn(usize) -> bool; 9] = [
        |_| false,
        |_| true,
        |at| at % 2 == 0,
        |at| at % 7 < 3,
        |at| at % 13 < 10,
        |at| at % 13 >= 10,
        |at| at % 40 < 20,
        |at| at > 2000,
        |at| at.wrapping_mul(2_654_435_761) % 97 < 30,
    ];
    for pattern in patterns {
        let expected: Vec<Record> = whole
            .iter()
            .map(|record| match pattern(number(&record.id)) {
                true => owner_only(record, "user_id"),
                false => record.clone(),
            })
            .collect();
        assert!(given(&store, collection, pattern) == expected);
        store.warm(collection).unwrap();
        assert!(given(&store, collection, pattern) == expected);
    }
}

#[test]
fn what_was_found_of_one_collection_is_not_given_as_another_s() {
    let copy = copy("special/two-collections");
    let store = open(&copy.directory);
    let [one, other] = store.collections() else {
        panic!("two collections")
    };
    let read = |warmed, collection| {
        store.warm(warmed).unwrap();
        given(&store, collection, |_| true)
    };
    assert_eq!(read(one, other), read(other, other));
    assert_eq!(read(other, one), read(one, one));
    assert_ne!(read(one, one), read(other, other));
}

#[test]
fn damage_does_not_matter_where_the_index_has_the_owner() {
    let copy = copy("special/many");
    let leaves = pages(&copy, "embedding_metadata", "leaf");
    for page in [leaves[5], leaves[leaves.len() - 5]] {
        spoil(&copy, page, &zeros());
    }
    let store = open(&copy.directory);
    let collection = named(&store, "many");
    let patterns: [fn(usize) -> bool; 3] = [|_| true, |_| false, |at| at > 2000];
    for pattern in patterns {
        let taken = given(&store, collection, pattern);
        let lost: Vec<_> = taken.iter().filter(|it| it.damage.is_some()).collect();
        let told = store.take_notices();
        let all = (0..2500).all(pattern);
        assert_eq!((lost.is_empty(), told.is_empty()), (all, all), "{told:?}");
    }
}

/// Fails unless every record of every collection that is known comes with its owner.
fn assert_owners(copy: &Copy) {
    let store = open(&copy.directory);
    for collection in store.collections() {
        let whole = records(&store, collection);
        // Of every type: text, an integer, a float, a boolean, an array, none.
        for key in ["user_id", "n", "ratio", "even", "tags", "none"] {
            let only = |record| owner_only(record, key);
            let expected: Vec<Record> = whole.iter().map(only).collect();
            let taken = given_by(&store, collection, |_| true, key);
            assert!(taken == expected, "{} {key}", collection.name);
        }
    }
}

#[test]
fn every_release_s_records_come_with_their_owners() {
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("chroma-") {
            assert_owners(&copy(&name));
        }
    }
}

#[test]
fn owners_of_every_type_are_found_with_and_without_indexes_of_values() {
    const VALUES: &str = "embedding_metadata_string_value";
    // Text that is long, empty or a number, integers, floats, bools, several at once, none at all; no row.
    let change = "UPDATE embedding_metadata SET \
         string_value = CASE id % 11 WHEN 0 THEN 'user ' || id WHEN 1 THEN '' WHEN 2 THEN '7' WHEN 3 THEN 'one' \
                                     WHEN 4 THEN printf('%.*c', 9000, 'x') WHEN 5 THEN 'two' END, \
         int_value = CASE id % 11 WHEN 5 THEN 1 WHEN 6 THEN 7 WHEN 7 THEN id WHEN 8 THEN 7.5 END, \
         float_value = CASE id % 11 WHEN 6 THEN 0.5 WHEN 9 THEN 0.25 END, \
         bool_value = CASE id % 11 WHEN 10 THEN id % 2 END \
         WHERE key = 'user_id'; \
         DELETE FROM embedding_metadata WHERE key = 'user_id' AND id % 13 = 0; \
         INSERT INTO embedding_metadata_array (id, key, string_value) \
             SELECT id, 'user_id', 'of many' FROM embeddings WHERE id % 26 = 0";
    let changed = || {
        let copy = copy("special/many");
        copy.sql(change);
        copy
    };
    assert_owners(&changed());
    let plain = changed();
    plain
        .sql("DROP INDEX embedding_metadata_string_value; DROP INDEX embedding_metadata_int_value");
    assert_owners(&plain);
    let other = changed();
    other.sql(
        "DROP INDEX embedding_metadata_string_value; \
         CREATE INDEX embedding_metadata_string_value ON embedding_metadata (int_value)",
    );
    assert_owners(&other);
    // Three pages of values that are cut into as many.
    for (kind, number) in [("leaf", 1), ("internal", 1), ("overflow", 3)] {
        for at in 0..number {
            let spoiled = changed();
            let all = pages(&spoiled, VALUES, kind);
            spoil(&spoiled, all[all.len() / 2 + at], &zeros());
            assert_owners(&spoiled);
        }
    }
    // Owners of records that are not there, more than are read; and names that are too long to be kept.
    let many = changed();
    many.sql(
        "PRAGMA foreign_keys = 0; \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
         INSERT INTO embedding_metadata (id, key, string_value) SELECT i + 1000000, 'user_id', 'a' || i FROM n",
    );
    assert_owners(&many);
    let long = changed();
    long.sql(
        "UPDATE embedding_metadata SET string_value = id || printf('%.*c', 9000, 'x') \
         WHERE key = 'user_id' AND id % 4 = 0",
    );
    assert_owners(&long);
}
