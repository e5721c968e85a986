//! Reading what is damaged: as much as can still be read, and sentences about the rest.
//!
//! Stage: source. Promise: nothing is left out without a sentence or a mark at the record; but for `bad_sectors`, `truncated`
//! and `collection_warnings`, nothing here runs while SQLite reports no damage. May import `sqlite` and `record`; not the
//! readers of tables that use it.
//!
//! ```text
//! bad_sectors            a file with sectors that the disk cannot read
//! truncated              a database file that is shorter than its header says
//! scan                   a table with pages that cannot be read: the rows behind them
//! unreadable_rows        rows that were not found
//! record_ids             the records of a segment, without the index that cannot be read
//! value_rowids           the rows of their metadata, the same way
//! losses                 what one pass over a collection lost, as sentences
//! collection_warnings    what of a collection cannot be used or shown, as sentences
//! ```

pub(super) mod bad_sectors;
pub(super) mod collection_warnings;
pub(super) mod losses;
pub(super) mod record_ids;
pub(super) mod scan;
pub(super) mod truncated;
pub(super) mod unreadable_rows;
pub(super) mod value_rowids;
