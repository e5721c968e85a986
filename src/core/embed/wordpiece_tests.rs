//! Tests of [`super::WordPiece`] against that of `tokenizers`.

use serde_json::{Value, json};
use tokenizers::models::wordpiece::WordPiece as Library;

use super::*;

fn both(vocabulary: &Value) -> (WordPiece, Library) {
    let json = json!({
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 12, "vocab": vocabulary,
    })
    .to_string();
    let ours = match serde_json::from_str(&json).unwrap() {
        Vocabulary::WordPiece(ours) => ours,
        Vocabulary::Other(_) => panic!("the library's"),
    };
    (ours, serde_json::from_str(&json).unwrap())
}

fn random_word(random: &mut fastrand::Rng, longest: usize) -> String {
    let letters = ["a", "b", "c", "é", "漢", "#", "\u{1f600}"];
    let length = random.usize(0..=longest);
    (0..length)
        .map(|_| letters[random.usize(..letters.len())])
        .collect()
}

#[test]
fn every_word_has_the_tokens_that_the_library_gives_it() {
    let mut random = fastrand::Rng::with_seed(14);
    for round in 0..200u32 {
        let mut vocabulary = serde_json::Map::new();
        if round % 5 > 0 {
            vocabulary.insert("[UNK]".to_owned(), json!(0));
        }
        for id in 1..random.u32(2..80) {
            let word = random_word(&mut random, 4);
            let prefix = if random.bool() { "##" } else { "" };
            vocabulary.insert(format!("{prefix}{word}"), json!(id));
        }
        let (ours, library) = both(&Value::Object(vocabulary));
        for _ in 0..200 {
            let word = random_word(&mut random, 14);
            let (found, expected) = (ours.tokenize(&word), library.tokenize(&word));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{word}"),
                (Err(_), Err(_)) => {}
                (found, expected) => panic!("{word}: {found:?} is not {expected:?}"),
            }
        }
    }
}

#[test]
fn the_last_of_two_equal_words_counts() {
    let json = r###"{"type": "WordPiece", "unk_token": "x", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": {"x": 1, "y": 2, "x": 3}}"###;
    let ours: Vocabulary = serde_json::from_str(json).unwrap();
    assert!(matches!(ours, Vocabulary::WordPiece(_)));
    assert_eq!(ours.token_to_id("x"), Some(3));
    assert_eq!(ours.token_to_id("z"), None);
    assert_eq!(ours.id_to_token(2).as_deref(), Some("y"));
    assert_eq!(ours.get_vocab_size(), 2);
    assert_eq!(ours.get_vocab().len(), 2);
}

#[test]
fn another_kind_is_the_librarys_own() {
    let json = r#"{"type": "WordLevel", "unk_token": "x", "vocab": {"x": 1}}"#;
    let other: Vocabulary = serde_json::from_str(json).unwrap();
    assert!(matches!(other, Vocabulary::Other(_)));
    assert_eq!(other.token_to_id("x"), Some(1));
    assert!(serde_json::from_str::<Vocabulary>(r#"{"type": "Nothing"}"#).is_err());
}
