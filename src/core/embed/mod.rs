//! Text to vectors, for what has no usable vector.
//!
//! Promise: order in is order out; one vector of [`Embedder::dimension`] components a text. Nothing here
//! touches the network. Must not import `source`, `map` or `pipeline`.

#[cfg(test)]
pub mod fake;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "onnx")]
mod runtime;

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

/// Turns texts into vectors.
pub trait Embedder {
    /// Name of the model, for the ledger.
    fn name(&self) -> &str;

    /// Number of components of every vector.
    fn dimension(&self) -> usize;

    /// One vector a text, in order. The caller keeps batches small to stay interruptible.
    ///
    /// # Errors
    /// [`EmbedError::Inference`].
    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;
}
