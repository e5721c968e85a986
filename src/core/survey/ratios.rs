//! What values of so many bytes take on the pages of tables and indexes.
//!
//! Promise: plain arithmetic with ratios that were measured once (`docs/storage.md` has them, and how), of values of any
//! size; no text is looked at. Imports nothing.

/// Bytes of a page, and what its header leaves of them.
pub(super) const PAGE: u64 = 8192;
const ROOM: u64 = PAGE - 24;
/// Of 100 bytes of a text or `jsonb` so many are left when the server compresses it.
const COMPRESSED_PERCENT: u64 = 65;
/// Bytes that stay in the row of a value that was moved to the TOAST table.
const POINTER: u64 = 18;
/// Most bytes of a value in one row of a TOAST table, and what comes to them there and in its index.
const CHUNK: u64 = 1_996;
const CHUNK_MORE: u64 = 60;
const CHUNK_KEY: u64 = 25;
/// An element of an HNSW index beside its vector: header, and neighbours with pgvector's own `m` of 16.
const ELEMENT: u64 = 280;

/// Bytes that a row of `short` bytes and of `long` values takes, in its table and in the TOAST table. A row of more than
/// `target` bytes is brought below: its longest values are compressed, where that is said beside them, then its longest
/// values are moved out.
pub(super) fn row(short: u64, long: &mut [(u64, bool)], target: u64) -> u64 {
    let mut kept = (long.iter()).fold(short, |sum, (bytes, _)| sum.saturating_add(*bytes));
    let mut moved = 0_u64;
    while kept > target {
        let values = long.iter_mut().filter(|(bytes, _)| *bytes > POINTER);
        let Some((bytes, compressible)) = values.max_by_key(|(bytes, can)| (*can, *bytes)) else {
            break;
        };
        kept = kept.saturating_sub(*bytes);
        if *compressible {
            *bytes = (*bytes / 100).saturating_mul(COMPRESSED_PERCENT);
        } else {
            moved = moved.saturating_add(toasted(*bytes));
            *bytes = POINTER;
        }
        *compressible = false;
        kept = kept.saturating_add(*bytes);
    }
    on_pages(kept).saturating_add(moved)
}

/// Bytes that a value of `bytes` takes in the TOAST table: a quarter of a page for every chunk, as the last one, which
/// is shorter, leaves its page no room for a fourth whole one.
fn toasted(bytes: u64) -> u64 {
    match bytes / CHUNK {
        0 => on_pages(bytes + CHUNK_MORE),
        whole => (whole + 1).saturating_mul(PAGE / 4 + CHUNK_KEY),
    }
}

/// Bytes that a vector of `dimension` takes in the vector index: as `vector`, from 2001 dimensions as `halfvec`.
pub(super) fn element(dimension: u64) -> u64 {
    match dimension {
        0..1_970 => on_pages(4 * dimension + ELEMENT),
        1_970..=2_000 => 2 * PAGE, // the neighbours have no room beside it
        2_001..=4_000 => on_pages(2 * dimension + ELEMENT),
        _ => 0,
    }
}

/// Bytes that a key of `bytes` takes in a B-tree: its pages are from half to nine tenths full, by the order of the keys.
pub(super) fn key(bytes: u64) -> u64 {
    aligned(bytes.saturating_add(8)).saturating_mul(3) / 2
}

/// Bytes of pages that a row of `bytes` takes: as many as fit share a page.
fn on_pages(bytes: u64) -> u64 {
    PAGE / (ROOM / aligned(bytes)).max(1)
}

/// Up to a multiple of 8, and the pointer to it on its page.
fn aligned(bytes: u64) -> u64 {
    bytes.div_ceil(8).saturating_mul(8).saturating_add(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_row_is_left_alone_and_a_larger_target_keeps_more() {
        let of = |target| row(64, &mut [(4_000, true), (1_544, false)], target);
        let out = 2 * (PAGE / 4 + CHUNK_KEY);
        assert_eq!(of(8_160), on_pages(64 + 4_000 + 1_544));
        assert_eq!(of(4_300), on_pages(64 + 2_600 + 1_544));
        assert_eq!(of(2_032), on_pages(64 + POINTER + 1_544) + out);
        let both = out + on_pages(1_544 + CHUNK_MORE);
        assert_eq!(of(1_000), on_pages(64 + 2 * POINTER) + both);
    }

    #[test]
    fn as_many_rows_as_fit_share_a_page() {
        assert_eq!((on_pages(2_032), on_pages(2_040)), (PAGE / 4, PAGE / 3));
        assert_eq!((on_pages(4_088), on_pages(8_160)), (PAGE, PAGE));
        assert_eq!((element(384), element(1_536)), (PAGE / 4, PAGE));
        assert_eq!((element(3_072), element(4_001)), (PAGE, 0));
    }

    #[test]
    fn absurd_sizes_do_no_harm() {
        let mut long = [(u64::MAX, true), (u64::MAX, false)];
        assert!(row(u64::MAX, &mut long, 8_160) > 0 && key(u64::MAX) > 0);
    }
}
