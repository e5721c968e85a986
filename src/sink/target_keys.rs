//! The keys that the target has, learned before the first record is read.
//!
//! The reader then leaves out what the target has without reading its vector or mapping it, and no batch has to be
//! looked up. Only where the target is not much larger than the store; else each batch asks for its own keys.

use std::ops::ControlFlow;

use vector_migrate_core::encode::ContentColumn;
use vector_migrate_core::seen::KnownKeys;

use crate::error::Error;
use crate::rows::{self, Texts};
use crate::tables::{KeyPart, Target};
use crate::{guc, settings, spi};

/// Memory that a key takes, in bytes, and a row of the target at least.
const KEY_BYTES: u64 = 40;
const ROW_BYTES: i64 = 1_000;

/// The keys of `target` in the collections `names`, of which the store has `records` records; `None` if there may
/// be too many.
///
/// # Errors
/// The server's own, as for want of the SELECT privilege.
pub fn known_keys(
    target: &Target<ContentColumn>,
    names: &[String],
    records: u64,
) -> Result<Option<KnownKeys>, Error> {
    let has = |part| target.key.contains(&part);
    let mut known = KnownKeys::new(has(KeyPart::Collection), has(KeyPart::User));
    if target.created {
        return Ok(Some(known));
    }
    if !target.versioned {
        return Ok(None);
    }
    let worth = records.saturating_mul(4).saturating_add(50_000);
    let most = worth.min(guc::max_memory_bytes() / 4 / KEY_BYTES);
    if rows_about(target)? > most {
        return Ok(None);
    }
    let mut count = 0_u64;
    let user = if has(KeyPart::User) {
        "t.user_id::pg_catalog.text"
    } else {
        "NULL::pg_catalog.text"
    };
    let (collection, wanted) = if has(KeyPart::Collection) {
        (
            "t.chroma_collection",
            "t.chroma_collection OPERATOR(pg_catalog.=) ANY ($1)",
        )
    } else {
        ("''", "$1 IS NOT NULL")
    };
    let sql = format!(
        "SELECT t.id::pg_catalog.text, {collection}::pg_catalog.text, {user} FROM {} t WHERE {wanted}",
        target.name
    );
    let mut take = |row: &Texts<'_>| {
        known.insert(
            row.get(1).unwrap_or_default(),
            row.get(0).unwrap_or_default(),
            row.get(2),
        );
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
    settings::with(how, || rows::each_text(&sql, names, &mut take))?;
    Ok((count <= most).then_some(known))
}

/// Whether most pages of the target are marked as visible to everybody.
fn mostly_visible(target: &Target<ContentColumn>) -> Result<bool, Error> {
    let visible = spi::read_one(
        "SELECT c.relallvisible OPERATOR(pg_catalog.>) (c.relpages OPERATOR(pg_catalog./) 2) \
           FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[target.oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(visible.flatten().unwrap_or(false))
}

/// About how many rows the target has, rather too many; 0 if it has none. Partitions are not looked at.
fn rows_about(target: &Target<ContentColumn>) -> Result<u64, Error> {
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
