//! What of `vector_migrate.max_memory_mb` goes to the ids of a run, and what is left for its batches.

use crate::error::Error;
use crate::guc;

/// Bytes that are kept of each record, and of each row of the queue, at most: where its vector is, its place among the
/// records, its key among those met (`docs/bench.md` has what was measured).
const BYTES_AN_ID: u64 = 100;
/// With less for the batches a run would crawl.
const LEAST: u64 = 4 << 20;
/// Batches that one COPY takes where memory allows: each COPY begins with buffers of its own, so few and long ones are
/// faster.
const BATCHES_A_STRETCH: u64 = 24;

/// How a run's memory is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of a batch. Up to three are on their way beside those that COPY has.
    pub batch: usize,
    /// Bytes of rows that one COPY takes, whole batches of them, which stay in memory until the server has stored all.
    pub stretch: usize,
}

impl Budget {
    /// The budget of a run over so many records, and rows of the queue.
    ///
    /// # Errors
    /// [`Error::TooManyRecords`].
    pub fn of(records: u64, queued: u64) -> Result<Budget, Error> {
        divide(records, queued, guc::max_memory_bytes(), guc::batch_bytes())
    }
}

fn divide(records: u64, queued: u64, most: u64, wanted: u64) -> Result<Budget, Error> {
    let ids = records.saturating_add(queued).saturating_mul(BYTES_AN_ID);
    let left = most.saturating_sub(ids);
    if left < LEAST {
        let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
        return Err(Error::TooManyRecords {
            records,
            queued,
            needs: megabytes(ids.saturating_add(LEAST)),
            has: megabytes(most),
        });
    }
    let batch = wanted.min(left / 8);
    let stretch = batch.saturating_mul(BATCHES_A_STRETCH).min(left / 4);
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(Budget {
        batch: bytes(batch),
        stretch: bytes(stretch),
    })
}
