//! The tables that a run fills: found by name, described, created where missing, indexed after the load.
//!
//! Promise: an existing table is taken as it is; what does not fit is an error before anything is read.

mod attributes;
pub mod create;
mod describe;
mod empty;
mod filler;
mod foreign_keys;
pub mod imagined;
mod lookup;
mod name;
mod nearest;
mod pgvector;
mod privileges;
mod put_back;
mod remote;
mod run_table;
mod versions;

pub use attributes::{Attribute, attributes, type_name};
pub use describe::{describe_content, describe_entity, has_triggers};
pub use empty::is_empty;
pub use filler::Filler;
pub use foreign_keys::ForeignKey;
pub use lookup::{Lookup, Parts};
pub use name::{Place, find, find_locked, named};
pub use nearest::Nearest;
pub use pgvector::Pgvector;
pub use privileges::{check_may_insert, check_update_privilege};
pub use remote::elsewhere;
pub use run_table::{Entities, KEYS, Keys, Known, RunTable};

use pgrx::pg_sys;
use vector_migrate_core::encode::{Column, Form, TableColumn, VectorType};

/// How rows enter a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Straight into the table, as the reader has made the rows; where COPY would do no more.
    Heap,
    /// PostgreSQL's COPY machinery.
    Copy,
    /// `INSERT ... SELECT FROM unnest`, for what COPY's C functions would get wrong: row-level security, rules,
    /// views, foreign tables, tables that another extension distributes.
    Insert,
}

impl Via {
    /// The form that tuples have to be in.
    pub fn form(self) -> Form {
        match self {
            Via::Heap => Form::Heap,
            Via::Copy | Via::Insert => Form::Copy,
        }
    }
}

/// The table that `user_id` refers to.
#[derive(Debug, Clone)]
pub struct UserTable {
    /// Qualified and quoted name.
    pub name: String,
    /// The referenced column, quoted.
    pub column: String,
    /// That column's type, qualified.
    pub ty: String,
}

/// A column that tells rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPart {
    /// `chroma_collection`.
    Collection,
    /// `user_id`.
    User,
    /// `id`.
    Id,
}

/// A table that rows go into.
#[derive(Debug, Clone)]
pub struct Target<C> {
    /// The table.
    pub oid: pg_sys::Oid,
    /// Qualified and quoted name.
    pub name: String,
    /// The columns that rows fill, the embedding last.
    pub columns: Vec<Column<C>>,
    /// Each column's type as SQL, in the same order, without its modifier.
    pub types: Vec<String>,
    /// Characters that each column takes, in the same order; `None`: no limit.
    pub lengths: Vec<Option<usize>>,
    /// The embedding column.
    pub vector: VectorType,
    /// The embedding column is NOT NULL.
    pub vector_required: bool,
    /// How rows enter it.
    pub via: Via,
    /// This run created it.
    pub created: bool,
    /// `xmin` tells whether a row has changed since.
    pub versioned: bool,
    /// The columns that tell rows apart; always has [`KeyPart::Id`].
    pub key: Vec<KeyPart>,
    /// Where users are, if `user_id` refers to a table.
    pub users: Option<UserTable>,
    /// Columns that rows do not fill but that are NOT NULL with a default or identity: a shadow of the
    /// table must not demand them.
    pub defaulted: Vec<String>,
    /// Columns that rows do not fill and that would take a number from a sequence.
    pub fillers: Vec<Filler>,
    /// A row put into it may take a number from a sequence that no filler can replace.
    pub spends: bool,
    /// Vector indexes that get their entries after the load.
    pub late: Vec<pg_sys::Oid>,
    /// Rows can be overwritten: not those of a table that Citus distributes, which takes no UPDATE from arrays.
    pub overwritable: bool,
    /// The table has rules that a plain copy of it would not show: a dry run tries rows in it itself.
    pub peculiar: bool,
}

impl<C: TableColumn> Target<C> {
    /// The names of the columns that rows fill, in order.
    pub fn names(&self) -> Vec<&str> {
        self.columns
            .iter()
            .map(|column| column.column.name())
            .collect()
    }

    /// The type of a column as SQL, if rows fill it.
    pub fn sql_type(&self, column: C) -> Option<&str> {
        let at = self
            .columns
            .iter()
            .position(|there| there.column == column)?;
        self.types.get(at).map(String::as_str)
    }

    /// Whether rows fill this column.
    pub fn has(&self, column: C) -> bool {
        self.columns.iter().any(|there| there.column == column)
    }
}
