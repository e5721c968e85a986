//! Rows into the tables of a run.
//!
//! ```text
//! Batch -> sort -> embed -> load -> record
//!          '------- bulk ------'
//! ```
//!
//! `sort` tells which records become rows, `embed` makes the vectors that they lack, `load` puts them in a bulk load at a time,
//! `bulk` those of many batches by one, and `record` keeps the counts and the ledger.
//!
//! Promise: what the server refuses becomes that record's error and nothing else's; what is counted is
//! what the server stored. Must not import anything of the store or the model's library.

mod bulk;
mod embed;
mod existing;
mod flow;
mod limit;
mod load;
mod numbers;
mod pending;
mod record;
mod rules;
mod sort;
mod target_keys;
mod update;
mod users;

pub use flow::Sink;
pub use limit::BulkLimit;
pub use load::Destinations;
pub use record::{Recorder, RunProgress, Tally, Tick};
pub use rules::{Described, OnConflict, Rules};
pub use target_keys::known_keys;
