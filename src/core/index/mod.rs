//! The vector index: a graph of Chroma's as the pages of pgvector's HNSW index.
//!
//! Promise: the rows decide what is in the index, the graph only how it is linked; whatever the graph's files held, what
//! is written is an index that pgvector could have written. Of this crate it imports `record`, for the space;
//! `source` makes the [`graph::Graph`].
//!
//! ```text
//! graph (levels, links) -> matching (rows to elements) -> links (completed, reachable) -> placement -> writer (pages)
//!                                                       page, tuple: the bytes      walk, rewrite: the proofs
//! ```

pub mod cost;
mod fill;
pub mod graph;
mod hash;
pub mod linked;
pub mod links;
mod lists;
pub mod matching;
pub mod page;
pub mod placement;
mod reach;
pub mod recall;
mod repair;
pub mod rewrite;
mod table;
mod threads;
pub mod tuple;
pub mod walk;
pub mod writer;

/// Where a tuple lies: a row in its table, or an element in its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid {
    /// The block, from 0.
    pub block: u32,
    /// The line pointer in the block, from 1.
    pub offset: u16,
}

#[cfg(test)]
mod fixtures;
