//! Embedding with a model on disk, by fastembed and ONNX Runtime.
//!
//! Promise: reads the model's directory and nothing else; a text has the same vector alone and in a batch
//! (up to rounding); every vector has length 1. Must not import `source`, `map` or `pipeline`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use fastembed::{
    InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel,
};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

pub use super::runtime::TELEMETRY_SWITCH;
use super::runtime::{self, unreadable, without_panic};
use super::{EmbedError, Embedder};

/// Tokens of a text that count, where the model does not say: Chroma's own default.
const MAX_TOKENS: usize = 256;

/// A model in memory, ready to embed.
pub struct OnnxEmbedder {
    model: TextEmbedding,
    name: String,
    file: PathBuf,
    pooling: &'static str,
    dimension: usize,
    max_tokens: usize,
}

impl OnnxEmbedder {
    /// Loads the model in `directory` with the ONNX Runtime library in `runtime_library`.
    ///
    /// The directory is one of sentence-transformers with an ONNX export: `model.onnx` (or
    /// `onnx/model.onnx`), `tokenizer.json`, `config.json`, `special_tokens_map.json`,
    /// `tokenizer_config.json`; `sentence_bert_config.json` (`max_seq_length`) and `1_Pooling/config.json`
    /// are followed if they are there, else 256 tokens and mean pooling hold.
    ///
    /// ONNX Runtime computes on the calling thread and `threads - 1` threads of its own, which start here
    /// and inherit this thread's signal mask: **block all signals around this call**, or a signal meant for
    /// the caller may arrive on a thread that must not handle it. Dropping the embedder ends its threads.
    /// The tokenizer runs on the calling thread alone.
    ///
    /// The environment variable [`TELEMETRY_SWITCH`] must be `1` before the first call.
    ///
    /// # Errors
    /// [`EmbedError::Unreadable`] names the first file that is missing or cannot be read,
    /// [`EmbedError::Runtime`] says why the library is of no use (also that this process has loaded another),
    /// [`EmbedError::Model`] why the files make no model. No library and no model makes this panic.
    pub fn load(
        directory: &Path,
        runtime_library: &Path,
        threads: usize,
    ) -> Result<OnnxEmbedder, EmbedError> {
        let files = ModelFiles::read(directory)?;
        let environment = runtime::environment(runtime_library)?;
        let failed = |cause| EmbedError::Model {
            path: directory.display().to_string(),
            cause,
        };
        // Otherwise the first batch would start one thread for each processor.
        tokenizers::utils::parallelism::set_parallelism(false);
        let (file, name, pooling) = (files.path, files.name, files.pooling);
        let options = InitOptionsUserDefined::new()
            .with_environment(environment)
            .with_max_length(files.max_tokens)
            .with_intra_threads(threads.max(1))
            // Threads that wait for work must not burn the processors that the server needs.
            .with_session_config("session.intra_op.allow_spinning", "0");
        let model = files.model;
        let model = without_panic(|| {
            TextEmbedding::try_new_from_user_defined(model, options)
                .map_err(|cause| cause.to_string())
        })
        .map_err(failed)?;
        let truncation = model.tokenizer.get_truncation();
        let max_tokens = truncation.map_or(MAX_TOKENS, |truncation| truncation.max_length);
        let mut embedder = OnnxEmbedder {
            model,
            name,
            file,
            pooling,
            dimension: 0,
            max_tokens,
        };
        let probe = embedder.infer(&["dimension"]).map_err(failed)?;
        embedder.dimension = probe.first().map_or(0, Vec::len);
        if embedder.dimension == 0 {
            return Err(failed("it gives vectors without components".to_string()));
        }
        Ok(embedder)
    }

    /// Tokens of a text that count; what comes after them does not change its vector.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// How token vectors become one: `mean` or `cls`.
    pub fn pooling(&self) -> &'static str {
        self.pooling
    }

    /// The ONNX file that was loaded.
    pub fn model_file(&self) -> &Path {
        &self.file
    }

    /// SHA-256 of the ONNX file, in hexadecimal: which weights a run was embedded with.
    ///
    /// # Errors
    /// [`EmbedError::Unreadable`] if the file cannot be read any more.
    pub fn digest(&self) -> Result<String, EmbedError> {
        let failed = |cause: std::io::Error| unreadable(&self.file, &cause);
        let mut file = fs::File::open(&self.file).map_err(failed)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                read => hash.update(buffer.get(..read).unwrap_or_default()),
            }
        }
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Version of the ONNX Runtime in use, as far as its API tells: `1.32`.
    pub fn runtime_version(&self) -> Option<String> {
        runtime::version()
    }

    fn infer(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        let batch = Some(texts.len());
        without_panic(|| {
            self.model
                .embed(texts, batch)
                .map_err(|cause| cause.to_string())
        })
    }
}

impl Embedder for OnnxEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let vectors = self.infer(texts).map_err(EmbedError::Inference)?;
        let (wanted, found) = (texts.len(), vectors.len());
        if wanted != found {
            let cause = format!("the model gave {found} vectors for {wanted} texts");
            return Err(EmbedError::Inference(cause));
        }
        let usable = |vector: &Vec<f32>| {
            vector.len() == self.dimension && vector.iter().all(|component| component.is_finite())
        };
        if vectors.iter().all(usable) {
            Ok(vectors)
        } else {
            Err(EmbedError::Inference(
                "the model gave a vector with NaN or of another size".to_string(),
            ))
        }
    }
}

/// What a model's directory holds.
struct ModelFiles {
    path: PathBuf,
    name: String,
    pooling: &'static str,
    max_tokens: usize,
    model: UserDefinedEmbeddingModel,
}

impl ModelFiles {
    fn read(directory: &Path) -> Result<ModelFiles, EmbedError> {
        let failed = |cause| EmbedError::Model {
            path: directory.display().to_string(),
            cause,
        };
        fs::read_dir(directory).map_err(|cause| unreadable(directory, &cause))?;
        // The small files first: a directory that lacks one is told without reading the model.
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: read(&directory.join("tokenizer.json"))?,
            config_file: read(&directory.join("config.json"))?,
            special_tokens_map_file: read(&directory.join("special_tokens_map.json"))?,
            tokenizer_config_file: read(&directory.join("tokenizer_config.json"))?,
        };
        let name = name(directory, &tokenizer_files.config_file);
        let (pooling, kind) = pooling(directory)?.ok_or_else(|| {
            failed("its pooling is neither mean nor cls (1_Pooling/config.json)".to_string())
        })?;
        let sentence = optional_json(&directory.join("sentence_bert_config.json"))?;
        let max_tokens = sentence
            .get("max_seq_length")
            .and_then(Json::as_u64)
            .and_then(|tokens| usize::try_from(tokens).ok())
            .filter(|tokens| *tokens > 0)
            .unwrap_or(MAX_TOKENS);
        let (here, below) = (
            directory.join("model.onnx"),
            directory.join("onnx/model.onnx"),
        );
        let path = if !here.exists() && below.exists() {
            below
        } else {
            here
        };
        let mut model =
            UserDefinedEmbeddingModel::new(read(&path)?, tokenizer_files).with_pooling(pooling);
        // Exports of more than 2 GB keep their weights beside them.
        for file in ["model.onnx_data", "model.onnx.data"] {
            let weights = path.with_file_name(file);
            if weights.exists() {
                model = model.with_external_initializer(file.to_string(), read(&weights)?);
            }
        }
        Ok(ModelFiles {
            path,
            name,
            pooling: kind,
            max_tokens,
            model,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    fs::read(path).map_err(|cause| unreadable(path, &cause))
}

/// A JSON file that need not be there; `Null` if it is not.
fn optional_json(path: &Path) -> Result<Json, EmbedError> {
    if !path.exists() {
        return Ok(Json::Null);
    }
    serde_json::from_slice(&read(path)?).map_err(|cause| EmbedError::Model {
        path: path.display().to_string(),
        cause: format!("not valid JSON: {cause}"),
    })
}

/// How token vectors become one; `None` for a way that is not supported.
fn pooling(directory: &Path) -> Result<Option<(Pooling, &'static str)>, EmbedError> {
    let config = optional_json(&directory.join("1_Pooling/config.json"))?;
    let Some(config) = config.as_object() else {
        return Ok(Some((Pooling::Mean, "mean")));
    };
    let modes: Vec<&str> = config
        .iter()
        .filter(|(key, value)| key.starts_with("pooling_mode_") && **value == Json::Bool(true))
        .map(|(key, _)| key.as_str())
        .collect();
    Ok(match modes.as_slice() {
        [] | ["pooling_mode_mean_tokens"] => Some((Pooling::Mean, "mean")),
        ["pooling_mode_cls_token"] => Some((Pooling::Cls, "cls")),
        _ => None,
    })
}

/// The directory's name; where that is just `model` or `onnx`, what `config.json` calls the model.
fn name(directory: &Path, config: &[u8]) -> String {
    let folder = directory
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let folder = folder.filter(|name| !matches!(name.as_str(), "model" | "onnx"));
    let config: Json = serde_json::from_slice(config).unwrap_or_default();
    let own = config
        .get("_name_or_path")
        .and_then(Json::as_str)
        .filter(|name| !name.is_empty());
    folder
        .or(own.map(str::to_string))
        .unwrap_or_else(|| "model".to_string())
}

#[cfg(test)]
#[path = "onnx_tests.rs"]
mod tests;
