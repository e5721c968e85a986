//! Acting as the ledger's owner for a moment, as foreign-key triggers act as their table's.

use std::ffi::c_int;

use pgrx::pg_sys;

use crate::error::Error;
use crate::spi;

/// Puts the caller's identity back, also when an error passes.
struct Restore(pg_sys::Oid, c_int);

impl Drop for Restore {
    fn drop(&mut self) {
        // SAFETY: the identity that GetUserIdAndSecContext gave on this thread, in this transaction.
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
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: on the backend's thread; the switch is marked local, so that SET ROLE and the like are
    // refused meanwhile, and is undone by the guard.
    let _restore = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let local = pg_sys::SECURITY_LOCAL_USERID_CHANGE as c_int;
        pg_sys::SetUserIdAndSecContext(owner, context | local);
        Restore(user, context)
    };
    work()
}
