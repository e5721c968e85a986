//! One run at a time into a target, also within a session.
//!
//! The advisory lock that keeps other sessions out (`lock::keep_runs_out`) lets its own session in again: a trigger of the target that
//! migrates into the same target would call itself without end.

use std::cell::RefCell;

use crate::error::Error;

thread_local! {
    /// The targets of the runs that go on in this session, qualified.
    static TARGETS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A run into a target goes on for as long as this lives.
pub struct Alone;

impl Alone {
    /// Begins a run into `target`, qualified.
    ///
    /// # Errors
    /// [`Error::Recursion`] if one goes on in this session.
    pub fn begin(target: String) -> Result<Alone, Error> {
        TARGETS.with_borrow_mut(|targets| {
            if targets.contains(&target) {
                return Err(Error::Recursion(target));
            }
            targets.push(target);
            Ok(Alone)
        })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Runs end in the reverse order of their beginning.
        TARGETS.with_borrow_mut(Vec::pop);
    }
}
