//! Model directories of a test's own, and reference vectors that no code of ours has made.

use std::fs;
use std::path::Path;

use pgvector::Vector;
use serde_json::{Value, json};

use crate::Session;
use crate::server::setting;
use crate::store::{Store, root};

/// The data file of the tiny models that have one.
pub const TINY_DATA: &str = "shared.onnx.data";

/// The tiny models that have tensors in it, or in a file that they must not have.
const BESIDE: [&str; 7] = [
    "shared",
    "no_checksum",
    "beyond_end",
    "bad_offset",
    "in_memory",
    "outside_parent",
    "outside_absolute",
];

fn tiny_file(name: &str) -> Vec<u8> {
    let file = root().join("pgrx-tests/fixtures/model/tiny").join(name);
    fs::read(file).expect("a tiny model")
}

/// A model's directory that the server can read, removed at the end.
pub struct ModelFolder(Store);

impl ModelFolder {
    /// all-MiniLM-L6-v2, every file of it.
    pub fn real() -> ModelFolder {
        ModelFolder(Store::copy_of(Path::new(&setting("VECTOR_MIGRATE_MODEL"))))
    }

    /// The tiny model of this name (see `fixtures/make/tiny_models.py`), with a vocabulary of a few words. Those with
    /// their weights beside it have them in [`TINY_DATA`].
    pub fn tiny(name: &str) -> ModelFolder {
        let folder = ModelFolder(Store::empty());
        folder.write("model.onnx", &tiny_file(&format!("{name}.onnx")));
        if BESIDE.contains(&name) {
            folder.write(TINY_DATA, &tiny_file(TINY_DATA));
        }
        let words = [
            "[PAD]", "[UNK]", "[CLS]", "[SEP]", "one", "two", "three", "query", "passage",
        ];
        let vocabulary: serde_json::Map<String, Value> = words
            .iter()
            .enumerate()
            .map(|(id, word)| ((*word).to_owned(), json!(id)))
            .collect();
        let special = |id: u32, name: &str| {
            (
                name.to_owned(),
                json!({"id": name, "ids": [id], "tokens": [name]}),
            )
        };
        let template = |id: &str, special: bool| match special {
            true => json!({"SpecialToken": {"id": id, "type_id": 0}}),
            false => json!({"Sequence": {"id": id, "type_id": 0}}),
        };
        folder.json("tokenizer.json", &json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": null,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [template("[CLS]", true), template("A", false), template("[SEP]", true)],
                "pair": [template("[CLS]", true), template("A", false), template("B", false)],
                "special_tokens": serde_json::Map::from_iter([special(2, "[CLS]"), special(3, "[SEP]")]),
            },
            "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary},
        }));
        folder.json("config.json", &json!({"pad_token_id": 0}));
        folder.json("special_tokens_map.json", &json!({}));
        folder.json(
            "tokenizer_config.json",
            &json!({"model_max_length": 8, "pad_token": "[PAD]"}),
        );
        folder
    }

    /// Writes a file, and the folder that it is in.
    pub fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().expect("is in a folder")).expect("creates");
        fs::write(path, bytes).expect("writes");
    }

    /// Writes a JSON file.
    pub fn json(&self, file: &str, value: &Value) {
        self.write(file, value.to_string().as_bytes());
    }

    /// Removes a file.
    pub fn remove(&self, file: &str) {
        fs::remove_file(self.0.path().join(file)).expect("removes");
    }

    /// The bytes of a file.
    pub fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.0.path().join(file)).expect("reads")
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes it the model of the session.
    pub fn set(&self, session: &Session) {
        session.run(&format!("SET vector_migrate.model_path = {}", self.0.sql()));
    }
}

/// A text with what `fixtures/make/embed_reference.py` says of it.
#[derive(Debug)]
pub struct ReferenceText {
    /// The text.
    pub text: String,
    /// Its tokens before cutting, special ones included.
    pub tokens: usize,
    /// Its vector by mean pooling, of length 1.
    pub mean: Vec<f32>,
    /// Its vector by CLS pooling, of length 1.
    pub cls: Vec<f32>,
    /// The length of the mean before it was normalised.
    pub length: f64,
}

/// The reference texts of all-MiniLM-L6-v2.
pub fn reference() -> Vec<ReferenceText> {
    let file = root().join("pgrx-tests/fixtures/model/reference.json");
    let all: Vec<Value> =
        serde_json::from_slice(&fs::read(file).expect("reads")).expect("is a list");
    let vector = |value: &Value| {
        let hex = value.as_str().expect("hexadecimal").as_bytes();
        hex.chunks(8)
            .map(|word| {
                let word = std::str::from_utf8(word).expect("ASCII");
                f32::from_bits(
                    u32::from_str_radix(word, 16)
                        .expect("is hexadecimal")
                        .swap_bytes(),
                )
            })
            .collect()
    };
    all.iter()
        .map(|one| ReferenceText {
            text: one["text"].as_str().expect("a text").to_owned(),
            tokens: one["tokens"].as_u64().expect("a number") as usize,
            mean: vector(&one["mean"]),
            cls: vector(&one["cls"]),
            length: one["length"].as_f64().expect("a number"),
        })
        .collect()
}

/// The vector that the session's model makes of `text`.
pub fn embed(session: &Session, text: &str) -> Vec<f32> {
    session.query("SELECT embed_text($1::text)", &[&text])[0]
        .get::<_, Vector>(0)
        .to_vec()
}

/// The vectors of all `texts`, by one call.
pub fn embed_all(session: &Session, texts: &[String]) -> Vec<Vec<f32>> {
    let rows = session.query("SELECT embed_text($1::text[])", &[&texts]);
    let vector = |row: &postgres::Row| row.get::<_, Vector>(0).to_vec();
    rows.iter().map(vector).collect()
}

/// The cosine of two vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
