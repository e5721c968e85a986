//! First stage: where records come from.
//!
//! Promise: stable order, bounded memory, nothing is ever written. May import `record` and `nul` only; a concrete
//! source (`chroma`) adds its file formats.
//!
//! ```text
//! error     why a store cannot be read
//! stop      the stop flag
//! chroma    a Chroma persist directory
//! ```

pub mod chroma;
mod error;
mod stop;

use std::ops::ControlFlow;

pub use error::SourceError;

use crate::record::{Collection, Inventory, Record};

/// A store of collections, read in one consistent state.
pub trait Source {
    /// Every collection, ordered by tenant, database and name.
    fn collections(&self) -> &[Collection];

    /// Gives every live record of `collection` to `consumer`, in the order of insertion, until it breaks.
    ///
    /// # Errors
    /// What the store refuses; [`SourceError::Interrupted`] when the source's stop flag was raised.
    fn feed(&self, collection: &Collection, consumer: &mut dyn Consumer)
    -> Result<(), SourceError>;

    /// [`Source::feed`] for a consumer that takes each record at once.
    ///
    /// # Errors
    /// As [`Source::feed`].
    fn read(
        &self,
        collection: &Collection,
        mut each: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        self.feed(collection, &mut each)
    }

    /// Counts what `collection` holds.
    ///
    /// # Errors
    /// As [`Source::feed`].
    fn inventory(&self, collection: &Collection) -> Result<Inventory, SourceError>;
}

/// Takes records, at its own pace. Without more it knows none, wants every vector and is always ready.
pub trait Consumer {
    /// The metadata key of a record's owner; of a record that the consumer [knows](Consumer::knows) only this key is
    /// read.
    fn owner_key(&self) -> &str {
        "user_id"
    }

    /// Whether the consumer has the record of this id already, and only needs its owner: then only the value of
    /// [`Consumer::owner_key`] of its metadata is read, and no document.
    fn knows(&mut self, _id: &str) -> bool {
        false
    }

    /// Whether the vector of `record`, which comes without it, is wanted: reading it costs time. Asked before each
    /// record that is not damaged is given.
    fn wants_vector(&mut self, _record: &Record) -> bool {
        true
    }

    /// Takes a record; breaks to end the reading.
    fn take(&mut self, record: Record) -> ControlFlow<()>;

    /// Asked after each record: whether there is room for another. Waits a moment for room, but not for long: a
    /// source that holds a lock releases it while the consumer is not ready.
    fn ready(&mut self) -> bool {
        true
    }
}

/// A function that takes each record at once.
impl<F: FnMut(Record) -> ControlFlow<()>> Consumer for F {
    fn take(&mut self, record: Record) -> ControlFlow<()> {
        self(record)
    }
}
