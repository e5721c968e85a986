//! What a model's files make, but for the ONNX sessions: what all threads that compute with it share.
//!
//! Promise: checked when it is there, so that a session may be made of it at any time. Must not import other stages.

use std::path::Path;
use std::thread::{self, Builder};

use ort::environment::Environment;

use super::EmbedError;
use super::folder::{Folder, onnx_file, tokenizer_file};
use super::runtime;
use super::thread::gone;
use super::tokens::TextTokenizer;
use super::weights::Weights;

/// A model's parts.
pub(super) struct Parts {
    /// What the small files say.
    pub folder: Folder,
    /// The files that sessions are made of.
    pub weights: Weights,
    /// Text to tokens.
    pub tokenizer: TextTokenizer,
    /// The runtime.
    pub environment: Environment,
}

impl Parts {
    /// Reads and checks the model in `directory`, which is called by the name of the path `called`, and loads the runtime
    /// in `library`. The weights are checked on a second thread meanwhile. Ends early when `stopped` says so.
    ///
    /// # Errors
    /// Those of the parts; the first file that is missing or wrong is named.
    pub fn load(
        directory: &Path,
        called: &Path,
        library: &Path,
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Parts, EmbedError> {
        let folder = Folder::read(directory, called)?;
        let tokenizer = tokenizer_file(directory)?;
        let onnx = onnx_file(directory)?;
        thread::scope(|scope| {
            let weights = Builder::new()
                .name("embed check".into())
                .spawn_scoped(scope, || {
                    let weights = Weights::find(&onnx)?;
                    weights.verify(stopped).map(|()| weights)
                })
                .map_err(|cause| EmbedError::Inference(format!("no thread: {cause}")))?;
            let environment = runtime::environment(library)?;
            let tokenizer =
                TextTokenizer::new(&folder, &tokenizer).map_err(|cause| EmbedError::Model {
                    path: directory.display().to_string(),
                    cause,
                })?;
            let weights = weights.join().map_err(|_| gone())??;
            Ok(Parts {
                folder,
                weights,
                tokenizer,
                environment,
            })
        })
    }
}
