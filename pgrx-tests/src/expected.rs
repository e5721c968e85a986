//! What chromadb itself returned for a fixture (`fixtures/expected`).

use std::fs;

use serde_json::Value as Json;

use crate::store::root;

/// One store.
#[derive(Debug)]
pub struct Expected {
    /// Its collections, in the order of the file.
    pub collections: Vec<ExpectedCollection>,
}

/// One collection.
#[derive(Debug)]
pub struct ExpectedCollection {
    /// Tenant.
    pub tenant: String,
    /// Database.
    pub database: String,
    /// Name in its database.
    pub name: String,
    /// Chroma's uuid.
    pub id: String,
    /// `l2`, `cosine` or `ip`.
    pub space: String,
    /// Dimension, if it ever had a vector.
    pub dimension: Option<i64>,
    /// The collection's own metadata; null if there is none.
    pub metadata: Json,
    /// Number of records.
    pub count: i64,
    /// Number of ids in the index files.
    pub persisted: i64,
    /// Number of writes that are only in the queue.
    pub queued: i64,
    /// The file lists every nth record.
    pub every: i64,
    /// The records, in Chroma's order.
    pub records: Vec<ExpectedRecord>,
}

/// One record.
#[derive(Debug)]
pub struct ExpectedRecord {
    /// Id.
    pub id: String,
    /// Document.
    pub document: Option<String>,
    /// URI.
    pub uri: Option<String>,
    /// Metadata: an object, or null if there is none.
    pub metadata: Json,
    /// `YYYY-MM-DD HH:MM:SS` in UTC.
    pub created_at: String,
    /// The vector that Chroma returned, in bits.
    pub embedding: Option<Vec<u32>>,
    /// The vector that was given to Chroma, in bits.
    pub input: Option<Vec<u32>>,
}

impl Expected {
    /// Reads `expected/NAME.json`.
    pub fn of(name: &str) -> Expected {
        let path = root()
            .join("pgrx-tests/fixtures/expected")
            .join(format!("{name}.json"));
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let json: Json = serde_json::from_str(&text).expect("is JSON");
        Expected {
            collections: list(&json["collections"]).iter().map(collection).collect(),
        }
    }

    /// The collection of this name in the default database.
    pub fn collection(&self, name: &str) -> &ExpectedCollection {
        let wanted = |c: &&ExpectedCollection| c.name == name && c.database == "default_database";
        self.collections
            .iter()
            .find(wanted)
            .unwrap_or_else(|| panic!("no collection {name}"))
    }
}

impl ExpectedCollection {
    /// The name outside of its database: qualified unless that is the default one.
    pub fn qualified_name(&self) -> String {
        if self.tenant == "default_tenant" && self.database == "default_database" {
            self.name.clone()
        } else {
            format!("{}/{}/{}", self.tenant, self.database, self.name)
        }
    }

    /// The record of this id.
    pub fn record(&self, id: &str) -> &ExpectedRecord {
        self.records
            .iter()
            .find(|record| record.id == id)
            .unwrap_or_else(|| panic!("no record {id}"))
    }

    /// Panics unless `vector` is the record's, bit for bit. In cosine collections Chroma multiplies a normalised vector
    /// back, also where the queue still has the original: either will do there, but nothing in between.
    #[track_caller]
    pub fn assert_vector(&self, record: &ExpectedRecord, vector: Option<&[f32]>) {
        let bits = vector.map(|vector| vector.iter().map(|x| x.to_bits()).collect::<Vec<u32>>());
        let original = self.space == "cosine" && record.embedding.is_some() && bits == record.input;
        assert!(
            original || bits == record.embedding,
            "{} {:?}: {vector:?} is not {:?}",
            self.name,
            record.id,
            record
                .embedding
                .as_ref()
                .map(|bits| bits.iter().map(|x| f32::from_bits(*x)).collect::<Vec<_>>()),
        );
        // Nothing but the queue has them: then there is no reason for another vector than the original.
        if self.persisted == 0 && record.embedding.is_some() {
            assert_eq!(
                bits, record.input,
                "{} {:?} is in the queue as it was given",
                self.name, record.id
            );
        }
    }
}

/// Panics unless the JSON has the same keys with the same values of the same types: `1`, `1.0`, `true` and `"1"` are
/// four things. `found` comes from `jsonb`, which spells numbers its own way.
#[track_caller]
pub fn assert_same_json(found: &Json, wanted: &Json, place: &str) {
    match (found, wanted) {
        (Json::Object(found), Json::Object(wanted)) => {
            let mut keys: Vec<_> = found.keys().collect();
            let mut wanted_keys: Vec<_> = wanted.keys().collect();
            keys.sort();
            wanted_keys.sort();
            assert_eq!(keys, wanted_keys, "{place}");
            for (key, value) in found {
                assert_same_value(value, &wanted[key], &format!("{place}.{key:?}"));
            }
        }
        _ => assert_same_value(found, wanted, place),
    }
}

#[track_caller]
fn assert_same_value(found: &Json, wanted: &Json, place: &str) {
    match (found, wanted) {
        (Json::Number(found), Json::Number(wanted)) => {
            let (found, wanted) = (found.to_string(), wanted.to_string());
            let is_float = |text: &str| text.contains(['.', 'e', 'E']);
            assert_eq!(
                is_float(&found),
                is_float(&wanted),
                "{place}: {found} is another type than {wanted}"
            );
            if is_float(&wanted) {
                let bits = |text: &str| text.parse::<f64>().expect("a float").to_bits();
                assert_eq!(
                    bits(&found),
                    bits(&wanted),
                    "{place}: {found} is not {wanted}"
                );
            } else {
                assert_eq!(found, wanted, "{place}");
            }
        }
        (Json::Array(found), Json::Array(wanted)) => {
            assert_eq!(found.len(), wanted.len(), "{place}");
            for (n, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                assert_same_value(found, wanted, &format!("{place}[{n}]"));
            }
        }
        // The files have no infinity of their own.
        (Json::String(found), Json::Object(float)) => {
            let wanted = if float["float"] == "inf" {
                "Infinity"
            } else {
                "-Infinity"
            };
            assert_eq!(found, wanted, "{place}");
        }
        _ => assert_eq!(found, wanted, "{place}"),
    }
}

fn collection(json: &Json) -> ExpectedCollection {
    ExpectedCollection {
        tenant: text(&json["tenant"]),
        database: text(&json["database"]),
        name: text(&json["name"]),
        id: text(&json["id"]),
        space: text(&json["space"]),
        dimension: json["dimension"].as_i64(),
        metadata: json["metadata"].clone(),
        count: number(&json["count"]),
        persisted: number(&json["persisted"]),
        queued: number(&json["queued"]),
        every: number(&json["every"]),
        records: list(&json["records"]).iter().map(record).collect(),
    }
}

fn record(json: &Json) -> ExpectedRecord {
    ExpectedRecord {
        id: text(&json["id"]),
        document: json["document"].as_str().map(str::to_owned),
        uri: json["uri"].as_str().map(str::to_owned),
        metadata: json["metadata"].clone(),
        created_at: text(&json["created_at"]),
        embedding: json["embedding"].as_str().map(floats),
        input: json["input"].as_str().map(floats),
    }
}

/// Little-endian float32 values in hexadecimal.
fn floats(hex: &str) -> Vec<u32> {
    let float = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).expect("ASCII");
        u32::from_str_radix(digits, 16)
            .expect("hexadecimal")
            .swap_bytes()
    };
    hex.as_bytes().chunks(8).map(float).collect()
}

fn text(json: &Json) -> String {
    json.as_str().expect("a string").to_owned()
}

fn number(json: &Json) -> i64 {
    json.as_i64().expect("an integer")
}

fn list(json: &Json) -> &[Json] {
    json.as_array().expect("an array")
}
