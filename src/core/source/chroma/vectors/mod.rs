//! TODO.

pub(super) mod of_collection;
