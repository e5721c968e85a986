//! Which run put which row where: what makes a run reversible and repeatable.
//!
//! Promise: transactional like the run itself; written by the extension only (the tables belong to whoever
//! created the extension, and callers have SELECT under row-level security), so that nobody can make a
//! rollback delete what no run inserted.

mod block;
mod failures;
mod follow;
mod journal;
mod known;
mod mark;
mod origins;
#[allow(unsafe_code)]
mod owner;
mod parents;
mod past;
mod referrers;
mod rollback;
mod rollback_target;
mod rows;
mod run;
mod steps;
mod table;
mod undo;

pub use failures::{FailedRecord, write_failures};
pub use journal::{Journal, RunCollection, WrittenRow};
pub use known::known_records;
pub use origins::{Names, Origins, origins};
pub use owner::{as_owner, as_table_owner};
pub use parents::MadeParent;
pub use past::{PastRun, PastTarget, past_run};
pub use rollback::{RolledBack, Undone, roll_back};
pub use rows::{Entry, Suspect, entries, keys_of_records, left_out};
pub use run::{RunSummary, TargetSummary, finish, has_filled, next_run_id};
