//! The model that every stage shares: collections, records, metadata, vectors.
//!
//! Promise: missing, NULL and empty stay three different things, and a metadata value keeps the type
//! that Chroma stored. Imports nothing of this crate.

mod metadata_keys;

use std::fmt;
use std::sync::Arc;

pub use metadata_keys::{KeyCounts, MetadataKeys, ValueType};

/// How distances are measured in a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// Squared Euclidean distance, Chroma's default.
    L2,
    /// Cosine distance; Chroma keeps such vectors normalised, with their length beside them.
    Cosine,
    /// Inner product.
    Ip,
}

impl Space {
    /// Chroma's own word for the space: `l2`, `cosine` or `ip`.
    pub fn as_str(self) -> &'static str {
        match self {
            Space::L2 => "l2",
            Space::Cosine => "cosine",
            Space::Ip => "ip",
        }
    }

    /// The space that Chroma's word names; `None` for a word that no release writes.
    pub fn from_word(word: &str) -> Option<Space> {
        match word {
            "l2" => Some(Space::L2),
            "cosine" => Some(Space::Cosine),
            "ip" => Some(Space::Ip),
            _ => None,
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One metadata value, with the type that Chroma stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A double; may be infinite in stores written before chromadb 1.0, never NaN.
    Float(f64),
    /// A string, valid UTF-8; may hold U+0000.
    Str(String),
    /// An array of one scalar type, in order (chromadb 1.5 and later).
    List(Vec<Value>),
}

impl Value {
    /// The string, if the value is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Whether a text of it has U+0000, which PostgreSQL has no place for; the six characters `\u0000` of JSON that is
    /// kept as text are harmless.
    pub fn holds_nul(&self) -> bool {
        match self {
            Value::Str(text) => text.contains('\0'),
            Value::List(items) => items.iter().any(Value::holds_nul),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
        }
    }
}

/// Metadata of a record or a collection: keys with values, ascending by key (bytewise), each key once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(Vec<(Arc<str>, Value)>);

impl Metadata {
    /// The value of `key`, if the key is there.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.position(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Sets `key` to `value`, replacing what was there.
    pub fn set(&mut self, key: impl Into<Arc<str>>, value: Value) {
        let key = key.into();
        match self.position(&key) {
            Ok(at) => {
                if let Some(entry) = self.0.get_mut(at) {
                    entry.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Makes room for so many more keys.
    pub fn reserve(&mut self, keys: usize) {
        self.0.reserve(keys);
    }

    /// Removes `key`; gives its value back if it was there.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.position(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Every key with its value, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        // Sources hand keys over in order nearly always: look at the end before searching.
        match self.0.last() {
            Some((last, _)) if **last < *key => Err(self.0.len()),
            _ => self.0.binary_search_by(|(there, _)| (**there).cmp(key)),
        }
    }
}

/// How faithful a vector is to what the application once gave to Chroma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// Bit for bit the original.
    Exact,
    /// Kept normalised by Chroma and multiplied back by the kept length: within 4 units in the last place.
    Restored,
}

/// A stored vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    /// The components; NaN and infinities are possible here and refused later.
    pub values: Vec<f32>,
    /// How faithful they are.
    pub grade: Grade,
}

/// One record of a collection, as Chroma's own `get()` would return it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The application's id, unique in its collection.
    pub id: String,
    /// The document; `Some("")` differs from `None`.
    pub document: Option<String>,
    /// The uri.
    pub uri: Option<String>,
    /// The application's metadata: Chroma's own keys (`chroma:document`, `chroma:uri`) are not in it.
    pub metadata: Metadata,
    /// The vector; `None` if the store has none for this record, or if nobody wanted it.
    pub vector: Option<Vector>,
    /// The vector was wanted, and the store has none for this record.
    pub missing: bool,
    /// When Chroma inserted the record: microseconds since 1970-01-01 UTC.
    pub created_at: Option<i64>,
    /// The record changed after the last state of its vector that the store still has.
    pub stale: bool,
    /// Sequence number of the last write applied to it; `None`: not known.
    pub sequence: Option<i64>,
    /// What of the record cannot be read, as a sentence; `None`: it is whole. Of a damaged record the id is right,
    /// everything else may be missing.
    pub damage: Option<String>,
}

/// One collection of a store.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// The tenant's name; `default_tenant` where the release knew none.
    pub tenant: String,
    /// The database's name; `default_database` where the release knew none.
    pub database: String,
    /// The collection's name, unique in its database only.
    pub name: String,
    /// The collection's uuid, as Chroma writes it: lower case with hyphens.
    pub id: String,
    /// Dimensions of its vectors; `None` if it never got one.
    pub dimension: Option<u32>,
    /// The distance space.
    pub space: Space,
    /// Chroma's own configuration, as its JSON; `Null` if the release kept none.
    pub configuration: serde_json::Value,
    /// The application's metadata of the collection.
    pub metadata: Metadata,
}

impl Collection {
    /// The name that results show and `collection` arguments take: the plain name in Chroma's default
    /// tenant and database, `tenant/database/name` elsewhere.
    pub fn qualified_name(&self) -> String {
        if self.tenant == "default_tenant" && self.database == "default_database" {
            self.name.clone()
        } else {
            format!("{}/{}/{}", self.tenant, self.database, self.name)
        }
    }
}

/// What one collection holds, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Live records.
    pub records: u64,
    /// Records with a usable vector: of the collection's dimension, without NaN and infinities.
    pub vectors: u64,
    /// Of the usable vectors: bit for bit what Chroma was given.
    pub exact: u64,
    /// Of the usable vectors: kept normalised and multiplied back.
    pub restored: u64,
    /// Records for which the store has no vector.
    pub missing: u64,
    /// Of the usable vectors: perhaps older than their record.
    pub stale: u64,
    /// Records with a document, the empty one included.
    pub documents: u64,
    /// Distinct values of the metadata key `user_id`; `"7"` and `7` are the same user.
    pub users: u64,
    /// Queue rows that the collection's tables or index files do not cover yet.
    pub queued: u64,
    /// The metadata keys of its records; Chroma's own are not among them.
    pub metadata_keys: MetadataKeys,
}
