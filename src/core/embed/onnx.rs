//! Embedding with a model on disk, by fastembed and ONNX Runtime.
//!
//! ```text
//! directory -> loading -> parts (files checked, tokenizer) -> session for searches, kept
//!                                                          -> session for a batch, until `rest`
//! texts -> call -> worker (tokens, steps of like length, session, pooling) -> vectors in order
//! ```
//!
//! Promise: reads the model's directory and nothing else; a text has the same vector alone and in a batch
//! (up to rounding); the caller's thread never waits longer than it asks to; memory is bounded by the token budget,
//! whatever the texts, and given back after a batch. Must not import `source`, `map` or `pipeline`.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;

use super::cache::Cache;
pub use super::call::{Call, Embedded};
use super::loading::{Loaded, Loader};
use super::parts::Parts;
use super::runtime;
pub use super::runtime::{TELEMETRY_SWITCH, environment};
use super::session::Profile;
use super::work::{Control, Window};
use super::worker::Worker;
use super::{About, EmbedError, Embedder};
use crate::key::{KeyMap, Keys};

/// Where a caller has nothing else to do, it waits that long at once.
const PATIENCE: Duration = Duration::from_millis(50);

/// The budget of [`Embedder::embed`], in padded tokens a step.
const DEFAULT_BUDGET: usize = 2048;

/// The largest step of a session for searches, in padded tokens: 18 MB with all-MiniLM-L6-v2.
const SEARCH_BUDGET: usize = 512;

/// From so many texts on, a session of their own pays for batches: what it takes to make one is what it saves then.
const MANY_TEXTS: usize = 32;

/// A model that is being loaded.
pub struct Loading(Loader);

impl Loading {
    /// Whether it is loaded; `None` if it is not yet after `patience`. Not to be asked again after an answer.
    ///
    /// # Errors
    /// [`EmbedError::Unreadable`] names the first file that is missing or cannot be read,
    /// [`EmbedError::Runtime`] says why the library is of no use (also that this process has loaded another),
    /// [`EmbedError::Model`] why the files make no model. No library and no model makes this panic.
    pub fn wait(&mut self, patience: Duration) -> Option<Result<OnnxEmbedder, EmbedError>> {
        Some(self.0.wait(patience)?.map(OnnxEmbedder::new))
    }
}

/// How texts are embedded.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What stands before every text.
    pub prompt: &'a str,
    /// Padded tokens of a step; a text that has more alone is a step of its own.
    pub budget: usize,
    /// The thread that computes ends after this time without texts; `None`: it stays.
    pub idle: Option<Duration>,
    /// Threads that may compute, if these texts may be some of many; `None`: they come singly, as searches do.
    pub batch: Option<usize>,
}

/// A model in memory, ready to embed.
pub struct OnnxEmbedder {
    about: About,
    parts: Arc<Parts>,
    search: Worker,
    batch: Option<Worker>,
    /// Texts of batches since the last [`OnnxEmbedder::rest`].
    batch_texts: usize,
    pub(super) keys: Keys,
    pub(super) cache: Cache,
    digest: Option<String>,
}

impl OnnxEmbedder {
    /// Begins to load the model in `directory` with the ONNX Runtime library in `runtime_library`.
    ///
    /// The directory is one of sentence-transformers with an ONNX export: `model.onnx` (or
    /// `onnx/model.onnx`) and the files beside it that it takes weights from, `tokenizer.json`, `config.json`,
    /// `special_tokens_map.json`, `tokenizer_config.json`. Followed where they are there: `modules.json` (which steps
    /// there are; without it, pooling and vectors of length 1), the pooling's `config.json` (mean or cls; else mean),
    /// `sentence_bert_config.json` (`max_seq_length`; else `model_max_length`, else 256 tokens) and
    /// `config_sentence_transformers.json` (prompts).
    ///
    /// A thread starts here, and ends when the model is loaded; it and those that it starts inherit this thread's signal
    /// mask: **block all signals around this call**, or a signal meant for the caller may arrive on a thread that
    /// must not handle it. Dropping what this returns ends them.
    ///
    /// The environment variable [`TELEMETRY_SWITCH`] must be `1` before the first call.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(directory: &Path, runtime_library: &Path) -> io::Result<Loading> {
        Loader::start(directory, runtime_library).map(Loading)
    }

    /// [`OnnxEmbedder::start`], and waits until the model is loaded.
    ///
    /// # Errors
    /// Those of [`Loading::wait`].
    pub fn load(directory: &Path, runtime_library: &Path) -> Result<OnnxEmbedder, EmbedError> {
        let mut loading = Self::start(directory, runtime_library)
            .map_err(|cause| EmbedError::Inference(cause.to_string()))?;
        loop {
            if let Some(result) = loading.wait(PATIENCE) {
                return result;
            }
        }
    }

    fn new(loaded: Loaded) -> OnnxEmbedder {
        OnnxEmbedder {
            search: Worker::search(loaded.parts.clone(), loaded.model),
            about: loaded.about,
            parts: loaded.parts,
            batch: None,
            batch_texts: 0,
            keys: Keys::default(),
            cache: Cache::default(),
            digest: None,
        }
    }

    /// What the model is.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// How many bytes of vectors are kept for texts that come again; 0 at first.
    pub fn remember(&mut self, bytes: usize) {
        self.cache.set_limit(bytes);
    }

    /// Bytes of the vectors that are kept.
    pub fn remembered_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// SHA-256, in hexadecimal, of the ONNX file, and after it of the files beside it whose checksum it does not state:
    /// which weights a run was embedded with. `tick` is called after each megabyte.
    ///
    /// # Errors
    /// [`EmbedError::Unreadable`] if a file cannot be read any more.
    pub fn digest(&mut self, tick: &mut dyn FnMut()) -> Result<String, EmbedError> {
        if let Some(digest) = &self.digest {
            return Ok(digest.clone());
        }
        let digest = self.parts.weights.digest(tick)?;
        self.digest = Some(digest.clone());
        Ok(digest)
    }

    /// Version of the ONNX Runtime in use, as far as its API tells: `1.32`.
    pub fn runtime_version(&self) -> Option<String> {
        runtime::version()
    }

    /// Begins to embed `texts`. Dropping the call stops it.
    ///
    /// # Errors
    /// [`EmbedError::Inference`].
    pub fn begin<'e, 't>(
        &'e mut self,
        texts: &'t [&'t str],
        request: &Request<'t>,
    ) -> Result<Call<'e, 't>, EmbedError> {
        let batch = self.choose(texts.len(), request.batch);
        let (control, budget) = self.admit(batch, request.budget)?;
        let (results, results_in) = unbounded();
        Ok(Call {
            embedder: self,
            texts,
            prompt: request.prompt,
            budget,
            idle: request.idle,
            batch,
            control,
            results,
            results_in,
            made: vec![None; texts.len()],
            on_the_way: KeyMap::default(),
            twins: Vec::new(),
            next: 0,
            waiting: Vec::new(),
            open: 0,
        })
    }

    /// Ends what a batch has needed: its session, its threads, its memory.
    pub fn rest(&mut self) {
        self.batch = None;
        self.batch_texts = 0;
    }

    /// Whether a session of its own has the texts, which is then there. Not where it would hold another copy of weights
    /// that are private, only to compute no faster; and not where the files are not those of the first session any
    /// more.
    fn choose(&mut self, texts: usize, threads: Option<usize>) -> bool {
        let Some(threads) = threads else {
            return false;
        };
        self.batch_texts = self.batch_texts.saturating_add(texts);
        let profile = Profile::batch(threads);
        if self
            .batch
            .as_ref()
            .is_some_and(|it| it.profile() == profile)
        {
            return true;
        }
        self.batch = None;
        let weights = &self.parts.weights;
        let pays = self.batch_texts >= MANY_TEXTS && (weights.shared() || threads > 1);
        if pays && weights.unchanged() {
            self.batch = Some(Worker::batch(self.parts.clone(), profile));
        }
        self.batch.is_some()
    }

    /// Begins a call of this kind: what stops it, and the padded tokens of its steps, of those that are asked for.
    pub(super) fn admit(
        &mut self,
        batch: bool,
        budget: usize,
    ) -> Result<(Arc<Control>, usize), EmbedError> {
        let control = Arc::new(Control::new(!batch)?);
        self.worker(batch).begin(&control);
        let budget = match batch {
            true => budget,
            false => budget.min(SEARCH_BUDGET),
        };
        Ok((control, budget))
    }

    /// Ends the batch worker alone; what it was given and has not begun.
    pub(super) fn end_batch(&mut self) -> Vec<Window> {
        self.batch.take().map_or_else(Vec::new, Worker::end)
    }

    /// The worker that a call of this kind has.
    pub(super) fn worker(&mut self, batch: bool) -> &mut Worker {
        match &mut self.batch {
            Some(worker) if batch => worker,
            _ => &mut self.search,
        }
    }
}

impl Embedder for OnnxEmbedder {
    fn name(&self) -> &str {
        &self.about.name
    }

    fn dimension(&self) -> usize {
        self.about.dimension
    }

    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let prompt = self.about.passage_prompt.clone();
        let request = Request {
            prompt: &prompt,
            budget: DEFAULT_BUDGET,
            idle: None,
            batch: Some(1),
        };
        let mut call = self.begin(texts, &request)?;
        loop {
            call.wake()
                .map_err(|cause| EmbedError::Inference(cause.to_string()))?;
            if call.poll(PATIENCE)? {
                return Ok(call.finish()?.vectors);
            }
        }
    }
}

#[cfg(test)]
#[path = "onnx_tests.rs"]
mod tests;
