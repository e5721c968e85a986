//! Which of a batch's keys the target has already.

use std::collections::HashSet;

use pgrx::datum::DatumWithOid;
use vector_migrate_core::encode::ContentColumn;
use vector_migrate_core::pipeline::EncodedRow;

use crate::error::Error;
use crate::tables::{KeyColumns, KeyPart, Lookup, Target};
use crate::{settings, spi};

/// A row's key as far as it varies within one collection: id, and owner where the key has one.
pub type TargetKey = (String, Option<String>);

/// The key of `row` in `target`.
pub fn key_of(target: &Target<ContentColumn>, row: &EncodedRow) -> TargetKey {
    let user = target
        .key
        .contains(&KeyPart::User)
        .then(|| row.user.clone())
        .flatten();
    (row.key.clone(), user)
}

/// How rows of `target` are found by their keys.
///
/// # Errors
/// The server's own.
pub fn lookup(target: &Target<ContentColumn>) -> Result<Lookup, Error> {
    let ty = |column| target.sql_type(column).unwrap_or("pg_catalog.text");
    let parts = KeyColumns {
        id: ("id", ty(ContentColumn::Id)),
        collection: target.key.contains(&KeyPart::Collection),
        user: target
            .key
            .contains(&KeyPart::User)
            .then(|| ty(ContentColumn::UserId)),
    };
    Lookup::new(target.oid, parts)
}

/// Keys of one collection as the relation of a [`Lookup`]: [`key_arrays`] are the parameters from 1 on.
pub const KEYS: &str = "unnest($1, $2, pg_catalog.array_fill($3, ARRAY[pg_catalog.cardinality($1)])) \
                        AS r(key, user_id, collection)";

/// The parameters of [`KEYS`].
pub fn key_arrays<'a>(
    target: &Target<ContentColumn>,
    collection: &str,
    rows: impl Iterator<Item = &'a EncodedRow>,
) -> [DatumWithOid<'static>; 3] {
    let (ids, users): (Vec<String>, Vec<Option<String>>) =
        rows.map(|row| key_of(target, row)).unzip();
    [ids.into(), users.into(), collection.to_owned().into()]
}

/// The keys of `rows`, all of one collection, that `target` has already.
///
/// # Errors
/// The server's own, as for want of the SELECT privilege.
pub fn existing(
    target: &Target<ContentColumn>,
    collection: &str,
    rows: &[&EncodedRow],
) -> Result<HashSet<TargetKey>, Error> {
    let user = if target.key.contains(&KeyPart::User) {
        "t.user_id::pg_catalog.text"
    } else {
        "NULL::pg_catalog.text"
    };
    let lookup = lookup(target)?;
    let sql = format!(
        "SELECT t.id::pg_catalog.text, {user} FROM {KEYS} JOIN {} t ON {}",
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
