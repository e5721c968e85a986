//! Records for the unit tests of this stage.

use crate::record::{Collection, Metadata, Record, Space, Value};

/// A record without document, `uri` and vector that has this metadata.
pub(super) fn record_with<const N: usize>(metadata: [(&str, Value); N]) -> Record {
    let mut all = Metadata::default();
    for (key, value) in metadata {
        all.set(key.to_string(), value);
    }
    Record {
        id: "r1".to_string(),
        document: None,
        uri: None,
        metadata: all,
        vector: None,
        created_at: Some(1_000_000),
        missing: false,
        stale: false,
        damage: None,
    }
}

/// A collection `library` of Chroma's default database.
pub(super) fn collection() -> Collection {
    Collection {
        tenant: "default_tenant".to_string(),
        database: "default_database".to_string(),
        name: "library".to_string(),
        id: "00000000-0000-0000-0000-000000000001".to_string(),
        dimension: Some(3),
        space: Space::L2,
        configuration: serde_json::Value::Null,
        metadata: Metadata::default(),
    }
}

/// A metadata string.
pub(super) fn string(text: &str) -> Value {
    Value::Str(text.to_string())
}
