//! Vectors, texts and metadata arrive as Chroma kept them, and the directory is never changed.

use chrono::{DateTime, Utc};
use pgvector::Vector;
use postgres::Row;
use serde_json::Value as Json;
use vector_migrate_tests::{
    Db, Expected, ExpectedCollection, ExpectedRecord, Store, assert_same_json, store,
};

const RECORDS: &str = "SELECT tenant, database, collection, id, document, uri, metadata, embedding, created_at FROM chroma_records";

fn records_of(rows: &[Row], collection: &ExpectedCollection) -> Vec<Row> {
    let wanted = [&collection.tenant, &collection.database, &collection.name];
    let name =
        |row: &Row| ["tenant", "database", "collection"].map(|part| row.get::<_, String>(part));
    rows.iter()
        .filter(|row| name(row).each_ref() == wanted)
        .cloned()
        .collect()
}

fn assert_record(row: &Row, record: &ExpectedRecord, collection: &ExpectedCollection) {
    let place = format!("{} {:?}", collection.name, record.id);
    assert_eq!(row.get::<_, &str>("id"), record.id);
    assert_eq!(
        row.get::<_, Option<String>>("document"),
        record.document,
        "document of {place}"
    );
    assert_eq!(
        row.get::<_, Option<String>>("uri"),
        record.uri,
        "uri of {place}"
    );
    let metadata: Option<Json> = row.get("metadata");
    assert_same_json(&metadata.unwrap_or(Json::Null), &record.metadata, &place);
    collection.assert_vector(
        record,
        row.get::<_, Option<Vec<f32>>>("embedding").as_deref(),
    );
    assert_created(row, record);
}

fn assert_created(row: &Row, record: &ExpectedRecord) {
    let created: DateTime<Utc> = row.get("created_at");
    assert_eq!(
        created.format("%Y-%m-%d %H:%M:%S").to_string(),
        record.created_at
    );
}

/// Every record of every collection is as the release returned it, in its order.
fn chroma_records_are_what_chromadb_returned(name: &str, by_id: bool) {
    let (db, source) = (Db::new(), store(name));
    let expected = Expected::of(name);
    let rows = db.query(&format!("{RECORDS}({})", source.sql()), &[]);
    let mut known = 0;
    for collection in &expected.collections {
        let mut found = records_of(&rows, collection);
        known += found.len();
        assert_eq!(
            found.len() as i64,
            collection.count,
            "records of {}",
            collection.name
        );
        if by_id {
            found.sort_by_key(|row| row.get::<_, String>("id"));
        }
        let listed = found.iter().step_by(collection.every as usize);
        for (row, record) in listed.zip(&collection.records) {
            assert_record(row, record, collection);
        }
    }
    assert_eq!(rows.len(), known, "no collection but the expected ones");
}

#[test]
fn records_written_by_0_4_24_are_what_it_returned() {
    // From 0.4.24 to 0.5.5 they came by id; the other releases return them as they were added, as we do.
    chroma_records_are_what_chromadb_returned("chroma-0.4.24", true);
}

#[test]
fn records_written_by_releases_in_between_are_what_they_returned() {
    for (release, by_id) in [
        ("0.4.0", false),
        ("0.5.0", true),
        ("0.5.5", true),
        ("1.0.0", false),
        ("1.1.1", false),
        ("1.3.7", false),
    ] {
        chroma_records_are_what_chromadb_returned(&format!("chroma-{release}"), by_id);
    }
}

#[test]
fn records_written_by_0_5_23_are_what_it_returned() {
    chroma_records_are_what_chromadb_returned("chroma-0.5.23", false);
}

#[test]
fn records_written_by_0_6_3_are_what_it_returned() {
    chroma_records_are_what_chromadb_returned("chroma-0.6.3", false);
}

#[test]
fn records_written_by_1_0_21_are_what_it_returned() {
    chroma_records_are_what_chromadb_returned("chroma-1.0.21", false);
}

#[test]
fn records_written_by_1_5_9_are_what_it_returned() {
    chroma_records_are_what_chromadb_returned("chroma-1.5.9", false);
}

#[test]
fn records_of_special_stores_are_what_chromadb_returned() {
    for name in [
        "many",
        "mixed-dimensions",
        "two-collections",
        "no-vector",
        "no-vector-0.5.11",
        "north",
        "south",
        "memories",
        "chat-files",
        "same-ids",
        "owners",
    ] {
        chroma_records_are_what_chromadb_returned(&format!("special/{name}"), false);
    }
}

/// `collection` in tables made by the run: vectors, metadata, uri, text and time of every record.
fn migrated_rows_are_what_chromadb_returned(source: &Store, expected: &Expected, name: &str) {
    let db = Db::new();
    let collection = expected.collection(name);
    let report = db.migrate(
        source,
        &format!("collection => '{name}', orphans => 'keep', entity_target => NULL"),
    );
    assert_eq!(report.outcome(), (collection.count, collection.count, 0, 0));
    assert_eq!(report.total().reused, collection.count);
    for record in &collection.records {
        let rows = db.query(
            "SELECT * FROM content_vectors WHERE chroma_collection = $1 AND id = $2",
            &[&name, &record.id],
        );
        assert_eq!(rows.len(), 1, "{name} {:?}", record.id);
        let row = &rows[0];
        let vector: Vector = row.get("embedding");
        collection.assert_vector(record, Some(&vector.to_vec()));
        let metadata: Json = row.get("metadata");
        let wanted = if record.metadata.is_null() {
            &Json::Object(Default::default())
        } else {
            &record.metadata
        };
        assert_same_json(&metadata, wanted, &format!("{name} {:?}", record.id));
        assert_eq!(row.get::<_, Option<String>>("uri"), record.uri);
        if let Some(document) = record
            .document
            .as_ref()
            .filter(|document| !document.is_empty())
        {
            assert_eq!(&row.get::<_, String>("searchable_text"), document);
        }
        assert_created(row, record);
    }
}

fn migrated_collections_are_what_chromadb_returned(name: &str, collections: &[&str]) {
    let (source, expected) = (store(name), Expected::of(name));
    for collection in collections {
        migrated_rows_are_what_chromadb_returned(&source, &expected, collection);
    }
}

#[test]
fn rows_from_0_4_24_hold_what_it_returned_bit_for_bit() {
    let collections = [
        "l2_history",
        "cosine_history",
        "cosine_queue",
        "types",
        "odd_ids",
    ];
    migrated_collections_are_what_chromadb_returned("chroma-0.4.24", &collections);
}

#[test]
fn rows_from_0_5_23_hold_what_it_returned_bit_for_bit() {
    let collections = ["l2_history", "cosine_history", "ip_persisted", "types"];
    migrated_collections_are_what_chromadb_returned("chroma-0.5.23", &collections);
}

#[test]
fn rows_from_0_6_3_hold_what_it_returned_bit_for_bit() {
    migrated_collections_are_what_chromadb_returned(
        "chroma-0.6.3",
        &["l2_history", "cosine_history"],
    );
}

#[test]
fn rows_from_1_0_21_hold_what_it_returned_bit_for_bit() {
    let collections = [
        "l2_history",
        "cosine_history",
        "ip_persisted",
        "types",
        "legacy_settings",
    ];
    migrated_collections_are_what_chromadb_returned("chroma-1.0.21", &collections);
}

#[test]
fn rows_from_1_5_9_hold_what_it_returned_bit_for_bit() {
    let collections = [
        "l2_history",
        "cosine_history",
        "ip_persisted",
        "cosine_queue",
        "types",
        "arrays",
        "odd_ids",
    ];
    migrated_collections_are_what_chromadb_returned("chroma-1.5.9", &collections);
}

#[test]
fn rows_from_releases_in_between_hold_what_they_returned_bit_for_bit() {
    for release in ["0.4.0", "0.5.0", "0.5.5", "1.1.1", "1.3.7"] {
        migrated_collections_are_what_chromadb_returned(
            &format!("chroma-{release}"),
            &["l2_history", "cosine_history"],
        );
    }
    migrated_collections_are_what_chromadb_returned("chroma-1.0.0", &["cosine_history"]);
}

#[test]
fn rows_from_stores_of_many_kinds_hold_what_chromadb_returned_bit_for_bit() {
    for (name, collections) in [
        ("north", &["langchain"][..]),
        ("south", &["langchain"]),
        ("memories", &["memories"]),
        ("same-ids", &["sql", "ddl", "documentation"]),
        ("owners", &["numbers", "uuids", "names", "mixed", "nobody"]),
    ] {
        migrated_collections_are_what_chromadb_returned(&format!("special/{name}"), collections);
    }
    // A collection each of those that are in the queue alone and those that are partly in the index files.
    let expected = Expected::of("special/chat-files");
    let first = |persisted: bool| {
        let wanted = |it: &&ExpectedCollection| it.count > 0 && (it.persisted > 0) == persisted;
        expected.collections.iter().find(wanted).expect("has some")
    };
    let names = [false, true].map(|persisted| &*first(persisted).name);
    migrated_collections_are_what_chromadb_returned("special/chat-files", &names);
}

#[test]
fn a_collection_can_be_read_alone_and_by_its_metadata() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let ids = |arguments: &str| {
        db.lines(&format!(
            "SELECT id FROM chroma_records({}, {arguments})",
            source.sql()
        ))
    };
    assert_eq!(ids("'l2_history'").len(), 48);
    assert_eq!(ids("collection => 'acme/library/shared_name'").len(), 5);
    assert_eq!(ids(r#"'l2_history', '{"n": 101}'"#), ["l2-01"]);
    assert_eq!(ids(r#"'arrays', '{"a": ["q\""]}'"#), ["strings"]);
    assert_eq!(
        ids(r#"filter => '{"user_id": "1", "content_type": "podcast"}'"#),
        ["content-012", "content-bad-json"]
    );
    assert!(ids(r#"'l2_history', '{"n": "101"}'"#).is_empty());
}

#[test]
fn what_postgresql_cannot_hold_is_shown_as_the_replacement_character_and_counted() {
    let (db, source) = (Db::new(), store("special/bad-values-0.6.3"));
    source.damage(
        "PRAGMA foreign_keys = 0; DELETE FROM embeddings_queue;
         DELETE FROM embeddings WHERE embedding_id NOT LIKE 'nul-%';
         DELETE FROM embedding_metadata WHERE id NOT IN (SELECT id FROM embeddings)",
    );
    let all = source.texts("SELECT embedding_id FROM embeddings").len();
    let session = db.session();
    let shown = "concat(id, document, metadata::text)";
    let rows = session.lines(&format!(
        "SELECT id, {shown} LIKE '%\u{FFFD}%', {shown} LIKE '%\u{2400}%' FROM chroma_records({}) ORDER BY id",
        source.sql()
    ));
    assert_eq!(rows.len(), all);
    let replaced: Vec<_> = rows.iter().filter(|row| row.ends_with("|t|f")).collect();
    for id in [
        "nul-document-1",
        "nul-value-1",
        "nul-key-1",
        "nul-id\u{FFFD}-1",
        "nul-user",
    ] {
        assert!(replaced.contains(&&format!("{id}|t|f")), "{id}: {rows:?}");
    }
    let warnings = session.notices();
    let about = |it: &&vector_migrate_tests::Notice| it.text.contains("U+FFFD");
    let mut warnings = warnings.iter().filter(about);
    let warning = &warnings.next().expect("a warning").text;
    assert!(warnings.next().is_none());
    let counted = format!("{} records have U+0000", replaced.len());
    assert!(
        warning.starts_with(&counted) && warning.contains("(first: \"nul-"),
        "{warning}"
    );
}

#[test]
fn values_are_what_the_server_would_have_made_of_their_text() {
    let db = Db::new();
    for name in ["chroma-0.4.24", "chroma-1.5.9", "special/many"] {
        let source = store(name);
        let unlike = format!(
            "SELECT count(*) FROM chroma_records({}) WHERE metadata IS DISTINCT FROM metadata::text::jsonb
                 OR EXISTS (SELECT FROM jsonb_each(metadata) e WHERE metadata->e.key IS DISTINCT FROM e.value)
                 OR embedding IS DISTINCT FROM embedding::text::real[]
                 OR array_ndims(embedding) <> 1 OR array_lower(embedding, 1) <> 1",
            source.sql()
        );
        assert_eq!(db.line(&unlike), "0", "{name}");
    }
}

#[test]
fn a_nul_that_is_only_escaped_in_a_text_is_no_nul() {
    let (db, source) = (Db::new(), store("special/bad-values-0.6.3"));
    let sql = format!(
        "SELECT metadata->>'full_content' FROM chroma_records({}, filter => '{{\"user_id\": \"2\"}}') WHERE id = 'nul-content'",
        source.sql()
    );
    assert_eq!(
        db.line(&sql),
        "{\"id\": \"nul-content\", \"title\": \"a\\u0000b\"}"
    );
}

/// Every function that reads, with success and with errors.
fn use_everything(db: &Db, source: &Store) {
    let path = source.sql();
    db.run(&format!("SELECT * FROM chroma_collections({path})"));
    db.run(&format!("SELECT * FROM chroma_store({path})"));
    db.run(&format!(
        "SELECT * FROM chroma_records({path}, 'l2_history')"
    ));
    db.error(&format!(
        "SELECT * FROM chroma_records({path}, 'no such collection')"
    ));
    for collection in ["l2_history", "cosine_history"] {
        let arguments =
            format!("collection => '{collection}', orphans => 'keep', entity_target => NULL");
        db.migrate(source, &format!("{arguments}, dry_run => true"));
        db.migrate(source, &arguments);
        db.migrate(source, &format!("{arguments}, on_conflict => 'update'"));
        db.migrate_error(source, &format!("{arguments}, on_conflict => 'error'"));
    }
    db.migrate_error(source, "");
}

#[test]
fn the_directory_is_never_changed() {
    for name in [
        "chroma-0.4.24",
        "chroma-0.5.23",
        "chroma-0.6.3",
        "chroma-1.0.21",
        "chroma-1.5.9",
    ] {
        let (db, source) = (Db::new(), store(name));
        let before = source.snapshot();
        use_everything(&db, &source);
        assert_eq!(source.snapshot(), before, "{name}");
    }
}

#[test]
fn a_directory_that_the_server_may_not_write_is_read() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    source.chmod("chroma/chroma.sqlite3", 0o444);
    source.chmod("chroma", 0o555);
    source.chmod("", 0o555);
    use_everything(&db, &source);
}
