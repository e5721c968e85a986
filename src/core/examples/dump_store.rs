//! Prints what the reader makes of a Chroma persist directory, as JSON lines: `dump_store DIRECTORY`.
//!
//! One line a collection, one line a record below it. A value of metadata is a pair of its type and its text, so
//! that 3, 3.0 and "3" differ; a float is the hexadecimal of its 64 bits, a vector that of its little-endian
//! float32s. `pgrx-tests/fidelity` compares the lines with what a chromadb release returns.

#![allow(
    clippy::expect_used,
    reason = "a program to be started by hand: what fails ends it"
)]

use std::env;
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _, stdout};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value as Json, json};
use vector_migrate_core::record::{Grade, Metadata, Record, Value};
use vector_migrate_core::source::Source;
use vector_migrate_core::source::chroma::ChromaStore;

fn value(given: &Value) -> Json {
    match given {
        Value::Bool(on) => json!(["bool", on.to_string()]),
        Value::Int(number) => json!(["int", number.to_string()]),
        Value::Float(number) => json!(["float", format!("{:016x}", number.to_bits())]),
        Value::Str(text) => json!(["str", text]),
        Value::List(items) => json!(["list", items.iter().map(value).collect::<Vec<_>>()]),
    }
}

fn metadata(given: &Metadata) -> Json {
    let pairs = given
        .iter()
        .map(|(key, given)| (key.to_owned(), value(given)));
    Json::Object(pairs.collect::<Map<_, _>>())
}

fn hex(values: &[f32]) -> String {
    let mut text = String::with_capacity(values.len().saturating_mul(8));
    for byte in values.iter().flat_map(|value| value.to_le_bytes()) {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

fn line(record: &Record) -> Json {
    json!({
        "record": record.id,
        "document": record.document,
        "uri": record.uri,
        "metadata": metadata(&record.metadata),
        "vector": record.vector.as_ref().map(|vector| hex(&vector.values)),
        "grade": record.vector.as_ref().map(|vector| match vector.grade {
            Grade::Exact => "exact",
            Grade::Restored => "restored",
        }),
        "stale": record.stale,
    })
}

fn main() {
    let path = env::args_os().nth(1).expect("usage: dump_store DIRECTORY");
    let store =
        ChromaStore::open(Path::new(&path), Arc::new(AtomicBool::new(false))).expect("the store");
    let mut out = BufWriter::new(stdout().lock());
    for collection in store.collections() {
        let inventory = store.inventory(collection).expect("an inventory");
        let head = json!({
            "tenant": collection.tenant,
            "database": collection.database,
            "name": collection.name,
            "collection": collection.id,
            "metadata": metadata(&collection.metadata),
            "space": collection.space.as_str(),
            "dimension": collection.dimension,
            "count": inventory.records,
            "vectors": inventory.vectors,
        });
        writeln!(out, "{head}").expect("standard output");
        store
            .read(collection, &mut |record| {
                writeln!(out, "{}", line(&record)).expect("standard output");
                ControlFlow::Continue(())
            })
            .expect("the records");
    }
    let last = json!({
        "listed": store.collections().len(),
        "warnings": store.warnings(),
        "notices": store.take_notices(),
    });
    writeln!(out, "{last}").expect("standard output");
    out.flush().expect("standard output");
}
