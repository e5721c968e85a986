//! The tables that we create, and the statements for it.

use pgrx::pg_sys;
use vector_migrate_core::mapping::Word;
use vector_migrate_core::survey::CONTENT_TOAST_TARGET;

use super::{Key, Pgvector, Place, Target};
use crate::error::Error;
use crate::{settings, spi};

/// A table to be created: for good, or as a shadow for a dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// A table of the caller's, with keys and indexes.
    Permanent,
    /// A temporary table for a dry run, gone with the subtransaction: without keys, and with indexes that refuse what the keys'
    /// and the other indexes would have no room for. Its number is in its name.
    Temporary(usize),
}

/// Most dimensions that pgvector's `vector` can have.
const MAX_DIMENSIONS: u32 = 16_000;

pub(super) fn check_dimensions(dimensions: u32) -> Result<(), Error> {
    if (1..=MAX_DIMENSIONS).contains(&dimensions) {
        Ok(())
    } else {
        Err(Error::TooManyDimensions(dimensions))
    }
}

fn create(life: Life) -> &'static str {
    match life {
        Life::Permanent => "CREATE TABLE",
        Life::Temporary(_) => "CREATE TEMPORARY TABLE",
    }
}

/// Creates a content table.
///
/// # Errors
/// [`Error::TooManyDimensions`]; the server's own.
pub fn content(
    place: &Place,
    life: Life,
    dimensions: u32,
    user_id_type: &str,
    pgvector: &Pgvector,
) -> Result<pg_sys::Oid, Error> {
    check_dimensions(dimensions)?;
    let name = match life {
        Life::Permanent => place.qualified(),
        Life::Temporary(number) => shadow_name("content", number),
    };
    let primary_key = match life {
        Life::Permanent => ", PRIMARY KEY (chroma_collection, id)",
        Life::Temporary(_) => "",
    };
    let vector = &pgvector.schema;
    spi::write(
        &format!(
            "{create} {name} ( \
               chroma_collection pg_catalog.text NOT NULL, \
               id pg_catalog.text NOT NULL, \
               user_id {user_id_type}, \
               embedding {vector}.vector({dimensions}), \
               title pg_catalog.text NOT NULL, \
               content_type pg_catalog.text DEFAULT 'other', \
               mode pg_catalog.text DEFAULT 'general', \
               summary pg_catalog.text, \
               topics pg_catalog.jsonb, \
               tags pg_catalog.jsonb, \
               collections pg_catalog.jsonb, \
               source_url pg_catalog.text, \
               has_transcript pg_catalog.bool, \
               full_content pg_catalog.jsonb NOT NULL, \
               file_size_bytes pg_catalog.int8, \
               searchable_text pg_catalog.text NOT NULL, \
               metadata pg_catalog.jsonb NOT NULL, \
               uri pg_catalog.text, \
               created_at pg_catalog.timestamptz DEFAULT pg_catalog.now(), \
               updated_at pg_catalog.timestamptz DEFAULT pg_catalog.now(){primary_key}) \
             WITH (toast_tuple_target = {CONTENT_TOAST_TARGET})",
            create = create(life),
        ),
        &[],
    )?;
    if life != Life::Permanent {
        spi::write(
            &format!("CREATE INDEX ON {name} (chroma_collection, id)"),
            &[],
        )?;
    }
    spi::write(&format!("CREATE INDEX ON {name} (user_id)"), &[])?;
    oid_of(&name)
}

/// Creates an entity table for the content table `content`; `refers`: for no other one, so that a foreign key can say so.
///
/// # Errors
/// As [`content`].
pub fn entity(
    place: &Place,
    life: Life,
    dimensions: u32,
    content: &Target,
    refers: bool,
    pgvector: &Pgvector,
) -> Result<pg_sys::Oid, Error> {
    check_dimensions(dimensions)?;
    let name = match life {
        Life::Permanent => place.qualified(),
        Life::Temporary(number) => shadow_name("entity", number),
    };
    let user_id_type = content.sql_type(&Word::Owner).unwrap_or("pg_catalog.int8");
    let id_type = content.sql_type(&Word::Id).unwrap_or("pg_catalog.text");
    let vector = &pgvector.schema;
    // A foreign key where the content table has the unique key for it.
    let Key {
        id,
        collection,
        user,
    } = &content.key;
    let has_collection = content.columns.iter().any(|it| it.word.is_of_collection());
    let id = spi::ident(&id.name);
    let reference = match (collection, user) {
        _ if life != Life::Permanent || !refers || !content.versioned => String::new(),
        (None, None) if !has_collection => format!(
            ", FOREIGN KEY (content_id) REFERENCES {} ({id}) ON DELETE CASCADE",
            content.name
        ),
        (Some(collection), None) => format!(
            ", FOREIGN KEY (chroma_collection, content_id) \
               REFERENCES {} ({}, {id}) ON DELETE CASCADE",
            content.name,
            spi::ident(&collection.name)
        ),
        _ => String::new(),
    };
    let reference = if has_unique_key(content)? {
        reference
    } else {
        String::new()
    };
    spi::write(
        &format!(
            "{create} {name} ( \
               id pg_catalog.int8 GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, \
               chroma_collection pg_catalog.text, \
               user_id {user_id_type}, \
               content_id {id_type} NOT NULL, \
               entity_name pg_catalog.text NOT NULL, \
               entity_type pg_catalog.text, \
               embedding {vector}.vector({dimensions}), \
               created_at pg_catalog.timestamptz DEFAULT pg_catalog.now(){reference})",
            create = create(life),
        ),
        &[],
    )?;
    spi::write(&format!("CREATE INDEX ON {name} (content_id)"), &[])?;
    spi::write(&format!("CREATE INDEX ON {name} (user_id)"), &[])?;
    oid_of(&name)
}

/// Creates a temporary table with the columns, types, checks and indexes of `target`, for a dry run to fill: no triggers, no
/// sequences, no indexes on the vectors as they are.
///
/// # Errors
/// The server's own.
pub fn shadow(target: &Target, which: &str, number: usize) -> Result<pg_sys::Oid, Error> {
    let name = shadow_name(which, number);
    let like = format!(
        "CREATE TEMPORARY TABLE {name} (LIKE {} INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING INDEXES)",
        target.name
    );
    // An IVFFlat index says that it is made with little data.
    let quiet = &[(c"client_min_messages", c"warning")];
    settings::with(quiet, || spi::write(&like, &[]))?;
    let oid = oid_of(&name)?;
    without_needless_indexes(oid, &name, &target.defaulted)?;
    for column in &target.defaulted {
        let column = spi::ident(column);
        spi::write(
            &format!("ALTER TABLE {name} ALTER COLUMN {column} DROP NOT NULL"),
            &[],
        )?;
    }
    Ok(oid)
}

/// Drops the indexes of a shadow that take long and refuse nothing, those on vectors as they are (an expression, as a cast to
/// halfvec, can refuse one), and those on columns that stay empty there.
fn without_needless_indexes(oid: pg_sys::Oid, name: &str, empty: &[String]) -> Result<(), Error> {
    let needless = spi::read(
        "SELECT pg_catalog.quote_ident(x.relname), k.oid IS NOT NULL \
           FROM pg_catalog.pg_index i \
           JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid \
           JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) x.relam \
           LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid OPERATOR(pg_catalog.=) i.indrelid \
            AND k.conindid OPERATOR(pg_catalog.=) i.indexrelid \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 \
            AND (i.indexprs IS NULL AND m.amname OPERATOR(pg_catalog.=) ANY (ARRAY['hnsw', 'ivfflat']) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_attribute a \
                     WHERE a.attrelid OPERATOR(pg_catalog.=) i.indrelid \
                       AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[]) \
                       AND a.attname OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.name[])))",
        &[oid.into(), empty.to_vec().into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<bool>(2)?,
            ))
        },
    )?;
    for (index, constraint) in needless {
        let sql = match constraint {
            // A constraint and its index have one name.
            Some(true) => format!("ALTER TABLE {name} DROP CONSTRAINT {index}"),
            _ => format!("DROP INDEX pg_temp.{index}"),
        };
        spi::write(&sql, &[])?;
    }
    Ok(())
}

pub(super) fn shadow_name(which: &str, number: usize) -> String {
    format!("pg_temp.vector_migrate_dry_run_{which}_{number}")
}

pub(super) fn oid_of(name: &str) -> Result<pg_sys::Oid, Error> {
    spi::read_one(
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
        &[name.into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?
    .flatten()
    .ok_or_else(|| Error::Bug(format!("table {name} was created and is not there")))
}

/// Whether a unique, not deferrable index of `content` has exactly its key columns.
fn has_unique_key(content: &Target) -> Result<bool, Error> {
    let Key {
        id,
        collection,
        user,
    } = &content.key;
    let parts = [Some(id), collection.as_ref(), user.as_ref()];
    let parts = parts.into_iter().flatten();
    let columns: Vec<String> = parts.map(|it| it.name.clone()).collect();
    let found = spi::read_one(
        "SELECT true FROM pg_catalog.pg_index i \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indimmediate \
            AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
            AND i.indnkeyatts OPERATOR(pg_catalog.=) $2 \
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a \
                  WHERE a.attrelid OPERATOR(pg_catalog.=) i.indrelid \
                    AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[]) \
                    AND a.attname OPERATOR(pg_catalog.<>) ALL ($3::pg_catalog.name[]))",
        &[
            content.oid.into(),
            i16::try_from(columns.len()).unwrap_or(i16::MAX).into(),
            columns.into(),
        ],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}
