//! TODO.

pub(super) mod columns;
pub(super) mod database;
pub(super) mod database_file;
pub(super) mod rowids;
#[allow(unsafe_code)]
pub(super) mod system_calls;
