//! Rows into one table, as the values that the server keeps of them.
//!
//! ```text
//! Supply -> decode -> direct:   heap_multi_insert, indexes, AFTER ROW triggers
//!                  '-> executor: INSERT ... SELECT from bulk_rows (a set-returning function)
//! ```
//!
//! Promise: both ways store the same rows, and raise the server's own errors; `way` alone chooses between them. Neither
//! checks the privileges of a table that rows go into directly: whoever describes a table does. Must not import the sink, the
//! ledger or `tables`.

#[allow(unsafe_code)]
mod after;
#[allow(unsafe_code)]
mod bulk_rows;
mod column;
#[allow(unsafe_code)]
mod conversion;
#[allow(unsafe_code)]
mod decode;
#[allow(unsafe_code)]
mod defaults;
mod destination;
#[allow(unsafe_code)]
mod direct;
mod executor;
mod left_out;
mod sequence;
mod take;
#[allow(unsafe_code)]
mod way;

pub use column::LoadColumn;
pub use destination::Destination;
pub use left_out::{LeftOut, Loads};
pub use sequence::SequenceSubstitute;
pub use way::{Way, choose};

/// Gives a load its rows.
pub trait Supply {
    /// The next piece: whole tuples, one behind the other, from a place that is a multiple of four; an empty one ends the
    /// load. Called in the middle of a statement: may check for interrupts, must not run a query.
    fn more(&mut self) -> &[u8];

    /// Begins again with the first piece, and ends where it has ended: rules make several statements of one, and each reads
    /// the rows.
    fn rewind(&mut self);
}
