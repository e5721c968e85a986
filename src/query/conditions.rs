//! Which rows of a table: Chroma's filters, a collection, ids, as SQL and its parameters.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use super::shape::{Membership, Shape};
use crate::error::Error;
use crate::spi;

/// What a caller asks for.
#[derive(Debug, Default)]
pub struct Filters {
    /// Chroma's `where`, as JSON.
    pub metadata: Option<String>,
    /// Chroma's `where_document`, as JSON.
    pub document: Option<String>,
    /// The collection.
    pub collection: Option<String>,
}

/// Conditions on a row `t`, whose parameters are `$2` to `$5`; all of them are there in every case, so that their types are known.
#[derive(Debug)]
pub struct Conditions {
    /// What has to hold.
    sql: Vec<String>,
    /// `$2` and `$3`: the filters.
    metadata: Option<String>,
    document: Option<String>,
    /// `$4`: the collection, or the keys of the rows of its name.
    collection: Option<Vec<String>>,
    /// `$5`: ids.
    ids: Option<Vec<String>>,
}

impl Conditions {
    /// The conditions for rows of a table of this shape. The extension's own functions are in the schema `own`.
    ///
    /// # Errors
    /// [`Error::BadArgument`] for what the table cannot tell; the server's own.
    pub fn new(shape: &Shape, filters: Filters, own: &str) -> Result<Conditions, Error> {
        let Filters {
            metadata,
            document,
            collection,
        } = filters;
        let mut sql = Vec::new();
        if let Some(filter) = &metadata {
            sql.push(of_metadata(shape, filter, own)?);
        }
        if let Some(filter) = &document {
            let text = shape.document.as_ref().ok_or_else(|| Error::BadArgument {
                argument: "document_filter",
                value: filter.clone(),
                hint: format!("{} has no column with documents.", shape.table),
            })?;
            sql.push(format!(
                "{own}.chroma_document({text}, $3::pg_catalog.text::pg_catalog.jsonb)"
            ));
        }
        let collection = match collection {
            None => None,
            Some(name) => {
                let (condition, keys) = of_collection(shape, name)?;
                sql.push(condition);
                Some(keys)
            }
        };
        Ok(Conditions {
            sql,
            metadata,
            document,
            collection,
            ids: None,
        })
    }

    /// The same of the rows with these ids.
    pub fn with_ids(self, shape: &Shape, ids: Vec<String>) -> Conditions {
        let Conditions { mut sql, .. } = self;
        let column = shape.id_column.as_ref();
        sql.push(match column {
            // What is no uuid is no row's id; an index on the column serves.
            Some((name, pg_sys::UUIDOID)) => format!(
                "t.{} OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT i::pg_catalog.uuid FROM pg_catalog.unnest($5) AS i \
                  WHERE i OPERATOR(pg_catalog.~) '^[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}$'))",
                spi::ident(name)
            ),
            _ => format!("{} OPERATOR(pg_catalog.=) ANY ($5)", shape.id),
        });
        Conditions {
            sql,
            ids: Some(ids),
            ..self
        }
    }

    /// The same, and `condition`.
    pub fn and(self, condition: String) -> Conditions {
        let Conditions { mut sql, .. } = self;
        sql.push(condition);
        Conditions { sql, ..self }
    }

    /// As the condition of a WHERE clause.
    pub fn sql(&self) -> String {
        let typed = "($2::pg_catalog.text IS NULL OR $3::pg_catalog.text IS NULL \
                      OR $4::pg_catalog.text[] IS NULL OR $5::pg_catalog.text[] IS NULL OR true)";
        let conditions = self.sql.iter().map(String::as_str);
        let all: Vec<&str> = conditions.chain([typed]).collect();
        all.join(" AND ")
    }

    /// The values of `$2` to `$5`.
    pub fn values(&self) -> [DatumWithOid<'_>; 4] {
        [
            self.metadata.clone().into(),
            self.document.clone().into(),
            self.collection.clone().into(),
            self.ids.clone().into(),
        ]
    }
}

/// On the column itself where it can be, so that an index on it serves.
fn of_metadata(shape: &Shape, filter: &str, own: &str) -> Result<String, Error> {
    let matches = |object: &str| {
        format!(
            "{object} OPERATOR(pg_catalog.@@) {own}.chroma_where($2::pg_catalog.text::pg_catalog.jsonb)"
        )
    };
    // What a record without metadata would say; also an error of the filter, before anything is read.
    let nothing = spi::read_one(
        &format!(
            "SELECT '{{}}'::pg_catalog.jsonb OPERATOR(pg_catalog.@@) {own}.chroma_where($1::pg_catalog.text::pg_catalog.jsonb)"
        ),
        &[filter.into()],
        |row| row.get::<bool>(1),
    )?;
    let names_added = |key: &String| names(filter, key);
    let object = match &shape.metadata.column {
        Some(column) if !shape.metadata.added.iter().any(names_added) => column,
        _ => &shape.metadata.whole,
    };
    Ok(match nothing.flatten() {
        Some(true) => format!("({} OR {object} IS NULL)", matches(object)),
        _ => matches(object),
    })
}

/// Whether the filter has this key anywhere.
fn names(filter: &str, key: &str) -> bool {
    fn within(value: &serde_json::Value, key: &str) -> bool {
        match value {
            serde_json::Value::Object(object) => {
                object.contains_key(key) || object.values().any(|it| within(it, key))
            }
            serde_json::Value::Array(items) => items.iter().any(|it| within(it, key)),
            _ => false,
        }
    }
    // Too deep to be read: as if it did.
    serde_json::from_str(filter).map_or(true, |value| within(&value, key))
}

/// The condition, and the value of `$4`.
fn of_collection(shape: &Shape, name: String) -> Result<(String, Vec<String>), Error> {
    match &shape.collection {
        None => Err(Error::BadArgument {
            argument: "collection",
            hint: format!(
                "No column of {} tells which collection a row is of: leave the argument out for all rows.",
                shape.table
            ),
            value: name,
        }),
        Some(Membership::Name(column)) => {
            let column = spi::ident(column);
            let condition = format!("t.{column}::pg_catalog.text OPERATOR(pg_catalog.=) ($4)[1]");
            Ok((condition, vec![name]))
        }
        Some(Membership::Parent {
            column,
            ty,
            table,
            key,
        }) => {
            let (column, key) = (spi::ident(column), spi::ident(key));
            let keys = spi::read(
                &format!(
                    "SELECT p.{key}::pg_catalog.text FROM {table} p \
                      WHERE p.name::pg_catalog.text OPERATOR(pg_catalog.=) $1"
                ),
                &[name.into()],
                |row| row.get::<String>(1),
            )?;
            let condition =
                format!("t.{column} OPERATOR(pg_catalog.=) ANY ($4::pg_catalog.text[]::{ty}[])");
            Ok((condition, keys.into_iter().flatten().collect()))
        }
    }
}
