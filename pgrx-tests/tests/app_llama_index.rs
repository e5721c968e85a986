//! LlamaIndex's tables: `preset => 'llama_index'`.

use vector_migrate_tests::apps::{Application, Table, definition};
use vector_migrate_tests::{Db, store};

const fn table(name: &'static str) -> Table {
    Table {
        name,
        key: "node_id",
        own: &["id"],
        records: true,
    }
}

const LLAMA_INDEX: Application = Application {
    name: "llama_index",
    store: "llama_index",
    tables: &[
        table("data_reader"),
        table("data_reports"),
        table("data_small"),
        table("data_words"),
    ],
    calls: &[
        READER,
        "collection => 'reports', target => 'data_reports'",
        "collection => 'small', target => 'data_small'",
        "collection => 'words', target => 'data_words'",
    ],
    makes: &[(
        "preset => 'llama_index', collection => 'Reader'",
        &["data_reader"],
    )],
    failed: &[],
    // PGVectorStore writes null where ChromaVectorStore has written ''.
    blank: Some(""),
};
const READER: &str = "collection => 'Reader', target => 'data_reader'";

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    LLAMA_INDEX.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    LLAMA_INDEX.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    LLAMA_INDEX.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    LLAMA_INDEX.assert_a_rollback_leaves_the_tables_as_they_were(
        "INSERT INTO data_reader (text, metadata_, node_id) VALUES ('own', '{ \"a\":  1.0 }', 'own'), ('own', NULL, NULL)",
    );
}

#[test]
fn a_missing_table_is_made_as_the_client_makes_it_of_its_name_in_lower_case() {
    LLAMA_INDEX.assert_the_preset_makes_missing_tables();
}

#[test]
fn a_table_for_each_collection_is_made_in_one_call() {
    let (db, source) = (Db::new(), LLAMA_INDEX.recorded().store);
    let report = db.migrate(&source, "preset => 'llama_index'");
    assert_eq!(report.outcome(), (20, 20, 0, 0));
    let tables =
        "SELECT relname FROM pg_class WHERE relname LIKE 'data\\_%' AND relkind = 'r' ORDER BY 1";
    assert_eq!(
        db.lines(tables),
        ["data_reader", "data_reports", "data_small", "data_words"]
    );
    assert_eq!(
        db.migrate(&source, "preset => 'llama_index'").outcome(),
        (20, 0, 20, 0)
    );
}

#[test]
fn the_tables_own_sequence_gives_the_keys() {
    let (db, _recorded) = LLAMA_INDEX.filled();
    db.run("INSERT INTO data_reader (text, node_id) VALUES ('the next one', 'next')");
    assert_eq!(db.count("data_reader WHERE id IS NOT NULL"), 7);
    assert_eq!(
        db.line("SELECT count(DISTINCT id), (SELECT id FROM data_reader WHERE node_id = 'next') > max(id)
                   FROM data_reader WHERE node_id <> 'next'"),
        "6|t"
    );
}

#[test]
fn a_node_that_is_there_is_known_by_its_node_id_which_has_no_index() {
    let (db, recorded) = LLAMA_INDEX.ready();
    db.run(
        "INSERT INTO data_reader (text, node_id) SELECT 'of the application', id FROM
             (VALUES ('0de00000-9999-4000-8000-000000000001'), ('0de00000-9999-4000-8000-000000000002')) v(id);
         INSERT INTO data_reader (text, node_id) VALUES ('without', NULL), ('twice', 'index-of-diary'), ('twice', 'index-of-diary')",
    );
    let report = db.migrate(&recorded.store, READER);
    assert_eq!(report.outcome(), (6, 3, 3, 0));
    assert_eq!(db.count("data_reader"), 8);
    assert_eq!(
        db.count("data_reader WHERE text IN ('of the application', 'twice', 'without')"),
        5
    );
}

#[test]
fn a_node_without_text_has_an_empty_one() {
    let (db, source) = (Db::new(), store("special/memories"));
    let report = db.migrate(&source, "preset => 'llama_index'");
    assert_eq!(report.outcome(), (12, 12, 0, 0));
    assert_eq!(
        db.count("data_memories WHERE text = '' AND metadata_->>'data' <> ''"),
        12
    );
}

#[test]
fn the_node_in_the_metadata_stays_the_text_that_it_is() {
    let (db, _recorded) = LLAMA_INDEX.filled();
    let kinds = "SELECT DISTINCT json_typeof(metadata_->'_node_content'), metadata_->>'_node_content' LIKE '{%}' FROM data_reader";
    assert_eq!(db.lines(kinds), ["string|t"]);
}

#[test]
fn an_index_and_a_generated_column_stay_as_the_application_made_them() {
    let (db, recorded) = LLAMA_INDEX.ready();
    let state = |db: &Db| ["data_reports", "data_words"].map(|table| definition(db, table));
    let before = state(&db);
    LLAMA_INDEX.fill(&db, &recorded.store);
    assert_eq!(state(&db), before);
    let words =
        "SELECT count(*) FROM data_words WHERE text_search_tsv @@ to_tsquery('english', 'owl')";
    assert_eq!(db.line(words), "2");
    let nearest = "SET enable_seqscan = off;
         SELECT count(*) FROM (SELECT id FROM data_reports ORDER BY embedding <=> (SELECT embedding FROM data_reports LIMIT 1)) s";
    assert_eq!(db.line(nearest), "6");
}

#[test]
fn u_0000_is_that_records_error() {
    let (db, source) = (Db::new(), store("special/nul-characters"));
    let report = db.migrate(&source, "preset => 'llama_index', embeddings => 'stored'");
    let total = report.total();
    assert!(total.failed > 0 && total.migrated > 0, "{report:?}");
    assert_eq!(
        db.lines("SELECT DISTINCT reason FROM vector_migrate.run_errors"),
        ["bad_text"]
    );
    assert_eq!(db.count("data_pdfs WHERE node_id LIKE 'good%'"), 2);
    let removed = "preset => 'llama_index', nul_characters => 'remove'";
    let again = db.migrate(&source, removed).total();
    assert!(
        again.migrated > 0 && again.failed < total.failed,
        "{again:?}"
    );
}
