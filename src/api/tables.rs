//! `init_content_tables`: the tables, made beforehand. Its SQL is written out, as pgrx has no `regtype`.

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::Error;
use crate::tables::create::{self, Life};
use crate::tables::{self, Pgvector};
use crate::{pg, spi};

/// Creates the content and entity tables that are not there yet, for vectors of `dimensions`. The vector
/// index is best built after the load, and is not created here.
#[pg_extern(sql = r#"
CREATE FUNCTION init_content_tables(
    dimensions integer DEFAULT 384,
    user_id_type regtype DEFAULT 'bigint',
    target text DEFAULT 'content_vectors',
    entity_target text DEFAULT 'entity_vectors'
) RETURNS void
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
        None => create::content(&place, Life::Permanent, dimensions, &ty, &pgvector)?,
    };
    let content = tables::describe_content(&place, oid, &pgvector)?;
    let Some(entity_target) = entity_target else {
        return Ok(());
    };
    let place = tables::find(entity_target)?;
    if place.oid.is_none() {
        create::entity(&place, Life::Permanent, dimensions, &content, &pgvector)?;
    }
    Ok(())
}

/// The type as SQL, if a `user_id` can have it.
fn user_type(oid: pg_sys::Oid) -> Result<String, Error> {
    let found = spi::read_one(
        "SELECT pg_catalog.format_type($1, NULL), \
                $1 OPERATOR(pg_catalog.=) ANY (ARRAY['int2', 'int4', 'int8', 'uuid', 'text', 'varchar'] \
                                               ::pg_catalog.regtype[]::pg_catalog.oid[])",
        &[oid.into()],
        |row| Ok((row.get::<String>(1)?, row.get::<bool>(2)?)),
    )?;
    match found {
        Some((Some(name), Some(true))) => Ok(name),
        other => Err(Error::BadArgument {
            argument: "user_id_type",
            value: other.and_then(|(name, _)| name).unwrap_or_default(),
            hint: "It can be smallint, integer, bigint, uuid, text or varchar.".into(),
        }),
    }
}
