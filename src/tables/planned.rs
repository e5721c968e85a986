//! The tables that a run would create, for a dry run in a transaction that can create nothing.

use pgrx::pg_sys;
use vector_migrate_core::encode::{
    Column, ColumnType, ContentColumn, EntityColumn, Kind, TableColumn, VectorType,
};

use super::{KeyPart, Target};

/// The content table that [`create::content`](super::create::content) would make.
pub fn content(dimensions: u32, user_id_type: &str) -> Target<ContentColumn> {
    let user = match user_id_type {
        "pg_catalog.uuid" => ColumnType::Uuid,
        "pg_catalog.text" => ColumnType::Text,
        _ => ColumnType::Int8,
    };
    planned(dimensions, |column| match column {
        ContentColumn::UserId => user,
        other => of_kind(other.kind()),
    })
}

/// The entity table that [`create::entity`](super::create::entity) would make for `content`.
pub fn entity(dimensions: u32, content: &Target<ContentColumn>) -> Target<EntityColumn> {
    let same = |wanted: ContentColumn| {
        let found = content
            .columns
            .iter()
            .find(|column| column.column == wanted);
        found.map_or(ColumnType::Text, |column| column.ty)
    };
    planned(dimensions, |column| match column {
        EntityColumn::UserId => same(ContentColumn::UserId),
        EntityColumn::ContentId => same(ContentColumn::Id),
        other => of_kind(other.kind()),
    })
}

/// The type that a created table has for values of this kind.
fn of_kind(kind: Kind) -> ColumnType {
    match kind {
        Kind::Key | Kind::Text => ColumnType::Text,
        Kind::List | Kind::Object => ColumnType::Jsonb,
        Kind::Bool => ColumnType::Bool,
        Kind::Count => ColumnType::Int8,
        Kind::Time => ColumnType::TimestampTz,
        Kind::Embedding => ColumnType::Vector,
    }
}

fn planned<C: TableColumn>(dimensions: u32, ty: impl Fn(C) -> ColumnType) -> Target<C> {
    Target {
        oid: pg_sys::InvalidOid,
        name: String::new(),
        columns: C::ALL
            .iter()
            .map(|&column| Column {
                column,
                ty: ty(column),
            })
            .collect(),
        types: Vec::new(),
        lengths: Vec::new(),
        vector_column: C::EMBEDDING.name().to_owned(),
        vector: VectorType {
            half: false,
            dimension: Some(dimensions),
        },
        vector_required: false,
        user_required: false,
        distributed: false,
        created: true,
        versioned: true,
        key: vec![KeyPart::Id],
        users: None,
        defaulted: Vec::new(),
        substitutes: Vec::new(),
        draws_numbers: false,
        overwritable: true,
        copyable: true,
    }
}
