//! Which of a batch's keys the target has already.

use std::collections::HashSet;

use pgrx::datum::DatumWithOid;
use vector_migrate_core::pipeline::EncodedRow;

use crate::error::Error;
use crate::tables::{Key, Lookup, Target};
use crate::{settings, spi};

/// A row's key as far as it varies within one collection: id, and owner where the key has one.
pub type TargetKey = (String, Option<String>);

/// The key of `row` in `target`.
pub fn key_of(target: &Target, row: &EncodedRow) -> TargetKey {
    let user = target.key.user.as_ref().and(row.user.clone());
    (row.key.clone(), user)
}

/// How rows of `target` are found by their keys.
///
/// # Errors
/// The server's own.
pub fn lookup(target: &Target) -> Result<Lookup, Error> {
    Lookup::new(target.oid, &target.key)
}

/// The id and the owner of rows `t`, as texts: NULL for an owner that is no part of the key.
pub fn shown_key(key: &Key) -> (String, String) {
    let text = |name: &str| format!("t.{}::pg_catalog.text", spi::ident(name));
    let user = key.user.as_ref().map(|user| text(&user.name));
    (
        text(&key.id.name),
        user.unwrap_or_else(|| "NULL::pg_catalog.text".to_owned()),
    )
}

/// Keys of one collection as the relation of a [`Lookup`]: [`key_arrays`] are the parameters from 1 on.
pub const KEYS: &str = "unnest($1, $2, pg_catalog.array_fill($3, ARRAY[pg_catalog.cardinality($1)])) \
                        AS r(key, user_id, collection)";

/// The parameters of [`KEYS`].
pub fn key_arrays<'a>(
    target: &Target,
    collection: &str,
    rows: impl Iterator<Item = &'a EncodedRow>,
) -> [DatumWithOid<'static>; 3] {
    let (ids, users): (Vec<String>, Vec<Option<String>>) =
        rows.map(|row| key_of(target, row)).unzip();
    [ids.into(), users.into(), collection.to_owned().into()]
}

/// The keys of `rows`, all of one collection (which `key` has as `collection`), that `target` has already, by this key of its.
///
/// # Errors
/// The server's own, as for want of the SELECT privilege.
pub fn existing(
    target: &Target,
    key: &Key,
    collection: &str,
    rows: &[&EncodedRow],
) -> Result<HashSet<TargetKey>, Error> {
    let (id, user) = shown_key(key);
    let lookup = Lookup::new(target.oid, key)?;
    let sql = format!(
        "SELECT {id}, {user} FROM {KEYS} JOIN {} t ON {}",
        target.name, lookup.condition
    );
    let keys = key_arrays(target, collection, rows.iter().copied());
    let found = settings::with(lookup.settings, || {
        spi::read(&sql, &keys, |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<String>(2)?,
            ))
        })
    })?;
    Ok(found.into_iter().collect())
}
