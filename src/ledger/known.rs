//! The records whose rows a table has by the ledger, where no column of it has their ids.

use std::ops::ControlFlow;

use vector_migrate_core::seen::KnownKeys;

use super::RunCollection;
use super::owner::as_owner;
use crate::error::Error;
use crate::rows::{self, Texts};
use crate::spi;
use crate::tables::Target;

/// Adds to `known` the ids of records of these collections whose rows `target` has: rows that were removed since are not
/// known, and their records come again.
///
/// # Errors
/// The server's own, as for want of the SELECT privilege.
pub fn known_records(
    target: &Target,
    collections: &[RunCollection],
    known: &mut KnownKeys,
) -> Result<(), Error> {
    let mut parameter = vec![u32::from(target.oid).to_string()];
    parameter.extend(collections.iter().map(|it| it.source.clone()));
    let mut entries: Vec<(String, String, String)> = Vec::new();
    let mut take = |row: &Texts<'_>| {
        let text = |at| row.get(at).unwrap_or_default().to_owned();
        entries.push((text(0), text(1), text(2)));
        ControlFlow::Continue(())
    };
    let sql = "SELECT b.source, u.record, u.key \
                 FROM vector_migrate.run_rows b, unnest(b.records, b.keys) AS u(record, key) \
                WHERE b.target OPERATOR(pg_catalog.=) ($1)[1]::pg_catalog.oid \
                  AND b.source OPERATOR(pg_catalog.=) ANY (($1)[2:]) AND u.record IS NOT NULL";
    as_owner(|| rows::each_text(sql, &parameter, &mut take))?;
    if entries.is_empty() {
        return Ok(());
    }
    let key = &target.key.id;
    let keys: Vec<String> = entries.iter().map(|(_, _, key)| key.clone()).collect();
    let sql = format!(
        "SELECT t.{id}::pg_catalog.text FROM {table} t \
          WHERE t.{id} OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::{ty}[])",
        id = spi::ident(&key.name),
        table = target.name,
        ty = key.ty,
    );
    let mut there = std::collections::HashSet::new();
    let mut take = |row: &Texts<'_>| {
        there.insert(row.get(0).unwrap_or_default().to_owned());
        ControlFlow::Continue(())
    };
    rows::each_text(&sql, &keys, &mut take)?;
    for (source, record, _) in entries.iter().filter(|(_, _, key)| there.contains(key)) {
        known.insert(source, record, None);
    }
    Ok(())
}
