//! TODO.

pub(super) mod content;
pub(super) mod owners;
pub(super) mod tables;
pub(super) mod values;
