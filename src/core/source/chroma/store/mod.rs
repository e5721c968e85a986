//! TODO.

pub(super) mod chroma_store;
pub(super) mod fingerprint;
pub(super) mod graph;
pub(super) mod opening;
pub(super) mod reading;
pub(super) mod summary;
pub(super) mod vector_counts;
pub(super) mod without_vectors;
