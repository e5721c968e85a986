//! Stores that somebody made to do harm: each is refused with its reason, or read with a sentence about what is
//! wrong, in little memory and time.

mod common;

use std::fs;

use common::{Copy, age_all, copy, named, open, pickles, read_all, refused, try_open};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Source, SourceError};
use vector_migrate_core::survey::survey;

const NEW: &str = "chroma-1.5.9";
/// Collections and records of that fixture.
const WHOLE: (usize, u64) = (16, 303);

/// Everything that can be asked of a store: its collections and records, and all that was said.
fn asked(copy: &Copy) -> Result<((usize, u64), String), SourceError> {
    let result = try_open(&copy.directory).and_then(|store| ask(&store));
    assert!(peak() < 1 << 20, "took {} kB of memory", peak());
    result
}

fn ask(store: &ChromaStore) -> Result<((usize, u64), String), SourceError> {
    let records = read_all(store)?;
    let told = [store.warnings(), &store.take_notices()].concat();
    let found = survey(store)?;
    assert_eq!(found.store.records, records);
    Ok((
        (store.collections().len(), records),
        [told, found.store.warnings].concat().join("\n"),
    ))
}

/// The most memory that this process ever had, in kB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What is said of a store that is read after `sql`.
fn told_after(sql: &str) -> ((usize, u64), String) {
    let copy = copy(NEW);
    copy.sql(&format!("PRAGMA foreign_keys = 0; {sql}"));
    asked(&copy).unwrap_or_else(|error| panic!("{sql:.200}: {error}"))
}

/// The error after `sql`.
fn error_after(sql: &str) -> SourceError {
    let copy = copy(NEW);
    copy.sql(&format!("PRAGMA foreign_keys = 0; {sql}"));
    match asked(&copy) {
        Ok(found) => panic!("{sql:.200}: {found:?}"),
        Err(error) => error,
    }
}

/// A table without its constraints, so that anything goes in.
fn loosened(table: &str) -> String {
    format!(
        "CREATE TABLE loose AS SELECT * FROM {table}; DROP TABLE {table}; \
         ALTER TABLE loose RENAME TO {table};"
    )
}

#[test]
fn pickles_that_no_chroma_writes_cost_their_index_and_nothing_else() {
    for (name, bytes, reason) in pickles::hostile() {
        let copy = copy(NEW);
        let segment = copy.segment("l2_history");
        fs::write(segment.join("index_metadata.pickle"), bytes).unwrap();
        age_all(&segment);
        let (found, told) = asked(&copy).unwrap();
        assert_eq!(found, WHOLE, "{name}");
        assert!(
            told.contains("l2_history") && told.contains(reason),
            "{name}: {told:?}"
        );
    }
}

#[test]
fn a_header_that_claims_billions_does_not_make_room_for_them() {
    let copy = copy(NEW);
    let segment = copy.segment("l2_history");
    let mut header = fs::read(segment.join("header.bin")).unwrap();
    header[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    header[20..28].copy_from_slice(&4_000_000_000_u64.to_le_bytes());
    fs::write(segment.join("header.bin"), header).unwrap();
    age_all(&segment);
    let (found, told) = asked(&copy).unwrap();
    assert_eq!(found, WHOLE);
    assert!(told.contains("of 4000000000 elements"), "{told}");
    let many = [&b"\x80\x03"[..], &b"N".repeat(30_000_000), b"."].concat();
    fs::write(segment.join("index_metadata.pickle"), many).unwrap();
    age_all(&segment);
    assert!(asked(&copy).unwrap().1.contains("holds more"));
}

#[test]
fn a_label_that_two_elements_have_is_nobodys() {
    let copy = copy(NEW);
    let segment = copy.segment("l2_history");
    let header = fs::read(segment.join("header.bin")).unwrap();
    let field = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap()) as usize;
    let (stride, label) = (field(28), field(36));
    let path = segment.join("data_level0.bin");
    let mut elements = fs::read(&path).unwrap();
    elements.copy_within(label..label + 8, stride + label);
    fs::write(path, elements).unwrap();
    age_all(&segment);
    let (found, told) = asked(&copy).unwrap();
    assert_eq!(found, WHOLE);
    assert!(told.contains("2 elements of equal label"), "{told}");
}

#[test]
fn a_view_is_never_read_not_even_one_without_end() {
    for table in [
        "embeddings",
        "collections",
        "embedding_metadata",
        "embeddings_queue",
        "migrations",
    ] {
        let error = error_after(&format!(
            "ALTER TABLE {table} RENAME TO real_{table}; CREATE VIEW {table} AS SELECT * FROM real_{table}"
        ));
        assert!(error.to_string().contains("it holds a view"), "{error}");
    }
    let error = error_after(
        "DROP TABLE embeddings; CREATE VIEW embeddings AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
         SELECT x AS id, 'a' AS segment_id, 'b' AS embedding_id, x AS seq_id, NULL AS created_at FROM n",
    );
    assert!(error.to_string().contains("it holds a view"), "{error}");
}

#[test]
fn triggers_and_computed_columns_do_not_run() {
    let (found, _) = told_after(
        "CREATE TRIGGER endless AFTER INSERT ON embeddings BEGIN INSERT INTO embeddings SELECT * FROM embeddings; END; \
         CREATE INDEX costly ON embeddings (length(embedding_id || '  '))",
    );
    assert_eq!(found, WHOLE);
    let error = error_after(
        "DROP TABLE embeddings; CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, seq_id, created_at, \
         embedding_id TEXT AS (hex(zeroblob(400000000))))",
    );
    assert!(
        error.to_string().contains("no column \"embedding_id\""),
        "{error}"
    );
}

#[test]
fn a_table_without_a_column_is_named_with_it() {
    let columns: Vec<(String, String)> = {
        let sqlite = copy(NEW).sqlite();
        let mut query = sqlite
            .prepare(
                "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.name IN ('collections', \
                 'segments', 'embeddings', 'embedding_metadata', 'max_seq_id', 'embeddings_queue', 'segment_metadata', \
                 'collection_metadata') AND c.name NOT IN ('bool_value', 'config_json_str', 'schema_str', 'database_id')",
            )
            .unwrap();
        let rows = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert!(columns.len() > 30, "{columns:?}");
    for (table, column) in columns {
        let copy = copy(NEW);
        copy.sql(&format!(
            "ALTER TABLE {table} RENAME COLUMN {column} TO other"
        ));
        let error = refused(&copy.directory).to_string();
        let named = error.contains(&format!("{table:?}")) && error.contains(&format!("{column:?}"));
        assert!(named, "{table}.{column}: {error}");
    }
}

#[test]
fn a_schema_of_megabytes_is_only_long() {
    let text = "x".repeat(20_000_000);
    let (found, _) = told_after(&format!("CREATE TABLE other (a TEXT DEFAULT '{text}')"));
    assert_eq!(found, WHOLE);
    let columns: Vec<String> = (0..1_500).map(|n| format!("c{n}")).collect();
    let error = error_after(&format!("CREATE TABLE wide ({})", columns.join(", ")));
    assert!(matches!(error, SourceError::Damaged { .. }), "{error}");
}

#[test]
fn sequence_numbers_at_their_ends_are_numbers_like_others() {
    for number in [
        "9223372036854775807",
        "-9223372036854775808",
        "-1",
        "0",
        "x'7fffffffffffffff'",
    ] {
        let (found, _) = told_after(&format!(
            "UPDATE embeddings SET seq_id = {number}; UPDATE max_seq_id SET seq_id = {number}"
        ));
        assert_eq!(found.0, WHOLE.0, "{number}");
    }
    let (found, _) = told_after(
        "UPDATE embeddings_queue SET seq_id = -seq_id; INSERT INTO embeddings_queue (seq_id, operation, topic, id) \
         SELECT 9223372036854775807, 3, topic, 'nobody' FROM embeddings_queue LIMIT 1",
    );
    assert_eq!(found.0, WHOLE.0);
    for value in ["x'ffffffffffffffff'", "x'01'", "1.5", "'one'"] {
        let error = error_after(&format!("UPDATE max_seq_id SET seq_id = {value}"));
        assert!(
            error.to_string().contains("a sequence number"),
            "{value}: {error}"
        );
    }
}

#[test]
fn a_dimension_is_never_taken_at_its_word() {
    for dimension in [
        "0",
        "-1",
        "2147483648",
        "1000000000",
        "9223372036854775807",
        "'many'",
        "x'08'",
        "1e300",
    ] {
        let (found, _) = told_after(&format!("UPDATE collections SET dimension = {dimension}"));
        assert_eq!(found, WHOLE, "{dimension}");
    }
}

#[test]
fn ids_that_are_no_text_are_read_or_refused() {
    for id in ["NULL", "x'ff00'", "7", "''"] {
        let (found, _) = told_after(&format!(
            "{} UPDATE embeddings SET embedding_id = {id}",
            loosened("embeddings")
        ));
        assert_eq!(found, WHOLE, "{id}");
    }
    let error = error_after(&format!(
        "{} UPDATE embeddings SET id = NULL",
        loosened("embeddings")
    ));
    assert!(matches!(error, SourceError::Damaged { .. }), "{error}");
    let (found, _) = told_after(&format!(
        "{} UPDATE embeddings SET id = 1",
        loosened("embeddings")
    ));
    assert_eq!(found.0, WHOLE.0);
    for id in ["NULL", "x'00'", "'../../etc'", "7"] {
        let error = error_after(&format!(
            "{} UPDATE collections SET id = {id}",
            loosened("collections")
        ));
        assert!(error.to_string().contains("not a uuid"), "{id}: {error}");
    }
}

#[test]
fn two_collections_of_one_id_are_refused_and_of_one_name_are_two() {
    let loose = loosened("collections");
    let error = error_after(&format!(
        "{loose} INSERT INTO collections SELECT * FROM collections"
    ));
    assert!(error.to_string().contains("as another one has"), "{error}");
    let (found, _) = told_after(&format!("{loose} UPDATE collections SET name = 'same'"));
    assert_eq!(found, WHOLE);
}

#[test]
fn names_are_what_they_are() {
    let long = "n".repeat(10_000);
    for name in [
        "",
        "a\"b'c\nd\te",
        "{0} %s $1 \\",
        &long,
        "../../x",
        "\u{202e}txt",
    ] {
        let copy = copy(NEW);
        let sql = "UPDATE collections SET name = ?1 WHERE name = 'l2_history'";
        copy.sqlite().execute(sql, [name]).unwrap();
        assert_eq!(asked(&copy).unwrap().0, WHOLE, "{name:.20?}");
        named(&open(&copy.directory), name);
    }
    let (found, told) = told_after(
        "UPDATE collections SET name = CAST(x'610062' AS TEXT) WHERE name = 'l2_history'",
    );
    assert_eq!(found, (WHOLE.0 - 1, WHOLE.1 - 48));
    assert!(
        told.contains("\"a\\0b\"") && told.contains("not read"),
        "{told}"
    );
}

#[test]
fn a_collection_without_segments_is_told() {
    let of = "collection = (SELECT id FROM collections WHERE name = 'l2_history')";
    let (found, told) = told_after(&format!("DELETE FROM segments WHERE {of}"));
    assert_eq!(found, (WHOLE.0, WHOLE.1 - 48));
    assert!(
        told.contains("\"l2_history\" has no metadata segment"),
        "{told}"
    );
    let (found, told) = told_after(&format!(
        "DELETE FROM segments WHERE scope = 'VECTOR' AND {of}"
    ));
    assert_eq!(found, WHOLE);
    assert!(
        told.contains("\"l2_history\" has no vector segment"),
        "{told}"
    );
    let kinds = "scope = 'VECTOR', type = 'urn:chroma:segment/vector/hnsw-local-persisted'";
    let error = error_after(&format!("UPDATE segments SET {kinds}"));
    assert!(
        error.to_string().contains("more than one segment"),
        "{error}"
    );
}

#[test]
fn a_configuration_that_is_not_json_is_told_and_counts_as_none() {
    for text in ["{", "l2", "{\"a\":}", "\u{0}", &"[".repeat(100_000)] {
        for column in ["schema_str", "config_json_str"] {
            let copy = copy(NEW);
            let sql = format!("UPDATE collections SET {column} = ?1 WHERE name = 'l2_history'");
            copy.sqlite().execute(&sql, [text]).unwrap();
            let (found, told) = asked(&copy).unwrap();
            assert_eq!(found, WHOLE, "{text:.20?}");
            let named = told.contains("\"l2_history\"") && told.contains(column);
            assert!(named && told.contains("not JSON"), "{text:.20?}: {told}");
        }
    }
}

#[test]
fn what_postgresqls_json_cannot_hold_is_told_and_replaced() {
    let (found, told) = told_after(
        "UPDATE collections SET schema_str = '{\"a\": [\"\\u0000\"]}' WHERE name = 'l2_history'; \
         UPDATE collection_metadata SET str_value = CAST(x'610062' AS TEXT) WHERE str_value IS NOT NULL",
    );
    assert_eq!(found, WHOLE);
    assert!(
        told.contains("the configuration of collection \"l2_history\" holds U+0000"),
        "{told}"
    );
    assert!(told.contains("metadata \""), "{told}");
}

#[test]
fn a_queue_of_nonsense_is_told_in_a_bounded_number_of_sentences() {
    let (_, told) = told_after(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5000) \
         INSERT INTO embeddings_queue (operation, topic, id, metadata) \
         SELECT 2, 'persistent://default/default/' || c.id, 'n' || x, '{' FROM n, collections c WHERE c.name = 'l2_history'",
    );
    let lines = told.lines().count();
    assert!((1_000..2_100).contains(&lines), "{lines}");
    assert!(told.contains("what else was found is not listed"));
}
