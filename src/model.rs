//! The embedder of this backend: loaded at the first need, once, and kept until the session ends; what many texts need
//! beside it ends with the transaction.
//!
//! Promise: loading and embedding go on in other threads, and this one looks after cancels all the while.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use pgrx::{PgXactCallbackEvent, register_xact_callback};
use vector_migrate_core::embed::onnx::{Loading, OnnxEmbedder, Request};

use crate::error::Error;
use crate::{guc, interrupt};

/// How long to wait before looking after interrupts again.
const PATIENCE: Duration = Duration::from_millis(50);

/// Vectors kept for texts that come again take at most this share of `max_memory_mb`, and this many bytes.
const REMEMBER_SHARE: u64 = 16;
const REMEMBER_MOST: u64 = 64 << 20;

thread_local! {
    static MODEL: RefCell<Option<Model>> = const { RefCell::new(None) };
    static TRUNCATED: Cell<u64> = const { Cell::new(0) };
    /// The end of this transaction ends what a batch needs.
    static RESTS: Cell<bool> = const { Cell::new(false) };
}

struct Model {
    path: PathBuf,
    state: State,
}

/// A model whose loading was cancelled stays here: it is loaded to its end, for the next call.
enum State {
    Loading(Loading),
    Loaded(Box<OnnxEmbedder>),
}

/// What a text is embedded for: some models want other words before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To search with.
    Query,
    /// To be found.
    Passage,
}

/// Whether model and runtime are where the settings say; else the first file that is missing.
///
/// # Errors
/// The missing file, to be shown.
pub fn installed() -> Result<(), String> {
    let directory = guc::model_path();
    let model = directory.join("model.onnx");
    let runtime = guc::onnxruntime_path();
    if !model.is_file() && !directory.join("onnx/model.onnx").is_file() {
        return Err(model.display().to_string());
    }
    if !runtime.is_file() {
        return Err(runtime.display().to_string());
    }
    Ok(())
}

/// Begins to load the model, unless it is loaded or being loaded.
fn start(why: &str, slot: &mut Option<Model>) -> Result<(), Error> {
    let path = guc::model_path();
    if slot.as_ref().is_some_and(|model| model.path == path) {
        return Ok(());
    }
    installed().map_err(|missing| Error::NoModel {
        why: why.to_owned(),
        missing,
        hint: "Install one (make install does) or name its directory in the setting \
               vector_migrate.model_path; embeddings => 'stored' uses the store's vectors only."
            .to_owned(),
    })?;
    let runtime = guc::onnxruntime_path();
    *slot = None;
    let loading = interrupt::without_signals(|| OnnxEmbedder::start(&path, &runtime))
        .map_err(Error::Thread)?;
    let state = State::Loading(loading);
    *slot = Some(Model { path, state });
    Ok(())
}

/// Begins to load the model, as it will be needed, and does not wait. What is wrong with it is told where it is needed. Runs no
/// query.
pub fn expect() {
    // Nothing to tell yet.
    let _ = MODEL.with_borrow_mut(|slot| start("", slot));
}

/// Runs `work` with the model, loading it first if need be. `why` begins the error's sentence if there is
/// none.
fn with<R>(
    why: &str,
    work: impl FnOnce(&mut OnnxEmbedder) -> Result<R, Error>,
) -> Result<R, Error> {
    MODEL.with_borrow_mut(|slot| {
        start(why, slot)?;
        loop {
            match slot.as_mut().map(|model| &mut model.state) {
                Some(State::Loaded(embedder)) => return work(embedder),
                Some(State::Loading(loading)) => {
                    interrupt::check();
                    let loaded = loading.wait(PATIENCE).transpose();
                    match loaded {
                        Ok(None) => {}
                        Ok(Some(embedder)) => {
                            if let Some(model) = slot {
                                model.state = State::Loaded(Box::new(embedder));
                            }
                        }
                        Err(error) => {
                            *slot = None;
                            return Err(error.into());
                        }
                    }
                }
                None => return Err(Error::Bug("the model was loaded and is not there".into())),
            }
        }
    })
}

/// Embeds stored texts, in order. Obeys a cancel at any time. No texts need no model.
///
/// # Errors
/// [`Error::NoModel`], [`Error::Embed`].
pub fn embed(why: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
    embed_for(Purpose::Passage, why, texts)
}

/// Embeds the text of a search.
///
/// # Errors
/// Those of [`embed`].
pub fn embed_query(why: &str, text: &str) -> Result<Vec<f32>, Error> {
    embed_for(Purpose::Query, why, &[text])?
        .pop()
        .ok_or_else(|| Error::Bug("the model gave no vector".into()))
}

fn embed_for(purpose: Purpose, why: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    with(why, |model| {
        let (set, own) = match purpose {
            Purpose::Query => (guc::query_prefix(), &model.about().query_prompt),
            Purpose::Passage => (guc::passage_prefix(), &model.about().passage_prompt),
        };
        let prompt = set.unwrap_or_else(|| own.clone());
        let most = (guc::max_memory_bytes() / REMEMBER_SHARE).min(REMEMBER_MOST);
        model.remember(usize::try_from(most).unwrap_or(0));
        let request = Request {
            prompt: &prompt,
            budget: guc::embed_batch_tokens(),
            idle: guc::model_idle_timeout(),
            batch: (purpose == Purpose::Passage).then(guc::embed_threads),
        };
        if request.batch.is_some() {
            rest_at_the_end();
        }
        let mut call = model.begin(texts, &request)?;
        loop {
            interrupt::without_signals(|| call.wake()).map_err(Error::Thread)?;
            if call.poll(PATIENCE)? {
                break;
            }
            interrupt::check();
        }
        let embedded = call.finish()?;
        TRUNCATED.set(TRUNCATED.get().saturating_add(embedded.truncated));
        Ok(embedded.vectors)
    })
}

/// Makes the end of the transaction end what a batch needs, and the count of texts that says whether one pays.
fn rest_at_the_end() {
    if RESTS.replace(true) {
        return;
    }
    use PgXactCallbackEvent::{Abort, Commit, Prepare};
    for event in [Commit, Abort, Prepare] {
        register_xact_callback(event, || {
            RESTS.set(false);
            MODEL.with(|slot| {
                // In use only where the session ends while it embeds: the process ends its threads then.
                let Ok(mut slot) = slot.try_borrow_mut() else {
                    return;
                };
                if let Some(State::Loaded(embedder)) = slot.as_mut().map(|it| &mut it.state) {
                    embedder.rest();
                }
            });
        });
    }
}

/// How many of the texts that this session has embedded were longer than the model takes.
pub fn truncated() -> u64 {
    TRUNCATED.get()
}

/// Tokens of a text that count for the model that is loaded; `None`: none is.
pub fn max_tokens() -> Option<usize> {
    MODEL.with_borrow(|slot| match &slot.as_ref()?.state {
        State::Loaded(embedder) => Some(embedder.about().max_tokens),
        State::Loading(_) => None,
    })
}

/// Name and dimension of the model.
///
/// # Errors
/// [`Error::NoModel`], [`Error::Embed`].
pub fn describe(why: &str) -> Result<(String, u32), Error> {
    with(why, |model| {
        let about = model.about();
        let dimension = u32::try_from(about.dimension).unwrap_or(u32::MAX);
        Ok((about.name.clone(), dimension))
    })
}

/// What `model_info` shows.
#[derive(Debug, Default)]
pub struct Info {
    /// The model's directory.
    pub path: String,
    /// Its name.
    pub name: Option<String>,
    /// SHA-256 of its ONNX file, and of the files beside it whose checksum that one does not state.
    pub digest: Option<String>,
    /// Dimensions of its vectors.
    pub dimension: Option<i32>,
    /// How token vectors become one.
    pub pooling: Option<String>,
    /// Tokens of a text that count.
    pub max_tokens: Option<i32>,
    /// Version of ONNX Runtime.
    pub runtime: Option<String>,
    /// The session had it in memory before this call.
    pub loaded: bool,
    /// What loading it took, and the vectors kept for texts that come again, in bytes.
    pub memory_bytes: Option<i64>,
    /// Its weights are in a file that all sessions share the pages of.
    pub shared: Option<bool>,
    /// What of `memory_bytes` is this session's own.
    pub private_bytes: Option<i64>,
    /// Bytes of that file.
    pub shared_bytes: Option<i64>,
}

/// Everything about the model, which is loaded for it if it is installed.
///
/// # Errors
/// [`Error::Embed`] if it is installed and does not load.
pub fn info() -> Result<Info, Error> {
    let path = guc::model_path();
    let loaded = MODEL.with_borrow(|slot| {
        slot.as_ref()
            .is_some_and(|it| it.path == path && matches!(it.state, State::Loaded(_)))
    });
    let shown = path.display().to_string();
    if installed().is_err() {
        return Ok(Info {
            path: shown,
            ..Info::default()
        });
    }
    with("", |model| {
        let digest = model.digest(&mut interrupt::check)?;
        let remembered = u64::try_from(model.remembered_bytes()).unwrap_or(u64::MAX);
        let about = model.about();
        Ok(Info {
            path: shown,
            name: Some(about.name.clone()),
            digest: Some(digest),
            dimension: i32::try_from(about.dimension).ok(),
            pooling: Some(about.pooling.to_owned()),
            max_tokens: i32::try_from(about.max_tokens).ok(),
            runtime: model.runtime_version(),
            loaded,
            memory_bytes: i64::try_from(about.memory_bytes.saturating_add(remembered)).ok(),
            shared: Some(about.shared),
            private_bytes: i64::try_from(about.private_bytes.saturating_add(remembered)).ok(),
            shared_bytes: i64::try_from(about.shared_bytes).ok(),
        })
    })
}
