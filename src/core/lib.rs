//! The parts of vector_migrate that know nothing of the PostgreSQL server.
//!
//! ```text
//! persist dir -> source -> record -> map -> encode -> (sink, in the extension)
//!                                     |
//!                                   embed (only rows without a usable vector)
//! ```
//!
//! | module | stage | may import |
//! | --- | --- | --- |
//! | [`record`] | the model every stage shares | std, serde_json |
//! | [`nul`] | U+0000 in records | record |
//! | [`source`] | a Chroma persist directory as a stream of records, and its graphs | record, nul, key, index, rusqlite |
//! | [`mapping`] | which field of a record goes into which column, as data | encode's column types |
//! | [`map`] | a record as a row, and as the content library's item | record, nul, mapping |
//! | [`distance`] | distances as Chroma computes them | record |
//! | [`filter`] | which records are wanted: Chroma's own filters, and containment | record; regex; how map spells numbers |
//! | [`embed`] | text to vectors | key; fastembed, ort, tokenizers (feature `onnx`) |
//! | [`compare`] | whether stored vectors are those of a model | std |
//! | [`sample`] | the texts and vectors for that, as records pass | record, compare |
//! | [`encode`] | a row as the values that a table keeps of it | map, mapping |
//! | [`reason`] | why a record was not migrated | std |
//! | [`report`] | counts that add up | reason |
//! | [`key`] | ids as keys of 128 bits | std |
//! | [`seen`] | keys that a run has met | key |
//! | [`share`] | a share of records, told by their ids | none |
//! | [`table_name`] | names of target tables with placeholders for a collection's properties | record |
//! | [`survey`] | a store in one row, and what it would be in PostgreSQL | record, source, map, encode |
//! | [`index`] | Chroma's graph as the pages of pgvector's index | std |
//! | [`pipeline`] | reads, maps and encodes on a thread of its own, bounded by bytes | all of the above but survey |
//!
//! `unsafe` is in two files only: `source/chroma/sqlite/system_calls.rs`, through which SQLite reaches a store's files, and
//! `embed/trim.rs`, where the allocator is asked to give memory back.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )
)]

pub mod compare;
pub mod distance;
pub mod embed;
pub mod encode;
pub mod filter;
pub mod index;
pub mod key;
pub mod map;
pub mod mapping;
pub mod nul;
pub mod pipeline;
pub mod reason;
pub mod record;
pub mod report;
pub mod sample;
pub mod seen;
pub mod share;
pub mod source;
pub mod survey;
pub mod table_name;
