//! A store of chromadb 1.5.9, and what its `query` and `get` answered (`fixtures/make/queries.py` wrote both).

use std::process::Command;

use serde_json::Value as Json;

use crate::expected::assert_same_json;
use crate::quote;
use crate::session::Session;
use crate::store::{Store, root};

/// The collections, and the distance of each. `bare` has records without documents and metadata, and vectors of zeros.
pub const COLLECTIONS: [(&str, &str); 4] = [
    ("by_l2", "l2"),
    ("by_cosine", "cosine"),
    ("by_ip", "ip"),
    ("bare", "cosine"),
];

/// The recorded store and its answers.
pub struct Queries {
    /// A copy of the store.
    pub store: Store,
    facts: Json,
}

/// What a table is asked with: what follows in the calls.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Further arguments of both functions: `collection`, `target`.
    pub arguments: &'a str,
    /// The argument `space` of `chroma_query`, where the table does not tell it.
    pub space: Option<&'a str>,
    /// The table keeps documents.
    pub documents: bool,
}

impl Queries {
    /// Unpacks the fixture.
    pub fn new() -> Queries {
        let store = Store::empty();
        unpack(&[
            "-C",
            store.path().to_str().expect("UTF-8"),
            "--strip-components=1",
            "store",
        ]);
        Queries {
            store,
            facts: serde_json::from_slice(&unpack(&["-O", "answers.json"])).expect("is JSON"),
        }
    }

    fn answers(&self, collection: &str) -> impl Iterator<Item = &Json> {
        let answers = self.facts["answers"].as_array().expect("answers");
        answers
            .iter()
            .filter(move |it| it["collection"] == collection)
    }

    /// Panics unless the table gives every recorded answer of the collection: the same ids in the same order, up to ties, at the same
    /// distances.
    #[track_caller]
    pub fn assert_answers(&self, db: &Session, collection: &str, asked: Asked<'_>) {
        let mut compared = 0;
        for answer in self.answers(collection) {
            if !asked.documents && !answer["where_document"].is_null() {
                continue;
            }
            match answer["query"].as_u64() {
                Some(number) => {
                    let number = usize::try_from(number).expect("few");
                    self.assert_query(db, answer, &self.facts["queries"][number], asked);
                }
                None => assert_get(db, answer, asked),
            }
            compared += 1;
        }
        assert!(compared > 20, "{compared}");
    }

    #[track_caller]
    fn assert_query(&self, db: &Session, answer: &Json, query: &Json, asked: Asked<'_>) {
        let space = asked
            .space
            .map_or(String::new(), |it| format!(", space => '{it}'"));
        let sql = format!(
            "SELECT id, distance FROM chroma_query('{query}'::vector, {}, {}, {}, {}{space})",
            answer["n"],
            json(&answer["where"]),
            json(&answer["where_document"]),
            asked.arguments
        );
        let found: Vec<(u64, f64)> = db
            .lines(&sql)
            .iter()
            .map(|line| {
                let (id, distance) = line.split_once('|').expect("two columns");
                (number(id), distance.parse().expect("a number"))
            })
            .collect();
        let ids = answer["found"].as_array().expect("ids");
        let distances = answer["distances"].as_array().expect("distances");
        let wanted: Vec<(u64, f64)> = ids
            .iter()
            .zip(distances)
            .map(|(id, distance)| {
                (
                    id.as_u64().expect("a number"),
                    distance.as_f64().expect("a number"),
                )
            })
            .collect();
        assert_eq!(found.len(), wanted.len(), "{sql}\n{found:?}\n{wanted:?}");
        for ((id, distance), (_, at_its_place)) in found.iter().zip(&wanted) {
            assert!(
                close(*distance, *at_its_place),
                "{sql}\n{found:?}\n{wanted:?}"
            );
            // Of those that are equally far as the last, any may come.
            let of_chroma = wanted.iter().find(|(it, _)| it == id);
            let last = wanted.last().expect("not empty").1;
            let same = of_chroma.map_or(close(*distance, last), |(_, it)| close(*distance, *it));
            assert!(same, "{id}: {sql}\n{found:?}\n{wanted:?}");
        }
    }

    /// Panics unless `chroma_get` shows the recorded documents and metadata of the first records.
    #[track_caller]
    pub fn assert_records(&self, db: &Session, collection: &str, arguments: &str) {
        let records = self.facts["records"][collection]
            .as_array()
            .expect("records");
        for record in records {
            let id = quote(record["id"].as_str().expect("a text"));
            let sql = format!(
                "SELECT jsonb_build_object('id', id, 'document', document, 'metadata', metadata) FROM chroma_get(ARRAY[{id}], NULL, NULL, {arguments})"
            );
            let found: Json = serde_json::from_str(&db.line(&sql)).expect("is JSON");
            assert_same_json(&found, record, &sql);
        }
        assert!(!records.is_empty());
    }
}

impl Default for Queries {
    fn default() -> Queries {
        Queries::new()
    }
}

#[track_caller]
fn assert_get(db: &Session, answer: &Json, asked: Asked<'_>) {
    let ids = answer["ids"].as_array().map_or("NULL".to_owned(), |ids| {
        let ids: Vec<String> = ids
            .iter()
            .map(|it| {
                format!(
                    "'00000000-0000-4000-8000-{:012}'",
                    it.as_u64().expect("a number")
                )
            })
            .collect();
        format!("ARRAY[{}]", ids.join(", "))
    });
    let sql = format!(
        "SELECT id FROM chroma_get({ids}, {}, {}, {})",
        json(&answer["where"]),
        json(&answer["where_document"]),
        asked.arguments
    );
    let found: Vec<u64> = db.lines(&sql).iter().map(|id| number(id)).collect();
    let wanted: Vec<u64> = answer["got"]
        .as_array()
        .expect("ids")
        .iter()
        .map(|it| it.as_u64().expect("a number"))
        .collect();
    assert_eq!(found, wanted, "{sql}");
}

/// Within 1e-5, relatively; below 1 absolutely, as 1 is what the dot product is subtracted from.
fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-5 * other.abs().max(1.0)
}

fn number(id: &str) -> u64 {
    let (_, number) = id.rsplit_once('-').expect("a uuid");
    number.parse().expect("a number")
}

fn json(value: &Json) -> String {
    match value {
        Json::Null => "NULL".to_owned(),
        value => quote(&value.to_string()),
    }
}

fn unpack(arguments: &[&str]) -> Vec<u8> {
    let archive = root().join("pgrx-tests/fixtures/query/queries.tar.gz");
    let mut tar = Command::new("tar");
    let tar = tar
        .arg("--no-same-owner")
        .arg("-xzf")
        .arg(&archive)
        .args(arguments);
    let output = tar.output().expect("tar runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
