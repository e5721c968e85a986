//! Harness of the tests on a real server: `make test` starts a private cluster that has the extension installed and
//! says in the environment where it is.
//!
//! - [`Db`] is a database of one test's own, made from a template that has the extension, dropped at the end.
//! - [`Session`] is a connection to it: SQL in, text, errors in parts and notices out.
//! - [`Store`] is a private copy of a fixture that the server can read (and could change: see [`Snapshot`]).
//! - [`store_of`] makes one of a test's own records, [`store_like`] one of many that are alike.
//! - [`apps`] has the tables of applications, and what was recorded of them.
//! - [`chat_files`] is a store of many collections and two dimensions.
//! - [`graph`] damages the files of a store's graph.
//! - [`indexes`] asks what became of a vector index.
//! - [`Expected`] is what chromadb itself returned for a fixture.
//! - [`Report`] is what `migrate_chroma` answers, its sums checked.
//! - [`models`] has model directories, and reference vectors.
//! - [`queries`] is what chromadb answered to `query` and `get`.
//! - [`tables`] has the tables that an application might have made beforehand.
//! - [`assert_verified`] asks `verify_migration` about a run.
//! - [`traps`] plants functions and types of the names that the extension uses.
//!
//! Everything here panics where a test should fail.

pub mod apps;
pub mod chat_files;
mod expected;
pub mod graph;
pub mod indexes;
pub mod models;
pub mod queries;
mod records;
mod report;
mod server;
mod session;
mod shapes;
mod store;
pub mod tables;
pub mod traps;
mod verified;

pub use expected::{Expected, ExpectedCollection, ExpectedRecord, assert_same_json};
pub use records::{Record, Written, store_of, store_written};
pub use report::{Counts, Line, Report};
pub use server::{Db, FUNCTIONS};
pub use session::{Failure, Notice, Session};
pub use shapes::{Shape, store_like};
pub use store::{Snapshot, Store, demo_files, demo_store, many_records, queued_demo_store, store};
pub use verified::assert_verified;

/// SQL literal of a text.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
