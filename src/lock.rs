//! Locks on tables.
//!
//! Promise: a lock that is taken here is held to the end of the transaction, as the server's own statements hold theirs.
//! pgrx's `PgRelation::with_lock` gives its lock back when it is dropped (`relation_close` with the lock's mode), so tables
//! that rows go into are locked here and opened without a lock of their own.

use std::ops::Deref;

use pgrx::{PgRelation, pg_sys};

use crate::error::Error;
use crate::spi;

/// What a lock keeps other sessions from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What SELECT takes: nobody drops the table or rewrites it.
    Read,
    /// What INSERT, UPDATE and DELETE take: nobody makes an index, a trigger or a key on the table either.
    Write,
}

impl Mode {
    fn number(self) -> pg_sys::LOCKMODE {
        let number = match self {
            Mode::Read => pg_sys::AccessShareLock,
            Mode::Write => pg_sys::RowExclusiveLock,
        };
        number.cast_signed()
    }
}

/// Waits for the lock and holds it to the end of the transaction, or of the subtransaction that is taken back. `false` if
/// the table is gone; then nothing is held. A cancel ends the waiting.
pub fn hold(table: pg_sys::Oid, mode: Mode) -> bool {
    // SAFETY: LockRelationOid (lmgr.c) takes any OID inside a transaction, waits interruptibly, and reads the invalidations that
    // came meanwhile, so the catalog is looked at as it is under the lock; UnlockRelationOid (lmgr.c) gives back the one
    // that was just taken, as LockRelease (lock.c) counts them. An error in between leaves the lock to the transaction's end.
    unsafe {
        pg_sys::LockRelationOid(table, mode.number());
        let there = pg_sys::SearchSysCacheExists(
            pg_sys::SysCacheIdentifier::RELOID.cast_signed(),
            pg_sys::Datum::from(table),
            pg_sys::Datum::from(0),
            pg_sys::Datum::from(0),
            pg_sys::Datum::from(0),
        );
        if !there {
            pg_sys::UnlockRelationOid(table, mode.number());
        }
        there
    }
}

/// The key of the advisory lock: a word of ours, and a hash of the table's name.
const OURS: i32 = i32::from_be_bytes(*b"vmig");

/// Keeps other runs and rollbacks out of the table `name` (qualified) until this transaction ends. By name, as the table may be
/// missing and a run in progress may be creating it.
///
/// # Errors
/// [`Error::TargetBusy`] if one is there.
pub fn keep_runs_out(name: &str) -> Result<(), Error> {
    let free = spi::read_one(
        "SELECT pg_catalog.pg_try_advisory_xact_lock($1, pg_catalog.hashtext($2))",
        &[OURS.into(), name.into()],
        |row| row.get::<bool>(1),
    )?;
    match free.flatten() {
        Some(true) => Ok(()),
        _ => Err(Error::TargetBusy(name.to_owned())),
    }
}

/// As [`keep_runs_out`], and waits for those that are there.
///
/// # Errors
/// The server's own, as for a deadlock.
pub fn wait_for_runs(name: &str) -> Result<(), Error> {
    spi::read(
        "SELECT pg_catalog.pg_advisory_xact_lock($1, pg_catalog.hashtext($2)) IS NULL",
        &[OURS.into(), name.into()],
        |_| Ok(()),
    )?;
    Ok(())
}

/// An open table or index; its lock outlives it.
///
/// Dropped by an error that passes, it closes nothing: what RelationClose looks at then is a resource owner that the error may
/// have left in place of the one it was opened under, as nextval() leaves the transaction's when it is cancelled while it
/// waits for its sequence's lock (`lock_and_open_sequence` in sequence.c). RelationClose would raise a second error, which in a
/// destructor ends the backend, and with it every session.
pub struct Held(PgRelation);

impl Held {
    /// Waits for the lock of this mode, and opens what has the OID; raises if there is nothing.
    pub fn open(relation: pg_sys::Oid, mode: u32) -> Held {
        // SAFETY: relation_open (relation.c) takes any OID inside a transaction and gives an open relation or raises; from_pg
        // (pgrx's rel.rs) only keeps the pointer, which stays valid while the reference is held (RelationClearRelation in
        // relcache.c rebuilds in place).
        unsafe {
            Held(PgRelation::from_pg(pg_sys::relation_open(
                relation,
                mode.cast_signed(),
            )))
        }
    }
}

impl Deref for Held {
    type Target = PgRelation;

    fn deref(&self) -> &PgRelation {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // SAFETY: relation_close (relation.c) with NoLock gives back the reference that relation_open took, and no lock, as at the
        // end of COPY. After an error ResourceOwnerReleaseInternal (resowner.c) gives it back at the end of the (sub)transaction
        // that the error ends, without a warning.
        unsafe { pg_sys::relation_close(self.0.as_ptr(), pg_sys::NoLock.cast_signed()) };
    }
}

/// Opens the table for reading; as [`open_for_writing`].
pub fn open_for_reading(table: pg_sys::Oid) -> Held {
    Held::open(table, pg_sys::AccessShareLock)
}

/// Opens the table for writing; the lock outlives what is returned. Raises the server's own error if the table is gone,
/// which the lock that its description took rules out.
pub fn open_for_writing(table: pg_sys::Oid) -> Held {
    Held::open(table, pg_sys::RowExclusiveLock)
}
