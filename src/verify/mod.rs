//! `verify_migration`: the tables of a run, compared with the store that it read.
//!
//! ```text
//! ledger -> subject -> drive -> compare -> findings -> checks
//!  the run   tables,    reads    rows in    what the    one line
//!            plan       again    SQL        ledger says for each
//! ```
//!
//! Promise: reads only, so that it runs on a standby; what the store's records become is made by the same code as in the run,
//! and compared bit for bit by the server.

mod checks;
mod compare;
mod drive;
mod findings;
mod subject;

pub use drive::verify;
