//! One run at a time into a target, also within a session.
//!
//! The advisory lock that keeps other sessions out (`lock::keep_runs_out`) lets its own session in again: a trigger of the target that
//! migrates into the same target would call itself without end.

use std::cell::RefCell;

use super::routes::Route;
use crate::error::Error;
use crate::tables;

thread_local! {
    /// The targets of the runs that go on in this session, qualified; those of one run are one element.
    static TARGETS: RefCell<Vec<Vec<String>>> = const { RefCell::new(Vec::new()) };
}

/// A run into its targets goes on for as long as this lives.
pub struct Alone;

impl Alone {
    /// Begins a run.
    ///
    /// # Errors
    /// [`Error::Recursion`] if one into one of its targets goes on in this session; as [`tables::find`].
    pub fn begin(routes: &[Route]) -> Result<Alone, Error> {
        let mut ours = Vec::with_capacity(routes.len());
        for route in routes {
            ours.push(tables::find(&route.target)?.qualified());
        }
        TARGETS.with_borrow_mut(|runs| {
            let busy = |target: &&String| runs.iter().any(|there| there.contains(target));
            if let Some(target) = ours.iter().find(busy) {
                return Err(Error::Recursion(target.clone()));
            }
            runs.push(ours);
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
