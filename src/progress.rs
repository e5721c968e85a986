//! `pg_stat_progress_copy` for a whole run, which is many COPYs into several tables.
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
    /// A COPY goes on whose own figures are held back.
    static SILENCED: Cell<bool> = const { Cell::new(false) };
    /// What was shown last.
    static LAST: Cell<Option<Standing>> = const { Cell::new(None) };
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
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
pub fn show(standing: Standing) {
    LAST.set(Some(standing));
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
            number(standing.bytes_total),
        ),
        (
            pg_sys::PROGRESS_COPY_BYTES_PROCESSED,
            number(standing.bytes),
        ),
        (
            pg_sys::PROGRESS_COPY_TUPLES_PROCESSED,
            number(standing.rows),
        ),
        (
            pg_sys::PROGRESS_COPY_TUPLES_EXCLUDED,
            number(standing.left_out),
        ),
    ];
    let indexes = parameters.map(|(index, _)| index.cast_signed());
    let values = parameters.map(|(_, value)| value);
    // SAFETY: pgstat_track_activities (backend_status.c's variable) is read on the backend's thread.
    let allowed = unsafe { pg_sys::pgstat_track_activities } || SILENCED.get();
    let _restore = Tracking::set(allowed);
    // SAFETY: pgstat_progress_update_multi_param (backend_progress.c) copies arrays that are as long as told; MyBEEntry
    // (backend_status.c) is this backend's own entry or NULL, and nobody else writes it.
    unsafe {
        let shown = pg_sys::MyBEEntry.as_ref().is_some_and(|entry| {
            entry.st_progress_command == pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY
                && entry.st_progress_command_target == standing.table
        });
        if !shown {
            pg_sys::pgstat_progress_start_command(
                pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY,
                standing.table,
            );
        }
        pg_sys::pgstat_progress_update_multi_param(PARAMETERS, indexes.as_ptr(), values.as_ptr());
    }
}

/// Shows again what was shown last: the end of a subtransaction that is taken back ends it.
pub fn again() {
    if let Some(standing) = LAST.get() {
        show(standing);
    }
}

/// Ends what [`show`] shows. The end of the transaction does so, too.
pub fn end() {
    LAST.set(None);
    // SAFETY: pgstat_progress_end_command (backend_progress.c) on the backend's thread; nothing happens if nothing is shown.
    unsafe { pg_sys::pgstat_progress_end_command() };
}

/// Runs a COPY without its own figures, which would begin at nothing again.
pub fn untold<R>(copy: impl FnOnce() -> R) -> R {
    struct Loud(bool);
    impl Drop for Loud {
        fn drop(&mut self) {
            SILENCED.set(self.0);
        }
    }
    // SAFETY: pgstat_track_activities (backend_status.c's variable) is read on the backend's thread.
    let tracked = unsafe { pg_sys::pgstat_track_activities };
    let _loud = Loud(SILENCED.replace(SILENCED.get() || tracked));
    let _restore = Tracking::set(false);
    copy()
}

/// Puts the server's switch for such figures back as it was, also when an error passes.
struct Tracking(bool);

impl Tracking {
    fn set(on: bool) -> Tracking {
        // SAFETY: pgstat_track_activities (backend_status.c's variable, behind the setting track_activities) only decides whether
        // figures are written; it is read and set on the backend's thread.
        unsafe {
            let before = Tracking(pg_sys::pgstat_track_activities);
            pg_sys::pgstat_track_activities = on;
            before
        }
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        // SAFETY: pgstat_track_activities (backend_status.c's variable), as in `set`.
        unsafe { pg_sys::pgstat_track_activities = self.0 };
    }
}
