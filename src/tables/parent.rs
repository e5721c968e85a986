//! The table that a target refers to for each collection: found by the foreign key of the column with the word `parent`, its
//! row by the collection's name.

use pgrx::pg_sys;
use vector_migrate_core::map::metadata_json;
use vector_migrate_core::record::{Collection, Metadata};

use super::{Attribute, Reference, attributes};
use crate::error::Error;
use crate::spi;

/// A table with a row for each collection.
#[derive(Debug, Clone)]
pub struct Parent {
    /// The table.
    pub oid: pg_sys::Oid,
    /// Qualified and quoted name.
    pub name: String,
    /// The column that is referred to, as the catalog has it.
    pub column: String,
    /// The same, quoted.
    key: String,
    /// Its type as SQL.
    key_type: String,
    /// The column for the collection's metadata, if it has one, quoted, and that column's type.
    metadata: Option<(String, String)>,
    /// What stands there for none: SQL's NULL in a column of type jsonb, as LangChain JS writes it, else JSON's null, as LangChain
    /// does.
    without: &'static str,
    /// A unique index says that a name comes once.
    unique: bool,
    /// The key can be Chroma's uuid of the collection; else it is left to its default.
    takes_uuids: bool,
}

/// A row of a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentRow {
    /// Its key as text.
    pub key: String,
    /// This run made it.
    pub made: bool,
}

/// The columns that a parent has to have, and may have.
const NAME: &str = "name";
const METADATA: &str = "cmetadata";

impl Parent {
    /// The parent of the column `number` of `table`, whose name `shown` and `column` errors show.
    ///
    /// # Errors
    /// [`Error::NoParent`]; the server's own.
    pub fn find(
        table: pg_sys::Oid,
        number: i16,
        (shown, column): (&str, &str),
    ) -> Result<Parent, Error> {
        let none = |detail: &str| Error::NoParent {
            target: shown.to_owned(),
            column: column.to_owned(),
            detail: detail.to_owned(),
        };
        let referred = Reference::of(table, number)?;
        let Reference {
            table: oid,
            name,
            column: referred,
            ty: key_type,
        } = referred.ok_or_else(|| none("It has no foreign key."))?;
        let key = spi::ident(&referred);
        let columns = attributes(oid)?;
        let column = |wanted: &str| columns.iter().find(|it| it.name == wanted);
        if column(NAME).is_none() {
            return Err(none(&format!("{name} has no column \"{NAME}\".")));
        }
        let is_key = |it: &Attribute| it.name == referred;
        let uuids = |it: &Attribute| it.category == "S" || it.base == pg_sys::UUIDOID;
        let takes_uuids = columns.iter().any(|it| is_key(it) && uuids(it));
        let unfillable = |it: &&Attribute| {
            let filled = it.name == NAME || it.name == METADATA || (takes_uuids && is_key(it));
            it.not_null && !it.has_default && !it.generated && !filled
        };
        if let Some(other) = columns.iter().find(unfillable) {
            return Err(none(&format!(
                "Column \"{}\" of {name} is not null and has no default.",
                other.name
            )));
        }
        let metadata = column(METADATA).map(|it| (spi::ident(METADATA), it.qualified.clone()));
        let without = match column(METADATA).map(|it| it.base) {
            Some(pg_sys::JSONBOID) => "NULL",
            _ => "'null'",
        };
        let unique = spi::look_up_one(
            "SELECT true FROM pg_catalog.pg_index i \
              WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
                AND i.indnkeyatts OPERATOR(pg_catalog.=) 1 AND i.indkey[0] OPERATOR(pg_catalog.=) $2",
            &[oid.into(), column(NAME).map_or(0, |it| it.number).into()],
            |row| row.get::<bool>(1),
        )?;
        Ok(Parent {
            oid,
            name,
            key,
            column: referred,
            key_type,
            metadata,
            without,
            unique: unique.is_some(),
            takes_uuids,
        })
    }

    /// The key of the row of this name, as text; `None` if there is none. Of several the first.
    ///
    /// # Errors
    /// The server's own, as for want of the SELECT privilege.
    pub fn key_of(&self, name: &str) -> Result<Option<String>, Error> {
        let Parent {
            name: table, key, ..
        } = self;
        let found = spi::read_one(
            &format!(
                "SELECT t.{key}::pg_catalog.text FROM {table} t \
                  WHERE t.{NAME}::pg_catalog.text OPERATOR(pg_catalog.=) $1 ORDER BY t.ctid LIMIT 1"
            ),
            &[name.into()],
            |row| row.get::<String>(1),
        )?;
        Ok(found.flatten())
    }

    /// The row of this name, made for `collection` if it is missing.
    ///
    /// # Errors
    /// The server's own, as for want of the INSERT privilege.
    pub fn row(&self, name: &str, collection: &Collection) -> Result<ParentRow, Error> {
        let there = |key| ParentRow { key, made: false };
        if let Some(key) = self.key_of(name)? {
            return Ok(there(key));
        }
        let Parent {
            name: table,
            key,
            key_type,
            metadata,
            ..
        } = self;
        // A uuid of Chroma's that another row has already, as one that was renamed, is no key for a new one.
        let (mut columns, mut values) = match self.takes_uuids {
            true => (
                format!("{key}, {NAME}"),
                format!(
                    "(SELECT CASE WHEN EXISTS (SELECT FROM {table} t WHERE t.{key}::pg_catalog.text OPERATOR(pg_catalog.=) $1) \
                                  THEN pg_catalog.gen_random_uuid()::pg_catalog.text ELSE $1 END)::{key_type}, $2"
                ),
            ),
            false => (NAME.to_owned(), "$2".to_owned()),
        };
        if let Some((column, ty)) = metadata {
            columns += &format!(", {column}");
            values += &format!(", coalesce($3, {})::{ty}", self.without);
        }
        // Another session may make it at the same time.
        let conflict = match self.unique {
            true => " ON CONFLICT DO NOTHING",
            false => "",
        };
        let sql = format!(
            "INSERT INTO {table} ({columns}) SELECT {values} WHERE $1 IS NOT NULL AND ($3 IS NULL OR true){conflict} \
             RETURNING {key}::pg_catalog.text"
        );
        let own = own_metadata(&collection.metadata);
        let args = [collection.id.clone().into(), name.into(), own.into()];
        let made = spi::write_returning(&sql, &args, |row| row.get::<String>(1))?;
        match made.into_iter().flatten().next() {
            Some(key) => Ok(ParentRow { key, made: true }),
            None => {
                let key = self.key_of(name)?;
                let gone = || Error::Bug(format!("a row of {table} is not there"));
                key.map(there).ok_or_else(gone)
            }
        }
    }
}

/// The application's own metadata of a collection as JSON, without Chroma's settings; `None` where nothing is left.
fn own_metadata(metadata: &Metadata) -> Option<String> {
    let mut own = Metadata::default();
    for (key, value) in metadata.iter() {
        if !key.starts_with("hnsw:") {
            own.set(key, value.clone());
        }
    }
    (!own.is_empty()).then(|| metadata_json(&own))
}
