//! Sentences about what reading and counting found.
//!
//! Stage: source. Promise: each once, and a bounded number: a hostile store has one for each record. Imports nothing.

/// The most sentences that are kept.
const MOST: usize = 1000;

/// The sentences.
#[derive(Debug, Default)]
pub(super) struct Notices(Vec<String>);

impl Notices {
    /// Adds a sentence, if it is new and there is room.
    pub fn add(&mut self, sentence: String) {
        if self.0.len() > MOST || self.0.contains(&sentence) {
            return;
        }
        let full = self.0.len() == MOST;
        self.0.push(if full {
            "what else was found is not listed".to_owned()
        } else {
            sentence
        });
    }

    /// All of them, in the order in which they were added.
    pub fn into_sentences(self) -> Vec<String> {
        self.0
    }
}
