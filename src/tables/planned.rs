//! The tables that a run would create, for a dry run in a transaction that can create nothing.

use pgrx::pg_sys;
use vector_migrate_core::encode::{Column, ColumnType, VectorType};
use vector_migrate_core::mapping::preset::TableMade;
use vector_migrate_core::mapping::{Layout, Preset, Word};
use vector_migrate_core::pipeline::Identity;

use super::key::Roles;
use super::{Key, KeyColumn, Target};

/// The table of this layout that [`create`](super::create) would make, whose owners are of the type `user_id_type` and whose key
/// has `per_collection`.
pub fn planned(layout: &Layout, dimensions: u32, user_id_type: &str) -> Target {
    let user = match user_id_type {
        "pg_catalog.uuid" => ColumnType::Uuid,
        "pg_catalog.text" => ColumnType::Text,
        _ => ColumnType::Int8,
    };
    let made = layout.preset.and_then(|it| it.table.as_ref());
    let columns: Vec<Column> = layout
        .made(user)
        .into_iter()
        .filter(|column| made.is_none_or(|made| sql_of(made, &column.name).is_some()))
        .map(|column| Column {
            ty: made
                .and_then(|made| sql_of(made, &column.name))
                .map_or(column.ty, |sql| type_of(sql, column.ty)),
            ..column
        })
        .collect();
    let padded = Word::Vector { padded: true };
    let named = |name: Option<&String>| {
        name.map(|name| KeyColumn {
            name: name.clone(),
            ty: "pg_catalog.text".to_owned(),
        })
    };
    let roles = Roles::of(&columns);
    let id = named(roles.id.first());
    let identity = match &id {
        Some(_) => Identity::Record,
        None => Identity::NewUuid,
    };
    let is_content_library = layout.preset.is_some_and(Preset::is_content_library);
    Target {
        oid: pg_sys::InvalidOid,
        name: String::new(),
        types: Vec::new(),
        lengths: Vec::new(),
        vector: VectorType {
            half: false,
            dimension: Some(dimensions),
            padded: columns.iter().any(|column| column.word == padded),
        },
        vector_column: (columns.iter().find(|it| it.is_vector()))
            .map_or_else(String::new, |it| it.name.clone()),
        vector_required: false,
        user_required: false,
        distributed: false,
        preset: layout.preset,
        is_content_library,
        created: true,
        versioned: true,
        key: Key {
            id: id.unwrap_or_else(|| KeyColumn {
                name: "id".to_owned(),
                ty: "pg_catalog.text".to_owned(),
            }),
            collection: named(roles.collection.first()).filter(|_| is_content_library),
            user: None,
        },
        collection_beside: None,
        identity,
        sequence: None,
        users: None,
        parent: None,
        defaulted: Vec::new(),
        substitutes: Vec::new(),
        draws_numbers: false,
        overwritable: true,
        copyable: true,
        columns,
    }
}

/// What stands behind the column's name in the application's statement.
fn sql_of<'m>(made: &'m TableMade, name: &str) -> Option<&'m str> {
    let quoted = format!("\"{name}\"");
    made.columns.iter().find_map(|sql| {
        let (first, rest) = sql.split_once(' ')?;
        (first == name || first == quoted).then_some(rest)
    })
}

/// The type that the statement gives a column; `usual` where it is none of these.
fn type_of(sql: &str, usual: ColumnType) -> ColumnType {
    let ty = sql.split([' ', '(']).next().unwrap_or_default();
    match ty.trim_start_matches("pg_catalog.") {
        "uuid" => ColumnType::Uuid,
        "json" => ColumnType::Json,
        "jsonb" => ColumnType::Jsonb,
        "bigserial" => ColumnType::Int8,
        _ => usual,
    }
}
