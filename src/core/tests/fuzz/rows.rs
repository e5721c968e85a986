//! Changes to the rows and the shape of the queue's table.

use std::collections::BTreeSet;

use fastrand::Rng;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::bytes;

const COLUMNS: [&str; 8] = [
    "vector",
    "metadata",
    "operation",
    "topic",
    "encoding",
    "id",
    "created_at",
    "seq_id",
];

/// Other tables of the same name, and none at all.
const SHAPES: [&str; 6] = [
    "CREATE TABLE q AS SELECT * FROM embeddings_queue; DROP TABLE embeddings_queue; \
     ALTER TABLE q RENAME TO embeddings_queue",
    "CREATE TABLE q (seq_id TEXT, created_at, operation TEXT, topic BLOB, id BLOB, vector TEXT, encoding BLOB, \
     metadata BLOB); INSERT INTO q SELECT seq_id, created_at, operation, CAST(topic AS BLOB), CAST(id AS BLOB), \
     vector, encoding, CAST(metadata AS BLOB) FROM embeddings_queue; DROP TABLE embeddings_queue; \
     ALTER TABLE q RENAME TO embeddings_queue",
    "ALTER TABLE embeddings_queue RENAME TO q; CREATE VIEW embeddings_queue AS SELECT * FROM q",
    "ALTER TABLE embeddings_queue DROP COLUMN metadata",
    "ALTER TABLE embeddings_queue RENAME COLUMN vector TO victor",
    "DROP TABLE embeddings_queue",
];

const METADATA: [&str; 14] = [
    "{}",
    "null",
    "[]",
    "{\"k\": NaN, \"l\": -Infinity}",
    "{\"k\": \"\\ud83d\", \"\\udc00\": 1}",
    "{\"k\": 1e999, \"l\": 123456789012345678901234567890}",
    "{\"k\": {\"l\": [1, \"a\", null]}}",
    "{\"k\": [1, 2.5, true, \"a\"]}",
    "{\"k\": null, \"k\": 1, \"chroma:document\": 7}",
    "{\"chroma:document\": null, \"chroma:uri\": []}",
    "{\"k\": 1",
    "{\"k\": 1} x",
    "{\"#type\": \"sparse\", \"indices\": [1], \"values\": [1.0]}",
    "\u{feff}{}",
];

fn text(rng: &mut Rng) -> Value {
    Value::Text(match rng.u8(..6) {
        0 => "[".repeat(rng.usize(1..50_000)),
        1 => format!("{{\"k\": {}1{}}}", "[".repeat(9_000), "]".repeat(9_000)),
        2 => String::from_utf8_lossy(&bytes::noise(rng, 200)).into_owned(),
        3 => "\0".repeat(rng.usize(..9)),
        _ => rng.choice(METADATA).unwrap_or("").to_owned(),
    })
}

/// A value of any type; `there` is what the row has.
fn value(rng: &mut Rng, there: Value) -> Value {
    match (rng.u8(..7), there) {
        (0, _) => Value::Null,
        (1, _) => Value::Integer(bytes::number(rng).cast_signed()),
        (2, _) => Value::Real(f64::from_bits(bytes::number(rng))),
        (3, _) => text(rng),
        (4, Value::Blob(blob)) => Value::Blob(bytes::changed(rng, &blob)),
        (4, Value::Text(text)) => Value::Blob(bytes::changed(rng, text.as_bytes())),
        (5, Value::Text(text)) => {
            let changed = bytes::changed(rng, text.as_bytes());
            Value::Text(String::from_utf8_lossy(&changed).into_owned())
        }
        (6, _) => Value::Blob(vec![0xff; rng.usize(..5_000)]),
        (_, Value::Integer(number)) => Value::Integer(number ^ (1 << rng.u8(..3))),
        _ => Value::Blob(bytes::noise(rng, 100)),
    }
}

/// Changes some rows, the marks that say which rows count, or the whole table; the ids whose rows were changed, or
/// `None` if that may be all.
pub fn change(rng: &mut Rng, database: &Connection) -> Option<BTreeSet<String>> {
    if rng.u8(..12) == 0 {
        let shape = rng.choice(SHAPES).unwrap_or("");
        let _ = database.execute_batch(shape);
        return None;
    }
    // Earlier marks bring more rows into play.
    if rng.bool() {
        let mark = bytes::number(rng).cast_signed() % 200;
        let sql = "UPDATE max_seq_id SET seq_id = ?1 WHERE rowid % 2 = ?2";
        database.execute(sql, [mark, rng.i64(..2)]).unwrap();
    }
    let mut touched = BTreeSet::new();
    for _ in 0..rng.usize(1..12) {
        let row = database.query_row(
            "SELECT seq_id, id FROM embeddings_queue ORDER BY seq_id LIMIT 1 OFFSET ?1 % \
             (SELECT count(*) FROM embeddings_queue)",
            [rng.u32(..)],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Value>(1)?)),
        );
        let Ok((sequence, id)) = row else { break };
        let column = rng.choice(COLUMNS).unwrap_or("vector");
        let (first, last) = (
            bytes::noise(rng, 2),
            rng.choice(["TEXT", "BLOB", "REAL", "NUMERIC"]),
        );
        let there = database
            .query_row(
                &format!("SELECT {column} FROM embeddings_queue WHERE seq_id = ?1"),
                [sequence],
                |row| row.get(0),
            )
            .unwrap_or(Value::Null);
        let new = value(rng, there);
        // Text that is no UTF-8 comes from a cast.
        let sql = match (first.is_empty(), last) {
            (false, Some(kind)) => {
                format!(
                    "UPDATE embeddings_queue SET {column} = CAST(?1 AS {kind}) WHERE seq_id = ?2"
                )
            }
            _ => format!("UPDATE embeddings_queue SET {column} = ?1 WHERE seq_id = ?2"),
        };
        // A value may break a constraint; then the row stays.
        let _ = database.execute(&sql, params![new, sequence]);
        for id in [Some(id), (column == "id").then_some(new)]
            .into_iter()
            .flatten()
        {
            touched.insert(match id {
                Value::Text(text) => text,
                Value::Blob(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Value::Integer(number) => number.to_string(),
                _ => String::new(),
            });
        }
    }
    Some(touched)
}
