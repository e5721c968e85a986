//! Embedding with a model on disk, by fastembed and ONNX Runtime.
//!
//! ```text
//! texts -> not seen before -> windows -> tokens -> steps of like length -> ONNX -> pooling -> order restored
//! '--- the caller's thread ---'         '-tokenizer-'                    '---- model ----'
//! ```
//!
//! Promise: reads the model's directory and nothing else; a text has the same vector alone and in a batch
//! (up to rounding); the caller's thread never waits longer than it asks to; memory is bounded by the token budget,
//! whatever the texts. Must not import `source`, `map` or `pipeline`.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, mem};

use crossbeam_channel::{Receiver, Sender, unbounded};
use sha2::{Digest, Sha256};

use super::cache::{Cache, Made};
use super::runtime::{self, unreadable};
pub use super::runtime::{TELEMETRY_SWITCH, environment};
use super::threads::{Control, Done, Text, Threads, Window};
use super::tokens::{LOOKED_AT, prefix};
use super::{About, EmbedError, Embedder};
use crate::key::{Key, KeyMap, Keys};

/// Texts of a window: enough of them that sorting by length pays. The first window is smaller, as the
/// model has nothing to do meanwhile.
const WINDOW: usize = 512;
const FIRST_WINDOW: usize = 128;

/// Bytes of a window, but for its last text.
const WINDOW_BYTES: usize = 4 << 20;

/// Where a caller has nothing else to do, it waits that long at once.
const PATIENCE: Duration = Duration::from_millis(50);

/// The budget of [`Embedder::embed`], in padded tokens a step.
const DEFAULT_BUDGET: usize = 2048;

/// A model that is being loaded.
pub struct Loading(Option<Threads>);

impl Loading {
    /// Whether it is loaded; `None` if it is not yet after `patience`. Not to be asked again after an answer.
    ///
    /// # Errors
    /// [`EmbedError::Unreadable`] names the first file that is missing or cannot be read,
    /// [`EmbedError::Runtime`] says why the library is of no use (also that this process has loaded another),
    /// [`EmbedError::Model`] why the files make no model. No library and no model makes this panic.
    pub fn wait(&mut self, patience: Duration) -> Option<Result<OnnxEmbedder, EmbedError>> {
        let result = self.0.as_ref()?.loaded(patience)?;
        let threads = self.0.take()?;
        Some(result.map(|about| OnnxEmbedder {
            threads,
            about,
            keys: Keys::default(),
            cache: Cache::default(),
            digest: None,
        }))
    }
}

/// A model in memory, ready to embed.
pub struct OnnxEmbedder {
    threads: Threads,
    about: About,
    keys: Keys,
    cache: Cache,
    digest: Option<String>,
}

impl OnnxEmbedder {
    /// Begins to load the model in `directory` with the ONNX Runtime library in `runtime_library`.
    ///
    /// The directory is one of sentence-transformers with an ONNX export: `model.onnx` (or
    /// `onnx/model.onnx`), `tokenizer.json`, `config.json`, `special_tokens_map.json`,
    /// `tokenizer_config.json`. Followed where they are there: `modules.json` (which steps there are; without
    /// it, pooling and vectors of length 1), the pooling's `config.json` (mean or cls; else mean),
    /// `sentence_bert_config.json` (`max_seq_length`; else `model_max_length`, else 256 tokens) and
    /// `config_sentence_transformers.json` (prompts).
    ///
    /// Two threads start here, and ONNX Runtime starts `threads - 1` more; all inherit this thread's signal mask:
    /// **block all signals around this call**, or a signal meant for the caller may arrive on a thread that
    /// must not handle it. Dropping what this returns ends them.
    ///
    /// The environment variable [`TELEMETRY_SWITCH`] must be `1` before the first call.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(directory: &Path, runtime_library: &Path, threads: usize) -> io::Result<Loading> {
        Threads::start(directory, runtime_library, threads).map(|it| Loading(Some(it)))
    }

    /// [`OnnxEmbedder::start`], and waits until the model is loaded.
    ///
    /// # Errors
    /// Those of [`Loading::wait`].
    pub fn load(
        directory: &Path,
        runtime_library: &Path,
        threads: usize,
    ) -> Result<OnnxEmbedder, EmbedError> {
        let mut loading = Self::start(directory, runtime_library, threads)
            .map_err(|cause| EmbedError::Inference(cause.to_string()))?;
        loop {
            if let Some(result) = loading.wait(PATIENCE) {
                return result;
            }
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

    /// SHA-256 of the ONNX file, in hexadecimal: which weights a run was embedded with. `tick` is called after
    /// each megabyte.
    ///
    /// # Errors
    /// [`EmbedError::Unreadable`] if the file cannot be read any more.
    pub fn digest(&mut self, tick: &mut dyn FnMut()) -> Result<String, EmbedError> {
        if let Some(digest) = &self.digest {
            return Ok(digest.clone());
        }
        let failed = |cause: io::Error| unreadable(&self.about.file, &cause);
        let mut file = fs::File::open(&self.about.file).map_err(failed)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                read => hash.update(buffer.get(..read).unwrap_or_default()),
            }
            tick();
        }
        let digest: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.digest = Some(digest.clone());
        Ok(digest)
    }

    /// Version of the ONNX Runtime in use, as far as its API tells: `1.32`.
    pub fn runtime_version(&self) -> Option<String> {
        runtime::version()
    }

    /// Begins to embed `texts`, each with `prompt` before it, in steps of `budget` padded tokens (a text that
    /// has more alone is a step of its own). Dropping the call stops it.
    ///
    /// # Errors
    /// [`EmbedError::Inference`].
    pub fn begin<'e, 't>(
        &'e mut self,
        texts: &'t [&'t str],
        prompt: &'t str,
        budget: usize,
    ) -> Result<Call<'e, 't>, EmbedError> {
        let control = Arc::new(Control::new()?);
        self.threads.begin(&control);
        let (results, results_in) = unbounded();
        Ok(Call {
            embedder: self,
            texts,
            prompt,
            budget,
            control,
            results,
            results_in,
            made: vec![None; texts.len()],
            on_the_way: KeyMap::default(),
            twins: Vec::new(),
            next: 0,
            waiting: None,
            open: 0,
        })
    }
}

/// Texts that are being embedded.
pub struct Call<'e, 't> {
    embedder: &'e mut OnnxEmbedder,
    texts: &'t [&'t str],
    prompt: &'t str,
    budget: usize,
    control: Arc<Control>,
    results: Sender<Done>,
    results_in: Receiver<Done>,
    /// By text.
    made: Vec<Option<Made>>,
    /// The text that each key was met with first.
    on_the_way: KeyMap<usize>,
    /// Texts with the text that they equal.
    twins: Vec<(usize, usize)>,
    /// The next text to look at.
    next: usize,
    /// A window that there was no room for.
    waiting: Option<Window>,
    /// Texts that were handed over and have no vector yet.
    open: usize,
}

impl Call<'_, '_> {
    /// Goes on for at most about `patience`; true when every text has its vector.
    ///
    /// # Errors
    /// [`EmbedError::Inference`].
    pub fn poll(&mut self, patience: Duration) -> Result<bool, EmbedError> {
        while self.waiting.is_some() || self.next < self.texts.len() {
            let window = match self.waiting.take() {
                Some(window) => window,
                None => self.window(),
            };
            if window.texts.is_empty() {
                continue;
            }
            self.waiting = self.embedder.threads.offer(window)?;
            if self.waiting.is_some() {
                break;
            }
        }
        if self.open > 0 {
            if let Ok(done) = self.results_in.recv_timeout(patience) {
                self.take(done?);
            }
            while let Ok(done) = self.results_in.try_recv() {
                self.take(done?);
            }
        }
        Ok(self.open == 0 && self.next == self.texts.len() && self.waiting.is_none())
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
        }
    }

    fn take(&mut self, done: Vec<super::threads::Vectored>) {
        for one in done {
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

impl Embedder for OnnxEmbedder {
    fn name(&self) -> &str {
        &self.about.name
    }

    fn dimension(&self) -> usize {
        self.about.dimension
    }

    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let prompt = self.about.passage_prompt.clone();
        let mut call = self.begin(texts, &prompt, DEFAULT_BUDGET)?;
        while !call.poll(PATIENCE)? {}
        Ok(call.finish()?.vectors)
    }
}

#[cfg(test)]
#[path = "onnx_tests.rs"]
mod tests;
