//! Texts that are being embedded.
//!
//! ```text
//! texts -> not seen before -> windows -> worker -> vectors, in the order of the texts
//! ```
//!
//! Promise: a text is computed once a call, however often it comes; the caller's thread never waits longer than it asks
//! to. Must not import other stages.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::EmbedError;
use super::cache::Made;
use super::onnx::OnnxEmbedder;
use super::tokens::{LOOKED_AT, prefix};
use super::trim::trim;
use super::work::{Control, Done, Text, Undone, Vectored, Window};
use crate::key::{Key, KeyMap};

/// Texts of a window: enough of them that sorting by length pays. The first window is smaller, as the
/// model has nothing to do meanwhile.
const WINDOW: usize = 512;
const FIRST_WINDOW: usize = 128;

/// Bytes of a window, but for its last text.
const WINDOW_BYTES: usize = 4 << 20;

/// Bytes of texts whose steps take megabytes: more than the text of a search has.
const LONG_BYTES: usize = 512;

/// Texts that are being embedded.
pub struct Call<'e, 't> {
    pub(super) embedder: &'e mut OnnxEmbedder,
    pub(super) texts: &'t [&'t str],
    pub(super) prompt: &'t str,
    pub(super) budget: usize,
    pub(super) idle: Option<Duration>,
    /// The batch worker has the texts, else the search worker.
    pub(super) batch: bool,
    pub(super) control: Arc<Control>,
    pub(super) results: Sender<Done>,
    pub(super) results_in: Receiver<Done>,
    /// By text.
    pub(super) made: Vec<Option<Made>>,
    /// The text that each key was met with first.
    pub(super) on_the_way: KeyMap<usize>,
    /// Texts with the text that they equal.
    pub(super) twins: Vec<(usize, usize)>,
    /// The next text to look at.
    pub(super) next: usize,
    /// Windows that there was no room for.
    pub(super) waiting: Vec<Window>,
    /// Texts that were handed over and have no vector yet.
    pub(super) open: usize,
}

impl Call<'_, '_> {
    /// Starts the thread that computes, if it has ended and there is something to compute: not for texts that are
    /// remembered. **Block all signals around this call**, or a signal meant for the caller may arrive on a thread that
    /// must not handle it. To be called before each [`Call::poll`].
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn wake(&mut self) -> io::Result<()> {
        if self.open == 0 {
            return Ok(());
        }
        let (batch, idle) = (self.batch, self.idle);
        self.embedder.worker(batch).wake(idle)
    }

    /// Goes on for at most about `patience`, and no longer than there is a thread that computes; true when every text has
    /// its vector.
    ///
    /// # Errors
    /// [`EmbedError::Inference`].
    pub fn poll(&mut self, patience: Duration) -> Result<bool, EmbedError> {
        while !self.waiting.is_empty() || self.next < self.texts.len() {
            let window = match self.waiting.pop() {
                Some(window) => window,
                None => self.window(),
            };
            if window.texts.is_empty() {
                continue;
            }
            if let Some(window) = self.embedder.worker(self.batch).offer(window)? {
                self.waiting.push(window);
                break;
            }
        }
        let patience = match self.embedder.worker(self.batch).rests() {
            true => Duration::ZERO,
            false => patience,
        };
        if self.open > 0 {
            if let Ok(done) = self.results_in.recv_timeout(patience) {
                self.take(done)?;
            }
            while let Ok(done) = self.results_in.try_recv() {
                self.take(done)?;
            }
        }
        Ok(self.open == 0 && self.next == self.texts.len() && self.waiting.is_empty())
    }

    /// The vectors, in the order of the texts; only after [`Call::poll`] has answered true.
    ///
    /// # Errors
    /// [`EmbedError::Inference`] if a text has none.
    pub fn finish(mut self) -> Result<Embedded, EmbedError> {
        for (twin, first) in mem::take(&mut self.twins) {
            let made = self.made.get(first).cloned().flatten();
            if let Some(slot) = self.made.get_mut(twin) {
                *slot = made;
            }
        }
        // The search session has given its steps' memory back to the allocator, which keeps what is between other pieces.
        let bytes: usize = self.texts.iter().map(|text| text.len()).sum();
        if !self.batch && bytes > LONG_BYTES {
            trim();
        }
        let mut embedded = Embedded::default();
        for made in mem::take(&mut self.made) {
            let made =
                made.ok_or_else(|| EmbedError::Inference("a text was given no vector".to_owned()))?;
            embedded.truncated += u64::from(made.truncated);
            embedded.vectors.push(made.vector.to_vec());
        }
        Ok(embedded)
    }

    /// The next texts that have to be computed.
    fn window(&mut self) -> Window {
        let (mut texts, mut bytes) = (Vec::new(), 0);
        let most = if self.next == 0 { FIRST_WINDOW } else { WINDOW };
        while let Some(text) = self.texts.get(self.next) {
            if texts.len() >= most || bytes >= WINDOW_BYTES {
                break;
            }
            let index = self.next;
            self.next += 1;
            let piece = prefix(text, LOOKED_AT);
            let whole = piece.len() == text.len();
            let key = self.embedder.keys.of(&(self.prompt, piece, whole));
            if let Some(made) = self.embedder.cache.get(key) {
                if let Some(slot) = self.made.get_mut(index) {
                    *slot = Some(made);
                }
                continue;
            }
            if let Some(first) = self.on_the_way.get(&key) {
                self.twins.push((index, *first));
                continue;
            }
            self.on_the_way.insert(key, index);
            bytes += piece.len();
            texts.push(Text {
                index,
                text: [self.prompt, piece].concat(),
                whole,
            });
        }
        self.open += texts.len();
        Window {
            control: self.control.clone(),
            results: self.results.clone(),
            texts,
            budget: self.budget,
            idle: self.idle,
        }
    }

    fn take(&mut self, done: Done) -> Result<(), EmbedError> {
        match done {
            Ok(vectors) => self.keep(vectors),
            Err(Undone::Failed(error)) => return Err(error),
            Err(Undone::Back(window)) => {
                self.waiting.push(window);
                self.without_batch()?;
            }
        }
        Ok(())
    }

    /// Turns to the session for searches, with all that the one for many texts has not begun.
    fn without_batch(&mut self) -> Result<(), EmbedError> {
        if self.batch {
            self.waiting.extend(self.embedder.end_batch());
            self.batch = false;
            (self.control, self.budget) = self.embedder.admit(false, self.budget)?;
        }
        for window in &mut self.waiting {
            window.control = self.control.clone();
            window.budget = self.budget;
        }
        Ok(())
    }

    fn keep(&mut self, vectors: Vec<Vectored>) {
        for one in vectors {
            let made = Made {
                vector: one.vector.into(),
                truncated: one.truncated,
            };
            self.open = self.open.saturating_sub(1);
            if let Some(key) = self.key(one.index) {
                self.embedder.cache.insert(key, made.clone());
            }
            if let Some(slot) = self.made.get_mut(one.index) {
                *slot = Some(made);
            }
        }
    }

    fn key(&self, index: usize) -> Option<Key> {
        let text = self.texts.get(index)?;
        let piece = prefix(text, LOOKED_AT);
        let whole = piece.len() == text.len();
        Some(self.embedder.keys.of(&(self.prompt, piece, whole)))
    }
}

impl Drop for Call<'_, '_> {
    fn drop(&mut self) {
        self.control.stop();
    }
}

/// What a call made.
#[derive(Debug, Default)]
pub struct Embedded {
    /// A vector a text, in order.
    pub vectors: Vec<Vec<f32>>,
    /// How many of the texts were longer than the model takes.
    pub truncated: u64,
}
