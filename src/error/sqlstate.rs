//! The SQLSTATE of each error: one total match.

use pgrx::PgSqlErrorCode as Code;
use vector_migrate_core::embed::EmbedError;
use vector_migrate_core::source::SourceError;

use super::Error;

impl Error {
    /// The SQLSTATE.
    pub(super) fn code(&self) -> Code {
        match self {
            Error::Source(error) => source_code(error),
            Error::Embed(error) => embed_code(error),
            Error::NotAllowed
            | Error::OutsideRoots(_)
            | Error::NoPrivilege { .. }
            | Error::NotOwner(_) => Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Error::Refused(refused) => refused.code,
            Error::NotUtf8 => Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            Error::NullArgument(_) => Code::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Error::BadArgument { .. } => Code::ERRCODE_INVALID_PARAMETER_VALUE,
            Error::UnknownCollection { .. } | Error::UnknownRun(_) => {
                Code::ERRCODE_UNDEFINED_OBJECT
            }
            Error::AmbiguousCollection { .. } => Code::ERRCODE_AMBIGUOUS_ALIAS,
            Error::WrongDimension { .. } | Error::DifferentDimensions(..) => {
                Code::ERRCODE_DATA_EXCEPTION
            }
            Error::TooManyDimensions(_) => Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            Error::DamagedIndex(_) => Code::ERRCODE_INDEX_CORRUPTED,
            Error::NotATable { .. } | Error::NotAVectorIndex(_) => Code::ERRCODE_WRONG_OBJECT_TYPE,
            Error::MissingColumn { .. } | Error::NoVectorColumn { also: None, .. } => {
                Code::ERRCODE_UNDEFINED_COLUMN
            }
            Error::NoVectorColumn { also: Some(_), .. } | Error::SeveralVectorColumns { .. } => {
                Code::ERRCODE_AMBIGUOUS_COLUMN
            }
            Error::NoKey(_) => Code::ERRCODE_INVALID_TABLE_DEFINITION,
            Error::NoParent { .. } => Code::ERRCODE_INVALID_FOREIGN_KEY,
            Error::NumberTooLarge(_) => Code::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
            Error::ColumnType { .. }
            | Error::TableDiffers { .. }
            | Error::RefusedColumn { .. }
            | Error::NearlyPreset { .. } => Code::ERRCODE_DATATYPE_MISMATCH,
            Error::Unfillable { .. } => Code::ERRCODE_NOT_NULL_VIOLATION,
            Error::NoSchema(_) => Code::ERRCODE_INVALID_SCHEMA_NAME,
            Error::TargetBusy(_) => Code::ERRCODE_LOCK_NOT_AVAILABLE,
            Error::Recursion(_) => Code::ERRCODE_OBJECT_IN_USE,
            Error::NotOverwritable(_) => Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            Error::ReadOnly(_) => Code::ERRCODE_READ_ONLY_SQL_TRANSACTION,
            Error::TooManyRecords { .. } | Error::RecordTooLarge { .. } => {
                Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED
            }
            Error::AlreadyExists { .. } => Code::ERRCODE_UNIQUE_VIOLATION,
            Error::NoModel { .. } | Error::NoRun | Error::RolledBack(_) | Error::NoImport(_) => {
                Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
            }
            Error::TargetGone { .. } | Error::NoTable(_) | Error::NothingToDescribe(_) => {
                Code::ERRCODE_UNDEFINED_TABLE
            }
            Error::Damage(_) => Code::ERRCODE_DATA_CORRUPTED,
            Error::Thread(_) => Code::ERRCODE_INSUFFICIENT_RESOURCES,
            Error::Spi(_) | Error::Bug(_) => Code::ERRCODE_INTERNAL_ERROR,
        }
    }
}

fn source_code(error: &SourceError) -> Code {
    match error {
        SourceError::NotFound { .. } | SourceError::NoChromaDatabase { .. } => {
            Code::ERRCODE_UNDEFINED_FILE
        }
        SourceError::NotADirectory { .. }
        | SourceError::IsADirectory { .. }
        | SourceError::NotAFile { .. }
        | SourceError::NotSqlite { .. } => Code::ERRCODE_WRONG_OBJECT_TYPE,
        SourceError::PermissionDenied { .. } => Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
        SourceError::NotAbsolute { .. } => Code::ERRCODE_INVALID_PARAMETER_VALUE,
        SourceError::OldLayout { .. } | SourceError::UnknownLayout { .. } => {
            Code::ERRCODE_FEATURE_NOT_SUPPORTED
        }
        SourceError::Busy { .. } => Code::ERRCODE_OBJECT_IN_USE,
        SourceError::Damaged { .. } => Code::ERRCODE_DATA_CORRUPTED,
        SourceError::Io { .. } => Code::ERRCODE_IO_ERROR,
        SourceError::DiskFull { .. } => Code::ERRCODE_DISK_FULL,
        SourceError::TemporaryLimit { .. } => Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        SourceError::Interrupted => Code::ERRCODE_QUERY_CANCELED,
        SourceError::TooLarge { .. } => Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
    }
}

fn embed_code(error: &EmbedError) -> Code {
    match error {
        EmbedError::Inference(_) => Code::ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
        EmbedError::Unreadable { .. } | EmbedError::Runtime { .. } | EmbedError::Model { .. } => {
            Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
        }
    }
}
