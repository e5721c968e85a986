//! Every error that a user can meet, and its one way out: SQLSTATE, message, detail, hint.
//!
//! XX000 is for bugs of ours only.

use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::panic::ErrorReport;
use thiserror::Error as ThisError;
use vector_migrate_core::embed::EmbedError;
use vector_migrate_core::source::SourceError;

use crate::subxact::Refused;

/// Whatever stops a call.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The model.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The role may not read server files.
    #[error("permission denied to read files of the server")]
    NotAllowed,
    /// The path is outside the allowed roots.
    #[error("permission denied for path \"{0}\"")]
    OutsideRoots(String),
    /// The database cannot hold Chroma's texts as they are.
    #[error("the database's encoding is not UTF8")]
    NotUtf8,
    /// An argument is NULL that must not be.
    #[error("{0} must not be null")]
    NullArgument(&'static str),
    /// An argument has a value that it cannot have.
    #[error("invalid value for argument \"{argument}\": \"{value}\"")]
    BadArgument {
        /// The argument's name.
        argument: &'static str,
        /// What was given.
        value: String,
        /// What can be given.
        hint: String,
    },
    /// No collection of this name.
    #[error("collection \"{name}\" does not exist in \"{path}\"")]
    UnknownCollection {
        /// The name given.
        name: String,
        /// The store.
        path: String,
        /// The names that are there.
        known: Vec<String>,
    },
    /// A plain name that several databases have.
    #[error("collection name \"{name}\" is ambiguous")]
    AmbiguousCollection {
        /// The name given.
        name: String,
        /// The full names.
        known: Vec<String>,
    },
    /// The target's embedding column has other dimensions.
    #[error("{what} has {has} dimensions, but column \"{column}\" of {target} has {wants}")]
    WrongDimension {
        /// A collection or the model.
        what: String,
        /// Its dimensions.
        has: u32,
        /// The table.
        target: String,
        /// Its vector column.
        column: String,
        /// The column's dimensions.
        wants: u32,
        /// What to do.
        hint: String,
    },
    /// `init_content_tables` and a table that is there and another one.
    #[error("{target} is there already, and its column \"{column}\" is of type {has}, not {asked}")]
    TableDiffers {
        /// The table.
        target: String,
        /// The column.
        column: String,
        /// Its type, as SQL shows it.
        has: String,
        /// The type that was asked for.
        asked: String,
    },
    /// More dimensions than pgvector's type can have.
    #[error("a column cannot have {0} dimensions")]
    TooManyDimensions(u32),
    /// The target is not something that rows can be put into.
    #[error("{target} is not a table")]
    NotATable {
        /// The relation.
        target: String,
        /// What it is.
        detail: String,
    },
    /// The target lacks a column.
    #[error("column \"{column}\" of {target} does not exist")]
    MissingColumn {
        /// The table.
        target: String,
        /// The column.
        column: String,
        /// The columns that it has.
        there: Vec<String>,
    },
    /// No column takes the vector, or more than one.
    #[error("{}", vectors(target, also.as_ref()))]
    NoVectorColumn {
        /// The table.
        target: String,
        /// The columns, of more than one.
        also: Option<(String, String)>,
    },
    /// Nothing would tell which row is which record's.
    #[error("no column of {0} takes the record's id, and none stands for it")]
    NoKey(String),
    /// The column with the word `parent` refers to no table for it.
    #[error("column \"{column}\" of {target} refers to no table with a row for each collection")]
    NoParent {
        /// The table.
        target: String,
        /// The column.
        column: String,
        /// What is missing.
        detail: String,
    },
    /// A column of a type that is not written.
    #[error("column \"{column}\" of {target} is of type {has}")]
    RefusedColumn {
        /// The table.
        target: String,
        /// The column.
        column: String,
        /// Its type.
        has: String,
        /// Why, and what helps.
        why: String,
    },
    /// A table that has the columns of a preset, but for a type.
    #[error(
        "column \"{column}\" of {target} is of type {has}, not {wanted} as in the tables of {preset}"
    )]
    NearlyPreset {
        /// The table.
        target: String,
        /// The preset.
        preset: &'static str,
        /// The column.
        column: String,
        /// Its type.
        has: String,
        /// The types that it has in the application's tables.
        wanted: String,
        /// Why another one is refused.
        why: Option<String>,
    },
    /// A number of a sequence that its column cannot hold.
    #[error("number {0} of the key's sequence is out of range for its column")]
    NumberTooLarge(i64),
    /// A table has several columns with vectors, and none of them is the usual one.
    #[error("{target} has several columns with vectors, and none of them is called \"embedding\"")]
    SeveralVectorColumns {
        /// The table.
        target: String,
        /// Their names.
        columns: Vec<String>,
    },
    /// The target's column has a type that the values do not fit.
    #[error("column \"{column}\" of {target} is of type {has}")]
    ColumnType {
        /// The table.
        target: String,
        /// The column.
        column: String,
        /// Its type.
        has: String,
        /// The types that would do.
        wanted: String,
    },
    /// The target demands a column that no record can fill.
    #[error("column \"{column}\" of {target} is not null and has no default")]
    Unfillable {
        /// The table.
        target: String,
        /// The column.
        column: String,
    },
    /// No schema to create a table in.
    #[error("no schema has been selected to create table \"{0}\" in")]
    NoSchema(String),
    /// The role may not do with the target what the call needs.
    #[error("permission denied for table {target}")]
    NoPrivilege {
        /// The table.
        target: String,
        /// The missing privileges.
        needed: &'static str,
    },
    /// The server refuses what a rollback needs.
    #[error("{}", .0.message)]
    Refused(Refused),
    /// Another run holds the target.
    #[error("another run or rollback is working on {0}")]
    TargetBusy(String),
    /// A run into this target calls another one.
    #[error("cannot migrate into {0}, as a run into it goes on in this session")]
    Recursion(String),
    /// The target's rows cannot be overwritten.
    #[error("rows of {0} cannot be overwritten")]
    NotOverwritable(String),
    /// What has to be kept of each record does not fit into the memory ceiling.
    #[error("{records} records are too many for a run with {has} MB of memory")]
    TooManyRecords {
        /// Records to read.
        records: u64,
        /// Rows of the queue, which count as well.
        queued: u64,
        /// MB that would do.
        needs: u64,
        /// MB of the ceiling.
        has: u64,
    },
    /// A read-only transaction or a standby.
    #[error("cannot execute {0}() in a read-only transaction")]
    ReadOnly(&'static str),
    /// `on_conflict => 'error'` and a row that is there.
    #[error("record \"{record}\" of collection \"{collection}\" already exists in {target}")]
    AlreadyExists {
        /// The record's id.
        record: String,
        /// Its collection.
        collection: String,
        /// The table.
        target: String,
        /// That the row came from another store, and what to do; `None`: it did not, or nobody knows.
        elsewhere: Option<String>,
    },
    /// A model is needed and not there.
    #[error("{why}, but no embedding model is installed")]
    NoModel {
        /// What needs it.
        why: String,
        /// The missing file.
        missing: String,
        /// What else can be done.
        hint: String,
    },
    /// No such run, or not the caller's.
    #[error("run {0} does not exist")]
    UnknownRun(i64),
    /// There is nothing to roll back.
    #[error("there is no run to roll back")]
    NoRun,
    /// The run was rolled back before.
    #[error("run {0} is rolled back already")]
    RolledBack(i64),
    /// A table that a run wrote to is gone.
    #[error("a table that run {run} wrote to does not exist any more")]
    TargetGone {
        /// The run.
        run: i64,
    },
    /// `strict` and a store with damage.
    #[error("the store is damaged: {0}")]
    Damage(String),
    /// Metadata or a vector that no value of PostgreSQL can hold.
    #[error(
        "record \"{record}\" of collection \"{collection}\" has metadata or a vector too large to be shown"
    )]
    RecordTooLarge {
        /// The record's id.
        record: String,
        /// Its collection.
        collection: String,
    },
    /// A table that must be there.
    #[error("table {0} does not exist")]
    NoTable(String),
    /// A table that `columns` describes, and that is not there.
    #[error("table {0} does not exist")]
    NothingToDescribe(String),
    /// The system refuses another thread.
    #[error("could not start a thread: {0}")]
    Thread(std::io::Error),
    /// An import of Chroma's graph was asked for, and cannot be.
    #[error("the vector index cannot be imported from Chroma: {0}")]
    NoImport(String),
    /// Only the owner may do it.
    #[error("must be owner of {0}")]
    NotOwner(String),
    /// No index that can be walked through.
    #[error("\"{0}\" is not an HNSW index on a column of vectors that this version knows")]
    NotAVectorIndex(String),
    /// A vector index that cannot be read at all.
    #[error("the vector index is damaged: {0}")]
    DamagedIndex(String),
    /// A query of ours failed in a way that it cannot.
    #[error("unexpected result of an internal query: {0}")]
    Spi(#[from] pgrx::spi::Error),
    /// A bug of ours.
    #[error("internal error: {0}")]
    Bug(String),
}

impl Error {
    /// The SQLSTATE.
    fn code(&self) -> Code {
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
            Error::WrongDimension { .. } => Code::ERRCODE_DATA_EXCEPTION,
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

    /// What more there is to know.
    fn detail(&self) -> Option<String> {
        match self {
            Error::Source(error) => error.detail(),
            Error::UnknownCollection { known, .. } if known.is_empty() => {
                Some("The store has no collections.".into())
            }
            Error::UnknownCollection { known, .. } => {
                Some(format!("The store has: {}.", quoted(known)))
            }
            Error::AmbiguousCollection { known, .. } => Some(format!(
                "Several databases of the store have it: {}.",
                quoted(known)
            )),
            Error::NotATable { detail, .. } | Error::NoParent { detail, .. } => {
                Some(detail.clone())
            }
            Error::MissingColumn { there, .. } if !there.is_empty() => {
                Some(format!("The table has {}.", quoted(there)))
            }
            Error::SeveralVectorColumns { columns, .. } => {
                Some(format!("They are {}.", quoted(columns)))
            }
            Error::AlreadyExists {
                elsewhere: Some(origin),
                ..
            } => Some(format!("It is not this store's: {origin}.")),
            Error::NoModel { missing, .. } => Some(format!("\"{missing}\" does not exist.")),
            Error::NotOverwritable(_) => Some(
                "Citus distributes the table, and takes no UPDATE and no DELETE that join it with given rows."
                    .into(),
            ),
            _ => None,
        }
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        match self {
            Error::Source(error) => error.hint(),
            Error::Embed(_) => Some(MODEL_HINT.into()),
            Error::NotAllowed => {
                Some("Ask for membership in the role pg_read_server_files.".into())
            }
            Error::NotUtf8 => Some(
                "Chroma's texts are UTF-8: use a database created with ENCODING 'UTF8'.".into(),
            ),
            Error::OutsideRoots(_) => Some(
                "A superuser can add a directory to the setting vector_migrate.allowed_roots."
                    .into(),
            ),
            Error::BadArgument { hint, .. }
            | Error::WrongDimension { hint, .. }
            | Error::NoModel { hint, .. } => Some(hint.clone()),
            Error::AmbiguousCollection { .. } => Some("Give tenant/database/name.".into()),
            Error::TooManyDimensions(_) => {
                Some("pgvector's type vector takes 1 to 16000 dimensions.".into())
            }
            Error::MissingColumn { .. } => Some(
                "Add the column, or name another table with target or entity_target, an application's tables with preset, or what \
                 goes into this table's own columns with columns."
                    .into(),
            ),
            Error::NoVectorColumn { .. } => {
                Some("Give one column the word \"vector\" in columns.".into())
            }
            Error::NoKey(_) => Some(
                "A run into it could be neither repeated nor rolled back: give a column the word \"id\" in columns, or the table a \
                 primary key with a sequence or a uuid as its default."
                    .into(),
            ),
            Error::NoParent { .. } => Some(
                "The word \"parent\" is for a column with a foreign key to a table with a column \"name\"."
                    .into(),
            ),
            Error::RefusedColumn { why, .. }
            | Error::NearlyPreset { why: Some(why), .. } => Some(why.clone()),
            Error::NearlyPreset { .. } => {
                Some("Say what goes into the table's columns with columns.".into())
            }
            Error::NumberTooLarge(_) => {
                Some("Restart the sequence, or give the column a larger type.".into())
            }
            Error::ColumnType { wanted, .. } => Some(format!("It can be {wanted}.")),
            Error::NothingToDescribe(_) => Some(
                "An application's table is made if preset names the application; one that columns describes has to be there."
                    .into(),
            ),
            Error::SeveralVectorColumns { .. } => {
                Some("Name a view with one of them as \"embedding\", or rename that column.".into())
            }
            Error::TableDiffers { .. } => Some(
                "Ask for what it has, or name another table with target or entity_target.".into(),
            ),
            Error::Unfillable { .. } => {
                Some("Give the column a default or drop its NOT NULL.".into())
            }
            Error::NoPrivilege { needed, .. } => Some(format!("It needs {needed}.")),
            Error::NoSchema(_) => Some("Qualify the table's name, or set search_path.".into()),
            Error::TargetBusy(_) => Some("Wait until its transaction has ended.".into()),
            Error::Recursion(_) => {
                Some("A trigger of the target must not migrate into the same target.".into())
            }
            Error::NotOverwritable(_) => {
                Some("Use on_conflict => 'skip', or a table that is not distributed.".into())
            }
            Error::TooManyRecords { needs, .. } => Some(format!(
                "Set vector_migrate.max_memory_mb to {needs} or more, or migrate one collection at a time."
            )),
            Error::RecordTooLarge { .. } => {
                Some("Give a filter that only other records match.".into())
            }
            Error::DamagedIndex(_) => Some("REINDEX it.".into()),
            Error::NoImport(_) => Some(
                "With index => 'auto' pgvector builds the index where it cannot be imported."
                    .into(),
            ),
            Error::AlreadyExists {
                elsewhere: None, ..
            } => Some("Use on_conflict => 'skip' or 'update'.".into()),
            Error::UnknownRun(_) | Error::NoRun => {
                Some("SELECT * FROM vector_migrate.runs lists the runs.".into())
            }
            _ => None,
        }
    }
}

const MODEL_HINT: &str = "The settings vector_migrate.model_path and vector_migrate.onnxruntime_path \
                          say where the model and ONNX Runtime are.";

/// What is wrong about the columns for the vector.
fn vectors(target: &str, also: Option<&(String, String)>) -> String {
    match also {
        None => format!("no column of {target} takes the vector"),
        Some((one, other)) => {
            format!("both \"{one}\" and \"{other}\" of {target} would take the vector")
        }
    }
}

/// Names, as far as a message has room for them.
fn quoted(names: &[String]) -> String {
    const MOST: usize = 50;
    let named = names.iter().take(MOST);
    let quoted: Vec<_> = named.map(|name| format!("\"{name}\"")).collect();
    match names.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("{} and {more} more", quoted.join(", ")),
        _ => quoted.join(", "),
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

impl From<Error> for ErrorReport {
    fn from(error: Error) -> ErrorReport {
        let mut report = ErrorReport::new(error.code(), error.to_string(), "vector_migrate");
        if let Some(detail) = error.detail() {
            report = report.set_detail(detail);
        }
        if let Some(hint) = error.hint() {
            report = report.set_hint(hint);
        }
        report
    }
}
