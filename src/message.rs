//! Messages below ERROR: NOTICE, WARNING, DEBUG.
//!
//! Promise: no error leaves a report past Rust's frames. The server looks after interrupts at the end of each report (`errfinish`
//! in elog.c), and converting a text to the client's encoding can fail: either is an error in the middle of a NOTICE. pgrx 0.18
//! calls `errfinish` unguarded below ERROR (`do_ereport` in its panic.rs), so its macros `notice!`, `warning!` and the like must
//! not be used in this crate; `clippy.toml` refuses them.
//!
//! Interrupts are not held meanwhile: a session whose client does not read could not be terminated then
//! (`ProcessClientWriteInterrupt` in postgres.c).

use std::ffi::{CStr, CString, c_char, c_int};

use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;

// SAFETY: the declarations are those of elog.h, which pgrx's bindings leave out. Unguarded as declared: called in `send` only.
unsafe extern "C-unwind" {
    fn errstart(level: c_int, domain: *const c_char) -> bool;
    fn errmsg_internal(format: *const c_char, ...) -> c_int;
    fn errcode(code: c_int) -> c_int;
    fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For those who look for a fault.
    Debug,
    /// What a person wants to know.
    Notice,
    /// What a person should know: something is not as it should be.
    Warning,
}

impl Level {
    fn number(self) -> c_int {
        let number = match self {
            Level::Debug => pg_sys::DEBUG1,
            Level::Notice => pg_sys::NOTICE,
            Level::Warning => pg_sys::WARNING,
        };
        number.cast_signed()
    }

    /// What the server's own messages of the level have.
    fn code(self) -> pgrx::PgSqlErrorCode {
        match self {
            Level::Debug | Level::Notice => pgrx::PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            Level::Warning => pgrx::PgSqlErrorCode::ERRCODE_WARNING,
        }
    }
}

/// Sends `text` to the client and the log, as the session's settings have it. U+0000, which ends a message, is shown as
/// U+2400, the symbol for it. An error on the way is raised as any other of the server's, through Rust's frames.
pub fn send(level: Level, text: &str) {
    let text = CString::new(text.replace('\0', "\u{2400}")).unwrap_or_default();
    let (number, code, text): (c_int, c_int, &CStr) =
        (level.number(), level.code() as c_int, &text);
    // SAFETY: the four calls are those of ereport (elog.h), in its order, with terminated texts that outlive them. Nothing in
    // the closure has to be dropped, so pg_guard_ffi_boundary (pgrx-pg-sys's ffi.rs) may be jumped to out of any of them; it
    // goes on as a panic, which unwinds. `text` is dropped by that.
    unsafe {
        pg_guard_ffi_boundary(|| {
            if errstart(number, std::ptr::null()) {
                errcode(code);
                errmsg_internal(c"%s".as_ptr(), text.as_ptr());
                errfinish(c"message.rs".as_ptr(), 0, c"send".as_ptr());
            }
        });
    }
}

/// A NOTICE, written like `format!`.
macro_rules! notice {
    ($($text:tt)*) => { $crate::message::send($crate::message::Level::Notice, &format!($($text)*)) };
}

/// A WARNING, written like `format!`.
macro_rules! warning {
    ($($text:tt)*) => { $crate::message::send($crate::message::Level::Warning, &format!($($text)*)) };
}

pub(crate) use {notice, warning};
