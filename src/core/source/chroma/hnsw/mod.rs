//! TODO.

pub(super) mod elements;
pub(super) mod graph;
pub(super) mod index;
pub(super) mod labels;
pub(super) mod pickle;
pub(super) mod rounding;
pub(super) mod segment;
pub(super) mod stream;
