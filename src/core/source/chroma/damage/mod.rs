//! TODO.

pub(super) mod bad_sectors;
pub(super) mod collection_warnings;
pub(super) mod losses;
pub(super) mod record_ids;
pub(super) mod scan;
pub(super) mod truncated;
pub(super) mod unreadable_rows;
