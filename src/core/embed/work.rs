//! What the threads of a model are given and give back.
//!
//! ```text
//! window (texts) -> steps (tokens of texts of about the same length) -> vectors
//! ```
//!
//! Promise: a call that is stopped costs no more than the operation of the graph that is being computed. Must not
//! import other stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use ort::session::RunOptions;

use super::EmbedError;
use super::session::Model;
use super::steps::plan;
use super::tokens::{TextTokenizer, Tokens};

/// Stops one call.
pub(super) struct Control {
    stopped: AtomicBool,
    options: RunOptions,
}

impl Control {
    /// `gives_back`: memory that a step took beyond the first megabyte goes back to the system after it. That costs
    /// time where steps are many.
    pub fn new(gives_back: bool) -> Result<Control, EmbedError> {
        let words = |cause: ort::Error| EmbedError::Inference(cause.to_string());
        let mut options = RunOptions::new().map_err(words)?;
        if gives_back {
            options
                .set("memory.enable_memory_arena_shrinkage", "cpu:0")
                .map_err(words)?;
        }
        Ok(Control {
            stopped: AtomicBool::new(false),
            options,
        })
    }

    /// Makes the threads forget the call; the runtime gives up between two operations of the graph.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // It can only fail for want of memory; then the step is computed to its end.
        let _ = self.options.terminate();
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// A text of a call.
pub(super) struct Text {
    /// Which one.
    pub index: usize,
    /// Prompt and text.
    pub text: String,
    /// Nothing was cut from its end.
    pub whole: bool,
}

/// Texts that are sorted and computed together.
pub(super) struct Window {
    pub control: Arc<Control>,
    pub results: Sender<Done>,
    pub texts: Vec<Text>,
    /// Padded tokens of a step.
    pub budget: usize,
    /// After this time without another window the thread ends; `None`: it stays.
    pub idle: Option<Duration>,
}

/// A text's vector.
pub(super) struct Vectored {
    pub index: usize,
    pub vector: Vec<f32>,
    pub truncated: bool,
}

/// What comes back of a step.
pub(super) type Done = Result<Vec<Vectored>, Undone>;

/// What comes back instead of vectors.
pub(super) enum Undone {
    /// They cannot be made.
    Failed(EmbedError),
    /// There was no session to make them with; another one may.
    Back(Window),
}

/// Texts that go through the model together.
pub(super) struct Step {
    control: Arc<Control>,
    results: Sender<Done>,
    texts: Vec<(usize, Tokens)>,
}

impl Window {
    /// Tokenises the texts, sorts them into steps, and gives each to `take` until that answers false. Nothing more is
    /// done once the call is stopped; an error goes to who waits for the window.
    pub fn steps(&self, tokenizer: &TextTokenizer, take: &mut dyn FnMut(Step) -> bool) {
        if let Err(cause) = self.try_steps(tokenizer, take) {
            self.fail(EmbedError::Inference(cause));
        }
    }

    /// Tells who waits for the window.
    pub fn fail(&self, error: EmbedError) {
        // Nobody waits for a call that was stopped.
        let _ = self.results.send(Err(Undone::Failed(error)));
    }

    /// Gives itself back to who waits for it.
    pub fn give_back(self) {
        let results = self.results.clone();
        // Nobody waits for a call that was stopped.
        let _ = results.send(Err(Undone::Back(self)));
    }

    fn try_steps(
        &self,
        tokenizer: &TextTokenizer,
        take: &mut dyn FnMut(Step) -> bool,
    ) -> Result<(), String> {
        let mut tokens = Vec::with_capacity(self.texts.len());
        for text in &self.texts {
            if self.control.stopped() {
                return Ok(());
            }
            tokens.push(Some((
                text.index,
                tokenizer.tokens(&text.text, text.whole)?,
            )));
        }
        let length = |text: &Option<(usize, Tokens)>| text.as_ref().map_or(0, |it| it.1.ids.len());
        let lengths: Vec<usize> = tokens.iter().map(length).collect();
        for step in plan(&lengths, self.budget) {
            let text = |index| tokens.get_mut(index).and_then(Option::take);
            let step = Step {
                control: self.control.clone(),
                results: self.results.clone(),
                texts: step.into_iter().filter_map(text).collect(),
            };
            if self.control.stopped() || !take(step) {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Step {
    /// Runs the texts through `model` and sends their vectors.
    pub fn compute(self, model: &mut Model) {
        if self.control.stopped() {
            return;
        }
        let tokens: Vec<&Tokens> = self.texts.iter().map(|(_, tokens)| tokens).collect();
        let vectors = model.run(&tokens, &self.control.options);
        let failed = |cause| Undone::Failed(EmbedError::Inference(cause));
        let done = vectors.map_err(failed).map(|vectors| {
            let texts = self.texts.iter().zip(vectors);
            texts
                .map(|((index, tokens), vector)| Vectored {
                    index: *index,
                    vector,
                    truncated: tokens.truncated,
                })
                .collect()
        });
        let _ = self.results.send(done);
    }
}
