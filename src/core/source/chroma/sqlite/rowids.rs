//! Ascending rowids in ranges that are cheap to read.
//!
//! Stage: source. Promise: every number is in exactly one range, and a range holds few others. Imports nothing.

/// The most numbers between two of a range: reading over so many other rows costs about as much as a new search.
const MOST_SKIPPED: i64 = 24;

/// Ascending numbers, cut where the next one is far away; never an empty slice.
pub(crate) fn ranges(numbers: &[i64]) -> impl Iterator<Item = &[i64]> {
    numbers.chunk_by(|left, right| right.saturating_sub(*left) <= MOST_SKIPPED)
}

/// First and last number of a range.
pub(crate) fn first_and_last(range: &[i64]) -> (i64, i64) {
    match (range.first(), range.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => (0, -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_range_and_strangers_do_not() {
        let cut: Vec<_> = ranges(&[1, 2, 5, 100, 101, 5000])
            .map(first_and_last)
            .collect();
        assert_eq!(cut, [(1, 5), (100, 101), (5000, 5000)]);
        assert_eq!(ranges(&[]).count(), 0);
        assert_eq!(ranges(&[i64::MIN, i64::MAX]).count(), 2);
    }
}
