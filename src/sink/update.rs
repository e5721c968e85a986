//! Rows that are there already, overwritten: `on_conflict => 'update'`.

use std::collections::{BTreeSet, HashMap};

use pgrx::spi::{SpiHeapTupleData, SpiResult};
use vector_migrate_core::encode::Column;
use vector_migrate_core::mapping::Word;

use super::Described;
use super::embed::EmbeddedRow;
use super::existing::{self, TargetKey, key_of};
use crate::error::Error;
use crate::load::Destination;
use crate::tables::{KeyColumn, Known, Lookup, RunKeys, RunTable, Target};
use crate::{settings, spi};

/// What was there, by the record that overwrites it (its collection's index, and its key): the `xmin` (as text) and what
/// the ledger keeps to put it back.
///
/// The collection is part of it whether it is part of the table's key or not. Where it is, records of one id in two
/// collections overwrite two rows; where it is not, one run takes only one of them (`id_collision`).
pub type Before = HashMap<(usize, TargetKey), (String, String)>;

/// Keeps what `rows`, all of one collection (of this index, and what the key has for it), are about to overwrite, and locks it.
///
/// # Errors
/// The server's own.
pub fn keep(
    described: &Described,
    (index, collection): (usize, &str),
    rows: &[&EmbeddedRow],
) -> Result<Before, Error> {
    let content = described.content.as_ref();
    let table = content_table(content)?;
    let (id, user) = existing::shown_key(&content.key);
    let (xid, lock) = if content.versioned {
        ("t.xmin::pg_catalog.text", "FOR UPDATE OF t")
    } else {
        ("'0'", "")
    };
    let lookup = existing::lookup(content)?;
    let sql = format!(
        "SELECT {id}, {user}, {xid}, {row}::pg_catalog.text \
           FROM {keys} JOIN {name} t ON {condition} {lock}",
        row = table.row_as_text("t"),
        keys = existing::KEYS,
        name = content.name,
        condition = lookup.condition,
    );
    let keys = existing::key_arrays(
        content,
        collection,
        rows.iter().map(|embedded| &embedded.row),
    );
    let (kept, mut entities) = settings::with(settings::EXACT_TEXT, || {
        let kept = settings::with(lookup.settings, || {
            spi::write_returning(&sql, &keys, |row| {
                let key: TargetKey = (text(row, 1)?, row.get(2)?);
                Ok((key, text(row, 3)?, text(row, 4)?))
            })
        })?;
        let owners = owners(content, rows);
        let entities = match &described.entity {
            Some(entity) => {
                let table = entity_table(entity, &table)?;
                let texts = table.entities_as_text(&keys_of(content, collection, &owners))?;
                let by_number = owners.into_iter().zip(0..);
                let entities = by_number.filter_map(|(key, n)| Some((key, texts.get(&n)?.clone())));
                entities.collect()
            }
            None => HashMap::new(),
        };
        Ok::<_, Error>((kept, entities))
    })?;
    Ok(kept
        .into_iter()
        .map(|(key, xid, row)| {
            let entities = entities.remove(&key);
            let entities = entities.as_deref().unwrap_or("null");
            let json = format!("{{\"row\": {row}, \"entities\": {entities}}}");
            ((index, key), (xid, json))
        })
        .collect())
}

fn text(row: &SpiHeapTupleData<'_>, at: usize) -> SpiResult<String> {
    Ok(row.get(at)?.unwrap_or_default())
}

fn gone(name: &str) -> Error {
    Error::Bug(format!("{name} is gone"))
}

/// What is written now has the `xmin` that it has.
const NOW: Known = Known {
    users: None,
    xmin: true,
};

fn content_table(content: &Target) -> Result<RunTable, Error> {
    RunTable::content(content.oid, &content.roles(), NOW)?.ok_or_else(|| gone(&content.name))
}

fn entity_table(entity: &Target, content: &RunTable) -> Result<RunTable, Error> {
    RunTable::entity(entity.oid, content, NOW)?.ok_or_else(|| gone(&entity.name))
}

/// The keys of `rows`, each once.
fn owners(content: &Target, rows: &[&EmbeddedRow]) -> BTreeSet<TargetKey> {
    let keys = rows.iter().map(|embedded| key_of(content, &embedded.row));
    keys.collect()
}

/// The content rows of these keys, numbered in order, as entity rows refer to them.
fn keys_of(content: &Target, collection: &str, owners: &BTreeSet<TargetKey>) -> RunKeys {
    let users = owners.iter().map(|(_, user)| user.clone()).collect();
    RunKeys {
        collection: collection.to_owned(),
        number: (0..).take(owners.len()).collect(),
        key: owners.iter().map(|(id, _)| id.clone()).collect(),
        user: content.key.user.as_ref().map(|_| users),
        ..RunKeys::default()
    }
}

/// Overwrites the rows in `into`, which is the content table itself, and removes the entity rows of what was there.
/// Gives the number of rows that the server says it changed.
///
/// # Errors
/// The server's own.
pub fn overwrite(
    described: &Described,
    into: &Destination,
    collection: &str,
    rows: &[&EmbeddedRow],
) -> Result<u64, Error> {
    let content = described.content.as_ref();
    if let Some(entity) = &described.entity {
        let table = entity_table(entity, &content_table(content)?)?;
        table.remove(&keys_of(content, collection, &owners(content, rows)), true)?;
    }
    let tuples: Vec<Vec<u8>> = rows.iter().map(|it| it.content_tuple()).collect();
    let lookup = existing::lookup(content)?;
    settings::with(lookup.settings, || {
        into.run_over(&tuples, |rows| statement(content, &lookup, rows))
    })
}

/// UPDATE of every column but the key's from `rows`, a subquery that can be read once: a join may read its result again.
fn statement(content: &Target, lookup: &Lookup, rows: &str) -> String {
    let key = &content.key;
    let parts = [Some(&key.id), key.collection.as_ref(), key.user.as_ref()];
    let parts: Vec<&str> = parts
        .into_iter()
        .flatten()
        .map(|it| it.name.as_str())
        .collect();
    // A row keeps the uuid that it got when it came.
    let stays =
        |column: &&Column| parts.contains(&column.name.as_str()) || column.word == Word::NewUuid;
    let columns = content.columns.iter().filter(|column| !stays(column));
    let set: Vec<String> = columns
        .map(|column| spi::ident(&column.name))
        .map(|name| format!("{name} = u.{name}"))
        .collect();
    let same = |column: &KeyColumn| {
        let name = spi::ident(&column.name);
        format!("t.{name} OPERATOR(pg_catalog.=) u.{name}")
    };
    let mut all = vec![same(&key.id)];
    all.extend(key.collection.as_ref().map(same));
    all.extend(key.user.as_ref().map(|_| lookup.same_user.clone()));
    format!(
        "WITH u AS MATERIALIZED ({rows}) UPDATE {} t SET {} FROM u WHERE {}",
        content.name,
        set.join(", "),
        all.join(" AND ")
    )
}
