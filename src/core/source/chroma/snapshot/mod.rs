//! Private copies of a store.
//!
//! Stage: source. Promise: a copy is of one moment, or there is none; the store itself is only read. May import `catalog`,
//! `damage`, `sqlite` and `files`; not `metadata`, `queue`, `hnsw`, `vectors` and `store`.
//!
//! ```text
//! options            how a store is opened, and where its copies are made
//! registry           the private folders of this process
//! private_folder     one of them: its size is bounded, and it is removed when it is dropped
//! state              where a store is read
//! index_files        index files copied
//! under_lock         a copy of a store that is locked
//! unlocked           a copy of a store that cannot be read in its place
//! ```

mod index_files;
pub(super) mod options;
mod private_folder;
pub(super) mod registry;
pub(super) mod state;
pub(super) mod under_lock;
pub(super) mod unlocked;
