//! SQLite's errors as those of a store.
//!
//! Stage: source. May import `system_calls`.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rusqlite::ErrorCode;

use super::system_calls;
use crate::source::error::SourceError;
use crate::source::stop::check_stop;

/// Why a statement ended before its last row.
#[derive(Debug)]
pub(crate) enum StatementError {
    /// A page of the table or its index cannot be read (SQLITE_CORRUPT), or what is on it is not what Chroma writes.
    Corrupt,
    /// Anything else, which ends the reading.
    Other(SourceError),
}

impl From<SourceError> for StatementError {
    fn from(error: SourceError) -> StatementError {
        StatementError::Other(error)
    }
}

/// `None` where a page cannot be read.
pub(crate) fn unless_corrupt<T>(
    result: Result<T, StatementError>,
) -> Result<Option<T>, SourceError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StatementError::Corrupt) => Ok(None),
        Err(StatementError::Other(error)) => Err(error),
    }
}

/// The error of a statement about a table that can be read in part.
pub(super) fn statement_error(
    path: &Path,
    stop: &AtomicBool,
    error: rusqlite::Error,
) -> StatementError {
    if error.sqlite_error_code() != Some(ErrorCode::DatabaseCorrupt) {
        return StatementError::Other(source_error(path, stop, error));
    }
    match check_stop(stop) {
        Ok(()) => StatementError::Corrupt,
        Err(stopped) => StatementError::Other(stopped),
    }
}

/// SQLite's error about the database that is called `path`.
pub(super) fn source_error(path: &Path, stop: &AtomicBool, error: rusqlite::Error) -> SourceError {
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return SourceError::damaged(path, None, error.to_string());
    };
    let what = system_calls::shown(message.unwrap_or_else(|| failure.to_string()), path);
    let path = path.to_owned();
    match failure.code {
        _ if check_stop(stop).is_err() => SourceError::Interrupted,
        ErrorCode::OperationInterrupted => SourceError::Interrupted,
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => SourceError::Busy {
            path,
            what: "another process is writing to it".to_owned(),
        },
        // A read-only connection would have to roll back a hot journal.
        ErrorCode::ReadOnly => SourceError::Busy {
            path,
            what: "a killed process left an unfinished transaction in \"chroma.sqlite3-journal\""
                .to_owned(),
        },
        // It begins as one: that was looked at before SQLite was.
        ErrorCode::NotADatabase => SourceError::damaged(
            &path,
            Some(0),
            format!("its first page contradicts itself ({what})"),
        ),
        ErrorCode::PermissionDenied => SourceError::PermissionDenied { path },
        // Only private copies are written.
        ErrorCode::DiskFull => SourceError::full(&path),
        ErrorCode::TooBig | ErrorCode::OutOfMemory => SourceError::TooLarge { path, what },
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => SourceError::Io {
            path,
            source: io::Error::other(what),
        },
        _ => SourceError::damaged(&path, None, what),
    }
}
