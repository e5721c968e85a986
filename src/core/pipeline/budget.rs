//! How a run's memory is divided: what is kept of ids first, batches from the rest.
//!
//! Imports nothing of this crate.

/// Bytes that are kept of each record, and of each row of the queue, at most: where its vector is or whose it is, its
/// place among the records, its key among those met (`docs/bench.md` has what was measured).
const BYTES_AN_ID: u64 = 100;
/// With less for the batches a run would crawl.
const LEAST: u64 = 4 << 20;
/// Batches that one bulk load takes where memory allows: each begins with buffers and plans of its own, so few and long
/// ones are faster.
const BATCHES_A_LOAD: u64 = 24;

/// The sizes of a run's pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of a batch. Up to three are on their way beside those that a bulk load has.
    pub batch: usize,
    /// Bytes of rows that one bulk load takes, whole batches of them, which stay in memory until the server has stored all.
    pub load: usize,
    /// Bytes to which that may grow in a run of very many rows, so that it has few subtransactions.
    pub longest: usize,
}

impl Budget {
    /// Divides `most` bytes for a run over `records` records and `queued` rows of the queue, with batches of `wanted`
    /// bytes if they fit. `Err`: the bytes that would do.
    ///
    /// # Errors
    /// The ids leave less than 4 MB.
    pub fn divide(records: u64, queued: u64, most: u64, wanted: u64) -> Result<Budget, u64> {
        let ids = records.saturating_add(queued).saturating_mul(BYTES_AN_ID);
        let left = most.saturating_sub(ids);
        if left < LEAST {
            return Err(ids.saturating_add(LEAST));
        }
        let batch = wanted.min(left / 8);
        let longest = left / 4;
        let load = batch.saturating_mul(BATCHES_A_LOAD).min(longest);
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Budget {
            batch: bytes(batch),
            load: bytes(load),
            longest: bytes(longest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn ids_and_batches_stay_below_the_ceiling_together() {
        for records in [0, 1_000, 100_000, 5_000_000] {
            for most in [16, 64, 1024] {
                let Ok(budget) = Budget::divide(records, 0, most * MB, 64 * MB) else {
                    continue;
                };
                let batches = 3 * budget.batch + budget.longest;
                assert!(budget.load <= budget.longest);
                assert!(records * BYTES_AN_ID + batches as u64 <= most * MB);
                assert!(budget.batch > 0 && budget.load >= budget.batch);
            }
        }
    }

    #[test]
    fn with_room_the_setting_counts() {
        let budget = Budget::divide(1_000, 0, 1024 * MB, 2 * MB).unwrap();
        assert_eq!(budget.batch as u64, 2 * MB);
        assert_eq!(budget.load as u64, 48 * MB);
    }

    #[test]
    fn too_many_ids_are_told_with_what_would_do() {
        let needed = Budget::divide(200_000, 100_000, 32 * MB, 2 * MB).unwrap_err();
        assert_eq!(needed, 30_000_000 + 4 * MB);
        assert!(Budget::divide(200_000, 100_000, needed, 2 * MB).is_ok());
        assert!(Budget::divide(u64::MAX, 1, u64::MAX, 1).is_err());
    }
}
