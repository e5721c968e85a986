//! Filling an empty index: by pgvector, or by a function of ours that takes its place for this one call.
//!
//! Promise: what the server does around a build it does for both: statistics, the fork of an unlogged index, the owner's
//! identity, `pg_stat_progress_create_index`.

use std::cell::Cell;

use pgrx::{pg_guard, pg_sys};

use super::opened::Opened;

/// How many rows there were in the table, and how many of them are in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Rows of the table.
    pub table: u64,
    /// Rows in the index.
    pub index: u64,
}

/// An index that is being filled: open with its table, both locked as REINDEX locks them, and empty at first. Only index_build
/// makes one, by way of [`fill`], and for as long as the filler runs.
pub struct Filling {
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
}

impl Filling {
    /// The open table.
    pub fn table(&self) -> pg_sys::Relation {
        self.table
    }

    /// The open index.
    pub fn index(&self) -> pg_sys::Relation {
        self.index
    }

    /// What the server knows of the index.
    pub fn info(&self) -> *mut pg_sys::IndexInfo {
        self.info
    }

    /// Shows in pg_stat_progress_create_index that rows are put into the index, and how many of how many are.
    pub fn show(&self, done: u64, total: u64) {
        let number = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
        for (parameter, value) in [
            (pg_sys::PROGRESS_CREATEIDX_SUBPHASE, LOADING),
            (pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, number(total)),
            (pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, number(done)),
        ] {
            // SAFETY: pgstat_progress_update_param (backend_progress.c) on the backend's thread; the entry is this backend's own.
            unsafe { pg_sys::pgstat_progress_update_param(parameter.cast_signed(), value) };
        }
    }
}

/// What fills the index.
pub type Filler<'a> = &'a mut dyn FnMut(&Filling) -> Rows;

thread_local! {
    /// What `ambuild` calls; a pointer to a [`Filler`] that `with_filler` has on its stack.
    static FILLER: Cell<*mut std::ffi::c_void> = const { Cell::new(std::ptr::null_mut()) };
}

/// Whether the index is a new one of this transaction, or has been emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Defined in this transaction.
    New,
    /// Emptied in this transaction.
    Emptied,
}

/// Has pgvector build the index.
pub fn build(opened: &Opened, origin: Origin) {
    // SAFETY: index_build (index.c) of an index that was opened to be filled, as `run` wants it.
    unsafe { run(opened, origin) };
}

/// Has `filler` fill the index.
pub fn fill(opened: &Opened, origin: Origin, mut filler: Filler<'_>) {
    /// Puts pgvector's own function back, also when an error passes.
    struct Restore {
        routine: *mut pg_sys::IndexAmRoutine,
        build: pg_sys::ambuild_function,
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            FILLER.set(std::ptr::null_mut());
            // SAFETY: RelationReloadIndexInfo (relcache.c) leaves rd_indam of an open index where it is, and this one is open for
            // longer than this: `fill` borrows what has it open, and an error does not close it (`Held` in lock.rs).
            unsafe { (*self.routine).ambuild = self.build };
        }
    }
    // SAFETY: rd_indam is the index's own copy, in its rd_indexcxt (InitIndexAmRoutine in relcache.c), so no other index is built by
    // what is put there; it is put back before the index is closed, else REINDEX in the same transaction would call ours. The filler
    // outlives `run`.
    unsafe {
        let routine = (*opened.index()).rd_indam;
        let _restore = Restore {
            routine,
            build: (*routine).ambuild,
        };
        FILLER.set((&raw mut filler).cast());
        (*routine).ambuild = Some(ambuild);
        run(opened, origin);
    }
}

/// # Safety
/// Called by index_build (index.c) while `fill` waits for it.
#[pg_guard]
unsafe extern "C-unwind" fn ambuild(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
) -> *mut pg_sys::IndexBuildResult {
    let filler: *mut Filler<'_> = FILLER.get().cast();
    // SAFETY: `fill` has set it to a filler that lives until index_build returns, which uses it for nothing else; palloc0 (mcxt.c)
    // gives memory of the caller's context, as hnswbuild (pgvector's hnswbuild.c) does.
    unsafe {
        let rows = filler
            .as_mut()
            .map_or(Rows { table: 0, index: 0 }, |filler| {
                filler(&Filling { table, index, info })
            });
        let result: *mut pg_sys::IndexBuildResult =
            pg_sys::palloc0(size_of::<pg_sys::IndexBuildResult>()).cast();
        (*result).heap_tuples = rows.table as f64;
        (*result).index_tuples = rows.index as f64;
        result
    }
}

/// pgvector's number of the phase that it calls "loading tuples" (`PROGRESS_HNSW_PHASE_LOAD` in its hnsw.h).
const LOADING: i64 = 2;

/// The server's parameters of pg_stat_progress_create_index (`commands/progress.h`).
const PROGRESS_COMMAND: i32 = 0;
const PROGRESS_INDEX: i32 = 6;
const PROGRESS_METHOD: i32 = 8;

/// # Safety
/// `opened` was opened to be filled, and the index is empty.
unsafe fn run(opened: &Opened, origin: Origin) {
    /// Ends the progress report, also when an error passes.
    struct Shown;
    impl Drop for Shown {
        fn drop(&mut self) {
            // SAFETY: pgstat_progress_end_command (backend_progress.c) on the backend's thread; nothing happens if nothing is shown.
            unsafe { pg_sys::pgstat_progress_end_command() };
        }
    }
    let (table, index) = (opened.table(), opened.index());
    // SAFETY: both are open under the locks that reindex_index (index.c) has; BuildIndexInfo and index_build (index.c) are called in
    // its order. The progress report is this backend's own.
    unsafe {
        pg_sys::pgstat_progress_start_command(
            pg_sys::ProgressCommandType::PROGRESS_COMMAND_CREATE_INDEX,
            (*table).rd_id,
        );
        let _shown = Shown;
        let command = match origin {
            Origin::New => pg_sys::PROGRESS_CREATEIDX_COMMAND_CREATE,
            Origin::Emptied => pg_sys::PROGRESS_CREATEIDX_COMMAND_REINDEX,
        };
        for (parameter, value) in [
            (PROGRESS_COMMAND, command),
            (PROGRESS_INDEX, u32::from((*index).rd_id)),
            (PROGRESS_METHOD, u32::from((*(*index).rd_rel).relam)),
        ] {
            pg_sys::pgstat_progress_update_param(parameter, i64::from(value));
        }
        let info = pg_sys::BuildIndexInfo(index);
        let again = origin == Origin::Emptied;
        pg_sys::index_build(table, index, info, again, true);
    }
}
