//! One `migrate_chroma` call: options, plan, the loop, the report.
//!
//! ```text
//! arguments -> options -> routes -> members -> parts -> plan -> drive -> notices, notes
//!  checked      settled   tables'   sizes and  tables    one     fills    what is said
//!                          names     owners    decided   table   them
//! ```
//!
//! Promise: all in the caller's transaction; a dry run takes the same path with other tables under it, and
//! leaves nothing.

mod alone;
mod arguments;
mod checks;
mod collections;
mod decisions;
mod drive;
mod hints;
mod import_index;
mod indexes;
mod layouts;
mod members;
mod notes;
mod notices;
mod options;
mod parents;
mod parts;
mod plan;
mod planned_reader;
mod routes;
mod there;
mod verdict;
mod writes;

pub use arguments::Arguments;
pub use collections::choose;
pub use drive::{ResultRow, migrate};
pub use import_index::import_index;
pub use layouts::{content_layout, entity_layout};
pub use options::{Options, bad_filter, parse_filter};
pub use parents::fields_to_compare;
pub use plan::of_tables;
pub use planned_reader::PlannedReader;
pub use verdict::{WHY, compare};
