//! A share of a collection's records, told by their ids.
//!
//! Promise: the same records at every reading, in whatever order they come, spread over all of them. Imports nothing of this crate.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A share of records: those whose id has a hash below a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// No record.
    pub const NONE: Share = Share(0);

    /// About `wanted` of `records`; all of them where it is as many.
    pub fn about(wanted: u64, records: u64) -> Share {
        if wanted >= records {
            return Share(u64::MAX);
        }
        let bound = u128::from(u64::MAX) * u128::from(wanted) / u128::from(records);
        Share(u64::try_from(bound).unwrap_or(u64::MAX))
    }

    /// Whether the record of this id belongs to it.
    pub fn has(self, id: &str) -> bool {
        match self.0 {
            0 => false,
            u64::MAX => true,
            bound => {
                let mut hasher = DefaultHasher::new();
                id.hash(&mut hasher);
                hasher.finish() < bound
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(share: Share, records: u64) -> usize {
        let ids = (0..records).map(|n| format!("record {n}"));
        ids.filter(|id| share.has(id)).count()
    }

    #[test]
    fn a_share_has_about_as_many_as_were_wanted() {
        let found = count(Share::about(1_000, 100_000), 100_000);
        assert!((850..1_150).contains(&found), "{found}");
        assert_eq!(count(Share::about(50, 50), 50), 50);
        assert_eq!(count(Share::about(0, 50), 50), 0);
        assert_eq!(count(Share::NONE, 50), 0);
    }

    #[test]
    fn a_larger_share_has_all_of_a_smaller_one() {
        let (small, large) = (Share::about(10, 1_000), Share::about(100, 1_000));
        let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
        assert!(
            ids.iter()
                .filter(|id| small.has(id))
                .all(|id| large.has(id))
        );
    }
}
