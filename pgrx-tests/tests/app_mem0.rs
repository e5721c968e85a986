//! mem0's tables: `preset => 'mem0'`.

use vector_migrate_tests::apps::{Application, Table, definition};
use vector_migrate_tests::{Db, store};

const fn table(name: &'static str) -> Table {
    Table {
        name,
        key: "id",
        own: &[],
        records: true,
    }
}

const MEM0: Application = Application {
    name: "mem0",
    store: "mem0",
    tables: &[
        table("mem0"),
        table("mem0_entities"),
        table("\"Team Notes\""),
    ],
    calls: &[
        "collection => 'mem0', target => 'mem0'",
        "collection => 'mem0_entities', target => 'mem0_entities'",
        "collection => 'team_notes', target => '\"Team Notes\"'",
    ],
    makes: &[
        ("preset => 'mem0', collection => 'mem0'", &["mem0"]),
        (
            "preset => 'mem0', collection => 'mem0_entities'",
            &["mem0_entities"],
        ),
        (
            "preset => 'mem0', collection => 'team_notes', target => '\"Team Notes\"'",
            &["\"Team Notes\""],
        ),
    ],
    failed: &[],
    blank: None,
};

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    MEM0.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    MEM0.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    MEM0.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    MEM0.assert_a_rollback_leaves_the_tables_as_they_were(
        "INSERT INTO mem0 VALUES ('11111111-2222-4333-8444-555555555555', '[1,2,3,4,5,6,7,8]', '{\"data\": \"own\", \"n\": 1.0}')",
    );
}

#[test]
fn missing_tables_are_made_as_the_client_makes_them() {
    MEM0.assert_the_preset_makes_missing_tables();
}

#[test]
fn the_collection_that_mem0s_telemetry_leaves_is_left_out() {
    let (db, source) = (Db::new(), MEM0.recorded().store);
    db.notices();
    let report = db.migrate(&source, "preset => 'mem0'");
    let (found, migrated, skipped, failed) = report.outcome();
    assert_eq!((migrated, skipped, failed), (found, 0, 0));
    let tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1";
    assert_eq!(db.lines(tables), ["mem0", "mem0_entities", "team_notes"]);
    assert_eq!(
        ["mem0", "mem0_entities", "team_notes"].map(|table| db.count(table)),
        [5, 4, 1]
    );
    assert!(db.told(&["mem0migrations"]), "what is left out is named");
}

#[test]
fn the_payload_is_the_metadata() {
    let (db, _recorded) = MEM0.filled();
    let row = "SELECT payload->>'stars', payload->>'whole', payload->>'sure', payload->>'topic' FROM mem0 WHERE payload ? 'stars'";
    assert_eq!(db.line(row), "5|3.0|true|food");
    let lists = "SELECT count(*) FROM mem0_entities WHERE jsonb_typeof(payload->'linked_memory_ids') = 'array'";
    assert_eq!(db.line(lists), "4");
}

#[test]
fn an_id_that_is_no_uuid_is_that_records_error() {
    let (db, source) = (Db::new(), store("special/north"));
    let report = db.migrate(&source, "preset => 'mem0'");
    assert_eq!(report.outcome(), (10, 0, 0, 10));
    assert_eq!(
        db.lines("SELECT reason, count(*) FROM vector_migrate.run_errors GROUP BY 1"),
        ["bad_id|10"]
    );
}

#[test]
fn memories_of_an_older_store_go_on_too() {
    let (db, source) = (Db::new(), store("special/memories"));
    assert_eq!(
        db.migrate(&source, "preset => 'mem0'").outcome(),
        (12, 12, 0, 0)
    );
    assert_eq!(
        db.count("memories WHERE payload->>'user_id' IN ('alice', 'bob')"),
        12
    );
    let owners = "preset => 'mem0', filter => '{\"user_id\": \"alice\"}', target => 'of_alice'";
    assert_eq!(db.migrate(&source, owners).outcome(), (6, 6, 0, 0));
}

#[test]
fn the_applications_vector_index_stays_and_has_every_row() {
    let (db, recorded) = MEM0.ready();
    let before = definition(&db, "mem0");
    assert!(before.contains("mem0_hnsw_idx"));
    MEM0.fill(&db, &recorded.store);
    assert_eq!(definition(&db, "mem0"), before);
    let nearest = "SET enable_seqscan = off;
         SELECT count(*) FROM (SELECT id FROM mem0 ORDER BY vector <=> (SELECT vector FROM mem0 LIMIT 1)) s";
    assert_eq!(db.line(nearest), "5");
}

#[test]
fn another_user_of_the_database_may_fill_a_table_that_it_owns() {
    let (db, source) = (Db::new(), MEM0.recorded().store);
    let session = db.session_as(&db.reader("filler"));
    let report = session.migrate(&source, "preset => 'mem0', collection => 'mem0'");
    assert_eq!(report.outcome(), (5, 5, 0, 0));
    session.run("SELECT * FROM rollback_migration()");
    assert_eq!(session.count("mem0"), 0);
}
