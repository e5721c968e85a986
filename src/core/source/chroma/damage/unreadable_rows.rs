//! Rows that cannot be read, and how they are named to the user.
//!
//! Stage: source. Imports nothing of this crate.

use std::fmt;

/// A range of rowids whose rows cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnreadableRows {
    /// The first.
    pub first: i64,
    /// The last; `i64::MAX` if the table's end is not known.
    pub last: i64,
}

impl UnreadableRows {
    /// One row.
    pub fn one(rowid: i64) -> UnreadableRows {
        UnreadableRows {
            first: rowid,
            last: rowid,
        }
    }
}

impl fmt::Display for UnreadableRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (i64::MIN, i64::MAX) => f.write_str("all rows"),
            (i64::MIN, last) => write!(f, "rows up to {last}"),
            (first, i64::MAX) => write!(f, "rows from {first} on"),
            (first, last) if first == last => write!(f, "row {first}"),
            (first, last) => write!(f, "rows {first} to {last}"),
        }
    }
}

/// Ranges as words: "rows 3 to 9, row 12 and 2 other ranges".
pub(crate) fn list_ranges(unreadable: &[UnreadableRows]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = unreadable
        .iter()
        .take(SHOWN)
        .map(UnreadableRows::to_string)
        .collect();
    match unreadable.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} other ranges", shown.join(", ")),
    }
}
