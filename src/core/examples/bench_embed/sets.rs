//! Texts of known numbers of tokens.

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::Failure;
use crate::bare::Batch;

/// Texts, and their tokens in the batches that a bare session is given.
pub struct Set {
    pub name: &'static str,
    pub texts: Vec<String>,
    /// Texts of one call; a search has one.
    pub call: usize,
    /// None where the texts are not of equal length.
    pub batches: Vec<Batch>,
    lengths: Vec<usize>,
}

impl Set {
    /// So many texts of `tokens` tokens each, in batches of `rows`.
    pub fn equal(
        name: &'static str,
        tokenizer: &Tokenizer,
        (rows, tokens): (usize, usize),
        texts: usize,
    ) -> Result<Set, Failure> {
        let (texts, tokens) = made(tokenizer, std::iter::repeat_n(tokens, texts))?;
        let batches: Result<Vec<Batch>, Failure> = tokens.chunks(rows).map(Batch::new).collect();
        Ok(Set {
            name,
            call: if rows == 1 { 1 } else { texts.len() },
            texts,
            batches: batches?,
            lengths: tokens.iter().map(Vec::len).collect(),
        })
    }

    /// So many texts of 8 to 256 tokens, in an order without any.
    pub fn mixed(tokenizer: &Tokenizer, texts: usize) -> Result<Set, Failure> {
        // 97 and the number of texts have no common divisor.
        let spread = (0..texts).map(|n| 8 + (n * 97 % texts) * 248 / (texts - 1));
        let (texts, tokens) = made(tokenizer, spread)?;
        Ok(Set {
            name: "mixed",
            call: texts.len(),
            texts,
            batches: Vec::new(),
            lengths: tokens.iter().map(Vec::len).collect(),
        })
    }

    pub fn about(&self) -> Value {
        json!({
            "set": self.name, "texts": self.texts.len(), "tokens": self.lengths.iter().sum::<usize>(),
            "shortest": self.lengths.iter().min(), "longest": self.lengths.iter().max(),
        })
    }
}

/// Texts of so many tokens each, and those tokens.
fn made(
    tokenizer: &Tokenizer,
    wanted: impl Iterator<Item = usize>,
) -> Result<(Vec<String>, Vec<Vec<i64>>), Failure> {
    let (mut texts, mut tokens) = (Vec::new(), Vec::new());
    for (number, wanted) in wanted.enumerate() {
        let (text, ids) = text(1000 + number, wanted, tokenizer)?;
        texts.push(text);
        tokens.push(ids);
    }
    Ok((texts, tokens))
}

/// A text of so many tokens, its number first so that no two are equal: common words are one token each.
fn text(
    number: usize,
    tokens: usize,
    tokenizer: &Tokenizer,
) -> Result<(String, Vec<i64>), Failure> {
    const WORDS: [&str; 8] = [
        "the", "river", "runs", "under", "stone", "bridge", "every", "morning",
    ];
    let mut text = format!("{number}");
    let mut next = number;
    loop {
        let found = tokenizer.encode(text.as_str(), true)?;
        if found.len() >= tokens {
            let ids = found.get_ids().iter().map(|id| i64::from(*id)).collect();
            return Ok((text, ids));
        }
        text.push(' ');
        text.push_str(WORDS[next % WORDS.len()]);
        next += 1;
    }
}
