//! The collections, each with its two segments.
//!
//! Stage: source. Promise: only collections that Chroma itself would show; what else the tables hold is left alone. May import
//! this folder, `damage`, `sqlite`, `files` and `record`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::schema::Schema;
use super::space::Configuration;
use super::tables::{
    CollectionRow, Segments, TenantCount, collection_rows, databases, max_seq_ids, metadata,
    segments, tenant_count,
};
use crate::record::{Collection, Metadata, Space};
use crate::source::chroma::damage::collection_warnings::{
    broken_configuration, missing_segments, replace_what_json_cannot_hold,
};
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
        let (rows, mut tables) = CatalogTables::read(database, schema)?;
        let (mut entries, mut warnings, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
        if tables.collection_metadata.is_none() {
            warnings.push(format!(
                "{:?}: table collection_metadata cannot be read: collections are shown without their metadata",
                database.path
            ));
        }
        for row in rows {
            database.check_stop()?;
            let name = row.name.clone();
            match tables.home(&row, schema) {
                Ok(home) => entries.push(tables.entry(
                    row,
                    home,
                    database,
                    directory,
                    &mut warnings,
                    &mut remarks,
                )?),
                Err(why) => {
                    warnings.push(format!("collection {name:?} {why} and is not read"));
                }
            }
        }
        if tables.segment_metadata.is_none() {
            warnings.push(format!(
                "{:?}: table segment_metadata cannot be read: settings of collections may be missing",
                database.path
            ));
        }
        entries.sort_by(|left, right| in_order(&left.collection, &right.collection));
        let named = tables.databases.values().map(|(tenant, _)| tenant);
        let named: BTreeSet<&String> = named.collect();
        let tenants = match tenant_count(database, schema)? {
            TenantCount::Counted(number) => number,
            TenantCount::NotKept => count(named.len()).max(1),
            TenantCount::Unreadable => {
                warnings.push(format!(
                    "{:?}: table tenants cannot be read: tenants without a database are not counted",
                    database.path
                ));
                count(named.len()).max(1)
            }
        };
        Ok(Catalog {
            tenants,
            databases: count(tables.databases.len()).max(1),
            entries,
            warnings,
            remarks,
        })
    }
}

/// What the tables have besides the collections themselves; each collection takes its own.
struct CatalogTables {
    databases: HashMap<String, (String, String)>,
    segments: HashMap<String, Segments>,
    max_seq_ids: HashMap<String, i64>,
    /// `None` if it cannot be read.
    collection_metadata: Option<BTreeMap<String, Metadata>>,
    /// `None` if it cannot be read.
    segment_metadata: Option<BTreeMap<String, Metadata>>,
}

impl CatalogTables {
    /// The collections, and the rest.
    fn read(
        database: &Database,
        schema: &Schema,
    ) -> Result<(Vec<CollectionRow>, CatalogTables), SourceError> {
        let databases = databases(database, schema)?;
        let rows = collection_rows(database, schema)?;
        let metadata = |table: &str, owner: &str| {
            unless_corrupt(metadata(database, schema.collection_bools, table, owner))
        };
        let tables = CatalogTables {
            databases,
            segments: segments(database)?,
            max_seq_ids: max_seq_ids(database)?,
            collection_metadata: metadata("collection_metadata", "collection_id")?,
            segment_metadata: metadata("segment_metadata", "segment_id")?,
        };
        Ok((rows, tables))
    }

    /// Tenant and database of a collection, or why it has none that can be shown.
    fn home(&self, row: &CollectionRow, schema: &Schema) -> Result<(String, String), &'static str> {
        let home = match (&row.database, schema.databases) {
            (_, false) => Some((DEFAULT_TENANT.to_owned(), DEFAULT_DATABASE.to_owned())),
            (Some(id), true) => self.databases.get(id).cloned(),
            (None, true) => None,
        };
        let (tenant, database) = home.ok_or("belongs to a database that does not exist")?;
        // No release takes such a name, and no text of PostgreSQL holds it.
        if [&tenant, &database, &row.name]
            .iter()
            .any(|name| name.contains('\0'))
        {
            return Err("has U+0000 in its name or place");
        }
        Ok((tenant, database))
    }

    /// The entry of a collection, with sentences about it.
    fn entry(
        &mut self,
        row: CollectionRow,
        (tenant, home): (String, String),
        database: &Database,
        directory: &Folder,
        warnings: &mut Vec<String>,
        remarks: &mut Vec<String>,
    ) -> Result<CatalogEntry, SourceError> {
        let own = self.segments.remove(&row.id).unwrap_or_default();
        let segment = own
            .vector
            .as_ref()
            .and_then(|id| self.segment_metadata.as_mut()?.remove(id))
            .unwrap_or_default();
        let configuration = Configuration::parse(row.schema.as_deref(), row.config.as_deref());
        let chosen = configuration.space(&segment).map_err(|word| {
            database.unknown(format!("collection {:?} has the space {word:?}", row.name))
        })?;
        // What the segment was created with would overrule `l2`.
        if self.segment_metadata.is_none() && chosen.space == Space::L2 && row.dimension.is_some() {
            return Err(database.damaged(format!(
                "table segment_metadata cannot be read, and nothing else tells the space of collection {:?}",
                row.name
            )));
        }
        let max_seq_id =
            |id: &Option<String>| id.as_ref().and_then(|id| self.max_seq_ids.get(id)).copied();
        let files = match &own.vector {
            Some(id) => SegmentFiles::look(directory, id)?,
            None => SegmentFiles::default(),
        };
        let other = chosen.other.as_ref();
        let metadata = self.collection_metadata.as_mut();
        let metadata = metadata.and_then(|metadata| metadata.remove(&row.id));
        let broken = configuration.broken.clone();
        let keys = configuration.keys();
        let mut collection = Collection {
            tenant,
            database: home,
            name: row.name,
            metadata: metadata.unwrap_or_default(),
            id: row.id,
            dimension: row.dimension.and_then(|number| u32::try_from(number).ok()),
            space: chosen.space,
            configuration: configuration.into_json(&segment),
        };
        let name = collection.qualified_name();
        if let Some((place, word)) = other {
            remarks.push(format!(
                "collection {name:?} is read with the space {}, while {place} says {word}",
                collection.space
            ));
        }
        warnings.extend(missing_segments(
            &name,
            own.metadata.is_some(),
            own.vector.is_some(),
        ));
        let sentence = |column: &&str| broken_configuration(&name, column);
        warnings.extend(broken.iter().map(sentence));
        remarks.extend(replace_what_json_cannot_hold(&mut collection));
        Ok(CatalogEntry {
            metadata_max_seq_id: max_seq_id(&own.metadata),
            vector_max_seq_id: max_seq_id(&own.vector),
            mixed: chosen.space == Space::Cosine
                && other.is_some_and(|(_, word)| word == Space::L2.as_str()),
            keys,
            metadata_segment: own.metadata,
            vector_segment: own.vector,
            files,
            collection,
        })
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
