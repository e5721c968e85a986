//! Records for the unit tests of this stage.

use crate::record::{Metadata, Record, Value};

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
        sequence: None,
        damage: None,
    }
}

/// A metadata string.
pub(super) fn string(text: &str) -> Value {
    Value::Str(text.to_string())
}
