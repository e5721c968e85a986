//! `init_content_tables`: the tables, made beforehand. Its SQL is written out, as pgrx has no `regtype`.

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vector_migrate_core::encode::ColumnType;
use vector_migrate_core::mapping::Word;

use crate::error::Error;
use crate::pg;
use crate::run;
use crate::tables::create::{self, Life};
use crate::tables::{self, Pgvector, Target};

/// Creates the content and entity tables that are not there yet, for vectors of `dimensions`. The vector
/// index is best built after the load, and is not created here. A table that is there and has other dimensions or another type
/// of `user_id` is an error.
#[pg_extern(sql = r#"
CREATE FUNCTION init_content_tables(
    dimensions pg_catalog.int4 DEFAULT 384,
    user_id_type pg_catalog.regtype DEFAULT 'bigint',
    target pg_catalog.text DEFAULT 'content_vectors',
    entity_target pg_catalog.text DEFAULT 'entity_vectors'
) RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
"#)]
fn init_content_tables(
    dimensions: Option<i32>,
    user_id_type: Option<pg_sys::Oid>,
    target: Option<&str>,
    entity_target: Option<&str>,
) -> Result<(), ErrorReport> {
    Ok(init(dimensions, user_id_type, target, entity_target)?)
}

fn init(
    dimensions: Option<i32>,
    user_id_type: Option<pg_sys::Oid>,
    target: Option<&str>,
    entity_target: Option<&str>,
) -> Result<(), Error> {
    if !pg::can_write() {
        return Err(Error::ReadOnly("init_content_tables"));
    }
    let dimensions = dimensions.ok_or(Error::NullArgument("dimensions"))?;
    let dimensions = u32::try_from(dimensions)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| Error::BadArgument {
            argument: "dimensions",
            value: dimensions.to_string(),
            hint: "pgvector's type vector takes 1 to 16000 dimensions.".into(),
        })?;
    let ty = user_type(user_id_type.ok_or(Error::NullArgument("user_id_type"))?)?;
    let pgvector = Pgvector::find()?;
    let place = tables::find(target.ok_or(Error::NullArgument("target"))?)?;
    let oid = match place.oid {
        Some(oid) => oid,
        None => create::content(&place, Life::Permanent, dimensions, ty, &pgvector)?,
    };
    let content = tables::describe(&place, oid, &run::content_layout()?, &pgvector)?;
    check_same(&content, dimensions, ty)?;
    let Some(entity_target) = entity_target else {
        return Ok(());
    };
    let place = tables::find(entity_target)?;
    match place.oid {
        Some(oid) => {
            let entity = tables::describe(&place, oid, &run::entity_layout()?, &pgvector)?;
            check_same(&entity, dimensions, ty)
        }
        None => create::entity(
            &place,
            Life::Permanent,
            dimensions,
            &content,
            true,
            &pgvector,
        )
        .map(drop),
    }
}

/// A table that is there has to be what is asked for, as far as the arguments say: a column without dimensions takes all, and one
/// of a domain is of its type.
fn check_same(table: &Target, dimensions: u32, user_type: &str) -> Result<(), Error> {
    let differs = |column: &str, has, asked| {
        Err(Error::TableDiffers {
            target: table.name.clone(),
            column: column.to_owned(),
            has,
            asked,
        })
    };
    if let Some(has) = table.vector.dimension.filter(|has| *has != dimensions) {
        let ty = if table.vector.half {
            "halfvec"
        } else {
            "vector"
        };
        let (has, asked) = (format!("{ty}({has})"), format!("{ty}({dimensions})"));
        return differs(&table.vector_column, has, asked);
    }
    let there = table.column(&Word::Owner);
    let asked = user_column(user_type);
    match there.filter(|column| column.ty != asked) {
        Some(column) => {
            let has = table.sql_type(&Word::Owner).unwrap_or_default();
            differs(&column.name, has.to_owned(), user_type.to_owned())
        }
        None => Ok(()),
    }
}

/// The column type of one of the types that [`user_type`] gives.
fn user_column(ty: &str) -> ColumnType {
    match ty {
        "pg_catalog.int2" => ColumnType::Int2,
        "pg_catalog.int4" => ColumnType::Int4,
        "pg_catalog.int8" => ColumnType::Int8,
        "pg_catalog.uuid" => ColumnType::Uuid,
        _ => ColumnType::Text,
    }
}

/// The type as SQL, if a `user_id` can have it. By its OID: search_path may have other types of these names.
fn user_type(oid: pg_sys::Oid) -> Result<&'static str, Error> {
    Ok(match oid {
        pg_sys::INT2OID => "pg_catalog.int2",
        pg_sys::INT4OID => "pg_catalog.int4",
        pg_sys::INT8OID => "pg_catalog.int8",
        pg_sys::UUIDOID => "pg_catalog.uuid",
        pg_sys::TEXTOID => "pg_catalog.text",
        pg_sys::VARCHAROID => "pg_catalog.varchar",
        _ => {
            return Err(Error::BadArgument {
                argument: "user_id_type",
                value: tables::type_name(oid)?,
                hint: "It can be the server's smallint, integer, bigint, uuid, text or varchar; pg_catalog.text is \
                       the one that no other type of that name shadows."
                    .into(),
            });
        }
    })
}
