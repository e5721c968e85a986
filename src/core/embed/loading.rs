//! Loading a model on a thread of its own.
//!
//! Promise: what is loaded is of one moment: a folder that was replaced meanwhile is loaded again. Dropping
//! [`Loader`] ends it. Must not import other stages.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::parts::Parts;
use super::runtime::unreadable;
use super::session::{Model, Profile};
use super::thread::{Canceler, Joined};
use super::trim::{keep_little, trim};
use super::{About, EmbedError};

/// How often a folder is read again that was replaced meanwhile.
const ATTEMPTS: usize = 3;

/// A model that was loaded.
pub(super) struct Loaded {
    /// What it is.
    pub about: About,
    /// What later sessions of it are made of.
    pub parts: Arc<Parts>,
    /// Its first session, with [`Profile::search`].
    pub model: Model,
}

/// The thread that loads.
pub(super) struct Loader {
    canceler: Arc<Canceler>,
    result: Receiver<Result<Loaded, EmbedError>>,
    _thread: Joined,
}

impl Loader {
    /// Begins to load the model in `directory` with the runtime in `library`.
    pub fn start(directory: &Path, library: &Path) -> io::Result<Loader> {
        let (sender, result) = bounded(1);
        let canceler = Arc::new(Canceler::default());
        let (directory, library) = (directory.to_owned(), library.to_owned());
        let for_thread = canceler.clone();
        keep_little();
        let thread = Builder::new().name("embed load".into()).spawn(move || {
            let loaded = load(&directory, &library, &for_thread);
            trim();
            // Nobody waits for a load that was given up.
            let _ = sender.send(loaded);
        })?;
        Ok(Loader {
            canceler,
            result,
            _thread: Joined::new(thread),
        })
    }

    /// What was loaded; `None` if it is not yet after `patience`. Not to be asked again after an answer.
    pub fn wait(&self, patience: Duration) -> Option<Result<Loaded, EmbedError>> {
        use crossbeam_channel::RecvTimeoutError::{Disconnected, Timeout};
        match self.result.recv_timeout(patience) {
            Ok(result) => Some(result),
            Err(Timeout) => None,
            Err(Disconnected) => Some(Err(super::thread::gone())),
        }
    }
}

impl Drop for Loader {
    /// Told to end before `_thread` waits for it.
    fn drop(&mut self) {
        self.canceler.cancel();
    }
}

fn load(directory: &Path, library: &Path, canceler: &Canceler) -> Result<Loaded, EmbedError> {
    for _ in 0..ATTEMPTS {
        // All files are of the folder that a link leads to now, wherever it leads later.
        let real = fs::canonicalize(directory).map_err(|cause| unreadable(directory, &cause))?;
        let place = || {
            fs::metadata(&real)
                .map(|found| (found.dev(), found.ino()))
                .ok()
        };
        let before = place();
        let loaded = load_once(&real, directory, library, canceler);
        let replaced = place() != before
            || loaded
                .as_ref()
                .is_ok_and(|it| !it.parts.weights.unchanged());
        if !replaced {
            return loaded;
        }
    }
    Err(EmbedError::Model {
        path: directory.display().to_string(),
        cause: "its files are being replaced all the time".to_owned(),
    })
}

/// Loads what is in the folder `directory`, which was asked for by the path `called`.
fn load_once(
    directory: &Path,
    called: &Path,
    library: &Path,
    canceler: &Canceler,
) -> Result<Loaded, EmbedError> {
    let failed = |cause| EmbedError::Model {
        path: called.display().to_string(),
        cause,
    };
    let before = Memory::now();
    let parts = Parts::load(directory, called, library, &|| canceler.cancelled())?;
    let profile = Profile::search(parts.weights.shared());
    let mut model = Model::load(&parts, &profile, canceler).map_err(failed)?;
    let probe = parts.tokenizer.tokens("dimension", true).map_err(failed)?;
    let dimension = model.probe(&probe, &parts.folder).map_err(failed)?;
    let memory = Memory::now();
    let about = About {
        name: parts.folder.name.clone(),
        file: parts.weights.onnx().to_owned(),
        pooling: model.pooling(),
        dimension,
        max_tokens: parts.folder.max_tokens,
        query_prompt: parts.folder.query_prompt.clone(),
        passage_prompt: parts.folder.passage_prompt.clone(),
        shared: parts.weights.shared(),
        memory_bytes: memory.resident.saturating_sub(before.resident),
        private_bytes: memory.private.saturating_sub(before.private),
        shared_bytes: parts.weights.mapped_bytes(),
    };
    Ok(Loaded {
        about,
        parts: Arc::new(parts),
        model,
    })
}

/// Memory of this process that is in RAM, in bytes, as Linux counts it; 0 where it does not.
struct Memory {
    /// All of it.
    resident: u64,
    /// What belongs to no file: nobody shares it.
    private: u64,
}

impl Memory {
    fn now() -> Memory {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kilobytes = line.and_then(|line| line.split_whitespace().next());
            kilobytes
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or(0)
                * 1024
        };
        Memory {
            resident: bytes("VmRSS:"),
            private: bytes("RssAnon:"),
        }
    }
}
