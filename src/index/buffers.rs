//! An index's pages, by way of the server's buffers.
//!
//! Promise: a page is copied whole, under the buffer's lock; nothing points into a buffer afterwards.

use pgrx::pg_sys;
use vector_migrate_core::index::page::{PAGE, Page};

use super::opened::Opened;

/// What the server calls P_NEW: one more block.
const NEW: pg_sys::BlockNumber = pg_sys::InvalidBlockNumber;

/// The server's InvalidSubTransactionId (c.h).
const NO_SUBTRANSACTION: pg_sys::SubTransactionId = 0;

/// Whether the server's pages have the size that the core's have.
pub const fn fits() -> bool {
    pg_sys::BLCKSZ as usize == PAGE
}

/// All pages of the open index, which is a small one.
pub fn all(opened: &Opened) -> Vec<Page> {
    let index = opened.index();
    // SAFETY: the index is open; the blocks are its own.
    unsafe {
        (0..count(index))
            .map(|block| {
                let mut page = [0; PAGE];
                read(index, block, &mut page);
                page
            })
            .collect()
    }
}

/// Number of blocks of the open relation.
///
/// # Safety
/// `relation` is open.
pub unsafe fn count(relation: pg_sys::Relation) -> u32 {
    // SAFETY: RelationGetNumberOfBlocksInFork (bufmgr.c) of an open relation with storage.
    unsafe { pg_sys::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM) }
}

/// Appends `page` to the relation; the block that it has now. Nothing is logged.
///
/// # Safety
/// `relation` is open, and nobody else can write to it.
pub unsafe fn append(relation: pg_sys::Relation, page: &Page) -> u32 {
    // SAFETY: ReadBufferExtended (bufmgr.c) with P_NEW gives a new, zeroed, pinned block of BLCKSZ bytes, which is locked before it
    // is written to and given back after; in a file that no other session can see, it needs no lock on its extension, as
    // in HnswNewBuffer (pgvector's hnswutils.c). No error can come between the lock and the mark.
    unsafe {
        let buffer = pg_sys::ReadBufferExtended(
            relation,
            pg_sys::ForkNumber::MAIN_FORKNUM,
            NEW,
            pg_sys::ReadBufferMode::RBM_NORMAL,
            std::ptr::null_mut(),
        );
        pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_EXCLUSIVE.cast_signed());
        let block = pg_sys::BufferGetBlockNumber(buffer);
        std::ptr::copy_nonoverlapping(page.as_ptr(), pg_sys::BufferGetPage(buffer).cast(), PAGE);
        pg_sys::MarkBufferDirty(buffer);
        pg_sys::UnlockReleaseBuffer(buffer);
        block
    }
}

/// Copies block `block` of the relation.
///
/// # Safety
/// `relation` is open; the block is one of its.
pub unsafe fn read(relation: pg_sys::Relation, block: u32, into: &mut Page) {
    // SAFETY: ReadBufferExtended (bufmgr.c) gives a pinned block of BLCKSZ bytes or raises; it is locked while it is copied.
    unsafe {
        let buffer = pg_sys::ReadBufferExtended(
            relation,
            pg_sys::ForkNumber::MAIN_FORKNUM,
            block,
            pg_sys::ReadBufferMode::RBM_NORMAL,
            std::ptr::null_mut(),
        );
        pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE.cast_signed());
        std::ptr::copy_nonoverlapping(
            pg_sys::BufferGetPage(buffer).cast(),
            into.as_mut_ptr(),
            PAGE,
        );
        pg_sys::UnlockReleaseBuffer(buffer);
    }
}

/// Logs the whole relation, unless it is one whose changes are not logged.
///
/// # Safety
/// `relation` is open, and nobody else can write to it.
pub unsafe fn log(relation: pg_sys::Relation) {
    // SAFETY: as this function's own; log_newpage_range (xloginsert.c) logs pages of the standard layout, which ours are.
    unsafe {
        if is_logged(relation) {
            let blocks = count(relation);
            pg_sys::log_newpage_range(relation, pg_sys::ForkNumber::MAIN_FORKNUM, 0, blocks, true);
        }
    }
}

/// The server's macro RelationNeedsWAL (rel.h).
///
/// # Safety
/// `relation` is open.
unsafe fn is_logged(relation: pg_sys::Relation) -> bool {
    // SAFETY: plain reads of an open relation's descriptor, and of the variable behind the setting wal_level.
    unsafe {
        let permanent = (*(*relation).rd_rel).relpersistence
            == pg_sys::RELPERSISTENCE_PERMANENT as std::ffi::c_char;
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let first = (*relation).rd_firstRelfilenodeSubid;
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let first = (*relation).rd_firstRelfilelocatorSubid;
        let old = (*relation).rd_createSubid == NO_SUBTRANSACTION && first == NO_SUBTRANSACTION;
        let needed = pg_sys::wal_level >= pg_sys::WalLevel::WAL_LEVEL_REPLICA.cast_signed();
        permanent && (needed || old)
    }
}
