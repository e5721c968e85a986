//! Records that the consumer has already: of them only whose they are is read, whichever they are, and whatever was
//! read of them before it asked.

mod common;

use std::ops::ControlFlow;

use common::pages::{pages, spoil, zeros};
use common::{copy, named, open, records};
use vector_migrate_core::record::{Collection, Record};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Consumer, Source};

/// Knows the records whose number `pattern` says.
struct Knowing {
    pattern: fn(usize) -> bool,
    taken: Vec<Record>,
}

/// The number of a record: its id is `m-` and the number.
fn number(id: &str) -> usize {
    id[2..].parse().unwrap()
}

impl Consumer for Knowing {
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

    fn ready(&mut self) -> bool {
        true
    }
}

/// What is left of a record that is known.
fn owner_only(record: &Record) -> Record {
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
    for key in others.iter().filter(|key| *key != "user_id") {
        left.metadata.remove(key);
    }
    left
}

/// What a consumer is given that knows what `pattern` says.
fn given(store: &ChromaStore, collection: &Collection, pattern: fn(usize) -> bool) -> Vec<Record> {
    let taken = Vec::new();
    let mut consumer = Knowing { pattern, taken };
    store.feed(collection, &mut consumer).unwrap();
    consumer.taken
}

/// Reads up to `most` records of a collection beforehand; the bytes that it took them for.
fn warm(store: &ChromaStore, collection: &Collection, most: usize) -> usize {
    let (mut asked, mut held) = (0, 0);
    let enough = &mut |bytes| {
        (asked, held) = (asked + 1, bytes);
        // The first time before there is any.
        asked > most
    };
    store.warm(collection, enough).unwrap();
    held
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
                true => owner_only(record),
                false => record.clone(),
            })
            .collect();
        assert!(given(&store, collection, pattern) == expected);
        for most in [0, 1, 700, 2499, 2500, 9999] {
            warm(&store, collection, most);
            assert!(given(&store, collection, pattern) == expected, "{most}");
        }
    }
}

#[test]
fn what_was_read_of_one_collection_is_not_given_as_another_s() {
    let copy = copy("special/two-collections");
    let store = open(&copy.directory);
    let [one, other] = store.collections() else {
        panic!("two collections")
    };
    let read = |warmed, collection| {
        warm(&store, warmed, 9999);
        let mut ids = Vec::new();
        let mut consumer = Everything(&mut ids);
        store.feed(collection, &mut consumer).unwrap();
        ids
    };
    assert_eq!(read(one, other), read(other, other));
    assert_eq!(read(other, one), read(one, one));
    assert_ne!(read(one, one), read(other, other));
}

/// Knows every record, and keeps the ids.
struct Everything<'a>(&'a mut Vec<String>);

impl Consumer for Everything<'_> {
    fn knows(&mut self, _: &str) -> bool {
        true
    }

    fn wants_vector(&mut self, _: &Record) -> bool {
        false
    }

    fn take(&mut self, record: Record) -> ControlFlow<()> {
        self.0.push(record.id);
        ControlFlow::Continue(())
    }

    fn ready(&mut self) -> bool {
        true
    }
}

#[test]
fn what_is_read_beforehand_is_counted() {
    let copy = copy("special/many");
    let store = open(&copy.directory);
    let collection = named(&store, "many");
    let (one, all) = (warm(&store, collection, 1), warm(&store, collection, 2500));
    assert!((200..1000).contains(&one), "{one}");
    assert!((2000 * one..3000 * one).contains(&all), "{all}");
}

#[test]
fn damage_is_told_by_the_reading_and_not_by_what_came_before_it() {
    let copy = copy("special/many");
    let leaves = pages(&copy, "embedding_metadata", "leaf");
    for page in [leaves[5], leaves[leaves.len() - 5]] {
        spoil(&copy, page, &zeros());
    }
    let plain = open(&copy.directory);
    let collection = named(&plain, "many");
    let patterns: [fn(usize) -> bool; 3] = [|_| true, |_| false, |at| at > 2000];
    for pattern in patterns {
        let expected = given(&plain, collection, pattern);
        let lost = expected.iter().filter(|record| record.damage.is_some());
        assert!(lost.count() > 1);
        let notices = plain.take_notices();
        assert_eq!(notices.len(), 1, "{notices:?}");
        let store = open(&copy.directory);
        warm(&store, collection, 9999);
        assert_eq!(store.take_notices(), Vec::<String>::new());
        assert!(given(&store, collection, pattern) == expected);
        assert_eq!(store.take_notices(), notices);
    }
}
