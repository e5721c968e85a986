//! Records without their vectors, for those who only count and measure.
//!
//! Stage: source. Promise: the records of [`Source::read`](crate::source::Source::read) in the same order and from
//! the same state, without reading the index files. May import this folder and those below it.

use std::ops::ControlFlow;

use super::chroma_store::ChromaStore;
use crate::record::{Collection, Record};
use crate::source::chroma::metadata::record::Wanted;
use crate::source::error::SourceError;

impl ChromaStore {
    /// Gives every live record of `collection` to `each`, without its vector, until `each` breaks.
    ///
    /// # Errors
    /// What [`SourceError`] lists.
    pub fn read_without_vectors(
        &self,
        collection: &Collection,
        each: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let mut given = 0_u64;
        self.retried_in_copy(|state| {
            let entry = state.entry(collection)?;
            let mut again = given;
            self.stored_records(state, entry, Wanted::FULL, &mut |_| false, &mut |row, _| {
                if again > 0 {
                    again -= 1;
                    return Ok(ControlFlow::Continue(()));
                }
                given = given.saturating_add(1);
                Ok(each(row.into_record()))
            })
        })
    }
}
