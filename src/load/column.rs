//! The columns of a destination.

use vector_migrate_core::encode::{Column, ColumnType, TableColumn};

/// A column that rows fill.
#[derive(Debug, Clone, Copy)]
pub struct LoadColumn {
    /// Its name.
    pub name: &'static str,
    /// How its values are written.
    pub ty: ColumnType,
}

impl<C: TableColumn> From<&Column<C>> for LoadColumn {
    fn from(column: &Column<C>) -> LoadColumn {
        LoadColumn {
            name: column.column.name(),
            ty: column.ty,
        }
    }
}
