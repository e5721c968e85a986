//! How rows of a table are found by many keys at once.

use pgrx::pg_sys;

use super::{Key, KeyColumn};
use crate::error::Error;
use crate::settings::{self, Setting};
use crate::spi;

/// Finding rows `t` of a table by rows `r(key, collection, user_id)` of texts.
#[derive(Debug)]
pub struct Lookup {
    /// The condition that joins them.
    pub condition: String,
    /// The columns of the table that are compared, the id first.
    pub columns: Vec<String>,
    /// A unique index on them says that no two rows are found by one key.
    pub unique: bool,
    /// The settings under which statements with [`Lookup::condition`] are planned.
    pub settings: &'static [Setting<'static>],
    /// The owner's part of it, for owners given as their own type in the column of that name of `u`; empty where they are no part.
    pub same_user: String,
}

impl Lookup {
    /// The lookup for `table`.
    ///
    /// # Errors
    /// The server's own.
    pub fn new(table: pg_sys::Oid, key: &Key) -> Result<Lookup, Error> {
        let (id, ty) = (spi::ident(&key.id.name), &key.id.ty);
        let mut condition = format!("t.{id} OPERATOR(pg_catalog.=) r.key::{ty}");
        let mut columns = vec![key.id.name.clone()];
        let mut indexable = true;
        if let Some(KeyColumn { name, ty }) = &key.collection {
            // Compared with a column of `r`, not with a constant: the planner must not take an index on the
            // collection alone for selective.
            let column = spi::ident(name);
            condition += &format!(" AND t.{column} OPERATOR(pg_catalog.=) r.collection::{ty}");
            columns.push(name.clone());
        }
        // IS NOT DISTINCT FROM would take its operator from the caller's search_path.
        let mut same_user = String::new();
        if let Some(KeyColumn { name, ty }) = &key.user {
            let user = spi::ident(name);
            columns.push(name.clone());
            if is_required(table, name)? {
                // An index can serve this one.
                condition += &format!(" AND t.{user} OPERATOR(pg_catalog.=) r.user_id::{ty}");
                same_user = format!("t.{user} OPERATOR(pg_catalog.=) u.{user}");
            } else {
                indexable = false;
                condition += &format!(
                    " AND (t.{user}::pg_catalog.text OPERATOR(pg_catalog.=) r.user_id \
                               OR t.{user} IS NULL AND r.user_id IS NULL)"
                );
                same_user = format!(
                    "(t.{user} OPERATOR(pg_catalog.=) u.{user} OR t.{user} IS NULL AND u.{user} IS NULL)"
                );
            }
        }
        let indexed = columns.len() - usize::from(!indexable);
        let (settings, unique) = settings_for(table, columns.iter().take(indexed))?;
        Ok(Lookup {
            condition,
            columns,
            unique,
            settings,
            same_user,
        })
    }
}

fn is_required(table: pg_sys::Oid, column: &str) -> Result<bool, Error> {
    let required = spi::look_up_one(
        "SELECT a.attnotnull FROM pg_catalog.pg_attribute a \
          WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attname OPERATOR(pg_catalog.=) $2",
        &[table.into(), column.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(required.flatten().unwrap_or_default())
}

/// The settings that make a join on `columns`, the id first, go through an index where there is one for it:
/// a unique index without other columns, or any that begins with the id. And whether there is such a unique index.
fn settings_for<'c>(
    table: pg_sys::Oid,
    columns: impl Iterator<Item = &'c String>,
) -> Result<(&'static [Setting<'static>], bool), Error> {
    let indexes = spi::look_up(
        "SELECT i.indisunique AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a \
                  WHERE a.attrelid OPERATOR(pg_catalog.=) i.indrelid \
                    AND a.attnum OPERATOR(pg_catalog.=) ANY ((i.indkey::pg_catalog.int2[]) \
                          [0:i.indnkeyatts OPERATOR(pg_catalog.-) 1]) \
                    AND a.attname OPERATOR(pg_catalog.<>) ALL ($2::pg_catalog.name[])), \
                f.attname OPERATOR(pg_catalog.=) ($2::pg_catalog.name[])[1] \
           FROM pg_catalog.pg_index i \
           JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
           JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) c.relam \
           JOIN pg_catalog.pg_attribute f ON f.attrelid OPERATOR(pg_catalog.=) i.indrelid \
            AND f.attnum OPERATOR(pg_catalog.=) i.indkey[0] \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisvalid AND i.indpred IS NULL \
            AND i.indexprs IS NULL AND m.amname OPERATOR(pg_catalog.=) 'btree'",
        &[table.into(), columns.cloned().collect::<Vec<_>>().into()],
        |row| {
            Ok((
                row.get::<bool>(1)? == Some(true),
                row.get::<bool>(2)? == Some(true),
            ))
        },
    )?;
    Ok(if indexes.iter().any(|(unique, _)| *unique) {
        (settings::BY_UNIQUE_INDEX, true)
    } else if indexes.iter().any(|(_, id_first)| *id_first) {
        (settings::BY_INDEX, false)
    } else {
        (&[], false)
    })
}
