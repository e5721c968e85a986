//! Records that the consumer has already: of them only whose they are is read, whichever they are.

mod common;

use std::ops::ControlFlow;

use common::{copy, named, open, records};
use vector_migrate_core::record::Record;
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
        let taken = Vec::new();
        let mut consumer = Knowing { pattern, taken };
        store.feed(collection, &mut consumer).unwrap();
        let expected: Vec<Record> = whole
            .iter()
            .map(|record| match pattern(number(&record.id)) {
                true => owner_only(record),
                false => record.clone(),
            })
            .collect();
        assert!(consumer.taken == expected);
    }
}
