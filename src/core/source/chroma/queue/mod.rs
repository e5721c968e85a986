//! TODO.

pub(super) mod json;
pub(super) mod pending;
pub(super) mod rows;
