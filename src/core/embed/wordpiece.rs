//! A tokenizer's vocabulary, small in memory where it is WordPiece's.
//!
//! Promise: the tokens are those of the library `tokenizers`, whose WordPiece keeps every word twice, in two hash tables:
//! 6 MB for the 30,522 words of the BERT models, in each session. Here it is one text and one sorted list of 12 bytes a
//! word. Every other kind of vocabulary is the library's own. Must not import other stages.
//!
//! Source of the algorithm, longest match first: `WordPiece::tokenize` of `tokenizers`.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokenizers::models::wordpiece::WordPieceTrainer;
use tokenizers::{Model, ModelWrapper, Result, Token};

/// The vocabulary of a `tokenizer.json`.
pub(super) enum Vocabulary {
    /// Of the BERT models.
    WordPiece(WordPiece),
    /// Of all others.
    Other(Box<ModelWrapper>),
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type")]
            name: Option<String>,
        }
        let json = <&RawValue>::deserialize(source)?.get();
        let kind: Kind = serde_json::from_str(json).map_err(D::Error::custom)?;
        match kind.name.as_deref() {
            Some("WordPiece") => serde_json::from_str(json).map(Vocabulary::WordPiece),
            _ => serde_json::from_str(json).map(Vocabulary::Other),
        }
        .map_err(D::Error::custom)
    }
}

impl Model for Vocabulary {
    /// Required by the trait; nothing is trained here.
    type Trainer = WordPieceTrainer;

    fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        match self {
            Vocabulary::WordPiece(model) => model.tokenize(word),
            Vocabulary::Other(model) => model.tokenize(word),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        match self {
            Vocabulary::WordPiece(model) => model.words.id(token),
            Vocabulary::Other(model) => model.token_to_id(token),
        }
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        match self {
            Vocabulary::WordPiece(model) => model.words.iter().find(|it| it.1 == id),
            Vocabulary::Other(model) => return model.id_to_token(id),
        }
        .map(|(word, _)| word.to_owned())
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        match self {
            Vocabulary::WordPiece(model) => {
                let words = model.words.iter();
                words.map(|(word, id)| (word.to_owned(), id)).collect()
            }
            Vocabulary::Other(model) => model.get_vocab(),
        }
    }

    fn get_vocab_size(&self) -> usize {
        match self {
            Vocabulary::WordPiece(model) => model.words.list.len(),
            Vocabulary::Other(model) => model.get_vocab_size(),
        }
    }

    fn save(&self, _: &Path, _: Option<&str>) -> Result<Vec<PathBuf>> {
        Err("a vocabulary that is only read is not saved".into())
    }

    fn get_trainer(&self) -> WordPieceTrainer {
        WordPieceTrainer::builder().build()
    }
}

/// WordPiece: a word is the longest of the vocabulary's words that it begins with, and so on with the rest of it.
#[derive(Debug, Deserialize)]
pub(super) struct WordPiece {
    /// The token of a word that has no such parts.
    unk_token: String,
    /// What stands before the vocabulary's words that go on with a word.
    continuing_subword_prefix: String,
    /// A word of more characters is not taken apart.
    max_input_chars_per_word: usize,
    #[serde(rename = "vocab")]
    words: Words,
}

impl WordPiece {
    fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        match self.parts(word) {
            Some(parts) => Ok(parts),
            None => {
                let id = self.words.id(&self.unk_token);
                let id = id.ok_or("the vocabulary lacks its own token for unknown words")?;
                let (value, offsets) = (self.unk_token.clone(), (0, word.len()));
                Ok(vec![Token { id, value, offsets }])
            }
        }
    }

    /// The parts of `word`, or `None` if the vocabulary has not all of them.
    fn parts(&self, word: &str) -> Option<Vec<Token>> {
        if word.chars().count() > self.max_input_chars_per_word {
            return None;
        }
        let (mut parts, mut start) = (Vec::new(), 0);
        while start < word.len() {
            let prefix = match start {
                0 => "",
                _ => self.continuing_subword_prefix.as_str(),
            };
            let candidate = [prefix, word.get(start..)?].concat();
            let mut ends = candidate
                .char_indices()
                .map(|(at, one)| at + one.len_utf8());
            let (value, id) = loop {
                let end = ends.next_back().filter(|end| *end > prefix.len())?;
                let value = candidate.get(..end)?;
                if let Some(id) = self.words.id(value) {
                    break (value, id);
                }
            };
            let end = start + value.len() - prefix.len();
            parts.push(Token {
                id,
                value: value.to_owned(),
                offsets: (start, end),
            });
            start = end;
        }
        Some(parts)
    }
}

/// Words with their numbers.
#[derive(Debug)]
struct Words {
    /// All of them, one after another.
    text: String,
    /// Sorted by word.
    list: Vec<Word>,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    start: u32,
    bytes: u32,
    id: u32,
}

impl Words {
    fn id(&self, word: &str) -> Option<u32> {
        let found = self.list.binary_search_by(|one| self.word(*one).cmp(word));
        self.list.get(found.ok()?).map(|one| one.id)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.list.iter().map(|one| (self.word(*one), one.id))
    }

    fn word(&self, one: Word) -> &str {
        word(&self.text, one)
    }
}

fn word(text: &str, one: Word) -> &str {
    let start = usize::try_from(one.start).unwrap_or(usize::MAX);
    let bytes = usize::try_from(one.bytes).unwrap_or(usize::MAX);
    text.get(start..start.saturating_add(bytes))
        .unwrap_or_default()
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Words;

            fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
                to.write_str("words with their numbers")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Words, M::Error> {
                let (mut text, mut list) = (String::new(), Vec::new());
                let place = |bytes: usize| u32::try_from(bytes).map_err(M::Error::custom);
                while let Some((one, id)) = map.next_entry::<std::borrow::Cow<'_, str>, u32>()? {
                    list.push(Word {
                        start: place(text.len())?,
                        bytes: place(one.len())?,
                        id,
                    });
                    text.push_str(&one);
                }
                // Of words that come twice the last one counts, as in the library's table.
                list.reverse();
                list.sort_by(|a, b| word(&text, *a).cmp(word(&text, *b)));
                list.dedup_by(|later, kept| word(&text, *later) == word(&text, *kept));
                text.shrink_to_fit();
                list.shrink_to_fit();
                Ok(Words { text, list })
            }
        }
        source.deserialize_map(Reader)
    }
}

#[cfg(test)]
#[path = "wordpiece_tests.rs"]
mod tests;
