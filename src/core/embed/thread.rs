//! How threads of the model end.
//!
//! Promise: the end of a process waits for them, but not for long. Must not import other stages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ort::session::builder::LoadCanceler;

use super::EmbedError;

/// How long the end of a process waits for its threads.
const FAREWELL: Duration = Duration::from_secs(5);

/// Gives up a session that is being made.
#[derive(Default)]
pub(super) struct Canceler {
    cancelled: AtomicBool,
    /// Set while ONNX Runtime is at work on it.
    at_work: Mutex<Option<LoadCanceler>>,
}

impl Canceler {
    /// Makes what is being loaded, and all that would be later, end soon.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        let at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(canceler) = at_work.as_ref() {
            // It can only fail for want of memory; then the session is made to its end.
            let _ = canceler.cancel();
        }
    }

    /// Whether it was given up.
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Tells what ONNX Runtime is at work on, or that it is not any more.
    pub fn set(&self, canceler: Option<LoadCanceler>) {
        *self.at_work.lock().unwrap_or_else(PoisonError::into_inner) = canceler;
    }
}

/// A thread that is waited for when this is dropped; who owns it tells it to end first.
pub(super) struct Joined(Option<JoinHandle<()>>);

impl Joined {
    pub fn new(thread: JoinHandle<()>) -> Joined {
        Joined(Some(thread))
    }

    /// Whether it has ended.
    pub fn finished(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let deadline = Instant::now() + FAREWELL;
        while !self.finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some(thread) = self.0.take().filter(JoinHandle::is_finished) {
            // A panic has ended it; its queue tells so.
            let _ = thread.join();
        }
    }
}

/// The error of a thread that has ended and should not have.
pub(super) fn gone() -> EmbedError {
    EmbedError::Inference("a thread of the model has ended".to_owned())
}
