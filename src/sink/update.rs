//! Rows that are there already, overwritten: `on_conflict => 'update'`.

use std::collections::{BTreeSet, HashMap};

use pgrx::spi::{SpiHeapTupleData, SpiResult};
use vector_migrate_core::encode::{ContentColumn, EntityColumn, TableColumn};

use super::existing::{self, Key};
use super::insert;
use super::ready::Ready;
use crate::error::Error;
use crate::tables::{KeyPart, Keys, Lookup, RunTable, Target};
use crate::{settings, spi};

/// What was there, by key: the `xmin` (as text) and what the ledger keeps to put it back.
pub type Before = HashMap<Key, (String, String)>;

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
    let table = RunTable::find(content.oid)?.ok_or_else(|| gone(&content.name))?;
    let user = if content.key.contains(&KeyPart::User) {
        "t.user_id::pg_catalog.text"
    } else {
        "NULL::pg_catalog.text"
    };
    let (xid, lock) = if content.versioned {
        ("t.xmin::pg_catalog.text", "FOR UPDATE OF t")
    } else {
        ("'0'", "")
    };
    let lookup = existing::lookup(content)?;
    let sql = format!(
        "SELECT t.id::pg_catalog.text, {user}, {xid}, {row}::pg_catalog.text \
           FROM {keys} JOIN {name} t ON {condition} {lock}",
        row = table.row_as_text("t"),
        keys = existing::KEYS,
        name = content.name,
        condition = lookup.condition,
    );
    let keys = existing::key_arrays(content, collection, rows.iter().map(|ready| &ready.row));
    let (kept, mut entities) = settings::with(settings::EXACT_TEXT, || {
        let kept = settings::with(lookup.settings, || {
            spi::write_returning(&sql, &keys, |row| {
                let key: Key = (text(row, 1)?, row.get(2)?);
                Ok((key, text(row, 3)?, text(row, 4)?))
            })
        })?;
        let entities = match entity {
            Some(entity) => entity_table(entity)?.entities_as_text(&ids(collection, rows))?,
            None => HashMap::new(),
        };
        Ok::<_, Error>((kept, entities))
    })?;
    Ok(kept
        .into_iter()
        .map(|(key, xid, row)| {
            let entities = entities.remove(&key.0);
            let entities = entities.as_deref().unwrap_or("null");
            let json = format!("{{\"row\": {row}, \"entities\": {entities}}}");
            (key, (xid, json))
        })
        .collect())
}

fn text(row: &SpiHeapTupleData<'_>, at: usize) -> SpiResult<String> {
    Ok(row.get(at)?.unwrap_or_default())
}

fn gone(name: &str) -> Error {
    Error::Bug(format!("{name} is gone"))
}

fn entity_table(entity: &Target<EntityColumn>) -> Result<RunTable, Error> {
    RunTable::find(entity.oid)?.ok_or_else(|| gone(&entity.name))
}

/// The ids of `rows`, each once, as entity rows refer to them.
fn ids(collection: &str, rows: &[&Ready]) -> Keys {
    let key: BTreeSet<&str> = rows.iter().map(|ready| ready.row.key.as_str()).collect();
    Keys {
        collection: collection.to_owned(),
        number: (0..).take(key.len()).collect(),
        key: key.into_iter().map(str::to_owned).collect(),
        ..Keys::default()
    }
}

/// Overwrites the rows, whose whole tuples are given, and removes the entity rows of what was there.
/// Gives the number of rows that the server says it changed.
///
/// # Errors
/// The server's own.
pub fn overwrite(
    content: &Target<ContentColumn>,
    entity: Option<&Target<EntityColumn>>,
    collection: &str,
    rows: &[&Ready],
) -> Result<u64, Error> {
    if let Some(entity) = entity {
        entity_table(entity)?.remove(&ids(collection, rows), true)?;
    }
    let tuples: Vec<Vec<u8>> = rows.iter().map(|ready| ready.content_tuple()).collect();
    let arrays = insert::arrays(&content.types, &tuples)?;
    let lookup = existing::lookup(content)?;
    settings::with(lookup.settings, || {
        spi::write(&statement(content, &lookup), &arrays)
    })
}

/// UPDATE of every column but the key's, from arrays.
fn statement(content: &Target<ContentColumn>, lookup: &Lookup) -> String {
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
        same.push(lookup.same_user.to_owned());
    }
    format!(
        "UPDATE {} t SET {} FROM {} WHERE {}",
        content.name,
        set.join(", "),
        insert::relation(&names),
        same.join(" AND ")
    )
}

/// What the ledger keeps of `ready`'s row, if it was there: its `xmin`, and the row.
pub fn kept<'b>(before: &'b Before, key: &Key) -> Option<(&'b str, &'b str)> {
    let (xid, json) = before.get(key)?;
    Some((xid, json))
}
