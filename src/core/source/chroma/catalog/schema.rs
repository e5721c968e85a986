//! Which of Chroma's schemas the database has: by its tables and columns, not by hashes.
//!
//! Stage: source. Promise: a schema newer than the known ones is refused, an older one is read as it is. May
//! import `sqlite`.
//!
//! | first release | dir and version | what it changed for a reader |
//! | --- | --- | --- |
//! | 0.4.0 | sysdb 3, metadb 1, embeddings_queue 1 | |
//! | 0.4.4 | metadb 2 | `embedding_metadata.bool_value` |
//! | 0.4.15 | sysdb 4 | tenants, databases, `collections.database_id` |
//! | 0.5.1 | sysdb 6 | `collection_metadata.bool_value` |
//! | 0.5.4 | sysdb 7 | `collections.config_json_str` |
//! | 0.5.6 | sysdb 9, metadb 4, embeddings_queue 2 | `embeddings_queue_config`: the queue is purged |
//! | 1.0.0 | metadb 5 | `max_seq_id.seq_id` as INTEGER |
//! | 1.3.0 | sysdb 10 | `collections.schema_str` |
//! | 1.5.0 | metadb 6 | `embedding_metadata_array` |

use std::collections::BTreeMap;

use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::unless_corrupt;
use crate::source::error::SourceError;

/// Directories of migrations with the newest version known.
const KNOWN: [(&str, i64); 3] = [("sysdb", 10), ("metadb", 6), ("embeddings_queue", 2)];

/// Tables that every release since 0.4.0 has, with the columns that are read.
const TABLES: [(&str, &[&str]); 8] = [
    ("collections", &["id", "name", "dimension"]),
    (
        "collection_metadata",
        &[
            "collection_id",
            "key",
            "str_value",
            "int_value",
            "float_value",
        ],
    ),
    ("segments", &["id", "type", "scope", "collection"]),
    (
        "segment_metadata",
        &["segment_id", "key", "str_value", "int_value", "float_value"],
    ),
    (
        "embeddings",
        &["id", "segment_id", "embedding_id", "seq_id", "created_at"],
    ),
    (
        "embedding_metadata",
        &["id", "key", "string_value", "int_value", "float_value"],
    ),
    ("max_seq_id", &["segment_id", "seq_id"]),
    (
        "embeddings_queue",
        &[
            "seq_id",
            "created_at",
            "operation",
            "topic",
            "id",
            "vector",
            "encoding",
            "metadata",
        ],
    ),
];

/// What the schema has beyond the base of 0.4.0.
#[derive(Debug)]
pub(crate) struct Schema {
    versions: BTreeMap<String, i64>,
    /// `embedding_metadata.bool_value` is there.
    pub bools: bool,
    /// `collection_metadata.bool_value` and `segment_metadata.bool_value` are there.
    pub collection_bools: bool,
    /// `tenants`, `databases` and `collections.database_id` are there.
    pub databases: bool,
    /// `collections.config_json_str` is there.
    pub config: bool,
    /// `collections.schema_str` is there.
    pub schema: bool,
    /// `embedding_metadata_array` is there.
    pub arrays: bool,
    /// `embeddings_queue_config` is there: older rows of the queue may have been removed.
    pub queue_config: bool,
}

impl Schema {
    /// Looks at the tables of `database`.
    pub fn read(database: &Database) -> Result<Schema, SourceError> {
        for table in ["migrations", "embeddings_queue"] {
            if !database.has_table(table) {
                return Err(database.unknown(format!("it has no table \"{table}\"")));
            }
        }
        let versions = versions(database)?;
        for (table, needed) in TABLES {
            let columns = database.columns(table)?;
            if columns.is_empty() {
                return Err(database.unknown(format!("it has no table \"{table}\"")));
            }
            if let Some(missing) = needed.iter().find(|column| !columns.contains(**column)) {
                return Err(
                    database.unknown(format!("table \"{table}\" has no column \"{missing}\""))
                );
            }
        }
        let has = |table: &str, column: &str| Ok(database.columns(table)?.contains(column));
        Ok(Schema {
            versions,
            bools: has("embedding_metadata", "bool_value")?,
            collection_bools: has("collection_metadata", "bool_value")?
                && has("segment_metadata", "bool_value")?,
            databases: has("collections", "database_id")?
                && has("databases", "tenant_id")?
                && database.has_table("tenants"),
            config: has("collections", "config_json_str")?,
            schema: has("collections", "schema_str")?,
            arrays: has("embedding_metadata_array", "bool_value")?,
            queue_config: has("embeddings_queue_config", "config_json_str")?,
        })
    }

    /// The versions in words: "sysdb 10, metadb 6, embeddings_queue 2".
    pub fn version(&self) -> String {
        let words: Vec<String> = KNOWN
            .iter()
            .map(|(name, _)| format!("{name} {}", self.at(name)))
            .collect();
        words.join(", ")
    }

    /// The releases that have this schema: the newest one that opened the directory is among them.
    pub fn releases(&self) -> &'static str {
        match (
            self.at("sysdb"),
            self.at("metadb"),
            self.at("embeddings_queue"),
        ) {
            (_, 6.., _) => "1.5.0 or later",
            (10.., ..) => "1.3.0 to 1.4.x",
            (_, 5, _) => "1.0.0 to 1.2.x",
            (_, _, 2..) | (8.., ..) => "0.5.6 to 0.6.x",
            (7, ..) => "0.5.4 to 0.5.5",
            (6, ..) => "0.5.1 to 0.5.3",
            (5, ..) => "0.5.0",
            (4, ..) => "0.4.15 to 0.4.24",
            (_, 3.., _) => "0.4.6 to 0.4.14",
            (_, 2, _) => "0.4.4 to 0.4.5",
            _ => "0.4.0 to 0.4.3",
        }
    }

    fn at(&self, directory: &str) -> i64 {
        self.versions.get(directory).copied().unwrap_or(0)
    }
}

fn versions(database: &Database) -> Result<BTreeMap<String, i64>, SourceError> {
    let columns = database.columns("migrations")?;
    if !columns.contains("dir") || !columns.contains("version") {
        return Err(database.unknown("table \"migrations\" is not Chroma's".to_owned()));
    }
    // The index has it all; the table is asked where pages of the index cannot be read.
    let ask = |hint: &str| {
        let sql = format!("SELECT dir, version FROM migrations {hint}");
        database.try_rows(&sql, |row| {
            let directory =
                crate::source::chroma::sqlite::columns::text(row.get_ref(0)?).unwrap_or_default();
            Ok((directory, row.get::<_, i64>(1)?))
        })
    };
    let rows = match unless_corrupt(ask(""))? {
        Some(rows) => Some(rows),
        None => unless_corrupt(ask("NOT INDEXED "))?,
    };
    let rows = rows.ok_or_else(|| database.lost("migrations"))?;
    let mut versions = BTreeMap::new();
    for (directory, version) in rows {
        match KNOWN.iter().find(|(name, _)| *name == directory) {
            Some((_, newest)) if version <= *newest => {
                let highest = versions.entry(directory).or_insert(version);
                *highest = version.max(*highest);
            }
            Some((name, newest)) => {
                return Err(database.unknown(format!(
                    "its schema is {name} {version}, newer than {name} {newest} of chromadb 1.5"
                )));
            }
            None => return Err(database.unknown(format!("its schema has a part \"{directory}\""))),
        }
    }
    Ok(versions)
}
