//! The rows that a vector index finds for a vector, by a scan of the index itself: no planner, no privileges, no look at the
//! rows.

use pgrx::pg_sys;
use vector_migrate_core::index::Tid;

use super::opened::Opened;
use super::scan;
use crate::image;

/// The TIDs of up to `most` rows that a scan of the index gives for `vector` (a whole value of the index's type), the nearest
/// first. How hard it searches is what the session's settings say.
/// The index has to be an HNSW index of pgvector's.
pub fn nearest(opened: &Opened, vector: &[u8], most: usize) -> Vec<Tid> {
    // SAFETY: the calls are those of an ordered index scan (nodeIndexscan.c): one key without flags, whose argument outlives the
    // scan; hnswgettuple (pgvector's hnswscan.c) wants an MVCC snapshot, which is pushed by the caller's statement and
    // outlives the scan. The scan is ended here, or by the subtransaction that an error ends.
    unsafe {
        let mut key: pg_sys::ScanKeyData = std::mem::zeroed();
        key.sk_attno = 1;
        key.sk_argument = image::copied(vector);
        let snapshot = pg_sys::GetActiveSnapshot();
        let (table, index) = (opened.table(), opened.index());
        #[cfg(not(feature = "pg18"))]
        let found = pg_sys::index_beginscan(table, index, snapshot, 0, 1);
        #[cfg(feature = "pg18")]
        let found = pg_sys::index_beginscan(table, index, snapshot, std::ptr::null_mut(), 0, 1);
        pg_sys::index_rescan(found, std::ptr::null_mut(), 0, &raw mut key, 1);
        let mut tids = Vec::with_capacity(most);
        while tids.len() < most {
            let tid = pg_sys::index_getnext_tid(found, pg_sys::ScanDirection::ForwardScanDirection);
            if tid.is_null() {
                break;
            }
            tids.push(scan::place(tid));
        }
        pg_sys::index_endscan(found);
        tids
    }
}
