//! The tables of the catalogue.
//!
//! Stage: source. Promise: ids are uuids, as only such a text becomes a path; foreign keys are not enforced by SQLite, so a row
//! may belong to nothing. May import `schema`, `sqlite`, `files` and `record`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::types::ValueRef;

use super::schema::Schema;
use crate::record::Metadata;
use crate::source::chroma::files::layout::is_uuid;
use crate::source::chroma::sqlite::columns::{sequence, text, typed};
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

const VECTOR_TYPE: &str = "urn:chroma:segment/vector/hnsw-local-persisted";
const METADATA_TYPE: &str = "urn:chroma:segment/metadata/sqlite";

/// The two segments of a collection.
#[derive(Default)]
pub(super) struct Segments {
    /// The one of metadata.
    pub metadata: Option<String>,
    /// The one of vectors.
    pub vector: Option<String>,
}

/// A row of table `collections`.
pub(super) struct CollectionRow {
    /// Its id, a uuid.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Dimensions, once it has a vector.
    pub dimension: Option<i64>,
    /// The id of its database.
    pub database: Option<String>,
    /// `config_json_str`.
    pub config: Option<String>,
    /// `schema_str`.
    pub schema: Option<String>,
}

/// Tenant and name of each database, by its id.
pub(super) fn databases(
    database: &Database,
    schema: &Schema,
) -> Result<HashMap<String, (String, String)>, SourceError> {
    if !schema.databases {
        return Ok(HashMap::new());
    }
    let sql = "SELECT id, tenant_id, name FROM databases NOT INDEXED";
    let rows = database.rows(sql, |row| {
        let text = |at: usize| row.get_ref(at).map(|value| text(value).unwrap_or_default());
        Ok((text(0)?, (text(1)?, text(2)?)))
    });
    let rows = rows.map_err(|error| error.in_table("databases"))?;
    Ok(rows.into_iter().collect())
}

/// How many tenants there are.
pub(super) enum TenantCount {
    /// So many.
    Counted(u64),
    /// The schema has no table of them.
    NotKept,
    /// The table cannot be read.
    Unreadable,
}

/// Counts the tenants.
pub(super) fn tenant_count(
    database: &Database,
    schema: &Schema,
) -> Result<TenantCount, SourceError> {
    if !schema.databases {
        return Ok(TenantCount::NotKept);
    }
    let sql = "SELECT count(*) FROM tenants NOT INDEXED";
    let counted = unless_corrupt(database.try_rows(sql, |row| row.get::<_, i64>(0)))?;
    let number = counted.and_then(|rows| rows.first().copied());
    let number = number.and_then(|number| u64::try_from(number).ok());
    Ok(number.map_or(TenantCount::Unreadable, TenantCount::Counted))
}

/// The rows of table `collections`, each with an id of its own.
pub(super) fn collection_rows(
    database: &Database,
    schema: &Schema,
) -> Result<Vec<CollectionRow>, SourceError> {
    let column = |there: bool, name: &'static str| if there { name } else { "NULL" };
    let sql = format!(
        "SELECT id, name, dimension, {}, {}, {} FROM collections NOT INDEXED",
        column(schema.databases, "database_id"),
        column(schema.config, "config_json_str"),
        column(schema.schema, "schema_str"),
    );
    let rows = database.rows(&sql, |row| {
        let text = |at: usize| row.get_ref(at).map(text);
        Ok(CollectionRow {
            id: text(0)?.unwrap_or_default(),
            name: text(1)?.unwrap_or_default(),
            dimension: match row.get_ref(2)? {
                ValueRef::Integer(number) => Some(number),
                _ => None,
            },
            database: text(3)?,
            config: text(4)?,
            schema: text(5)?,
        })
    });
    let rows = rows.map_err(|error| error.in_table("collections"))?;
    let mut ids = BTreeSet::new();
    for row in &rows {
        let what = match (is_uuid(&row.id), ids.insert(&row.id)) {
            (true, true) => continue,
            (false, _) => "not a uuid",
            (true, false) => "as another one has",
        };
        return Err(database.damaged(format!(
            "collection {:?} has the id {:?}, {what}",
            row.name, row.id
        )));
    }
    Ok(rows)
}

/// Segments by collection.
pub(super) fn segments(database: &Database) -> Result<HashMap<String, Segments>, SourceError> {
    let rows = database.rows(
        "SELECT id, type, scope, collection FROM segments NOT INDEXED \
         WHERE collection IN (SELECT +id FROM collections NOT INDEXED)",
        |row| {
            let text = |at: usize| row.get_ref(at).map(|value| text(value).unwrap_or_default());
            Ok((text(0)?, text(1)?, text(2)?, text(3)?))
        },
    );
    let rows = rows.map_err(|error| error.in_table("segments"))?;
    let mut found: HashMap<String, Segments> = HashMap::new();
    for (id, kind, scope, collection) in rows {
        let own = found.entry(collection).or_default();
        let place = match (scope.as_str(), kind.as_str()) {
            ("VECTOR", VECTOR_TYPE) => &mut own.vector,
            ("METADATA", METADATA_TYPE) => &mut own.metadata,
            _ => {
                return Err(database.unknown(format!(
                    "segment {id:?} is of type {kind:?} and scope {scope:?}"
                )));
            }
        };
        if !is_uuid(&id) {
            return Err(database.damaged(format!("a segment has the id {id:?}, not a uuid")));
        }
        if place.is_some() {
            return Err(database.unknown(format!(
                "a collection has more than one segment of scope {scope:?}"
            )));
        }
        *place = Some(id);
    }
    Ok(found)
}

/// The last sequence number that each segment holds.
pub(super) fn max_seq_ids(database: &Database) -> Result<HashMap<String, i64>, SourceError> {
    let sql = "SELECT segment_id, seq_id FROM max_seq_id NOT INDEXED";
    let rows = database.rows(sql, |row| {
        Ok((
            text(row.get_ref(0)?).unwrap_or_default(),
            sequence(row.get_ref(1)?),
        ))
    });
    // Without these numbers, rows of the queue would be applied a second time, which changes the meaning of some.
    let rows = rows.map_err(|error| error.in_table("max_seq_id"))?;
    let mut found = HashMap::new();
    for (segment, number) in rows {
        if let Some(number) = number.map_err(|what| database.damaged(what))? {
            found.insert(segment, number);
        }
    }
    Ok(found)
}

/// Typed metadata of collections or segments, by their id.
pub(super) fn metadata(
    database: &Database,
    bools: bool,
    table: &str,
    owner: &str,
) -> Result<BTreeMap<String, Metadata>, StatementError> {
    let sql = format!(
        "SELECT {owner}, key, str_value, int_value, float_value{} FROM {table} NOT INDEXED",
        if bools { ", bool_value" } else { "" }
    );
    let rows = database.try_rows(&sql, |row| {
        Ok((
            text(row.get_ref(0)?),
            text(row.get_ref(1)?),
            typed(row, 2, bools)?,
        ))
    })?;
    let mut found: BTreeMap<String, Metadata> = BTreeMap::new();
    for row in rows {
        if let (Some(owner), Some(key), Some(value)) = row {
            found.entry(owner).or_default().set(key, value);
        }
    }
    Ok(found)
}
