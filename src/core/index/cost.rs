//! What a build of pgvector's takes: memory for the whole graph, and time; and when it is cheaper than inserting rows one by one.
//!
//! Promise: estimates, for decisions and for people; nothing depends on their being exact. Imports nothing.

/// What is indexed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Rows.
    pub rows: u64,
    /// Bytes of a value, header included.
    pub value_bytes: u64,
    /// Neighbours an element has in a layer above the lowest.
    pub m: u16,
}

/// Bytes that pgvector keeps of an element beside its value and its lists: `HnswElementData` with its lock (128), the
/// array of lists, the memory context's own.
const ELEMENT: u64 = 200;
/// Bytes of a neighbour in such a list (`HnswCandidate`).
const NEIGHBOUR: u64 = 16;

/// Bytes of memory in which pgvector builds without writing the graph to disk half way (`HnswInitElement`,
/// `HnswInitNeighbors` in its hnswutils.c), with a twentieth in reserve.
pub fn build_bytes(load: Load) -> u64 {
    let m = u64::from(load.m).max(2);
    // Two m at the lowest layer; one element in m has a layer above.
    let lists = (2 * m)
        .saturating_mul(NEIGHBOUR)
        .saturating_add(NEIGHBOUR * 2);
    let an_element = ELEMENT
        .saturating_add(load.value_bytes.next_multiple_of(8))
        .saturating_add(lists);
    let all = load.rows.saturating_mul(an_element);
    all.saturating_add(all / 20).saturating_add(4 << 20)
}

/// Seconds that pgvector needs with memory enough and so many processes: what was measured for 100,000 rows of 384
/// dimensions and m 16 (35 seconds of one processor), in proportion to the components of the values, more for each
/// tenfold of the rows.
pub fn build_seconds(load: Load, processes: u32) -> f64 {
    let rows = load.rows as f64;
    let size = 0.4 + 0.6 * (load.value_bytes as f64 / 1544.0);
    let growth = (1.0 + 0.35 * (rows.max(1.0) / 100_000.0).log10()).max(0.3);
    let lists = f64::from(load.m) / 16.0;
    rows * 350e-6 * size * growth * lists / f64::from(processes.max(1))
}

/// So many times as long as a row of a build takes a row that pgvector inserts into an index that is there: 3.4 ms of the
/// processor were measured, in an index of 100,000 rows of 384 dimensions.
const INSERT: u64 = 10;

/// Whether an import that leaves `rest` of the `rows` to pgvector's own insert is cheaper than a build of all.
pub fn import_pays(rows: u64, rest: u64) -> bool {
    rest.saturating_mul(INSERT) <= rows
}

/// Whether an index of `rows` rows that lacks `missing` of them is cheaper to build anew than to insert them into.
pub fn build_pays(rows: u64, missing: u64) -> bool {
    missing.saturating_mul(INSERT) >= rows
}

/// Whether so many rows are few beside the `records` that come. A tenth more is what a build of all takes then, and a tenth of
/// what it takes to insert the records; and a table with so few rows is not yet one that people search in, who would wait for the build.
pub fn are_few(rows: u64, records: u64) -> bool {
    rows <= few(records)
}

/// The most rows that are few beside so many records.
pub fn few(records: u64) -> u64 {
    records / INSERT
}

/// An IVFFlat index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lists {
    /// Its lists.
    pub count: u32,
    /// Bytes of a value, header included.
    pub value_bytes: u64,
    /// Components of a value.
    pub dimensions: u32,
}

/// The least number of rows that pgvector looks at for an IVFFlat index, and how many for each list (`ComputeCenters` in its
/// ivfbuild.c).
const SAMPLES: u64 = 10_000;
const SAMPLES_OF_A_LIST: u64 = 50;

/// Bytes of `maintenance_work_mem` without which pgvector refuses to build the index: what `ElkanKmeans` in its ivfkmeans.c adds
/// up for as many rows as it looks at, with a megabyte in reserve.
pub fn lists_bytes(lists: Lists) -> u64 {
    let count = u64::from(lists.count);
    let samples = count.saturating_mul(SAMPLES_OF_A_LIST).max(SAMPLES);
    let value = lists.value_bytes.next_multiple_of(8);
    let sums = u64::from(lists.dimensions).saturating_mul(4);
    // The samples, two sets of centres, sums, distances of all to all, and a few numbers of each.
    let samples_own = samples.saturating_mul(value.saturating_add(8 + 4 * count));
    let lists_own = count.saturating_mul(2 * value + sums + 16 + 4 * count);
    samples_own
        .saturating_add(lists_own)
        .saturating_add(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Load = Load {
        rows: 100_000,
        value_bytes: 1544,
        m: 16,
    };

    #[test]
    fn a_build_of_100_000_rows_fits_into_a_gigabyte_and_not_into_64_megabytes() {
        let bytes = build_bytes(MODEL);
        assert!((200 << 20..300 << 20).contains(&bytes), "{bytes}");
    }

    #[test]
    fn time_grows_a_little_faster_than_rows() {
        let hundred = build_seconds(MODEL, 1);
        let million = build_seconds(
            Load {
                rows: 1_000_000,
                ..MODEL
            },
            1,
        );
        assert!((30.0..40.0).contains(&hundred), "{hundred}");
        assert!((11.0..16.0).contains(&(million / hundred)));
        assert!(build_seconds(MODEL, 2) < hundred);
    }

    #[test]
    fn nothing_overflows() {
        let all = Load {
            rows: u64::MAX,
            value_bytes: 64_000,
            m: 100,
        };
        assert_eq!(build_bytes(all), u64::MAX);
        assert!(build_seconds(all, 0).is_finite());
    }

    #[test]
    fn usual_lists_of_1536_dimensions_need_what_pgvector_asks_for_and_a_megabyte() {
        let usual = Lists {
            count: 100,
            value_bytes: 6_152,
            dimensions: 1_536,
        };
        // "memory required is 65 MB"
        assert_eq!(lists_bytes(usual).div_ceil(1 << 20), 66);
        let most = Lists {
            count: 32_768,
            value_bytes: 16_008,
            dimensions: 4_000,
        };
        assert!(lists_bytes(most) > 200 << 30);
    }

    #[test]
    fn a_build_pays_where_a_tenth_of_the_rows_is_missing() {
        assert!(build_pays(100, 10) && !build_pays(100, 9) && build_pays(0, 0));
        assert!(are_few(10, 100) && !are_few(11, 100) && are_few(0, 0) && !are_few(1, 9));
    }

    #[test]
    fn an_import_with_a_tenth_left_over_pays() {
        assert!(import_pays(100, 10) && !import_pays(100, 11) && import_pays(0, 0));
    }
}
