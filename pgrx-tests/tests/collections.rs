//! The inventory of a store: `chroma_collections` and `chroma_store`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value as Json;
use uuid::Uuid;
use vector_migrate_tests::{
    Db, Expected, ExpectedCollection, ExpectedRecord, assert_same_json, store,
};

const STORES: [&str; 13] = [
    "chroma-0.4.24",
    "chroma-0.5.23",
    "chroma-0.6.3",
    "chroma-1.0.21",
    "chroma-1.5.9",
    "special/no-vector",
    "special/no-vector-0.5.11",
    "special/two-collections",
    "special/memories",
    "special/chat-files",
    "special/same-ids",
    "special/nul-characters",
    "special/owners",
];

/// Who has records in the collection: blank names nobody, 7 and "7" are one user; what no table takes as a user counts.
fn users(collection: &ExpectedCollection) -> i64 {
    let user = |value: &Json| match value {
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        _ => None,
    };
    let users: BTreeSet<String> = collection
        .records
        .iter()
        .filter_map(|record| user(&record.metadata["user_id"]))
        .collect();
    users.len() as i64
}

#[test]
fn every_collection_is_listed_with_what_chromadb_says_of_it() {
    for name in STORES {
        let (db, source) = (Db::new(), store(name));
        let expected = Expected::of(name);
        let rows = db.query(
            &format!("SELECT * FROM chroma_collections({})", source.sql()),
            &[],
        );
        assert_eq!(
            rows.len(),
            expected.collections.len(),
            "collections of {name}"
        );
        for wanted in &expected.collections {
            let place = format!("{name} {}", wanted.qualified_name());
            let id = Uuid::parse_str(&wanted.id).expect("a uuid");
            let row = rows
                .iter()
                .find(|row| row.get::<_, Uuid>("id") == id)
                .unwrap_or_else(|| panic!("no {place}"));
            assert_eq!(row.get::<_, &str>("tenant"), wanted.tenant, "{place}");
            assert_eq!(row.get::<_, &str>("database"), wanted.database, "{place}");
            assert_eq!(row.get::<_, &str>("collection"), wanted.name, "{place}");
            assert_eq!(
                row.get::<_, Option<i32>>("dimension").map(i64::from),
                wanted.dimension,
                "dimension of {place}"
            );
            assert_eq!(
                row.get::<_, &str>("space"),
                wanted.space,
                "space of {place}"
            );
            let number = |column: &str| row.get::<_, i64>(column);
            assert_eq!(number("records"), wanted.count, "records of {place}");
            let some = |has: fn(&ExpectedRecord) -> bool| {
                wanted.records.iter().filter(|record| has(record)).count() as i64
            };
            assert_eq!(
                number("vectors"),
                some(|record| record.embedding.is_some()),
                "vectors of {place}"
            );
            assert_eq!(
                number("documents"),
                some(|record| record.document.is_some()),
                "documents of {place}"
            );
            assert_eq!(number("users"), users(wanted), "users of {place}");
            assert_eq!(number("queued"), wanted.queued, "queued of {place}");
            let metadata: Option<Json> = row.get("metadata");
            assert_same_json(&metadata.unwrap_or(Json::Null), &wanted.metadata, &place);
        }
    }
}

#[test]
fn a_store_is_described_in_one_row() {
    for name in STORES {
        let (db, source) = (Db::new(), store(name));
        let expected = Expected::of(name);
        let rows = db.query(
            &format!("SELECT * FROM chroma_store({})", source.sql()),
            &[],
        );
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        let size = fs::metadata(source.path().join("chroma.sqlite3"))
            .expect("is there")
            .len();
        assert_eq!(row.get::<_, i64>("sqlite_bytes"), size as i64, "{name}");
        let tenants: BTreeSet<_> = expected.collections.iter().map(|c| &c.tenant).collect();
        let databases: BTreeSet<_> = expected
            .collections
            .iter()
            .map(|c| (&c.tenant, &c.database))
            .collect();
        assert_eq!(
            row.get::<_, i32>("tenants"),
            tenants.len() as i32,
            "tenants of {name}"
        );
        assert_eq!(
            row.get::<_, i32>("databases"),
            databases.len() as i32,
            "databases of {name}"
        );
        assert_eq!(
            row.get::<_, i32>("collections"),
            expected.collections.len() as i32,
            "{name}"
        );
        let sum =
            |of: fn(&ExpectedCollection) -> i64| expected.collections.iter().map(of).sum::<i64>();
        assert_eq!(
            row.get::<_, i64>("records"),
            sum(|c| c.count),
            "records of {name}"
        );
        assert_eq!(
            row.get::<_, i64>("queued"),
            sum(|c| c.queued),
            "queued of {name}"
        );
        assert!(
            row.get::<_, Option<String>>("schema_version")
                .is_some_and(|version| !version.is_empty())
        );
    }
}

#[test]
fn segment_folders_of_deleted_collections_are_reported() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let folders: Vec<_> = fs::read_dir(source.path())
        .expect("lists")
        .map(|entry| entry.expect("reads"))
        .filter(|entry| entry.path().is_dir())
        .collect();
    let live =
        source.texts("SELECT s.id FROM segments s JOIN collections c ON c.id = s.collection");
    let orphans: Vec<_> = folders
        .iter()
        .filter(|f| !live.contains(&f.file_name().to_string_lossy().into_owned()))
        .collect();
    assert!(
        !orphans.is_empty(),
        "the fixture has the folder of a deleted collection"
    );
    let bytes: u64 = orphans
        .iter()
        .flat_map(|folder| fs::read_dir(folder.path()).expect("lists"))
        .map(|file| file.expect("reads").metadata().expect("reads").len())
        .sum();
    let row = db.line(&format!(
        "SELECT orphan_segments, orphan_bytes FROM chroma_store({})",
        source.sql()
    ));
    assert_eq!(row, format!("{}|{bytes}", orphans.len()));
}
