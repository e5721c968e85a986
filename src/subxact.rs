//! Subtransactions: work that can be taken back alone.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgMemoryContexts, PgSqlErrorCode, PgTryBuilder, pg_sys};

/// The server refused the work of a subtransaction.
#[derive(Debug)]
pub struct Refused {
    /// The server's code.
    pub code: PgSqlErrorCode,
    /// The server's own words.
    pub message: String,
}

impl Refused {
    /// Whether a value is not one of its column's type or domain.
    pub fn is_about_a_value(&self) -> bool {
        let state = sqlstate(self.code);
        state.starts_with("22") || state.starts_with("23")
    }

    /// Whether the server refuses the row itself (an integrity constraint, a trigger's word), and not the
    /// role's right to touch the table.
    pub fn is_about_a_row(&self) -> bool {
        let state = sqlstate(self.code);
        state.starts_with("23") || state.starts_with("P0")
    }
}

/// Runs `work` in a subtransaction with a memory context of its own; its work stays if `keep` says so of
/// the result. An error that the rows themselves may have caused takes the work back and is returned;
/// every other one (cancel, shutdown, out of memory, disk full, a bug) goes on.
///
/// The result must not point into the server's memory.
#[allow(clippy::result_large_err)] // pgrx's CaughtError, for the length of this function
pub fn run<R>(keep: impl FnOnce(&R) -> bool, work: impl FnOnce() -> R) -> Result<R, Refused> {
    let scratch = PgMemoryContexts::new("vector_migrate subtransaction");
    // SAFETY: exec_stmt_block (plpgsql's pl_exec.c) does the same: remember context and owner (mcxt.c's and resowner.c's
    // variables), begin, and put both back after release or rollback, whichever comes. Both are the outer transaction's.
    let (context, owner) = unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner) };
    // SAFETY: BeginInternalSubTransaction (xact.c) inside a transaction; MemoryContextSwitchTo (palloc.h) to `scratch`, which lives
    // until after the end of the subtransaction: its parent is the context that was current before (pgrx's memcxt.rs).
    unsafe {
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(scratch.value());
    }
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| Ok(work())))
        .catch_others(Err)
        .execute();
    let stays = outcome.as_ref().is_ok_and(keep);
    // SAFETY: ReleaseCurrentSubTransaction and RollbackAndReleaseCurrentSubTransaction (xact.c) end the current subtransaction, which
    // is the one begun above: `work` has ended every one of its own. errfinish (elog.c) obeys a cancel at a warning, also at one
    // within CommitSubTransaction (xact.c), which must not end halfway; CommitTransaction holds interrupts for that, and an error
    // sets the count to 0 (errfinish). Nobody points into `scratch` afterwards: AtSubAbort_Memory (xact.c) and the switch leave it.
    unsafe {
        if stays {
            pg_sys::InterruptHoldoffCount += 1;
            pg_sys::ReleaseCurrentSubTransaction();
            pg_sys::InterruptHoldoffCount -= 1;
        } else {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
    }
    drop(scratch);
    match outcome {
        Ok(result) => Ok(result),
        Err(CaughtError::PostgresError(report) | CaughtError::ErrorReport(report))
            if is_of_the_rows(report.sql_error_code()) =>
        {
            // The detail of a key's violation names the key; that of a check's repeats the whole row.
            let names_a_key = matches!(
                report.sql_error_code(),
                PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION
                    | PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION
                    | PgSqlErrorCode::ERRCODE_EXCLUSION_VIOLATION
            );
            let message = match report.detail().filter(|_| names_a_key) {
                Some(detail) => format!("{}: {detail}", report.message()),
                None => report.message().to_owned(),
            };
            Err(Refused {
                code: report.sql_error_code(),
                message,
            })
        }
        Err(other) => other.rethrow(),
    }
}

/// Whether an error of this code can be the fault of the rows: not if its class says that the server, the
/// operator, the transaction or a statement is at fault, as one that the server does not support (0A) or nests too deeply
/// (54001). 42501 is row-level security's word for a row.
fn is_of_the_rows(code: PgSqlErrorCode) -> bool {
    let state = sqlstate(code);
    let others = [
        "08", "0A", "25", "40", "42", "53", "54001", "55", "57", "58", "F0", "XX",
    ];
    state == "42501" || !others.iter().any(|class| state.starts_with(class))
}

/// The five characters of a code.
fn sqlstate(code: PgSqlErrorCode) -> String {
    // MAKE_SQLSTATE packs five characters of six bits each, the first lowest.
    let packed = code as u32;
    (0..5u8)
        .map(|at| char::from(u8::try_from((packed >> (6 * at)) & 0x3f).unwrap_or(0) + b'0'))
        .collect()
}
