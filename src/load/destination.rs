//! A table that rows are loaded into, and how.

use pgrx::pg_sys;

use super::sequence::{Numbers, SequenceSubstitute};
use super::{LeftOut, LoadColumn, Way};

/// A table that rows are loaded into.
#[derive(Debug)]
pub struct Destination {
    pub(super) oid: pg_sys::Oid,
    /// Qualified and quoted.
    pub(super) name: String,
    /// The fields of a tuple, in order.
    pub(super) columns: Vec<LoadColumn>,
    pub(super) way: Way,
    pub(super) numbers: Numbers,
    /// Rows bring the numbers of an identity column.
    pub(super) overrides: bool,
    /// Indexes that get their entries after the load.
    pub(super) late: LeftOut,
}

impl Destination {
    /// The table `oid` of this name (qualified and quoted), whose `columns` rows fill in the way that was chosen for it.
    /// `substitutes`: columns that get numbers instead of a sequence's. `late`: indexes that rows which go in directly get no
    /// entries in. `overrides`: rows bring the numbers of an identity column.
    pub fn new(
        (oid, name): (pg_sys::Oid, String),
        columns: Vec<LoadColumn>,
        way: Way,
        substitutes: Vec<SequenceSubstitute>,
        late: LeftOut,
        overrides: bool,
    ) -> Destination {
        Destination {
            oid,
            name,
            columns,
            way,
            numbers: Numbers::new(substitutes),
            overrides,
            late,
        }
    }
}
