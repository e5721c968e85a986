//! The two tables of LangChain's PGVector: `preset => 'langchain_v1'`.

use vector_migrate_tests::apps::{Application, Recorded, Table, newest_run};
use vector_migrate_tests::{Db, Session, store};

const LANGCHAIN: Application = Application {
    name: "langchain_v1",
    store: "langchain",
    tables: &[
        Table {
            name: "langchain_pg_collection",
            key: "name",
            own: &["uuid"],
            records: false,
        },
        Table {
            name: "langchain_pg_embedding",
            key: "id",
            own: &["collection_id"],
            records: true,
        },
    ],
    calls: &[CALL],
    makes: &[(
        "preset => 'langchain_v1'",
        &["langchain_pg_collection", "langchain_pg_embedding"],
    )],
    failed: &[("no-document", "no_text"), ("nul", "bad_text")],
    blank: None,
};
const CALL: &str = "target => 'langchain_pg_embedding'";
const OWN_UUID: &str = "11111111-2222-4333-8444-555555555555";

/// What the application does when it starts: its collection is there, and has no rows.
const STARTED: &str = "INSERT INTO langchain_pg_collection VALUES ('11111111-2222-4333-8444-555555555555', 'langchain', 'null')";

fn collections(db: &Session) -> Vec<String> {
    db.lines("SELECT name, uuid, cmetadata FROM langchain_pg_collection ORDER BY name")
}

/// `name|rows` of each collection.
fn rows_in_collections(db: &Session) -> Vec<String> {
    db.lines(
        "SELECT name, count(id) FROM langchain_pg_collection LEFT JOIN langchain_pg_embedding ON collection_id = uuid
          GROUP BY 1 ORDER BY 1",
    )
}

fn errors(db: &Session) -> Vec<String> {
    db.lines("SELECT reason, count(*) FROM vector_migrate.run_errors GROUP BY 1 ORDER BY 1")
}

fn chromas_uuid<'a>(recorded: &'a Recorded, name: &str) -> &'a str {
    recorded.collection(name)["id"].as_str().expect("a uuid")
}

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    LANGCHAIN.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    LANGCHAIN.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    LANGCHAIN.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    LANGCHAIN.assert_a_rollback_leaves_the_tables_as_they_were(STARTED);
}

#[test]
fn missing_tables_are_made_as_the_client_makes_them() {
    LANGCHAIN.assert_the_preset_makes_missing_tables();
}

#[test]
fn the_preset_is_found_by_the_columns_and_named() {
    let (db, recorded) = LANGCHAIN.ready();
    db.notices();
    db.migrate(&recorded.store, CALL);
    assert!(db.told(&["langchain_v1"]));
}

#[test]
fn a_collection_keeps_its_uuid_and_a_new_one_takes_chromas() {
    let (db, recorded) = LANGCHAIN.ready();
    db.run(STARTED);
    LANGCHAIN.fill(&db, &recorded.store);
    let with_uuid =
        |name: &str, metadata: &str| format!("{name}|{}|{metadata}", chromas_uuid(&recorded, name));
    let mut found = collections(&db);
    let of_requests = found.remove(4);
    let wanted = [
        with_uuid("Tea.List-v3", "null"),
        format!("langchain|{OWN_UUID}|null"),
        with_uuid("manual", "null"),
        with_uuid("mixed", "null"),
    ];
    assert_eq!(found, wanted);
    assert!(
        of_requests.starts_with(&with_uuid("requests", "")),
        "{of_requests}"
    );
    assert!(
        of_requests.contains("help desk") && !of_requests.contains("hnsw:"),
        "{of_requests}"
    );
    // JSON's null, as the client writes it: it reads a collection without metadata.
    assert_eq!(
        db.count("langchain_pg_collection WHERE cmetadata IS NULL"),
        0
    );
    assert_eq!(
        rows_in_collections(&db),
        [
            "Tea.List-v3|3",
            "langchain|7",
            "manual|6",
            "mixed|1",
            "requests|5"
        ]
    );
}

#[test]
fn a_rollback_removes_the_collections_that_the_run_added_and_no_other() {
    let (db, recorded) = LANGCHAIN.ready();
    db.run(STARTED);
    let run = LANGCHAIN.fill(&db, &recorded.store).remove(0).run_id();
    db.run(&format!("SELECT * FROM rollback_migration({run})"));
    assert_eq!(collections(&db), [format!("langchain|{OWN_UUID}|null")]);
    assert_eq!(db.count("langchain_pg_embedding"), 0);
}

#[test]
fn a_rollback_keeps_a_collection_that_has_rows_of_the_applications() {
    let (db, recorded) = LANGCHAIN.filled();
    db.run(
        "INSERT INTO langchain_pg_embedding (id, collection_id, document)
         SELECT 'own', uuid, 'own' FROM langchain_pg_collection WHERE name = 'manual'",
    );
    db.run("SELECT * FROM rollback_migration()");
    let kept = format!("manual|{}|null", chromas_uuid(&recorded, "manual"));
    assert_eq!(collections(&db), [kept]);
    assert_eq!(db.lines("SELECT id FROM langchain_pg_embedding"), ["own"]);
}

#[test]
fn a_rollback_keeps_a_collection_that_a_later_run_has_filled() {
    let (db, recorded) = LANGCHAIN.ready();
    let first = db.migrate(
        &recorded.store,
        &format!("{CALL}, collection => 'manual', filter => '{{\"lang\": \"de\"}}'"),
    );
    let second = db.migrate(&recorded.store, &format!("{CALL}, collection => 'manual'"));
    assert_eq!((first.total().migrated, second.total().migrated), (3, 3));
    db.run(&format!(
        "SELECT * FROM rollback_migration({})",
        first.run_id()
    ));
    assert_eq!(rows_in_collections(&db), ["manual|3"]);
    db.run(&format!(
        "SELECT * FROM rollback_migration({})",
        second.run_id()
    ));
    assert_eq!(db.count("langchain_pg_embedding"), 0);
}

#[test]
fn equal_ids_in_two_collections_are_collisions_in_one_run() {
    let (db, source) = (Db::new(), store("special/same-ids"));
    let report = db.migrate(&source, "preset => 'langchain_v1'");
    assert_eq!(report.outcome(), (30, 10, 0, 20));
    assert_eq!(errors(&db), ["id_collision|20"]);
}

#[test]
fn an_id_that_another_collection_has_is_no_record_that_is_there_already() {
    let (db, source) = (Db::new(), store("special/same-ids"));
    db.migrate(&source, "preset => 'langchain_v1', collection => 'sql'");
    let before = LANGCHAIN.contents(&db)[1].clone();
    let run = newest_run(&db);
    let report = db.migrate(&source, "preset => 'langchain_v1', collection => 'ddl'");
    assert_eq!(report.outcome(), (10, 0, 0, 10));
    let reasons =
        format!("SELECT DISTINCT reason FROM vector_migrate.run_errors WHERE run_id > {run}");
    assert_eq!(db.lines(&reasons), ["id_collision"]);
    assert_eq!(LANGCHAIN.contents(&db)[1], before);
}

#[test]
fn a_record_without_document_is_left_out() {
    let (db, source) = (Db::new(), store("special/memories"));
    let report = db.migrate(&source, "preset => 'langchain_v1'");
    assert_eq!(report.outcome(), (12, 0, 0, 12));
    assert_eq!(errors(&db), ["no_text|12"]);
    assert_eq!(db.count("langchain_pg_embedding"), 0);
}

#[test]
fn metadata_is_an_empty_object_where_chroma_has_none() {
    let (db, _recorded) = LANGCHAIN.filled();
    assert_eq!(
        db.lines("SELECT document FROM langchain_pg_embedding WHERE cmetadata = '{}' ORDER BY 1"),
        ["Nothing is said about this one.", "White"]
    );
}

#[test]
fn values_of_metadata_keep_their_types() {
    let (db, _recorded) = LANGCHAIN.filled();
    let value = "SELECT cmetadata->>'weight', cmetadata->>'draft', cmetadata->'parts' FROM langchain_pg_embedding
                  WHERE cmetadata ? 'weight' OR cmetadata ? 'parts' ORDER BY id";
    assert_eq!(
        db.lines(value),
        ["1.0|false|∅", "2.5|true|∅", "∅|∅|[0.5, 2.0]"]
    );
    assert_eq!(
        db.line("SELECT cmetadata->>'big' FROM langchain_pg_embedding WHERE cmetadata ? 'big'"),
        "9007199254740993"
    );
}

#[test]
fn a_warning_names_the_setting_where_chromas_distance_would_order_otherwise() {
    // Vectors whose length is not 1, from a collection with Chroma's default, l2.
    let (db, source) = (Db::new(), store("special/north"));
    db.notices();
    db.migrate(&source, "preset => 'langchain_v1'");
    let warned = db
        .notices()
        .into_iter()
        .filter(|notice| notice.severity == "WARNING");
    let texts: Vec<String> = warned.map(|notice| notice.text).collect();
    assert!(
        texts.iter().any(|text| text.contains("EUCLIDEAN")),
        "{texts:?}"
    );
    let (db, recorded) = LANGCHAIN.ready();
    LANGCHAIN.fill(&db, &recorded.store);
    assert!(
        !db.told(&["EUCLIDEAN"]) && !db.told(&["INNER_PRODUCT"]),
        "vectors of length 1 are in one order by each distance"
    );
}
