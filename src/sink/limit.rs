//! How many bytes of rows one bulk load takes, which is one subtransaction.
//!
//! Promise: after a refusal little is done again. A run that the server refuses nothing has few subtransactions however
//! many its rows: beyond 64 ids of one transaction (`PGPROC_MAX_CACHED_SUBXIDS`, proc.h) every other session's snapshots read
//! `pg_subtrans`.

/// Loads of the usual length, before they get longer.
const USUAL: u32 = 36;

/// The limit of a bulk load: what memory allows, but after a refusal a batch, then two, then four.
#[derive(Debug)]
pub struct BulkLimit {
    now: usize,
    usual: usize,
    longest: usize,
    loads: u32,
}

impl BulkLimit {
    /// The limit of a run in which nothing was loaded yet: `usual` bytes a load, and in a run of many loads up to `longest`.
    pub fn new(usual: usize, longest: usize) -> BulkLimit {
        BulkLimit {
            now: usual,
            usual,
            longest: longest.max(usual),
            loads: 0,
        }
    }

    /// Bytes that the next load takes at most, whole batches of them.
    pub fn bytes(&self) -> usize {
        self.now
    }

    /// The server refused a row of a load.
    pub fn refused(&mut self) {
        self.now = 0;
    }

    /// The server stored a load of so many bytes.
    pub fn stored(&mut self, bytes: usize) {
        self.loads = self.loads.saturating_add(1);
        let most = if self.loads < USUAL {
            self.usual
        } else {
            self.longest
        };
        self.now = self.now.max(bytes).saturating_mul(2).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    /// Loads for so many bytes that come in batches of 2 MB.
    fn loads(limit: &mut BulkLimit, mut bytes: usize) -> u32 {
        let mut loads = 0;
        while bytes > 0 {
            let load = (limit.bytes() + 2 * MB).min(bytes);
            limit.stored(load);
            bytes -= load;
            loads += 1;
        }
        loads
    }

    #[test]
    fn a_million_rows_of_1536_dimensions_take_fewer_than_64_loads() {
        let mut limit = BulkLimit::new(48 * MB, 230 * MB);
        assert!(loads(&mut limit, 1_000_000 * (1536 * 4 + 1000)) < 64);
    }

    #[test]
    fn after_a_refusal_loads_are_short_and_grow_again() {
        let mut limit = BulkLimit::new(48 * MB, 230 * MB);
        limit.refused();
        assert_eq!(limit.bytes(), 0);
        limit.stored(2 * MB);
        assert_eq!(limit.bytes(), 4 * MB);
        loads(&mut limit, 500 * MB);
        assert_eq!(limit.bytes(), 48 * MB);
    }
}
