//! An index's pages, by way of the server's buffers.
//!
//! Promise: a page is copied whole, under the buffer's lock; nothing points into a buffer afterwards.

use pgrx::pg_sys;
use vector_migrate_core::index::page::{PAGE, Page};

use super::fill::Filling;
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
    let page = |block| {
        let mut page = [0; PAGE];
        read(opened, block, &mut page);
        page
    };
    (0..blocks(opened)).map(page).collect()
}

/// Number of blocks of the open index.
pub fn blocks(opened: &Opened) -> u32 {
    // SAFETY: RelationGetNumberOfBlocksInFork (bufmgr.c), see `count`, of an index that is open.
    unsafe { count(opened.index()) }
}

/// # Safety
/// `relation` is open.
unsafe fn count(relation: pg_sys::Relation) -> u32 {
    // SAFETY: RelationGetNumberOfBlocksInFork (bufmgr.c) of an open relation with storage.
    unsafe { pg_sys::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM) }
}

/// Appends `page` to the index; the block that it has now. Nothing is logged.
pub fn append(filling: &Filling, page: &Page) -> u32 {
    // SAFETY: ReadBufferExtended (bufmgr.c) with P_NEW gives a new, zeroed, pinned block of BLCKSZ bytes, which is locked before it
    // is written to and given back after; in a file that no other session can see, it needs no lock on its extension, as
    // in HnswNewBuffer (pgvector's hnswutils.c); from 16 on ReadBuffer_common (bufmgr.c) takes none for P_NEW either. Between the lock
    // and the mark nothing raises (BufferGetBlockNumber and MarkBufferDirty in bufmgr.c, of a valid buffer).
    unsafe {
        let buffer = pg_sys::ReadBufferExtended(
            filling.index(),
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

/// Copies a block of the open index. The server raises an error if it has no such block.
pub fn read(opened: &Opened, block: u32, into: &mut Page) {
    // SAFETY: ReadBufferExtended (bufmgr.c) gives a pinned block of BLCKSZ bytes or raises; it is locked while it is copied, and
    // UnlockReleaseBuffer (bufmgr.c) gives back lock and pin. Nothing raises in between.
    unsafe {
        let buffer = pg_sys::ReadBufferExtended(
            opened.index(),
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

/// Logs the whole index, unless it is one whose changes are not logged.
pub fn log(filling: &Filling) {
    let relation = filling.index();
    // SAFETY: log_newpage_range (xloginsert.c) of an open index that nobody else can write to; it logs pages of the standard layout, which ours are.
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
    // SAFETY: plain reads of an open relation's descriptor (rel.h), and of the variable behind the setting wal_level.
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
