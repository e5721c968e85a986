//! First stage: where records come from.
//!
//! Promise: stable order, bounded memory, nothing is ever written. May import `record` only; a concrete
//! source (`chroma`) adds its file formats.

pub mod chroma;

use std::ops::ControlFlow;

pub use chroma::error::SourceError;

use crate::record::{Collection, Inventory, Record};

/// A store of collections, read in one consistent state.
pub trait Source {
    /// Every collection, ordered by tenant, database and name.
    fn collections(&self) -> &[Collection];

    /// Gives every live record of `collection` to `each`, in the order of insertion, until `each` breaks.
    ///
    /// # Errors
    /// What the store refuses; [`SourceError::Interrupted`] when the source's stop flag was raised.
    fn read(
        &self,
        collection: &Collection,
        each: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), SourceError>;

    /// Counts what `collection` holds.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn inventory(&self, collection: &Collection) -> Result<Inventory, SourceError>;
}
