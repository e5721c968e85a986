//! `pg_stat_progress_copy` for a whole run, which is many bulk loads into several tables.
//!
//! Promise: another session sees one COPY into the content table, whose figures only grow, from the first record to the
//! last; a session with `track_activities` off shows nothing. The numbers of the view's parameters are those of
//! `commands/progress.h`.

use std::cell::Cell;
use std::ffi::c_int;

use pgrx::pg_sys;

/// Number of parameters that are shown.
const PARAMETERS: c_int = 6;

thread_local! {
    /// What was shown last.
    static LAST: Cell<Option<Figures>> = const { Cell::new(None) };
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// The content table.
    pub table: pg_sys::Oid,
    /// Bytes of the store that are read.
    pub bytes: u64,
    /// Bytes of the store.
    pub bytes_total: u64,
    /// Rows that are in the content table, or on their way.
    pub rows: u64,
    /// Records that were left out.
    pub left_out: u64,
}

/// Shows how far the run is.
pub fn show(figures: Figures) {
    LAST.set(Some(figures));
    let number = |figure: u64| i64::try_from(figure).unwrap_or(i64::MAX);
    let parameters: [(u32, i64); PARAMETERS as usize] = [
        (
            pg_sys::PROGRESS_COPY_COMMAND,
            i64::from(pg_sys::PROGRESS_COPY_COMMAND_FROM),
        ),
        (
            pg_sys::PROGRESS_COPY_TYPE,
            i64::from(pg_sys::PROGRESS_COPY_TYPE_CALLBACK),
        ),
        (
            pg_sys::PROGRESS_COPY_BYTES_TOTAL,
            number(figures.bytes_total),
        ),
        (pg_sys::PROGRESS_COPY_BYTES_PROCESSED, number(figures.bytes)),
        (pg_sys::PROGRESS_COPY_TUPLES_PROCESSED, number(figures.rows)),
        (
            pg_sys::PROGRESS_COPY_TUPLES_EXCLUDED,
            number(figures.left_out),
        ),
    ];
    let indexes = parameters.map(|(index, _)| index.cast_signed());
    let values = parameters.map(|(_, value)| value);
    // SAFETY: pgstat_progress_update_multi_param (backend_progress.c) copies arrays that are as long as told; MyBEEntry
    // (backend_status.c) is this backend's own entry or NULL, and nobody else writes it.
    unsafe {
        let shown = pg_sys::MyBEEntry.as_ref().is_some_and(|entry| {
            entry.st_progress_command == pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY
                && entry.st_progress_command_target == figures.table
        });
        if !shown {
            pg_sys::pgstat_progress_start_command(
                pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY,
                figures.table,
            );
        }
        pg_sys::pgstat_progress_update_multi_param(PARAMETERS, indexes.as_ptr(), values.as_ptr());
    }
}

/// Shows again what was shown last: the end of a subtransaction that is taken back ends it.
pub fn again() {
    if let Some(figures) = LAST.get() {
        show(figures);
    }
}

/// Ends what [`show`] shows. The end of the transaction does so, too.
pub fn end() {
    LAST.set(None);
    // SAFETY: pgstat_progress_end_command (backend_progress.c) on the backend's thread; nothing happens if nothing is shown.
    unsafe { pg_sys::pgstat_progress_end_command() };
}
