//! The columns of a destination.

use vector_migrate_core::encode::{Column, ColumnType};

/// A column that rows fill.
#[derive(Debug, Clone)]
pub struct LoadColumn {
    /// Its name.
    pub name: String,
    /// How its values are written.
    pub ty: ColumnType,
}

impl From<&Column> for LoadColumn {
    fn from(column: &Column) -> LoadColumn {
        LoadColumn {
            name: column.name.clone(),
            ty: column.ty,
        }
    }
}
