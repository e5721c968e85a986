//! The vector index, after the rows: from Chroma's own graph where that can be, else built by pgvector.
//!
//! Promise: whatever way it comes, the index holds every row that pgvector's own build would hold; an import is proved
//! before it is kept, and taken back where the proof fails.
//!
//! ```text
//! which (definition) -> define, or empty an index that is there
//!   import: trial (does this pgvector write as we do?) -> import (scan, values, buffers) -> proof (walk, recall)
//!   else:   build (pgvector's, with memory and workers)  -> proof (recall)
//! ```
//!
//! docs/index.md has the whole story, with figures.

#[allow(unsafe_code)]
mod buffers;
mod build;
mod check;
#[allow(unsafe_code)]
mod define;
#[allow(unsafe_code)]
mod fill;
mod import;
mod judge;
mod kept;
#[allow(unsafe_code)]
mod late;
mod lists;
mod make;
#[allow(unsafe_code)]
mod opened;
mod proof;
#[allow(unsafe_code)]
mod scan;
#[allow(unsafe_code)]
mod search;
mod trial;
#[allow(unsafe_code)]
mod values;
mod which;

pub use check::check;
pub use kept::kept_up;
pub use lists::{ListIndex, ListJob, list_indexes, make_lists};
pub use make::{Job, Made, Subject, Way, make};
pub use which::{EFFORT, VectorIndex, indexes, statement};

/// The argument `index` of `migrate_chroma`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// From Chroma's graph where that can be, else by pgvector.
    Auto,
    /// From Chroma's graph, or an error.
    Import,
    /// By pgvector.
    Build,
    /// No index.
    None,
}

impl Wish {
    /// Whether Chroma's graph is asked for.
    pub fn wants_graph(self) -> bool {
        matches!(self, Wish::Auto | Wish::Import)
    }
}
