//! The stop flag, by which another thread ends a reading.
//!
//! Stage: source. Imports `error` only.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::SourceError;

/// [`SourceError::Interrupted`] if the stop flag is raised.
pub(super) fn check_stop(stop: &AtomicBool) -> Result<(), SourceError> {
    if stop.load(Ordering::Relaxed) {
        Err(SourceError::Interrupted)
    } else {
        Ok(())
    }
}
