//! The open store: what callers of this source see.
//!
//! Stage: source, the highest part of it. Promise: one moment of the store for as long as it is open, nothing written, never a
//! mixed result. May import every folder of this source; none of them imports it.
//!
//! ```text
//! opening            in its place, or a copy
//! chroma_store       the open store; its vectors and records found beforehand
//! bookmarks          `max_seq_id` that cannot be right
//! metadata_keys      which metadata keys its records have
//! notices            sentences about what was found meanwhile
//! reading            its records
//! owners_only        whose its records are, and nothing else of them
//! without_vectors    its records for those who only count
//! vector_counts      how many records have a vector
//! summary            the store in one row
//! fingerprint        what identifies its state
//! graph              the graph of a collection
//! ```
//!
//! # Stores that are written meanwhile
//!
//! A store is read in its place, under SQLite's SHARED lock from the first read on. The lock is taken when no
//! other process is inside a write transaction (asked with `F_GETLK`), so that the index files, which are looked at
//! next, hold nothing that is not committed. After every block of them that is read later, the file's time and size
//! are checked, which a write changes before the bytes: no record is made of a changed file. Nothing is
//! copied for a store that nobody writes.
//!
//! A writer's commits wait for the lock (Chroma waits 1000 seconds before it gives up). So between two records the
//! reader asks whether somebody is inside a transaction. If so, or if index files have changed, it makes a private
//! copy of the same moment (see `snapshot`), releases the lock, and goes on in the copy after the records that it
//! has given already: the order is the same. The same question is asked while the consumer has no room for more
//! (see [`Consumer::ready`](crate::source::Consumer::ready)). A commit waits at most for the reader's search for the vectors (about a second for a
//! million records) and the copying of the store (about its bytes divided by the disk's speed). A caller that may
//! pause for long between two reads calls `ChromaStore::copy_and_unlock`, or `ChromaStore::unlock_for_writer` from time to
//! time, or asks for `Snapshot::Always`.
//!
//! If no moment without a writer is found, or index files keep changing, the answer is
//! `SourceError::Busy`; a consumer must then give up what it was given.

mod bookmarks;
pub(super) mod chroma_store;
pub(super) mod fingerprint;
mod graph;
mod metadata_keys;
mod notices;
mod opening;
mod owners_only;
mod reading;
pub(super) mod summary;
mod vector_counts;
mod without_vectors;
