//! TODO.

pub(super) mod collections;
pub(super) mod schema;
pub(super) mod space;
