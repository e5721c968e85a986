//! The catalogue: tenants, databases, collections and their two segments, for every schema since 0.4.0.
//!
//! Stage: source. Promise: only collections that Chroma itself would show, each with its segments checked; rows
//! that belong to nothing (foreign keys are not enforced) are left alone. May import `record` and this folder.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::types::ValueRef;

use super::schema::Schema;
use super::space::Configuration;
use crate::record::{Collection, Metadata, Space};
use crate::source::chroma::damage::collection_warnings;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{SegmentFiles, is_uuid};
use crate::source::chroma::sqlite::columns::typed;
use crate::source::chroma::sqlite::columns::{sequence, text};
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

const DEFAULT_TENANT: &str = "default_tenant";
const DEFAULT_DATABASE: &str = "default_database";
const VECTOR_TYPE: &str = "urn:chroma:segment/vector/hnsw-local-persisted";
const METADATA_TYPE: &str = "urn:chroma:segment/metadata/sqlite";

/// A collection with what its readers need.
#[derive(Debug, Clone)]
pub(crate) struct CatalogEntry {
    /// The collection.
    pub collection: Collection,
    /// Its metadata segment.
    pub metadata_segment: Option<String>,
    /// Its vector segment: a uuid, the name of the folder.
    pub vector_segment: Option<String>,
    /// The last sequence number that the metadata tables hold.
    pub tables_mark: Option<i64>,
    /// The last sequence number that the index files hold, as the table `max_seq_id` says.
    pub index_mark: Option<i64>,
    /// The index files.
    pub files: SegmentFiles,
    /// The configuration says `l2` of an index that was made for cosine: some of its vectors may not be normalised.
    pub mixed: bool,
    /// Metadata keys that the collection's schema knows.
    pub keys: Option<BTreeSet<String>>,
}

/// All collections.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// Ordered by tenant, database and name.
    pub entries: Vec<CatalogEntry>,
    /// Number of tenants.
    pub tenants: u64,
    /// Number of databases.
    pub databases: u64,
    /// Sentences about damage.
    pub warnings: Vec<String>,
    /// Sentences about what is no damage.
    pub remarks: Vec<String>,
}

#[derive(Default)]
struct Segments {
    metadata: Option<String>,
    vector: Option<String>,
}

struct Row {
    id: String,
    name: String,
    dimension: Option<i64>,
    database: Option<String>,
    config: Option<String>,
    schema: Option<String>,
}

impl Catalog {
    /// Reads the catalogue.
    pub fn read(
        database: &Database,
        schema: &Schema,
        directory: &Folder,
    ) -> Result<Catalog, SourceError> {
        let homes = homes(database, schema)?;
        let rows = rows(database, schema)?;
        let mut segments = segments(database)?;
        let marks = marks(database)?;
        let bools = schema.collection_bools;
        let (mut warnings, mut remarks) = (Vec::new(), Vec::new());
        let owned = unless_corrupt(metadata(
            database,
            bools,
            "collection_metadata",
            "collection_id",
        ))?;
        if owned.is_none() {
            warnings.push(format!(
                "{:?}: table collection_metadata cannot be read: collections are shown without their metadata",
                database.path
            ));
        }
        let mut collection_metadata = owned.unwrap_or_default();
        let created = unless_corrupt(metadata(database, bools, "segment_metadata", "segment_id"))?;
        let settings_known = created.is_some();
        let mut segment_metadata = created.unwrap_or_default();
        let mut entries = Vec::new();
        for row in rows {
            database.check_stop()?;
            let home = match (&row.database, schema.databases) {
                (_, false) => Some((DEFAULT_TENANT.to_owned(), DEFAULT_DATABASE.to_owned())),
                (Some(id), true) => homes.get(id).cloned(),
                (None, true) => None,
            };
            let Some((tenant, home)) = home else {
                warnings.push(format!(
                    "collection {:?} belongs to a database that does not exist and is not read",
                    row.name
                ));
                continue;
            };
            // No release takes such a name, and no text of PostgreSQL holds it.
            if [&tenant, &home, &row.name]
                .iter()
                .any(|name| name.contains('\0'))
            {
                warnings.push(format!(
                    "collection {:?} has U+0000 in its name or place and is not read",
                    row.name
                ));
                continue;
            }
            let own = segments.remove(&row.id).unwrap_or_default();
            let segment = own
                .vector
                .as_ref()
                .and_then(|id| segment_metadata.remove(id))
                .unwrap_or_default();
            let configuration = Configuration::parse(row.schema.as_deref(), row.config.as_deref());
            let verdict = configuration.space(&segment).map_err(|word| {
                database.unknown(format!("collection {:?} has the space {word:?}", row.name))
            })?;
            // What the segment was created with would overrule `l2`.
            if !settings_known && verdict.space == Space::L2 && row.dimension.is_some() {
                return Err(database.damaged(format!(
                    "table segment_metadata cannot be read, and nothing else tells the space of collection {:?}",
                    row.name
                )));
            }
            let mark = |id: &Option<String>| id.as_ref().and_then(|id| marks.get(id)).copied();
            let files = match &own.vector {
                Some(id) => SegmentFiles::look(directory, id)?,
                None => SegmentFiles::default(),
            };
            let broken = configuration.broken.clone();
            let mut entry = CatalogEntry {
                tables_mark: mark(&own.metadata),
                index_mark: mark(&own.vector),
                mixed: verdict.space == Space::Cosine
                    && verdict
                        .other
                        .as_ref()
                        .is_some_and(|(_, word)| word == Space::L2.as_str()),
                keys: configuration.keys(),
                metadata_segment: own.metadata,
                vector_segment: own.vector,
                files,
                collection: Collection {
                    tenant,
                    database: home,
                    name: row.name,
                    metadata: collection_metadata.remove(&row.id).unwrap_or_default(),
                    id: row.id,
                    dimension: row.dimension.and_then(|number| u32::try_from(number).ok()),
                    space: verdict.space,
                    configuration: configuration.into_json(&segment),
                },
            };
            if let Some((place, word)) = verdict.other {
                remarks.push(format!(
                    "collection {:?} is read with the space {}, while {place} says {word}",
                    entry.collection.qualified_name(),
                    entry.collection.space
                ));
            }
            let name = entry.collection.qualified_name();
            warnings.extend(collection_warnings::of_segments(
                &name,
                entry.metadata_segment.is_some(),
                entry.vector_segment.is_some(),
            ));
            let sentence = |column: &&str| collection_warnings::of_configuration(&name, column);
            warnings.extend(broken.iter().map(sentence));
            remarks.extend(collection_warnings::make_showable(&mut entry.collection));
            entries.push(entry);
        }
        if !settings_known {
            warnings.push(format!(
                "{:?}: table segment_metadata cannot be read: settings of collections may be missing",
                database.path
            ));
        }
        entries.sort_by(|left, right| in_order(&left.collection, &right.collection));
        let tenants: BTreeSet<&String> = homes.values().map(|(tenant, _)| tenant).collect();
        let mut found = Catalog {
            tenants: count(tenants.len()).max(1),
            databases: count(homes.len()).max(1),
            entries,
            warnings,
            remarks,
        };
        if schema.databases {
            let sql = "SELECT count(*) FROM tenants NOT INDEXED";
            match unless_corrupt(database.try_rows(sql, |row| row.get::<_, i64>(0)))? {
                Some(all) => {
                    found.tenants = all
                        .first()
                        .and_then(|all| u64::try_from(*all).ok())
                        .unwrap_or(found.tenants);
                }
                None => found.warnings.push(format!(
                    "{:?}: table tenants cannot be read: tenants without a database are not counted",
                    database.path
                )),
            }
        }
        Ok(found)
    }
}

/// The order of collections: by tenant, database, name and id.
pub(crate) fn in_order(left: &Collection, right: &Collection) -> Ordering {
    left.tenant
        .cmp(&right.tenant)
        .then_with(|| left.database.cmp(&right.database))
        .then_with(|| left.name.cmp(&right.name))
        .then_with(|| left.id.cmp(&right.id))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Databases: id to tenant and name.
fn homes(
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

fn rows(database: &Database, schema: &Schema) -> Result<Vec<Row>, SourceError> {
    let column = |there: bool, name: &'static str| if there { name } else { "NULL" };
    let sql = format!(
        "SELECT id, name, dimension, {}, {}, {} FROM collections NOT INDEXED",
        column(schema.databases, "database_id"),
        column(schema.config, "config_json_str"),
        column(schema.schema, "schema_str"),
    );
    let rows = database.rows(&sql, |row| {
        let text = |at: usize| row.get_ref(at).map(text);
        Ok(Row {
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
fn segments(database: &Database) -> Result<HashMap<String, Segments>, SourceError> {
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
fn marks(database: &Database) -> Result<HashMap<String, i64>, SourceError> {
    let sql = "SELECT segment_id, seq_id FROM max_seq_id NOT INDEXED";
    let rows = database.rows(sql, |row| {
        Ok((
            text(row.get_ref(0)?).unwrap_or_default(),
            sequence(row.get_ref(1)?),
        ))
    });
    // Without the marks, rows of the queue would be applied a second time, which changes the meaning of some.
    let rows = rows.map_err(|error| error.in_table("max_seq_id"))?;
    let mut marks = HashMap::new();
    for (segment, mark) in rows {
        if let Some(mark) = mark.map_err(|what| database.damaged(what))? {
            marks.insert(segment, mark);
        }
    }
    Ok(marks)
}

/// Typed metadata of collections or segments, by their id.
fn metadata(
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
