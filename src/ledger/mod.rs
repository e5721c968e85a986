//! Which run put which row where: what makes a run reversible and repeatable.
//!
//! Promise: transactional like the run itself; written by the extension only (the tables belong to whoever
//! created the extension, and callers have SELECT under row-level security), so that nobody can make a
//! rollback delete what no run inserted.

mod entries;
#[allow(unsafe_code)]
mod owner;
mod rollback;
mod run;

pub use entries::{Entry, FailedRecord, write_entries, write_failures};
pub use rollback::{Undone, follow, roll_back};
pub use run::{RunSummary, finish, next_run_id};
