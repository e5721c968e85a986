//! Where each id's vector is: in the index files, in the queue, or nowhere.
//!
//! Stage: source. Promise: the newest vector that the store still has; held in memory are ids and places, not vectors. May
//! import `hnsw`, `queue`, `catalog`, `damage`, `sqlite`, `files`, `record` and `key`; not `snapshot` and `store`.
//!
//! The order of trust for one id:
//!
//! 1. a row of the queue that the index does not hold yet;
//! 2. the index, for cosine spaces multiplied back by the kept length; where an older row of the queue gives the
//!    same vector after Chroma's own rounding, that row, which is the original bit for bit;
//! 3. an older row of the queue (releases that lost vectors from the index still had them there);
//! 4. an update that Chroma ignored, as nothing else is known.
//!
//! ```text
//! persisted_index    the index files: slots by id
//! id_states          what the index and the queue know of each id
//! of_collection      a record's vector from one of the two
//! ```

mod id_states;
pub(super) mod of_collection;
mod persisted_index;
