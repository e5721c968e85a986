//! Stores of many records that are alike.

use rusqlite::Connection;
use serde_json::{Map, Value as Json, json};

use crate::store::{Store, root, store};

/// What the records of a store are like. Their texts are prose, each another part of the sample store's material.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// How many there are.
    pub records: usize,
    /// Dimensions of the vectors, which are noise.
    pub dimension: usize,
    /// Bytes of the document, about.
    pub document: usize,
    /// Metadata keys with a short text or a number, beside the owner and the title.
    pub keys: usize,
    /// Bytes of the text in `full_content`, about; 0 for none.
    pub content: usize,
    /// Entities in `full_content`, of forty that there are.
    pub entities: usize,
}

/// A store with one collection of such records, all in its queue.
pub fn store_like(shape: &Shape) -> Store {
    let store = store("special/many");
    store.damage(&format!(
        "PRAGMA synchronous = OFF;
         DELETE FROM embedding_metadata; DELETE FROM embeddings; DELETE FROM max_seq_id; DELETE FROM embeddings_queue;
         UPDATE collections SET dimension = {}",
        shape.dimension
    ));
    for folder in store.texts("SELECT id FROM segments WHERE scope = 'VECTOR'") {
        std::fs::remove_dir_all(store.path().join(folder)).expect("removes");
    }
    let mut texts = Texts::new();
    let mut database = Connection::open(store.path().join("chroma.sqlite3")).expect("opens");
    let all = database.transaction().expect("begins");
    for n in 0..shape.records {
        let vector: Vec<u8> = (0..shape.dimension)
            .flat_map(|_| (texts.dice() as f32 / u32::MAX as f32 - 0.5).to_le_bytes())
            .collect();
        all.execute(
            "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata)
             SELECT 0, 'persistent://default/default/' || id, ?1, ?2, 'FLOAT32', ?3 FROM collections",
            (
                format!("record-{n:06}"),
                vector,
                metadata(shape, n, &mut texts).to_string(),
            ),
        )
        .expect("writes");
    }
    all.commit().expect("commits");
    drop(database);
    store
}

fn metadata(shape: &Shape, n: usize, texts: &mut Texts) -> Json {
    let mut metadata = Map::new();
    metadata.insert("user_id".into(), json!((n % 20).to_string()));
    metadata.insert("title".into(), json!(texts.part(40)));
    metadata.insert("chroma:document".into(), json!(texts.part(shape.document)));
    for key in 0..shape.keys {
        let value = match key % 2 {
            0 => json!(texts.part(20)),
            _ => json!(texts.dice() % 100_000),
        };
        metadata.insert(format!("property_{key}"), value);
    }
    if shape.content > 0 {
        let entities: Vec<Json> = (0..shape.entities)
            .map(|_| json!({"name": format!("entity {}", texts.dice() % 40), "type": "thing"}))
            .collect();
        let content =
            json!({"id": n, "transcript": texts.part(shape.content), "entities": entities});
        metadata.insert("full_content".into(), json!(content.to_string()));
    }
    Json::Object(metadata)
}

/// Prose, and numbers that are the same in every run.
struct Texts {
    prose: String,
    state: u64,
}

impl Texts {
    fn new() -> Texts {
        let prose = std::fs::read_to_string(root().join("demo/material.txt")).expect("reads");
        Texts { prose, state: 1 }
    }

    fn dice(&mut self) -> u32 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005);
        self.state = self.state.wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 32) as u32
    }

    /// About so many bytes of the prose, from anywhere in it.
    fn part(&mut self, bytes: usize) -> String {
        let mut start = self.dice() as usize % self.prose.len();
        while !self.prose.is_char_boundary(start) {
            start -= 1;
        }
        let around = self.prose[start..].chars().chain(self.prose.chars());
        let mut part = String::with_capacity(bytes + 3);
        for letter in around.take(bytes) {
            if part.len() >= bytes {
                break;
            }
            part.push(letter);
        }
        part
    }
}
