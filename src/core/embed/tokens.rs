//! Text to tokens, at a cost that is bounded whatever the text.
//!
//! Promise: the tokens are those of the whole text, cut to the model's limit, and it is told when something was
//! cut. Of a text, no more than its first [`LOOKED_AT`] bytes are ever looked at. Must not import other stages.

use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerImpl, TruncationDirection,
};

use super::folder::Folder;
use super::runtime::without_panic;
use super::wordpiece::Vocabulary;

/// Bytes of a text that count at most: enough for any text that has words. What has not reached the token
/// limit by then (a run of white space, one endless word) is cut here.
pub(super) const LOOKED_AT: usize = 1 << 20;

/// Bytes a token that are tried first: several times the average of any language.
const BYTES_A_TOKEN: usize = 16;

/// The last tokens of a piece that was cut off may be others than in the whole text: a word's tokens depend
/// on its end. WordPiece, the usual kind, gives up at 100 characters a word.
const UNSURE: usize = 128;

/// The tokens of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Their ids, special ones included.
    pub ids: Vec<u32>,
    /// Which of two sentences each belongs to.
    pub types: Vec<u32>,
    /// The text has more than the model takes.
    pub truncated: bool,
}

/// The library's tokenizer, but for the vocabulary.
type Tokenizer = TokenizerImpl<
    Vocabulary,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// A model's tokenizer.
pub(super) struct TextTokenizer {
    tokenizer: Tokenizer,
    max_tokens: usize,
    /// What special tokens leave of them.
    room: usize,
    lowercase: bool,
    /// The id that shorter texts of a batch are filled with.
    pub pad_id: u32,
}

impl TextTokenizer {
    /// The tokenizer of `folder`, whose `tokenizer.json` is `file`; a message if they make none.
    pub fn new(folder: &Folder, file: &[u8]) -> Result<TextTokenizer, String> {
        // It would start a thread for each processor.
        tokenizers::utils::parallelism::set_parallelism(false);
        let wrong =
            |cause: &dyn std::fmt::Display| format!("tokenizer.json is not usable: {cause}");
        without_panic(|| {
            let mut tokenizer: Tokenizer =
                serde_json::from_slice(file).map_err(|cause| wrong(&cause))?;
            let known = |text: &&String| tokenizer.token_to_id(text).is_some();
            let special: Vec<AddedToken> = folder
                .special_tokens
                .iter()
                .filter(known)
                .map(|text| AddedToken::from(text.clone(), true))
                .collect();
            tokenizer
                .add_special_tokens(special)
                .map_err(|cause| wrong(&cause))?;
            let added = tokenizer
                .get_post_processor()
                .map_or(0, |it| tokenizers::PostProcessor::added_tokens(it, false));
            if folder.max_tokens <= added {
                return Err(format!(
                    "its limit of {} tokens leaves no room for a text",
                    folder.max_tokens
                ));
            }
            tokenizer.with_padding(None);
            // Cut here, where it is known how much was cut.
            tokenizer
                .with_truncation(None)
                .map_err(|cause| wrong(&cause))?;
            let by_token = folder.pad_token.as_deref();
            let by_token = by_token.and_then(|token| tokenizer.token_to_id(token));
            Ok(TextTokenizer {
                max_tokens: folder.max_tokens,
                room: folder.max_tokens - added,
                lowercase: folder.lowercase,
                pad_id: folder.pad_id.or(by_token).unwrap_or(0),
                tokenizer,
            })
        })
    }

    /// The tokens of `text`; `whole` is false if it is only the first [`LOOKED_AT`] bytes of one.
    pub fn tokens(&self, text: &str, whole: bool) -> Result<Tokens, String> {
        let mut size = self.max_tokens.saturating_mul(BYTES_A_TOKEN);
        loop {
            let piece = prefix(text, size);
            let all = piece.len() == text.len();
            let (mut tokens, left) = self.encode(piece)?;
            if all || left >= UNSURE {
                tokens.truncated = left > 0 || !(all && whole);
                return Ok(tokens);
            }
            size = size.saturating_mul(4);
        }
    }

    /// The tokens of `text` up to the limit, and how many there are beyond it.
    fn encode(&self, text: &str) -> Result<(Tokens, usize), String> {
        without_panic(|| {
            let lower = self.lowercase.then(|| text.to_lowercase());
            let refused =
                |cause: &dyn std::fmt::Display| format!("the tokenizer refuses a text: {cause}");
            let mut encoding = self
                .tokenizer
                .encode_fast(lower.as_deref().unwrap_or(text), false)
                .map_err(|cause| refused(&cause))?;
            let left = encoding.len().saturating_sub(self.room);
            if left > 0 {
                encoding.truncate(self.room, 0, TruncationDirection::Right);
                encoding.take_overflowing();
            }
            let encoding = self
                .tokenizer
                .post_process(encoding, None, true)
                .map_err(|cause| refused(&cause))?;
            let tokens = Tokens {
                ids: encoding.get_ids().to_vec(),
                types: encoding.get_type_ids().to_vec(),
                truncated: false,
            };
            Ok((tokens, left))
        })
    }
}

/// The longest prefix of at most `size` bytes.
pub(super) fn prefix(text: &str, size: usize) -> &str {
    text.get(..text.floor_char_boundary(size)).unwrap_or(text)
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
