//! The index files of vector segments: hnswlib's HNSW graph as Chroma persists it.
//!
//! Stage: source. Promise: read with positioned reads, every offset from a checked header, every length bounded by a file's.
//! May import `catalog`, `files`, `record`, `key` and `index::graph`; not the tables and the queue.
//!
//! ```text
//! segment      the folder of a segment: which files there are
//! renamed      folders of segments under another name
//! header       header.bin: the layout of the others
//! elements     data_level0.bin, in blocks
//! labels       which slot has which label
//! index        vectors and lengths by slot
//! pickle       index_metadata.pickle: which id has which label
//! rounding     what Chroma does to vectors of cosine spaces
//! stream       a file from its beginning to its end
//! graph        link_lists.bin and the links in data_level0.bin
//! ```

mod elements;
pub(super) mod graph;
mod header;
pub(super) mod index;
mod labels;
mod pickle;
pub(super) mod renamed;
pub(super) mod rounding;
pub(super) mod segment;
mod stream;
