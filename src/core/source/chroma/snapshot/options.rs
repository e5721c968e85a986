//! How a store is opened.
//!
//! Stage: source. Imports nothing of this crate.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// When a private copy of the store is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Snapshot {
    /// When another process writes, or the database cannot be read in its place.
    #[default]
    WhenNeeded,
    /// While the store is opened, so that no lock is held afterwards. For readers that pause for long.
    Always,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Raised to end whatever the store is doing.
    pub stop: Arc<AtomicBool>,
    /// The folder in which private copies are made; made itself if only its last part is missing.
    pub scratch: PathBuf,
    /// What the names of private folders begin with.
    pub prefix: String,
    /// Bytes that the private copies of this process may take together; `None`: no limit.
    pub limit: Option<u64>,
    /// When a private copy is made.
    pub snapshot: Snapshot,
}

impl Options {
    /// The system's folder for temporary files, copies only when needed.
    pub fn new(stop: Arc<AtomicBool>) -> Options {
        Options {
            stop,
            scratch: std::env::temp_dir(),
            prefix: "vector_migrate".to_owned(),
            limit: None,
            snapshot: Snapshot::WhenNeeded,
        }
    }
}
