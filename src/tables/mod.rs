//! The tables that a run fills: found by name, described, created where missing, indexed after the load.
//!
//! Promise: an existing table is taken as it is; what does not fit is an error before anything is read.

mod attributes;
pub mod create;
mod describe;
mod empty;
mod foreign_keys;
mod lookup;
mod name;
mod nearest;
mod pgvector;
pub mod planned;
mod privileges;
mod put_back;
mod remote;
mod run_table;
mod versions;

pub use attributes::{Attribute, attributes, type_name, vector_column};
pub use describe::{describe_content, describe_entity, has_triggers};
pub use empty::rows_up_to;
pub use foreign_keys::ForeignKey;
pub use lookup::{KeyColumns, Lookup};
pub use name::{Place, find, find_locked, named};
pub use nearest::Nearest;
pub use pgvector::Pgvector;
pub use privileges::{check_may_insert, check_update_privilege};
pub use remote::elsewhere;
pub use run_table::{Entities, KEYS, Known, RunKeys, RunTable};

use pgrx::pg_sys;
use vector_migrate_core::encode::{Column, TableColumn, VectorType};

use crate::load::SequenceSubstitute;

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
    /// The name of the embedding column, not quoted.
    pub vector_column: String,
    /// The embedding column.
    pub vector: VectorType,
    /// The embedding column is NOT NULL.
    pub vector_required: bool,
    /// The column `user_id` is NOT NULL.
    pub user_required: bool,
    /// Another extension keeps its rows: on other servers, or in tables of its own.
    pub distributed: bool,
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
    /// What stands for the sequences of columns that rows do not fill.
    pub substitutes: Vec<SequenceSubstitute>,
    /// A row put into it may take a number from a sequence that no substitute can stand for.
    pub draws_numbers: bool,
    /// Rows can be overwritten: not those of a table that Citus distributes, which takes no UPDATE from a function's rows.
    pub overwritable: bool,
    /// A plain copy of the table refuses what it refuses: a dry run can try its rows there.
    pub copyable: bool,
}

impl<C: TableColumn> Target<C> {
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
