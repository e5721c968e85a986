//! Every error that a user can meet, and its one way out: SQLSTATE, message, detail, hint.
//!
//! XX000 is for bugs of ours only.

mod advice;
mod sqlstate;

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
    /// Two vectors that cannot be compared.
    #[error("different vector dimensions {0} and {1}")]
    DifferentDimensions(usize, usize),
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
    #[error("column \"{column}\" of {target} is {differs} as in the tables of {preset}")]
    NearlyPreset {
        /// The table.
        target: String,
        /// The preset.
        preset: &'static str,
        /// The column.
        column: String,
        /// "of type ..., not ...".
        differs: String,
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

/// What is wrong about the columns for the vector.
fn vectors(target: &str, also: Option<&(String, String)>) -> String {
    match also {
        None => format!("no column of {target} takes the vector"),
        Some((one, other)) => {
            format!("both \"{one}\" and \"{other}\" of {target} would take the vector")
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
