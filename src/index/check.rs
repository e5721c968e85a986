//! `check_vector_index`: the walk, for any HNSW index of pgvector's.

use pgrx::pg_sys;

use super::opened::Opened;
use super::proof::{self, Proof, Reach};
use super::{trial, which};
use crate::error::Error;
use crate::spi;
use crate::tables::Pgvector;

/// Walks through the index while nobody can write to its table.
///
/// # Errors
/// [`Error::NotOwner`], [`Error::NotAVectorIndex`]; what [`proof::prove`] says.
pub fn check(index: pg_sys::Oid) -> Result<Proof, Error> {
    let found = spi::look_up_one(
        "SELECT i.indrelid, c.oid::pg_catalog.regclass::pg_catalog.text, \
                pg_catalog.pg_has_role(c.relowner, 'USAGE') \
           FROM pg_catalog.pg_class c \
           LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid \
          WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[index.into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?,
                row.get::<String>(2)?.unwrap_or_default(),
                row.get::<bool>(3)?,
            ))
        },
    )?;
    let shown = |name: Option<String>| name.unwrap_or_else(|| u32::from(index).to_string());
    let Some((Some(table), name, owned)) = found else {
        return Err(Error::NotAVectorIndex(shown(found.map(|found| found.1))));
    };
    if owned != Some(true) {
        return Err(Error::NotOwner(name));
    }
    let pgvector = Pgvector::find()?;
    let opened = Opened::to_check(table, index);
    let described = which::index(table, index, &pgvector)?
        .filter(|_| trial::is_tested(&pgvector))
        .ok_or(Error::NotAVectorIndex(name))?;
    proof::prove(&opened, &described, Reach::Walked)
}
