//! Stores that somebody made to do harm: a clear error or a report, never an internal error, and the backend lives on.

#[path = "../../src/core/tests/common/pickles.rs"]
mod pickles;

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use vector_migrate_tests::{Db, Store, store};

const NAME: &str = "l2_history";
/// Errors that a store can give: damaged, of no known layout, too large, a value PostgreSQL has no place for.
const CODES: [&str; 6] = ["XX001", "0A000", "54000", "22021", "22000", "42809"];

fn folder(source: &Store, collection: &str) -> PathBuf {
    let sql = format!(
        "SELECT s.id FROM segments s JOIN collections c ON c.id = s.collection \
         WHERE c.name = '{collection}' AND s.scope = 'VECTOR'"
    );
    source.path().join(source.texts(&sql).concat())
}

/// A file that was just written may be half written: the reader would wait.
fn age(path: &std::path::Path) {
    let then = SystemTime::now() - Duration::from_secs(60);
    let file = File::open(path).expect("opens");
    file.set_modified(then).expect("sets the time");
}

/// Asks everything of the store; gives the SQLSTATEs, empty for an answer, and all that was said.
fn ask(db: &Db, source: &Store, what: &str) -> (Vec<String>, String) {
    let path = source.sql();
    let backend = db.line("SELECT pg_backend_pid()");
    let mut codes = Vec::new();
    let mut said = String::new();
    db.notices();
    for call in [
        format!("SELECT * FROM chroma_collections({path})"),
        format!("SELECT * FROM chroma_store({path})"),
        format!("SELECT * FROM chroma_records({path}, '{NAME}')"),
        format!(
            "SELECT * FROM migrate_chroma({path}, collection => '{NAME}', target => 'hostile', entity_target => NULL, orphans => 'keep')"
        ),
    ] {
        let code = match db.attempt(&call) {
            Ok(rows) => {
                said += &format!("{rows:?}\n");
                String::new()
            }
            Err(failure) => {
                assert!(
                    CODES.contains(&&*failure.code),
                    "{what}: {call}: {failure:#?}"
                );
                said += &failure.text();
                failure.code
            }
        };
        for notice in db.notices() {
            said += &notice.text;
        }
        codes.push(code);
        assert_eq!(
            db.line("SELECT pg_backend_pid()"),
            backend,
            "{what}: {call}"
        );
    }
    db.run("DROP TABLE IF EXISTS hostile");
    (codes, said)
}

#[test]
fn pickles_that_no_chroma_writes() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let path = folder(&source, NAME).join("index_metadata.pickle");
    for (what, bytes, reason) in pickles::hostile() {
        fs::write(&path, bytes).expect("writes");
        age(&path);
        let (codes, said) = ask(&db, &source, what);
        assert!(codes.iter().all(String::is_empty), "{what}: {codes:?}");
        assert!(said.contains(reason), "{what}: {said}");
    }
    let strict = format!(
        "SELECT * FROM migrate_chroma({}, collection => '{NAME}', strict => true)",
        source.sql()
    );
    db.refused(&strict, "XX001");
}

#[test]
fn counts_that_are_larger_than_the_files() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let path = folder(&source, NAME).join("header.bin");
    let mut header = fs::read(&path).expect("reads");
    header[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    header[20..28].copy_from_slice(&4_000_000_000_u64.to_le_bytes());
    fs::write(&path, header).expect("writes");
    age(&path);
    let (codes, said) = ask(&db, &source, "a header");
    assert!(codes.iter().all(String::is_empty), "{codes:?}");
    assert!(said.contains("of 4000000000 elements"), "{said}");
}

#[test]
fn tables_that_are_views_or_lack_columns() {
    for (change, reason) in [
        (
            "ALTER TABLE embeddings RENAME TO e; CREATE VIEW embeddings AS SELECT * FROM e",
            "view",
        ),
        (
            "ALTER TABLE collections RENAME TO c; CREATE VIEW collections AS SELECT * FROM c",
            "view",
        ),
        (
            "DROP TABLE embeddings; CREATE VIEW embeddings AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
          SELECT x AS id, '' AS segment_id, '' AS embedding_id, x AS seq_id, '' AS created_at FROM n",
            "view",
        ),
        (
            "DROP TABLE embeddings; CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, seq_id, created_at, \
          embedding_id TEXT AS (hex(zeroblob(400000000))))",
            "embedding_id",
        ),
        (
            "ALTER TABLE collections RENAME COLUMN dimension TO d",
            "dimension",
        ),
        (
            "ALTER TABLE embeddings_queue RENAME COLUMN vector TO v",
            "vector",
        ),
        ("DROP TABLE embedding_metadata", "embedding_metadata"),
    ] {
        let (db, source) = (Db::new(), store("chroma-1.5.9"));
        source.damage(&format!("PRAGMA foreign_keys = 0; {change}"));
        db.run("SET statement_timeout = '20s'");
        let (codes, said) = ask(&db, &source, change);
        assert_eq!(codes, ["0A000"; 4], "{change}");
        assert!(said.contains(reason), "{change}: {said}");
    }
}

#[test]
fn values_that_no_chroma_writes() {
    for change in [
        "UPDATE embeddings SET seq_id = 9223372036854775807",
        "UPDATE embeddings SET seq_id = -1",
        "UPDATE max_seq_id SET seq_id = 9223372036854775807",
        "UPDATE max_seq_id SET seq_id = x'ffffffffffffffff'",
        "UPDATE embeddings_queue SET seq_id = -seq_id",
        "UPDATE collections SET dimension = 0",
        "UPDATE collections SET dimension = -1",
        "UPDATE collections SET dimension = 2147483648",
        "UPDATE collections SET dimension = 1000000000",
        "UPDATE collections SET dimension = 'many'",
        "CREATE TABLE l AS SELECT * FROM embeddings; DROP TABLE embeddings; ALTER TABLE l RENAME TO embeddings; \
         UPDATE embeddings SET embedding_id = NULL",
        "CREATE TABLE l AS SELECT * FROM embeddings; DROP TABLE embeddings; ALTER TABLE l RENAME TO embeddings; \
         UPDATE embeddings SET embedding_id = x'ff00'",
        "CREATE TABLE l AS SELECT * FROM embeddings; DROP TABLE embeddings; ALTER TABLE l RENAME TO embeddings; \
         UPDATE embeddings SET id = NULL",
        "CREATE TABLE l AS SELECT * FROM collections; DROP TABLE collections; ALTER TABLE l RENAME TO collections; \
         INSERT INTO collections SELECT * FROM collections",
        "UPDATE embedding_metadata SET string_value = CAST(x'610062' AS TEXT)",
        "UPDATE collection_metadata SET str_value = CAST(x'610062' AS TEXT)",
        "UPDATE collections SET schema_str = '{\"a\": \"\\u0000\"}'",
        "UPDATE segments SET scope = 'VECTOR', type = 'urn:chroma:segment/vector/hnsw-local-persisted'",
        "UPDATE segments SET id = '../../../etc' || rowid",
        "DELETE FROM segments",
        "DELETE FROM segments WHERE scope = 'VECTOR'",
        "CREATE TABLE wide (a DEFAULT 1); CREATE TRIGGER t AFTER INSERT ON wide BEGIN INSERT INTO wide SELECT a FROM wide; END",
    ] {
        let (db, source) = (Db::new(), store("chroma-1.5.9"));
        source.damage(&format!("PRAGMA foreign_keys = 0; {change}"));
        db.run("SET statement_timeout = '60s'");
        ask(&db, &source, change);
    }
}

#[test]
fn names_are_shown_and_taken_as_they_are() {
    let long = "n".repeat(10_000);
    for name in ["", "a\"b'c\nd\te", "{0} %s $1 \\", &long, "../../x"] {
        let (db, source) = (Db::new(), store("special/two-collections"));
        let quoted = vector_migrate_tests::quote(name);
        source.damage(&format!(
            "UPDATE collections SET name = {quoted} WHERE id = (SELECT min(id) FROM collections)"
        ));
        let found = format!(
            "SELECT records FROM chroma_collections({}) WHERE collection = E{}",
            source.sql(),
            quoted.replace('\\', "\\\\")
        );
        assert_eq!(db.line(&found), "9", "{name:.20?}");
        db.run("SET standard_conforming_strings = on");
        let records = format!(
            "SELECT count(*) FROM chroma_records({}, {quoted})",
            source.sql()
        );
        assert_eq!(db.line(&records), "9", "{name:.20?}");
        let total = db.migrate(&source, "NULL").total();
        assert_eq!((total.migrated, total.failed), (18, 0), "{name:.20?}");
        let rows =
            format!("SELECT count(*) FROM content_vectors WHERE chroma_collection = {quoted}");
        assert_eq!(db.line(&rows), "9", "{name:.20?}");
    }
}

#[test]
fn a_collection_without_segments_and_a_configuration_that_is_not_json_are_told() {
    let of = format!("collection = (SELECT id FROM collections WHERE name = '{NAME}')");
    for (change, reason) in [
        (
            format!("DELETE FROM segments WHERE {of}"),
            "has no metadata segment",
        ),
        (
            format!("DELETE FROM segments WHERE scope = 'VECTOR' AND {of}"),
            "has no vector segment",
        ),
        (
            format!("UPDATE collections SET schema_str = '{{' WHERE name = '{NAME}'"),
            "which is not JSON",
        ),
    ] {
        let (db, source) = (Db::new(), store("chroma-1.5.9"));
        source.damage(&format!("PRAGMA foreign_keys = 0; {change}"));
        let (codes, said) = ask(&db, &source, &change);
        assert!(codes.iter().all(String::is_empty), "{change}: {codes:?}");
        assert!(
            said.contains(reason) && said.contains(NAME),
            "{change}: {said}"
        );
    }
}
