//! An index without contents: defined anew, or the storage of one that is there taken from it.
//!
//! Promise: what is defined here is filled by `fill` in the same subtransaction, or gone with it.

use std::ffi::{CString, c_char};

use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;

use super::opened::Opened;
use crate::error::Error;
use crate::pg;

// SAFETY: the declarations are those of the server's parse_utilcmd.h and predicate.h, for 14 to 18 alike. pgrx has no bindings
// for the two, so they are guarded where they are called.
unsafe extern "C-unwind" {
    fn transformIndexStmt(
        relation: pg_sys::Oid,
        statement: *mut pg_sys::IndexStmt,
        query: *const c_char,
    ) -> *mut pg_sys::IndexStmt;
    fn TransferPredicateLocksToHeapRelation(relation: pg_sys::Relation);
}

/// Defines the index that the CREATE INDEX statement `sql` on `table` describes, as the server does, and leaves it without
/// pages. Who may define it, and everything else that CREATE INDEX checks, is checked.
///
/// # Errors
/// [`Error::Bug`] if `sql` is no such statement; the server's own.
pub fn define(table: pg_sys::Oid, sql: &str) -> Result<pg_sys::Oid, Error> {
    let text = CString::new(sql).map_err(|_| Error::Bug("a statement with a NUL".into()))?;
    let none = pg_sys::InvalidOid;
    // SAFETY: on the backend's thread inside a transaction. raw_parser (parser.c) gives a list of RawStmt, whose first is looked
    // at only if it is an IndexStmt; transformIndexStmt (parse_utilcmd.c) wants the table locked, which its statement
    // does first, as ProcessUtilitySlow (utility.c) does; DefineIndex (indexcmds.c) with skip_build makes the catalog's
    // entries and an empty file. The texts outlive the calls.
    let index = unsafe {
        pg_sys::LockRelationOid(table, pg_sys::ShareLock.cast_signed());
        let list = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let raw = list
            .as_ref()
            .and_then(|list| list.elements.as_ref())
            .map(|first| first.ptr_value.cast::<pg_sys::RawStmt>());
        let statement = raw.map(|raw| (*raw).stmt);
        let statement = statement
            .filter(|statement| (**statement).type_ == pg_sys::NodeTag::T_IndexStmt)
            .ok_or_else(|| Error::Bug(format!("no CREATE INDEX: {sql}")))?;
        let statement =
            pg_guard_ffi_boundary(|| transformIndexStmt(table, statement.cast(), text.as_ptr()));
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let address = pg_sys::DefineIndex(
            table, statement, none, none, none, false, true, true, true, true,
        );
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let address = {
            // No partitions to count for the progress report.
            const PARTS: std::ffi::c_int = -1;
            pg_sys::DefineIndex(
                table, statement, none, none, none, PARTS, false, true, true, true, true,
            )
        };
        address.objectId
    };
    pg::next_command();
    Ok(index)
}

/// Gives the index an empty file of its own, as REINDEX does: the old one stays until this transaction commits, and is the
/// index's again if it does not.
pub fn empty(opened: &Opened) {
    // SAFETY: reindex_index (index.c) makes the same three calls of an index that it has open under AccessExclusiveLock, as
    // `Opened::to_fill` has: CheckTableNotInUse (tablecmds.c) raises if this session has a scan of it open; predicate locks go to the
    // table before RelationSetNewRelfilenode (relcache.c; RelationSetNewRelfilenumber from 16 on) drops the pages they name.
    unsafe {
        let index = opened.index();
        let persistence = (*(*index).rd_rel).relpersistence;
        pg_sys::CheckTableNotInUse(index, c"REINDEX INDEX".as_ptr());
        pg_guard_ffi_boundary(|| TransferPredicateLocksToHeapRelation(index));
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        pg_sys::RelationSetNewRelfilenode(index, persistence);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        pg_sys::RelationSetNewRelfilenumber(index, persistence);
    }
}
