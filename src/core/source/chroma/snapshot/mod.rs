//! TODO.

pub(super) mod options;
pub(super) mod private_folder;
pub(super) mod registry;
pub(super) mod unlocked;
