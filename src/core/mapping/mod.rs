//! Which field of a record goes into which column of a table: data, not code.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`word`] | what goes into one column |
//! | [`metadata`] | the words for a whole metadata object |
//! | [`preset`] | named mappings for tables that applications make, read from `presets.json` |
//! | [`detect`] | the preset that a table's columns say |
//! | [`layout`] | the words for one table: a preset's, a caller's, or both |
//!
//! Promise: pure; what a word is not is refused with what it could be. Imports `encode`'s column types only.

pub mod detect;
pub mod layout;
pub mod metadata;
pub mod preset;
pub mod word;

pub use detect::{Detected, Sight, detect};
pub use layout::{Layout, Table};
pub use metadata::MetadataWord;
pub use preset::{Preset, preset, presets};
pub use word::{EntityField, ItemField, Word};
