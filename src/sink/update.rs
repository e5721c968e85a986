//! Rows that are there already, overwritten: `on_conflict => 'update'`.

use std::collections::HashMap;

use vector_migrate_core::encode::{ContentColumn, EntityColumn, TableColumn};

use super::existing::{Key, condition};
use super::insert;
use super::ready::Ready;
use crate::error::Error;
use crate::tables::{KeyPart, RunTable, Target};
use crate::{ledger, spi};

/// What was there, by key: the `xmin` (as text) and what the ledger keeps to put it back.
pub type Before = HashMap<Key, (String, String)>;

/// Settings under which a value's text is exact and read back alike in any session.
const EXACT: [(&str, &str); 3] = [
    ("extra_float_digits", "3"),
    ("datestyle", "ISO, YMD"),
    ("intervalstyle", "iso_8601"),
];

/// Runs `work` with [`EXACT`] settings, and puts the session's own back.
fn with_exact_text<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    let set = |name: &str, value: String| {
        spi::write_returning(
            "SELECT pg_catalog.set_config($1, $2, true)",
            &[name.into(), value.into()],
            |row| row.get::<String>(1),
        )
    };
    let mut before = Vec::new();
    for (name, value) in EXACT {
        let old = spi::read_one(
            "SELECT pg_catalog.current_setting($1)",
            &[name.into()],
            |row| row.get::<String>(1),
        )?;
        before.push((name, old.flatten().unwrap_or_default()));
        set(name, value.to_owned())?;
    }
    let result = work()?;
    for (name, value) in before {
        set(name, value)?;
    }
    Ok(result)
}

/// Keeps what `rows`, all of one collection, are about to overwrite, and locks it.
///
/// # Errors
/// The server's own.
pub fn keep(
    content: &Target<ContentColumn>,
    entity: Option<&Target<EntityColumn>>,
    collection: &str,
    rows: &[&Ready],
) -> Result<Before, Error> {
    let gone = || Error::Bug(format!("{} is gone", content.name));
    let table = RunTable::find(content.oid)?.ok_or_else(gone)?;
    let user = if content.key.contains(&KeyPart::User) {
        "t.user_id::pg_catalog.text"
    } else {
        "NULL::pg_catalog.text"
    };
    let (xid, lock) = if content.versioned {
        ("t.xmin::pg_catalog.text", "FOR UPDATE")
    } else {
        ("'0'", "")
    };
    let entities = match entity {
        Some(entity) => entities_as_text(entity)?,
        None => "NULL::pg_catalog.jsonb".to_owned(),
    };
    let ids: Vec<String> = rows.iter().map(|ready| ready.row.key.clone()).collect();
    let kept = with_exact_text(|| {
        spi::write_returning(
            &format!(
                "SELECT t.id::pg_catalog.text, {user}, {xid}, pg_catalog.jsonb_build_object( \
                        'row', {row}, 'entities', {entities})::pg_catalog.text \
                   FROM {name} t WHERE {condition} {lock}",
                row = table.row_as_text("t"),
                name = content.name,
                condition = condition(content),
            ),
            &[ids.into(), collection.into()],
            |row| {
                Ok((
                    (
                        row.get::<String>(1)?.unwrap_or_default(),
                        row.get::<String>(2)?,
                    ),
                    (
                        row.get::<String>(3)?.unwrap_or_default(),
                        row.get::<String>(4)?.unwrap_or_default(),
                    ),
                ))
            },
        )
    })?;
    Ok(kept.into_iter().collect())
}

/// The SQL expression of the entity rows of content row `t`, whose collection is parameter 2.
fn entities_as_text(entity: &Target<EntityColumn>) -> Result<String, Error> {
    let gone = || Error::Bug(format!("{} is gone", entity.name));
    let table = RunTable::find(entity.oid)?.ok_or_else(gone)?;
    let row = table.row_as_text("e");
    let ty = entity
        .sql_type(EntityColumn::ContentId)
        .unwrap_or("pg_catalog.text");
    let collection = if entity.has(EntityColumn::ChromaCollection) {
        "AND e.chroma_collection OPERATOR(pg_catalog.=) $2"
    } else {
        ""
    };
    Ok(format!(
        "(SELECT pg_catalog.jsonb_agg({row}) FROM {} e \
           WHERE e.content_id OPERATOR(pg_catalog.=) t.id::{ty} {collection})",
        entity.name
    ))
}

/// Overwrites the rows, whose whole tuples are given, and removes the entity rows of what was there.
/// Gives the number of rows that the server says it changed.
///
/// # Errors
/// The server's own.
pub fn overwrite(
    content: &Target<ContentColumn>,
    entity: Option<&Target<EntityColumn>>,
    run: Option<i64>,
    collection: &str,
    rows: &[&Ready],
    before: &Before,
) -> Result<u64, Error> {
    let ids: Vec<String> = rows.iter().map(|ready| ready.row.key.clone()).collect();
    if let Some(entity) = entity {
        let ty = entity
            .sql_type(EntityColumn::ContentId)
            .unwrap_or("pg_catalog.text");
        let here = if entity.has(EntityColumn::ChromaCollection) {
            "t.chroma_collection OPERATOR(pg_catalog.=) $2"
        } else {
            "$2 IS NOT NULL"
        };
        spi::write(
            &format!(
                "DELETE FROM {} t \
                  WHERE t.content_id OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::{ty}[]) AND {here}",
                entity.name
            ),
            &[ids.into(), collection.into()],
        )?;
    }
    let tuples: Vec<Vec<u8>> = rows.iter().map(|ready| ready.content_tuple()).collect();
    let changed = spi::write(&statement(content), &insert::arrays(content, &tuples)?)?;
    let overwritten: Vec<(String, String)> = before
        .iter()
        .map(|((key, _), (xid, _))| (key.clone(), xid.clone()))
        .collect();
    if let (Some(run), true) = (run, content.versioned) {
        let apart = content
            .has(ContentColumn::ChromaCollection)
            .then_some(collection);
        ledger::follow(run, content.oid, apart, &overwritten)?;
    }
    Ok(changed)
}

/// UPDATE of every column but the key's, from arrays.
fn statement(content: &Target<ContentColumn>) -> String {
    let in_key = |column: ContentColumn| match column {
        ContentColumn::Id => true,
        ContentColumn::ChromaCollection => content.key.contains(&KeyPart::Collection),
        ContentColumn::UserId => content.key.contains(&KeyPart::User),
        _ => false,
    };
    let names: Vec<&str> = content
        .columns
        .iter()
        .map(|column| column.column.name())
        .collect();
    let set: Vec<String> = content
        .columns
        .iter()
        .zip(&content.types)
        .filter(|(column, _)| !in_key(column.column))
        .map(|(column, ty)| {
            let name = column.column.name();
            format!("{} = {}", spi::ident(name), insert::value(name, ty))
        })
        .collect();
    let mut same = vec!["t.id OPERATOR(pg_catalog.=) u.id".to_owned()];
    if content.key.contains(&KeyPart::Collection) {
        same.push("t.chroma_collection OPERATOR(pg_catalog.=) u.chroma_collection".into());
    }
    if content.key.contains(&KeyPart::User) {
        // IS NOT DISTINCT FROM would take its operator from the caller's search_path.
        same.push(
            "(t.user_id OPERATOR(pg_catalog.=) u.user_id \
              OR t.user_id IS NULL AND u.user_id IS NULL)"
                .into(),
        );
    }
    format!(
        "UPDATE {} t SET {} FROM {} WHERE {}",
        content.name,
        set.join(", "),
        insert::relation(&names),
        same.join(" AND ")
    )
}

/// What the ledger keeps of `ready`'s row, if it was there.
pub fn kept<'b>(before: &'b Before, key: &Key) -> Option<&'b str> {
    before.get(key).map(|(_, json)| json.as_str())
}
