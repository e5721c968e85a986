//! The persist directory and the files in it, without any knowledge of what they hold.
//!
//! Stage: source, the lowest part of it. Promise: a path is resolved once; afterwards everything is reached from the open
//! directory's descriptor, and no link is followed. May import `error` and `stop` of `source`, and no other folder of this source.
//!
//! ```text
//! persist_dir    the persist directory, opened by its path
//! folder         an open folder, and the files and folders in it
//! layout         the names of Chroma's files, and the files of a segment
//! file_stat      size and time of a file: whether it has changed
//! floats         bytes as f32
//! ```

pub(super) mod file_stat;
pub(super) mod floats;
pub(super) mod folder;
pub(super) mod layout;
pub(super) mod persist_dir;
