//! Settings for the length of one statement, put back afterwards as a function's SET clauses are.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

/// A setting that any role may change, and its value.
pub type Setting<'a> = (&'static CStr, &'a CStr);

/// Under which a value's text is exact and read back alike in any session.
pub const EXACT_TEXT: &[Setting<'_>] = &[
    (c"extra_float_digits", c"3"),
    (c"datestyle", c"ISO, YMD"),
    (c"intervalstyle", c"iso_8601"),
];

/// Under which rows are found through an index. A table that was never analyzed looks as if a batch of keys
/// were best found by reading all of it, for every batch again.
///
/// Without the JIT compiler: a plan that the settings could not avoid has a cost of 10^10, and a foreign key's check
/// would be compiled for each row.
pub const BY_UNIQUE_INDEX: &[Setting<'_>] = &[(c"enable_seqscan", c"off"), (c"jit", c"off")];

/// The same where the index is not unique: such a table looks as if each key had a great many rows.
pub const BY_INDEX: &[Setting<'_>] = &[
    (c"enable_seqscan", c"off"),
    (c"enable_hashjoin", c"off"),
    (c"enable_mergejoin", c"off"),
    (c"jit", c"off"),
];

/// Under which a table is read from one end to the other, through a ring of few buffers: an index or a bitmap of all of
/// it would fill the shared ones with pages that are needed once.
pub const WHOLE: &[Setting<'_>] = &[
    (c"enable_indexscan", c"off"),
    (c"enable_bitmapscan", c"off"),
];

/// Under which an HNSW index goes on until enough rows have passed the filters, in order (pgvector 0.8; the setting
/// must be there).
pub const ITERATIVE: &[Setting<'_>] = &[(c"hnsw.iterative_scan", c"strict_order")];

/// Under which no vector index is used: they serve plain index scans only. Other indexes still serve bitmap scans.
pub const NO_VECTOR_INDEX: &[Setting<'_>] = &[
    (c"enable_indexscan", c"off"),
    (c"enable_seqscan", c"on"),
    (c"enable_sort", c"on"),
];

/// Runs `work` under `settings`, and puts the session's own back, also when an error passes.
pub fn with<R>(settings: &[Setting<'_>], work: impl FnOnce() -> R) -> R {
    struct Restore(c_int);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: AtEOXact_GUC (guc.c) of the level that NewGUCNestLevel gave, which is not ended yet: it ends deeper ones, too, that
            // an error has left. What they had set without SAVE it hands on to the level around, whose transaction the error ends.
            unsafe { pg_sys::AtEOXact_GUC(true, self.0) };
        }
    }
    if settings.is_empty() {
        return work();
    }
    // SAFETY: set_config_option (guc.c) inside a transaction, with terminated texts that it copies; NewGUCNestLevel (guc.c): what is
    // set with GUC_ACTION_SAVE goes with the nest level, as in set_transmission_modes (postgres_fdw.c).
    let _restore = unsafe {
        let level = Restore(pg_sys::NewGUCNestLevel());
        for (name, value) in settings {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
        level
    };
    work()
}
