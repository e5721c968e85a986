//! Acting as a table's owner for a moment, as foreign-key triggers act as their table's.

use std::ffi::c_int;

use pgrx::pg_sys;

use crate::error::Error;
use crate::spi;

/// Puts the caller's identity back, also when an error passes.
struct Restore(pg_sys::Oid, c_int);

impl Drop for Restore {
    fn drop(&mut self) {
        // SAFETY: SetUserIdAndSecContext (miscinit.c) sets two variables, to what GetUserIdAndSecContext gave in this transaction; it
        // raises nothing. After an error AbortSubTransaction or AbortTransaction (xact.c) sets the same again.
        unsafe { pg_sys::SetUserIdAndSecContext(self.0, self.1) };
    }
}

/// Runs `work`, which must touch the ledger's tables only, as their owner.
///
/// # Errors
/// What `work` gives.
pub fn as_owner<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    let owner = spi::read_one(
        "SELECT relowner FROM pg_catalog.pg_class \
          WHERE oid OPERATOR(pg_catalog.=) 'vector_migrate.runs'::pg_catalog.regclass",
        &[],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    let owner = owner
        .flatten()
        .ok_or_else(|| Error::Bug("the ledger has no owner".into()))?;
    acting_as(owner, pg_sys::SECURITY_LOCAL_USERID_CHANGE, work)
}

/// Runs `work`, which must look at (or lock rows of) one table only, as that table's `owner`: row-level security hides
/// nothing from it, forced or not, and a missing privilege of the caller's does not count. So do the server's own checks of
/// foreign keys (`ri_PerformCheck` in ri_triggers.c). What the table's owner has planted, as in an index's expression, can do
/// no more there than when the table is vacuumed.
///
/// # Errors
/// What `work` gives.
pub fn as_table_owner<R>(
    owner: pg_sys::Oid,
    work: impl FnOnce() -> Result<R, Error>,
) -> Result<R, Error> {
    let flags = pg_sys::SECURITY_LOCAL_USERID_CHANGE
        | pg_sys::SECURITY_RESTRICTED_OPERATION
        | pg_sys::SECURITY_NOFORCE_RLS;
    acting_as(owner, flags, work)
}

fn acting_as<R>(
    owner: pg_sys::Oid,
    flags: u32,
    work: impl FnOnce() -> Result<R, Error>,
) -> Result<R, Error> {
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: GetUserIdAndSecContext and SetUserIdAndSecContext (miscinit.c) read and set two variables. The switch is marked local,
    // so that SET ROLE and the like are refused meanwhile (set_config_option in guc.c asks InLocalUserIdChange), and is undone by
    // the guard.
    let _restore = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(owner, context | flags.cast_signed());
        Restore(user, context)
    };
    work()
}
