//! Stores of a test's own records.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::store::{Store, store};

/// A record of a store.
#[derive(Debug, Clone)]
pub struct Record {
    /// `library_a` or `library_b`.
    pub collection: &'static str,
    /// Its id.
    pub id: String,
    /// Its owner.
    pub user: i64,
    /// Its title.
    pub title: String,
    /// The names of its entities.
    pub entities: Vec<String>,
    /// Its vector.
    pub vector: [f32; 8],
}

/// A record as Chroma's queue has it.
#[derive(Debug, Clone)]
pub struct Written {
    /// `library_a` or `library_b`.
    pub collection: &'static str,
    /// Its id.
    pub id: String,
    /// Its vector.
    pub vector: Vec<f32>,
    /// Its metadata, with its document under `chroma:document`.
    pub metadata: Value,
}

/// A store with two collections, `library_a` and `library_b`, that has these records and no others, all in its queue.
pub fn store_of(records: &[Record]) -> Store {
    let written = records.iter().map(|record| {
        let entities: Vec<_> = record
            .entities
            .iter()
            .map(|name| json!({"name": name, "type": "thing"}))
            .collect();
        let content = json!({"id": record.id, "title": record.title, "entities": entities});
        Written {
            collection: record.collection,
            id: record.id.clone(),
            vector: record.vector.to_vec(),
            metadata: json!({
                "user_id": record.user.to_string(), "title": record.title, "full_content": content.to_string(),
                "chroma:document": record.title,
            }),
        }
    });
    store_written(&written.collect::<Vec<_>>())
}

/// The same of records with any metadata.
pub fn store_written(records: &[Written]) -> Store {
    let store = store("special/two-collections");
    store.damage(
        "DELETE FROM embedding_metadata; DELETE FROM embeddings; UPDATE max_seq_id SET seq_id = 0;
         DELETE FROM embeddings_queue",
    );
    let database = Connection::open(store.path().join("chroma.sqlite3")).expect("opens");
    for record in records {
        let vector: Vec<u8> = record.vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        database
            .execute(
                "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata)
                 SELECT 0, 'persistent://default/default/' || id, ?2, ?3, 'FLOAT32', ?4 FROM collections WHERE name = ?1",
                (
                    record.collection,
                    &record.id,
                    vector,
                    record.metadata.to_string(),
                ),
            )
            .expect("writes");
    }
    store
}
