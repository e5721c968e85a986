//! The keys that the target has, learned before the first record is read.
//!
//! The reader then leaves out what the target has without reading its vector or mapping it, and no batch has to be
//! looked up. Only where the target is not much larger than the store; else each batch asks for its own keys.

use std::ops::ControlFlow;

use vector_migrate_core::pipeline::Identity;
use vector_migrate_core::seen::KnownKeys;

use super::existing::shown_key;
use crate::error::Error;
use crate::ledger::{self, RunCollection};
use crate::rows::{self, Texts};
use crate::tables::{KeyColumn, Lookup, Target};
use crate::{guc, settings, spi};

/// Memory that a key takes, in bytes, and a row of the target at least.
const KEY_BYTES: u64 = 40;
const ROW_BYTES: i64 = 1_000;

/// What is known of a target's keys.
#[derive(Debug, Default)]
pub struct Known {
    /// All of them; `None`: too many.
    pub keys: Option<KnownKeys>,
    /// The same with the collection of their rows, where the key does not have it.
    pub of_collections: Option<KnownKeys>,
}

/// The keys of `target` in these collections, of which the store has `records` records; `None` if there may be too many. Of a
/// table without a column for the record's id, the ids that the ledger has for rows which are there.
///
/// # Errors
/// The server's own, as for want of the SELECT privilege.
pub fn known_keys(
    target: &Target,
    collections: &[RunCollection],
    records: u64,
) -> Result<Known, Error> {
    let key = &target.key;
    let mut known = KnownKeys::new(target.per_collection(), key.user.is_some());
    let whole = |keys, of_collections| Known {
        keys: Some(keys),
        of_collections,
    };
    if target.created {
        return Ok(whole(known, None));
    }
    if target.identity != Identity::Record {
        ledger::known_records(target, collections, &mut known)?;
        return Ok(whole(known, None));
    }
    if !target.versioned {
        return Ok(Known::default());
    }
    // Without an index on the key, each batch would be a scan: as many keys as memory has room for are better read once.
    let indexed = !Lookup::new(target.oid, key)?.settings.is_empty();
    let worth = match indexed {
        true => records.saturating_mul(4).saturating_add(50_000),
        false => u64::MAX,
    };
    let most = worth.min(guc::max_memory_bytes() / 4 / KEY_BYTES);
    if rows_about(target)? > most {
        return Ok(Known::default());
    }
    let mut beside = (target.collection_beside.as_ref()).map(|_| KnownKeys::new(true, false));
    let mut count = 0_u64;
    let (id, user) = shown_key(key);
    let column = |name: &str| format!("t.{}", spi::ident(name));
    let (collection, wanted) = match (&key.collection, &target.collection_beside) {
        (Some(KeyColumn { name, ty }), _) => {
            let column = column(name);
            let wanted =
                format!("{column} OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::{ty}[])");
            (column, wanted)
        }
        (None, Some(beside)) => (column(&beside.name), "$1 IS NOT NULL".to_owned()),
        (None, None) => ("''".to_owned(), "$1 IS NOT NULL".to_owned()),
    };
    let sql = format!(
        "SELECT {id}, {collection}::pg_catalog.text, {user} FROM {} t WHERE {wanted}",
        target.name
    );
    let keys: Vec<String> = collections.iter().map(|it| it.key.clone()).collect();
    let mut take = |row: &Texts<'_>| {
        let (id, collection) = (
            row.get(0).unwrap_or_default(),
            row.get(1).unwrap_or_default(),
        );
        known.insert(collection, id, row.get(2));
        if let Some(beside) = &mut beside {
            beside.insert(collection, id, None);
        }
        count += 1;
        // The estimate may be wrong, as for a table with partitions.
        if count > most {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    // What vacuum has marked as visible is read from the index alone.
    let how = if mostly_visible(target)? {
        &[]
    } else {
        settings::WHOLE
    };
    settings::with(how, || rows::each_text(&sql, &keys, &mut take))?;
    Ok(match count <= most {
        true => whole(known, beside),
        false => Known::default(),
    })
}

/// Whether most pages of the target are marked as visible to everybody.
fn mostly_visible(target: &Target) -> Result<bool, Error> {
    let visible = spi::read_one(
        "SELECT c.relallvisible OPERATOR(pg_catalog.>) (c.relpages OPERATOR(pg_catalog./) 2) \
           FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[target.oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(visible.flatten().unwrap_or(false))
}

/// About how many rows the target has, rather too many; 0 if it has none. Partitions are not looked at.
fn rows_about(target: &Target) -> Result<u64, Error> {
    let some = spi::read_one(
        &format!("SELECT true FROM {} LIMIT 1", target.name),
        &[],
        |row| row.get::<bool>(1),
    )?;
    if some.is_none() {
        return Ok(0);
    }
    let rows = spi::read_one(
        "SELECT greatest(c.reltuples::pg_catalog.int8, \
                         pg_catalog.pg_table_size(c.oid) OPERATOR(pg_catalog./) $2) \
           FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[target.oid.into(), ROW_BYTES.into()],
        |row| row.get::<i64>(1),
    )?;
    let rows = rows.flatten().and_then(|rows| u64::try_from(rows).ok());
    Ok(rows.unwrap_or(u64::MAX))
}
