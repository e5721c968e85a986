//! Open WebUI's table: `preset => 'open_webui'`.

use serde_json::json;
use vector_migrate_tests::apps::{Application, Table, definition};
use vector_migrate_tests::{Db, Session, Written, store, store_written};

const OPEN_WEBUI: Application = Application {
    name: "open_webui",
    store: "open_webui",
    tables: &[Table {
        name: "document_chunk",
        key: "id",
        own: &[],
        records: true,
    }],
    calls: &[CALL],
    makes: &[("preset => 'open_webui'", &["document_chunk"])],
    failed: &[],
    blank: None,
};
const CALL: &str = "target => 'document_chunk'";

/// The client's table, but for the columns.
fn with_columns(vector: &str, text: &str, metadata: &str) -> Db {
    let db = Db::new();
    db.run(&format!(
        "CREATE TABLE document_chunk (id text PRIMARY KEY, vector {vector}, collection_name text NOT NULL, text {text},
             vmetadata {metadata})"
    ));
    db
}

#[test]
fn the_table_is_filled_as_the_client_fills_it() {
    OPEN_WEBUI.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    OPEN_WEBUI.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    OPEN_WEBUI.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_table_as_it_was() {
    OPEN_WEBUI.assert_a_rollback_leaves_the_tables_as_they_were(
        "INSERT INTO document_chunk VALUES ('own', NULL, 'file-own', 'own', '{\"a\": 1.0}')",
    );
}

#[test]
fn a_missing_table_is_made_as_the_client_makes_it_without_the_vector_index() {
    OPEN_WEBUI.assert_the_preset_makes_missing_tables();
}

#[test]
fn vectors_of_several_dimensions_are_filled_up_with_zeros() {
    let (db, _recorded) = OPEN_WEBUI.filled();
    let lengths = "SELECT vector_dims(vector), vector_norm(vector) BETWEEN 0.9999 AND 1.0001,
                          cardinality(array_remove(vector::real[], 0)), count(*)
                     FROM document_chunk GROUP BY 1, 2, 3 ORDER BY 3";
    assert_eq!(db.lines(lengths), ["1536|t|8|16", "1536|t|12|2"]);
}

#[test]
fn a_vector_with_more_dimensions_than_the_column_is_not_cut() {
    let db = with_columns("vector(10)", "text", "jsonb");
    let source = OPEN_WEBUI.recorded().store;
    assert_eq!(db.migrate(&source, CALL).outcome(), (18, 16, 0, 2));
    assert_eq!(
        db.lines("SELECT reason, count(*) FROM vector_migrate.run_errors GROUP BY 1"),
        ["dimension_mismatch|2"]
    );
}

#[test]
fn half_vectors_are_filled_up_too() {
    let db = with_columns("halfvec(1536)", "text", "jsonb");
    let (theirs, recorded) = OPEN_WEBUI.filled();
    assert_eq!(db.migrate(&recorded.store, CALL).total().migrated, 18);
    let rows = "SELECT id, vector::halfvec, collection_name, text, vmetadata FROM document_chunk ORDER BY 1";
    assert_eq!(db.lines(rows), theirs.lines(rows));
}

#[test]
fn encrypted_columns_are_refused_by_name() {
    let db = with_columns("vector(1536)", "bytea", "bytea");
    let source = OPEN_WEBUI.recorded().store;
    for call in [CALL, "preset => 'open_webui'"] {
        let refused = db.migrate_error(&source, call);
        refused.names("bytea").names("PGCRYPTO");
    }
    assert_eq!(db.count("document_chunk"), 0);
}

#[test]
fn the_applications_vector_index_stays_as_it_is() {
    let (db, recorded) = OPEN_WEBUI.ready();
    db.run(
        "CREATE INDEX idx_document_chunk_vector ON document_chunk USING hnsw (vector vector_cosine_ops)
             WITH (m = 16, ef_construction = 64)",
    );
    let before = definition(&db, "document_chunk");
    OPEN_WEBUI.fill(&db, &recorded.store);
    assert_eq!(definition(&db, "document_chunk"), before);
    recorded.assert_rows(&db);
    let nearest = "SET enable_seqscan = off;
         SELECT count(*) FROM (SELECT id FROM document_chunk ORDER BY vector <=> (SELECT vector FROM document_chunk LIMIT 1)) s";
    assert_eq!(db.line(nearest), "18");
}

#[test]
fn u_0000_is_taken_out_of_text_and_metadata() {
    let (db, _recorded) = OPEN_WEBUI.filled();
    let row = "SELECT text, vmetadata->>'note' FROM document_chunk WHERE vmetadata ? 'note'";
    assert_eq!(db.line(row), "A NUL  that an old reader left.|heretoo");
}

#[test]
fn equal_ids_in_two_collections_are_collisions() {
    let (db, source) = (Db::new(), store("special/same-ids"));
    assert_eq!(
        db.migrate(&source, "preset => 'open_webui'").outcome(),
        (30, 10, 0, 20)
    );
    assert_eq!(
        db.lines("SELECT reason, count(*) FROM vector_migrate.run_errors GROUP BY 1"),
        ["id_collision|20"]
    );
}

#[test]
fn one_collection_can_be_migrated_alone() {
    let (db, recorded) = OPEN_WEBUI.ready();
    let report = db.migrate(
        &recorded.store,
        &format!("{CALL}, collection => 'knowledge-bases'"),
    );
    assert_eq!(report.outcome(), (2, 2, 0, 0));
    assert_eq!(
        db.line("SELECT DISTINCT collection_name FROM document_chunk"),
        "knowledge-bases"
    );
}

#[test]
fn memory_for_the_applications_index_is_asked_for_unless_the_server_gives_it() {
    let (db, few) = OPEN_WEBUI.ready();
    let asked = |db: &Session, said: bool| {
        db.notices();
        db.migrate(&few.store, CALL);
        let told = db.told(&["ALTER DATABASE", "maintenance_work_mem", "128MB"]);
        assert_eq!(told, said);
        db.run("SELECT * FROM rollback_migration()");
    };
    asked(&db, true);
    // What the session has set for itself does not help the application.
    db.run("SET maintenance_work_mem = '256MB'");
    asked(&db, true);
    db.run(&format!(
        "ALTER DATABASE {} SET maintenance_work_mem = '128MB'",
        db.name()
    ));
    asked(&db.session(), false);
}

#[test]
fn what_to_set_in_the_application_is_said_at_the_end() {
    let (db, recorded) = OPEN_WEBUI.ready();
    db.notices();
    OPEN_WEBUI.fill(&db, &recorded.store);
    assert!(db.told(&[
        "VECTOR_DB=pgvector",
        "PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH=1536"
    ]));
}

#[test]
fn beyond_2000_dimensions_the_table_is_made_with_halfvec_as_the_application_demands() {
    let db = Db::new();
    let source = store_written(&[Written {
        collection: "library_a",
        id: "r0".to_owned(),
        vector: vec![0.5; 3072],
        metadata: json!({"chroma:document": "Text."}),
    }]);
    source.damage("UPDATE collections SET dimension = 3072 WHERE name = 'library_a'");
    db.notices();
    let report = db.migrate(&source, "preset => 'open_webui', collection => 'library_a'");
    assert_eq!(report.outcome(), (1, 1, 0, 0));
    assert!(db.told(&["MAX_VECTOR_LENGTH=3072", "PGVECTOR_USE_HALFVEC=true"]));
    assert_eq!(
        db.line("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'document_chunk'::regclass AND attname = 'vector'"),
        "halfvec(3072)"
    );
}
