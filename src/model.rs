//! The embedder of this backend: loaded at the first need, once, and kept until the session ends.

use std::cell::RefCell;
use std::path::PathBuf;

use vector_migrate_core::embed::Embedder;
use vector_migrate_core::embed::onnx::OnnxEmbedder;

use crate::error::Error;
use crate::{guc, interrupt};

thread_local! {
    static LOADED: RefCell<Option<Loaded>> = const { RefCell::new(None) };
}

struct Loaded {
    path: PathBuf,
    embedder: OnnxEmbedder,
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

/// Runs `work` with the model, loading it first if need be. `why` begins the error's sentence if there is
/// none.
fn with<R>(
    why: &str,
    work: impl FnOnce(&mut OnnxEmbedder) -> Result<R, Error>,
) -> Result<R, Error> {
    LOADED.with_borrow_mut(|slot| {
        let path = guc::model_path();
        if slot.as_ref().is_none_or(|loaded| loaded.path != path) {
            installed().map_err(|missing| Error::NoModel {
                why: why.to_owned(),
                missing,
                hint: "Install one (make install does) or name its directory in the setting \
                       vector_migrate.model_path; embeddings => 'stored' uses the store's vectors only."
                    .to_owned(),
            })?;
            let runtime = guc::onnxruntime_path();
            let threads = guc::embed_threads();
            *slot = None;
            let embedder =
                interrupt::without_signals(|| OnnxEmbedder::load(&path, &runtime, threads))?;
            *slot = Some(Loaded { path, embedder });
        }
        match slot {
            Some(loaded) => work(&mut loaded.embedder),
            None => Err(Error::Bug("the model was loaded and is not there".into())),
        }
    })
}

/// Embeds texts, in order, in steps of `vector_migrate.embed_batch_tokens`, obeying a cancel between two.
/// No texts need no model.
///
/// # Errors
/// [`Error::NoModel`], [`Error::Embed`].
pub fn embed(why: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
    let mut vectors = Vec::with_capacity(texts.len());
    let mut rest = texts;
    while !rest.is_empty() {
        interrupt::check();
        with(why, |model| {
            let (step, later) = rest.split_at(step(rest, model.max_tokens()));
            vectors.extend(model.embed(step)?);
            rest = later;
            Ok(())
        })?;
    }
    Ok(vectors)
}

/// How many texts from the front make one step: texts are padded to the longest, and a token is taken to
/// be three bytes, which errs on the side of smaller steps for text in Latin script.
fn step(texts: &[&str], max_tokens: usize) -> usize {
    let budget = guc::embed_batch_tokens();
    let mut longest = 1;
    for (count, text) in texts.iter().enumerate() {
        longest = longest.max((text.len() / 3 + 2).min(max_tokens));
        if longest * (count + 1) > budget {
            return count.max(1);
        }
    }
    texts.len()
}

/// Name and dimension of the model.
///
/// # Errors
/// [`Error::NoModel`], [`Error::Embed`].
pub fn describe(why: &str) -> Result<(String, u32), Error> {
    with(why, |model| {
        let dimension = u32::try_from(model.dimension()).unwrap_or(u32::MAX);
        Ok((model.name().to_owned(), dimension))
    })
}

/// What `model_info` shows.
#[derive(Debug, Default)]
pub struct Info {
    /// The model's directory.
    pub path: String,
    /// Its name.
    pub name: Option<String>,
    /// SHA-256 of its ONNX file.
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
}

/// Everything about the model, which is loaded for it if it is installed.
///
/// # Errors
/// [`Error::Embed`] if it is installed and does not load.
pub fn info() -> Result<Info, Error> {
    let path = guc::model_path();
    let loaded = LOADED.with_borrow(|slot| slot.as_ref().is_some_and(|it| it.path == path));
    let shown = path.display().to_string();
    if installed().is_err() {
        return Ok(Info {
            path: shown,
            ..Info::default()
        });
    }
    with("", |model| {
        Ok(Info {
            path: shown,
            name: Some(model.name().to_owned()),
            digest: Some(model.digest()?),
            dimension: i32::try_from(model.dimension()).ok(),
            pooling: Some(model.pooling().to_owned()),
            max_tokens: i32::try_from(model.max_tokens()).ok(),
            runtime: model.runtime_version(),
            loaded,
        })
    })
}
