//! The columns that tell a table's rows apart.

use pgrx::pg_sys;
use vector_migrate_core::encode::Column;
use vector_migrate_core::mapping::Word;
use vector_migrate_core::pipeline::Identity;

use super::attributes::Attribute;
use super::{Key, KeyColumn};
use crate::error::Error;
use crate::spi;

/// The columns that may tell rows apart, by what they have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// Those with the record's id, or what stands for it.
    pub id: Vec<String>,
    /// Those that all rows of a collection have the same in.
    pub collection: Vec<String>,
    /// The owner's.
    pub user: Vec<String>,
}

impl Roles {
    /// The roles of columns by their words.
    pub fn of(columns: &[Column]) -> Roles {
        let with = |is: &dyn Fn(&Word) -> bool| {
            let found = columns.iter().filter(|column| is(&column.word));
            found.map(|column| column.name.clone()).collect()
        };
        Roles {
            id: with(&|word| *word == Word::Id),
            collection: with(&Word::is_of_collection),
            user: with(&|word| *word == Word::Owner),
        }
    }

    /// The columns of the smallest unique index of `table` that has nothing but columns with a role, and an id's; without one, what
    /// tells records apart in Chroma: collection and id. `types`: a column's type as SQL. `None` if there is no id.
    ///
    /// # Errors
    /// The server's own.
    pub fn key<'t>(
        &self,
        table: pg_sys::Oid,
        types: impl Fn(&str) -> Option<&'t str>,
    ) -> Result<Option<Key>, Error> {
        let column = |name: &String| {
            types(name).map(|ty| KeyColumn {
                name: name.clone(),
                ty: ty.to_owned(),
            })
        };
        for index in unique_indexes(table)? {
            let first = |of: &[String]| index.iter().find(|it| of.contains(it));
            let known = |it: &String| {
                self.id.contains(it) || self.collection.contains(it) || self.user.contains(it)
            };
            if let Some(id) = first(&self.id).and_then(column)
                && index.iter().all(known)
            {
                return Ok(Some(Key {
                    id,
                    collection: first(&self.collection).and_then(column),
                    user: first(&self.user).and_then(column),
                }));
            }
        }
        let Some(id) = self.id.first().and_then(column) else {
            return Ok(None);
        };
        Ok(Some(Key {
            id,
            collection: self.collection.first().and_then(column),
            user: None,
        }))
    }
}

/// The columns of each unique index, the primary key's first, the smaller ones first.
fn unique_indexes(table: pg_sys::Oid) -> Result<Vec<Vec<String>>, Error> {
    let indexes = spi::look_up(
        "SELECT ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a \
                       WHERE a.attrelid OPERATOR(pg_catalog.=) i.indrelid \
                         AND a.attnum OPERATOR(pg_catalog.=) ANY ((i.indkey::pg_catalog.int2[]) \
                             [0:i.indnkeyatts OPERATOR(pg_catalog.-) 1]) \
                       ORDER BY a.attname) \
           FROM pg_catalog.pg_index i \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indisvalid \
            AND i.indpred IS NULL AND i.indexprs IS NULL \
          ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid",
        &[table.into()],
        |row| row.get::<Vec<String>>(1),
    )?;
    Ok(indexes.into_iter().flatten().collect())
}

/// What stands for the record's id in a table without a column for it: the one column of a unique index that a run can fill
/// itself, and the sequence of its numbers.
#[derive(Debug)]
pub struct StandIn {
    /// The column's name.
    pub name: String,
    /// What it gets.
    pub identity: Identity,
    /// Its sequence.
    pub sequence: Option<pg_sys::Oid>,
}

/// Looks for it; `None`: rows that a run puts in could not be found again.
///
/// # Errors
/// The server's own.
pub fn stand_in(
    table: pg_sys::Oid,
    attributes: &[Attribute],
    words: &[(String, Word)],
) -> Result<Option<StandIn>, Error> {
    for index in unique_indexes(table)? {
        let [name] = index.as_slice() else { continue };
        let word = words
            .iter()
            .find(|(it, _)| it == name)
            .map(|(_, word)| word);
        let Some(attribute) = attributes.iter().find(|it| it.name == *name) else {
            continue;
        };
        let found = |identity, sequence| StandIn {
            name: name.clone(),
            identity,
            sequence,
        };
        let uuid = attribute.base == pg_sys::UUIDOID;
        match word {
            Some(Word::NewUuid) => return Ok(Some(found(Identity::NewUuid, None))),
            None if uuid && attribute.has_default => {
                return Ok(Some(found(Identity::NewUuid, None)));
            }
            None if attribute.sequenced => {
                if let Some(sequence) = sequence(table, attribute.number)? {
                    return Ok(Some(found(Identity::Number, Some(sequence))));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The sequence that a column's default or identity takes its numbers from.
fn sequence(table: pg_sys::Oid, column: i16) -> Result<Option<pg_sys::Oid>, Error> {
    let found = spi::look_up_one(
        "SELECT q.oid FROM pg_catalog.pg_class q \
          WHERE q.relkind OPERATOR(pg_catalog.=) 'S' AND ( \
                EXISTS (SELECT FROM pg_catalog.pg_depend p \
                         WHERE p.objid OPERATOR(pg_catalog.=) q.oid \
                           AND p.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
                           AND p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
                           AND p.refobjid OPERATOR(pg_catalog.=) $1 \
                           AND p.refobjsubid OPERATOR(pg_catalog.=) $2::pg_catalog.int4 \
                           AND p.deptype OPERATOR(pg_catalog.=) 'i') \
             OR EXISTS (SELECT FROM pg_catalog.pg_attrdef f \
                          JOIN pg_catalog.pg_depend p ON p.objid OPERATOR(pg_catalog.=) f.oid \
                           AND p.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass \
                           AND p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
                           AND p.refobjid OPERATOR(pg_catalog.=) q.oid \
                         WHERE f.adrelid OPERATOR(pg_catalog.=) $1 \
                           AND f.adnum OPERATOR(pg_catalog.=) $2 \
                           AND pg_catalog.pg_get_expr(f.adbin, f.adrelid) OPERATOR(pg_catalog.~~) 'nextval(%')) \
          ORDER BY q.oid LIMIT 1",
        &[table.into(), column.into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    Ok(found.flatten())
}
