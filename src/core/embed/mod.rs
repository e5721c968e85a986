//! Text to vectors, for what has no usable vector.
//!
//! Promise: order in is order out; one vector of [`Embedder::dimension`] components a text. Nothing here
//! touches the network. Must not import `source`, `map` or `pipeline`.

#[cfg(feature = "onnx")]
mod cache;
#[cfg(feature = "onnx")]
mod call;
#[cfg(feature = "onnx")]
mod external;
#[cfg(test)]
pub mod fake;
#[cfg(feature = "onnx")]
mod folder;
#[cfg(feature = "onnx")]
mod loading;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "onnx")]
mod parts;
#[cfg(feature = "onnx")]
mod runtime;
#[cfg(feature = "onnx")]
mod session;
#[cfg(feature = "onnx")]
mod steps;
#[cfg(feature = "onnx")]
mod thread;
#[cfg(feature = "onnx")]
mod tokens;
#[cfg(feature = "onnx")]
#[allow(unsafe_code)]
mod trim;
#[cfg(feature = "onnx")]
mod weights;
#[cfg(feature = "onnx")]
mod wordpiece;
#[cfg(feature = "onnx")]
mod work;
#[cfg(feature = "onnx")]
mod worker;

use std::path::PathBuf;

use thiserror::Error;

/// Why texts could not be embedded.
#[derive(Debug, Error)]
pub enum EmbedError {
    /// A file of the model or the runtime's library is not there or cannot be read.
    #[error("could not read \"{path}\": {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// The runtime's library does not load, or is too old.
    #[error("could not load ONNX Runtime from \"{path}\": {cause}")]
    Runtime {
        /// The library.
        path: String,
        /// The loader's words.
        cause: String,
    },
    /// The model's files do not make a usable model.
    #[error("could not load the embedding model in \"{path}\": {cause}")]
    Model {
        /// The model's directory.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// Inference failed.
    #[error("could not embed: {0}")]
    Inference(String),
}

/// What a loaded model is.
#[derive(Debug, Clone)]
pub struct About {
    /// What it is called.
    pub name: String,
    /// The ONNX file that was loaded.
    pub file: PathBuf,
    /// How token vectors become one: `mean`, `cls`, or `model` where the ONNX file does it.
    pub pooling: &'static str,
    /// Components of every vector.
    pub dimension: usize,
    /// Tokens of a text that count, special ones included; what comes after them does not change its vector.
    pub max_tokens: usize,
    /// What its files want before a query; mostly nothing.
    pub query_prompt: String,
    /// What its files want before a stored text.
    pub passage_prompt: String,
    /// Its weights, or most of them, are in a file that is mapped: all processes share those pages.
    pub shared: bool,
    /// By how much loading it has enlarged this process's resident memory, in bytes: weights, tokenizer, and
    /// ONNX Runtime itself where it was not loaded yet.
    pub memory_bytes: u64,
    /// What of that is this process's own.
    pub private_bytes: u64,
    /// Bytes of the files that are mapped.
    pub shared_bytes: u64,
}

/// Turns texts into vectors.
pub trait Embedder {
    /// Name of the model, for the ledger.
    fn name(&self) -> &str;

    /// Number of components of every vector.
    fn dimension(&self) -> usize;

    /// One vector a text, in order.
    ///
    /// # Errors
    /// [`EmbedError::Inference`].
    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;
}
