//! A table that an application makes, made as the application does: columns, constraints, indexes and their names.

use pgrx::pg_sys;
use vector_migrate_core::mapping::Preset;
use vector_migrate_core::mapping::preset::{IndexMade, ParentMade, TableMade};

use super::create::{Life, check_dimensions, oid_of, shadow_name};
use super::{Pgvector, Place, find};
use crate::error::Error;
use crate::message::notice;
use crate::spi;

/// Bytes of an identifier that PostgreSQL keeps, as applications let it cut them.
const MOST_BYTES: usize = 63;

/// Creates the preset's table at `place`, for vectors of `dimensions`, with the table that it refers to. Of a temporary one the
/// keys are its own, and it refers to nothing.
///
/// # Errors
/// [`Error::TooManyDimensions`]; the server's own.
pub fn create(
    place: &Place,
    life: Life,
    (preset, made): (&Preset, &TableMade),
    dimensions: u32,
    pgvector: &Pgvector,
) -> Result<pg_sys::Oid, Error> {
    check_dimensions(dimensions)?;
    let name = match life {
        Life::Permanent => place.qualified(),
        Life::Temporary(number) => shadow_name("content", number),
    };
    let parent = made.parent.as_ref().map(|it| parent_place(place, it));
    if life == Life::Permanent {
        if let Some(schema) = made.schema.as_ref().filter(|it| **it == place.schema) {
            create_schema(schema)?;
        }
        if let (Some(made), Some(parent)) = (&made.parent, &parent) {
            create_parent(parent, made)?;
        }
    }
    let half = made.half_beyond.is_some_and(|most| dimensions > most);
    let fill = |sql: &str| {
        let parent = parent.as_ref().map(Place::qualified).unwrap_or_default();
        let sql = match half {
            true => sql.replace("{vector}.vector(", "{vector}.halfvec("),
            false => sql.to_owned(),
        };
        sql.replace("{vector}", &pgvector.schema)
            .replace("{dimension}", &dimensions.to_string())
            .replace("{parent}", &parent)
    };
    let column = |sql: &String| match (life, sql.split_once(" REFERENCES ")) {
        (Life::Temporary(_), Some((own, _))) => fill(own),
        _ => fill(sql),
    };
    let columns: Vec<String> = made.columns.iter().map(column).collect();
    let create = match life {
        Life::Permanent => "CREATE TABLE",
        Life::Temporary(_) => "CREATE TEMPORARY TABLE",
    };
    spi::write(&format!("{create} {name} ({})", columns.join(", ")), &[])?;
    for index in &made.indexes {
        let on = fill(&index.on);
        match (life, index.most_dimensions) {
            // It refuses nothing.
            (Life::Temporary(_), Some(_)) => {}
            (Life::Temporary(_), None) => {
                spi::write(&format!("CREATE INDEX ON {name} {on}"), &[])?;
            }
            (Life::Permanent, Some(most)) if dimensions > most => notice!(
                "{name} gets no vector index: its vectors have {dimensions} dimensions, and the index that {} makes takes {most}",
                preset.application
            ),
            (Life::Permanent, _) => {
                let index = spi::ident(&index_name(place, preset, made, index)?);
                spi::write(&format!("CREATE INDEX {index} ON {name} {on}"), &[])?;
            }
        }
    }
    oid_of(&name)
}

fn index_name(
    place: &Place,
    preset: &Preset,
    made: &TableMade,
    index: &IndexMade,
) -> Result<String, Error> {
    let usual = preset.target.as_deref() == Some(&*place.table);
    let base = place.table.strip_prefix(&*made.prefix);
    let base = base.unwrap_or(&place.table);
    let whole = |name: &str| {
        let name = name.replace("{table}", &place.table);
        cut(name.replace("{base}", base))
    };
    let name = match &index.elsewhere {
        Some(elsewhere) if !usual => whole(elsewhere),
        _ => whole(&index.name),
    };
    Ok(match &index.if_taken {
        Some(other) if is_taken(&place.schema, &name)? => whole(other),
        _ => name,
    })
}

/// As the server cuts it.
fn cut(mut name: String) -> String {
    let mut end = MOST_BYTES.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// Whether the schema has a relation of this name.
fn is_taken(schema: &str, name: &str) -> Result<bool, Error> {
    let found = spi::look_up_one(
        "SELECT true FROM pg_catalog.pg_class c \
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
          WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND c.relname OPERATOR(pg_catalog.=) $2",
        &[schema.into(), name.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}

/// Beside the table itself.
fn parent_place(place: &Place, made: &ParentMade) -> Place {
    Place {
        oid: None,
        schema: place.schema.clone(),
        table: made.name.clone(),
    }
}

fn create_parent(place: &Place, made: &ParentMade) -> Result<(), Error> {
    let name = place.qualified();
    if find(&name)?.oid.is_some() {
        return Ok(());
    }
    notice!("table {name} was created");
    spi::write(
        &format!("CREATE TABLE {name} ({})", made.columns.join(", ")),
        &[],
    )?;
    Ok(())
}

fn create_schema(schema: &str) -> Result<(), Error> {
    let there = spi::look_up_one(
        "SELECT true FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) $1",
        &[schema.into()],
        |row| row.get::<bool>(1),
    )?;
    if there.is_none() {
        notice!("schema {schema} was created");
        spi::write(&format!("CREATE SCHEMA {}", spi::ident(schema)), &[])?;
    }
    Ok(())
}
