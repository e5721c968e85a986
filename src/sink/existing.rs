//! Which of a batch's keys the target has already.

use std::collections::HashSet;

use vector_migrate_core::encode::ContentColumn;
use vector_migrate_core::pipeline::Row;

use crate::error::Error;
use crate::spi;
use crate::tables::{KeyPart, Target};

/// A row's key as far as it varies within one collection: id, and owner where the key has one.
pub type Key = (String, Option<String>);

/// The key of `row` in `target`.
pub fn key_of(target: &Target<ContentColumn>, row: &Row) -> Key {
    let user = target
        .key
        .contains(&KeyPart::User)
        .then(|| row.user.clone())
        .flatten();
    (row.key.clone(), user)
}

/// The condition that picks rows `t` of one collection by id: parameter 1 is an array of ids as text,
/// parameter 2 the collection's name.
pub fn condition(target: &Target<ContentColumn>) -> String {
    let ty = target
        .sql_type(ContentColumn::Id)
        .unwrap_or("pg_catalog.text");
    let collection = if target.key.contains(&KeyPart::Collection) {
        "t.chroma_collection OPERATOR(pg_catalog.=) $2"
    } else {
        "$2 IS NOT NULL"
    };
    format!("t.id OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::{ty}[]) AND {collection}")
}

/// The keys of `rows`, all of one collection, that `target` has already.
///
/// # Errors
/// The server's own, as for want of the SELECT privilege.
pub fn existing(
    target: &Target<ContentColumn>,
    collection: &str,
    rows: &[&Row],
) -> Result<HashSet<Key>, Error> {
    let user = if target.key.contains(&KeyPart::User) {
        "t.user_id::pg_catalog.text"
    } else {
        "NULL::pg_catalog.text"
    };
    let ids: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
    let found = spi::read(
        &format!(
            "SELECT t.id::pg_catalog.text, {user} FROM {} t WHERE {}",
            target.name,
            condition(target)
        ),
        &[ids.into(), collection.into()],
        |row| {
            Ok((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<String>(2)?,
            ))
        },
    )?;
    Ok(found.into_iter().collect())
}
