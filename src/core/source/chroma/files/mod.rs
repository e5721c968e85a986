//! TODO.

pub(super) mod folder;
pub(super) mod layout;
pub(super) mod persist_dir;
