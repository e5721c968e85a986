//! Chroma's filters: what two releases of chromadb found by 2,000 random ones, against the reader's evaluation.
//!
//! The store and the answers are made by `pgrx-tests/fixtures/make/filters.sh`.

mod common;

use serde_json::Value as Json;
use vector_migrate_core::filter::{DocumentFilter, Filter, Where};
use vector_migrate_core::record::Record;
use vector_migrate_core::source::Source as _;

fn answers() -> Json {
    let text = std::fs::read_to_string(common::fixtures().join("filters/answers.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn records() -> Vec<Record> {
    let store = common::open(&common::fixtures().join("filters/store"));
    let collection = store.collections()[0].clone();
    common::records(&store, &collection)
}

/// The records that `matches`, as the answers have them.
fn found(records: &[Record], matches: impl Fn(&Record) -> bool) -> String {
    let ids = records.iter().filter(|it| matches(it));
    let bits = ids.map(|it| 1_u64 << it.id[1..].parse::<u32>().unwrap());
    format!("{:x}", bits.fold(0, |all, bit| all | bit))
}

#[test]
fn every_filter_finds_the_ids_that_chromadb_finds() {
    let (answers, records) = (answers(), records());
    assert_eq!(records.len(), 60);
    let filters = answers["filters"].as_array().unwrap();
    assert_eq!(filters.len(), 2000);
    for filter in filters {
        let clause = filter
            .get("where")
            .map(|it| Where::parse(&it.to_string()).unwrap());
        let document =
            (filter.get("document")).map(|it| DocumentFilter::parse(&it.to_string()).unwrap());
        let ids = found(&records, |record| {
            clause.as_ref().is_none_or(|it| it.matches(record))
                && document
                    .as_ref()
                    .is_none_or(|it| it.matches(record.document.as_deref()))
        });
        assert_eq!(ids, filter["ids"], "{filter}");
    }
}

#[test]
fn a_filter_of_the_language_is_the_same_as_an_argument_of_a_run() {
    let (answers, records) = (answers(), records());
    let mut asked = 0;
    for filter in answers["filters"].as_array().unwrap() {
        let Some(clause) = filter
            .get("where")
            .filter(|_| filter.get("document").is_none())
        else {
            continue;
        };
        let parsed = Filter::parse(&clause.to_string()).unwrap();
        // Without an operator it is containment.
        if clause.to_string().contains("\"$") {
            asked += 1;
            assert_eq!(
                found(&records, |it| parsed.matches(it)),
                filter["ids"],
                "{filter}"
            );
            assert!(matches!(parsed, Filter::Where(_)), "{filter}");
        }
    }
    assert!(asked > 1000, "{asked}");
}

#[test]
fn what_chromadb_refuses_is_refused_with_what_it_would_accept() {
    let answers = answers();
    for filter in answers["refused"].as_array().unwrap() {
        let why = match (filter.get("where"), filter.get("document")) {
            (Some(it), None) => Where::parse(&it.to_string()).unwrap_err(),
            (None, Some(it)) => DocumentFilter::parse(&it.to_string()).unwrap_err(),
            _ => panic!("{filter}"),
        };
        let why = why.to_string();
        let says = ["Chroma takes ", "Chroma has ", "Chroma compares "];
        assert!(says.iter().any(|it| why.contains(it)), "{filter}: {why}");
    }
}

/// Whether a filter has what the two releases answer differently: see docs/filters.md.
fn differs_by_release(json: &Json, under: &str) -> bool {
    match json {
        Json::Object(object) => (object.iter()).any(|(key, it)| differs_by_release(it, key)),
        Json::Array(list) => list.iter().any(|it| differs_by_release(it, under)),
        Json::Number(number) => number
            .as_f64()
            .is_some_and(|it| it.fract() != 0.0 || it.abs() > 9e15),
        Json::String(text) if under.ends_with("contains") => {
            text.contains(['%', '_']) || (text.len() > 2 && text.chars().count() < 3)
        }
        _ => false,
    }
}

#[test]
fn releases_differ_in_nothing_but_what_is_documented() {
    let answers = answers();
    let mut different = 0;
    for filter in answers["filters"].as_array().unwrap() {
        // Null: the older release has no such operator.
        if filter["older"].is_string() {
            different += 1;
            assert!(differs_by_release(filter, ""), "{filter}");
        }
    }
    assert!(different > 40, "{different}");
}
