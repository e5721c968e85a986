//! The collections, each with its two segments.
//!
//! Stage: source. Promise: only collections that Chroma itself would show; what else the tables hold is left alone. May import
//! this folder, `damage`, `sqlite`, `files` and `record`.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::schema::Schema;
use super::space::Configuration;
use super::tables::{collection_rows, databases, max_seq_ids, metadata, segments};
use crate::record::{Collection, Space};
use crate::source::chroma::damage::collection_warnings;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::SegmentFiles;
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::unless_corrupt;
use crate::source::error::SourceError;

const DEFAULT_TENANT: &str = "default_tenant";
const DEFAULT_DATABASE: &str = "default_database";
/// A collection with what its readers need.
#[derive(Debug, Clone)]
pub(crate) struct CatalogEntry {
    /// The collection.
    pub collection: Collection,
    /// Its metadata segment.
    pub metadata_segment: Option<String>,
    /// Its vector segment: a uuid, the name of the folder.
    pub vector_segment: Option<String>,
    /// The last sequence number that the metadata tables hold, by table `max_seq_id`.
    pub metadata_max_seq_id: Option<i64>,
    /// The last sequence number that the index files hold, by the same table.
    pub vector_max_seq_id: Option<i64>,
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
    /// Sentences about what is unusual, but no damage.
    pub remarks: Vec<String>,
}

impl Catalog {
    /// Reads the catalogue.
    pub fn read(
        database: &Database,
        schema: &Schema,
        directory: &Folder,
    ) -> Result<Catalog, SourceError> {
        let databases = databases(database, schema)?;
        let rows = collection_rows(database, schema)?;
        let mut segments = segments(database)?;
        let max_seq_ids = max_seq_ids(database)?;
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
                (Some(id), true) => databases.get(id).cloned(),
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
            let chosen = configuration.space(&segment).map_err(|word| {
                database.unknown(format!("collection {:?} has the space {word:?}", row.name))
            })?;
            // What the segment was created with would overrule `l2`.
            if !settings_known && chosen.space == Space::L2 && row.dimension.is_some() {
                return Err(database.damaged(format!(
                    "table segment_metadata cannot be read, and nothing else tells the space of collection {:?}",
                    row.name
                )));
            }
            let max_seq_id =
                |id: &Option<String>| id.as_ref().and_then(|id| max_seq_ids.get(id)).copied();
            let files = match &own.vector {
                Some(id) => SegmentFiles::look(directory, id)?,
                None => SegmentFiles::default(),
            };
            let broken = configuration.broken.clone();
            let mut entry = CatalogEntry {
                metadata_max_seq_id: max_seq_id(&own.metadata),
                vector_max_seq_id: max_seq_id(&own.vector),
                mixed: chosen.space == Space::Cosine
                    && chosen
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
                    space: chosen.space,
                    configuration: configuration.into_json(&segment),
                },
            };
            if let Some((place, word)) = chosen.other {
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
        let tenants: BTreeSet<&String> = databases.values().map(|(tenant, _)| tenant).collect();
        let mut found = Catalog {
            tenants: count(tenants.len()).max(1),
            databases: count(databases.len()).max(1),
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
