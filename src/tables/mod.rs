//! The tables that a run fills: found by name, described, created where missing, indexed after the load.
//!
//! Promise: an existing table is taken as it is; what does not fit is an error before anything is read.

pub mod application;
mod attributes;
pub mod create;
mod describe;
mod empty;
mod foreign_keys;
mod key;
mod lookup;
mod name;
mod nearest;
mod parent;
mod pgvector;
mod planned;
mod privileges;
mod put_back;
mod reference;
mod relation;
mod remote;
mod rules;
mod run_table;
pub mod shown;
mod versions;

pub use attributes::{Attribute, attributes, type_name, vector_column};
pub use describe::{describe, describe_to_read, sights};
pub use empty::rows_up_to;
pub use foreign_keys::ForeignKey;
pub use key::Roles;
pub use lookup::Lookup;
pub use name::{Place, find, find_locked, named};
pub use nearest::Nearest;
pub use parent::{Parent, ParentRow};
pub use pgvector::Pgvector;
pub use planned::planned;
pub use privileges::{check_may_insert, check_update_privilege};
pub use reference::Reference;
pub use remote::elsewhere;
pub use rules::has_triggers;
pub use run_table::{Entities, KEYS, Known, RunKeys, RunTable};

use pgrx::pg_sys;
use vector_migrate_core::encode::{Column, VectorType};
use vector_migrate_core::map::CollectionFields;
use vector_migrate_core::mapping::{Preset, Word};
use vector_migrate_core::pipeline::Identity;

use crate::load::SequenceSubstitute;

/// A column that tells rows apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name, as the catalog has it.
    pub name: String,
    /// Its type as SQL, qualified, without its modifier.
    pub ty: String,
}

/// The columns that tell rows apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The one with the record's id, or what stands for it ([`Identity`]).
    pub id: KeyColumn,
    /// One that all rows of a collection have the same in.
    pub collection: Option<KeyColumn>,
    /// The owner's.
    pub user: Option<KeyColumn>,
}

/// A table that rows go into.
#[derive(Debug, Clone)]
pub struct Target {
    /// The table.
    pub oid: pg_sys::Oid,
    /// Qualified and quoted name.
    pub name: String,
    /// The columns that rows fill, the vector's last.
    pub columns: Vec<Column>,
    /// Each column's type as SQL, in the same order, without its modifier.
    pub types: Vec<String>,
    /// Characters that each column takes, in the same order; `None`: no limit.
    pub lengths: Vec<Option<usize>>,
    /// The type of the vector column.
    pub vector: VectorType,
    /// The name of the vector column.
    pub vector_column: String,
    /// The vector column is NOT NULL.
    pub vector_required: bool,
    /// The owner's column is NOT NULL.
    pub user_required: bool,
    /// Another extension keeps its rows: on other servers, or in tables of its own.
    pub distributed: bool,
    /// The preset whose table it is; `None`: the caller describes it.
    pub preset: Option<&'static Preset>,
    /// It is a content library's.
    pub is_content_library: bool,
    /// This run created it.
    pub created: bool,
    /// `xmin` tells whether a row has changed since.
    pub versioned: bool,
    /// The columns that tell rows apart.
    pub key: Key,
    /// A column that all rows of a collection have the same in, where the key has none: in an application's table, a row of another
    /// collection is not the record's.
    pub collection_beside: Option<KeyColumn>,
    /// What the key's id column has.
    pub identity: Identity,
    /// The sequence of that column, where numbers are drawn from it.
    pub sequence: Option<pg_sys::Oid>,
    /// Where users are, if the owner's column refers to a table.
    pub users: Option<Reference>,
    /// The table that a column with the word `parent` refers to.
    pub parent: Option<Parent>,
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

impl Target {
    /// The column with this word.
    pub fn column(&self, word: &Word) -> Option<&Column> {
        self.columns.iter().find(|column| column.word == *word)
    }

    /// The type as SQL of the column with this word.
    pub fn sql_type(&self, word: &Word) -> Option<&str> {
        let at = self
            .columns
            .iter()
            .position(|column| column.word == *word)?;
        self.types.get(at).map(String::as_str)
    }

    /// What goes into each of its columns, as a JSON object of words.
    pub fn words(&self) -> String {
        let words = self.columns.iter();
        let words = words.map(|it| (it.name.clone(), it.word.to_string().into()));
        serde_json::Value::Object(words.collect()).to_string()
    }

    /// What columns may tell its rows apart.
    pub fn roles(&self) -> Roles {
        match self.identity {
            Identity::Record => Roles::of(&self.columns),
            Identity::NewUuid | Identity::Number => Roles {
                id: vec![self.key.id.name.clone()],
                ..Roles::default()
            },
        }
    }

    /// Whether records have owners: those of a content library do, also where its table has no column for them.
    pub fn has_owner(&self) -> bool {
        self.is_content_library || self.column(&Word::Owner).is_some()
    }

    /// Whether rows of different collections with one id are different rows.
    pub fn per_collection(&self) -> bool {
        self.key.collection.is_some() || self.identity != Identity::Record
    }

    /// The key with the collection, where it does not have that.
    pub fn key_with_collection(&self) -> Option<Key> {
        self.collection_beside.as_ref().map(|column| Key {
            collection: Some(column.clone()),
            ..self.key.clone()
        })
    }

    /// What the table has for the collection with these fields, or what the ledger knows it by.
    pub fn collection_key(&self, fields: &CollectionFields) -> String {
        match self
            .key
            .collection
            .as_ref()
            .or(self.collection_beside.as_ref())
        {
            Some(column) => {
                let mut words = self.columns.iter().filter(|it| it.name == column.name);
                let word = words.next().and_then(|it| fields.of_word(&it.word));
                word.unwrap_or_default().to_owned()
            }
            None => fields.uuid.clone(),
        }
    }
}
