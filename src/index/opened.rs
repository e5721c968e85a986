//! A table and an index on it, open together.
//!
//! Promise: the locks that opening takes are held to the end of the transaction, also when the pair is dropped.

use std::time::{Duration, Instant};

use pgrx::pg_sys;

use crate::interrupt;
use crate::lock::Held;

/// How long a lock on the index of somebody else's table is tried for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is tried.
const PAUSE: Duration = Duration::from_millis(20);

/// An open table and an open index on it.
pub struct Opened {
    index: Held,
    table: Held,
}

impl Opened {
    /// Opens both for reading.
    pub fn to_read(table: pg_sys::Oid, index: pg_sys::Oid) -> Opened {
        Opened::with(
            table,
            index,
            pg_sys::AccessShareLock,
            pg_sys::AccessShareLock,
        )
    }

    /// Opens both so that no row can be written meanwhile.
    pub fn to_check(table: pg_sys::Oid, index: pg_sys::Oid) -> Opened {
        Opened::with(table, index, pg_sys::ShareLock, pg_sys::AccessShareLock)
    }

    /// Opens both so that the index can be filled, as REINDEX does.
    pub fn to_fill(table: pg_sys::Oid, index: pg_sys::Oid) -> Opened {
        Opened::with(table, index, pg_sys::ShareLock, pg_sys::AccessExclusiveLock)
    }

    fn with(table: pg_sys::Oid, index: pg_sys::Oid, first: u32, second: u32) -> Opened {
        // The table comes first, as in reindex_index (index.c).
        let table = Held::open(table, first);
        let index = Held::open(index, second);
        Opened { index, table }
    }

    /// The table.
    pub fn table(&self) -> pg_sys::Relation {
        self.table.as_ptr()
    }

    /// The index.
    pub fn index(&self) -> pg_sys::Relation {
        self.index.as_ptr()
    }
}

/// Whether a query of this session that goes on, as a cursor's, has the index open. No lock keeps it from the pages that it is
/// about to read, so the index must not be emptied.
pub fn is_in_use_here(index: pg_sys::Oid) -> bool {
    let index = Held::open(index, pg_sys::AccessShareLock);
    // SAFETY: CheckTableNotInUse (tablecmds.c), by which REINDEX refuses the same, compares the same field: one reference is ours.
    unsafe { (*index.as_ptr()).rd_refcnt > 1 }
}

/// Takes the locks of [`Opened::to_fill`] without waiting in the queue, so that no deadlock can come of it and nobody waits
/// behind us: `false` if others still have the table or the index in use after ten seconds, and then neither is held.
pub fn try_to_lock(table: pg_sys::Oid, index: pg_sys::Oid) -> bool {
    let until = Instant::now() + PATIENCE;
    let lock = |oid, mode: u32| {
        loop {
            // SAFETY: ConditionalLockRelationOid (lmgr.c) takes any OID inside a transaction, and reads the invalidations that came
            // meanwhile.
            if unsafe { pg_sys::ConditionalLockRelationOid(oid, mode.cast_signed()) } {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            interrupt::check();
            std::thread::sleep(PAUSE);
        }
    };
    if !lock(table, pg_sys::ShareLock) {
        return false;
    }
    let both = lock(index, pg_sys::AccessExclusiveLock);
    if !both {
        // SAFETY: UnlockRelationOid (lmgr.c) gives back what was just taken; nothing was read under it.
        unsafe { pg_sys::UnlockRelationOid(table, pg_sys::ShareLock.cast_signed()) };
    }
    both
}
