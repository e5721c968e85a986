//! Entities of `full_content`: a row each, with its name, type and meaning.

use pgvector::Vector;
use vector_migrate_tests::{Db, store, tables};

const STORED: &str = "collection => 'content', embeddings => 'stored'";

#[test]
fn each_entity_is_a_row_also_where_it_is_a_bare_string() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(&source, STORED);
    assert_eq!(db.count("entity_vectors"), report.total().entities);
    let of = |id: &str| {
        db.lines(&format!(
            "SELECT entity_name, entity_type, user_id, chroma_collection FROM entity_vectors WHERE content_id = '{id}' ORDER BY id"
        ))
    };
    assert_eq!(
        of("content-001"),
        ["rye flour|∅|2|content", "sourdough|ingredient|2|content"]
    );
    assert_eq!(of("content-003"), ["苔|plant|1|content", "石|∅|1|content"]);
    assert_eq!(of("content-007"), [""; 0]);
    // No full_content, no entities.
    assert_eq!(of("content-no-full-content"), [""; 0]);
}

#[test]
fn every_line_counts_its_own_entities() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(&source, STORED);
    for user in ["1", "2", "3", "alice"] {
        assert_eq!(
            report.user(Some(user)).entities,
            db.count(&format!("entity_vectors WHERE user_id = '{user}'"))
        );
    }
}

#[test]
fn the_vector_is_that_of_name_type_and_description() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "collection => 'library_a'");
    let pairs = [
        (
            "Carnot",
            "Carnot person French engineer who described ideal heat engines",
        ),
        ("rye flour", "rye flour"),
    ];
    for (name, text) in pairs {
        let sql = "SELECT embedding, embed_text($2::text) FROM entity_vectors WHERE entity_name = $1 LIMIT 1";
        let row = &db.query(sql, &[&name, &text])[0];
        let (stored, wanted): (Vector, Vector) = (row.get(0), row.get(1));
        let same: f32 = stored
            .as_slice()
            .iter()
            .zip(wanted.as_slice())
            .map(|(a, b)| a * b)
            .sum();
        assert!(same > 0.9999, "{name}: {same}");
    }
    assert_eq!(db.count("entity_vectors WHERE embedding IS NULL"), 0);
}

#[test]
fn generate_embeds_content_and_entities_alike() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let report = db.migrate(&source, "embeddings => 'generate'");
    assert_eq!(report.total().embedded, report.total().migrated);
    assert_eq!(db.count("entity_vectors"), report.total().entities);
    assert!(report.total().entities > 18);
    let far = "SELECT count(*) FROM content_vectors WHERE embedding <#> embed_text(searchable_text) > -0.9999";
    assert_eq!(db.line(far), "0");
    assert_eq!(
        db.count("entity_vectors WHERE embedding IS NULL OR vector_dims(embedding) <> 384"),
        0
    );
    let carnot = "SELECT DISTINCT embedding <#> embed_text('Carnot person French engineer who described ideal heat engines'::text) < -0.9999
                    FROM entity_vectors WHERE entity_name = 'Carnot'";
    assert_eq!(db.line(carnot), "t");
}

#[test]
fn the_entity_table_has_the_models_dimension_whatever_the_collections() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "");
    let types = "SELECT attrelid::regclass, format_type(atttypid, atttypmod) FROM pg_attribute
                  WHERE attrelid IN ('content_vectors'::regclass, 'entity_vectors'::regclass) AND attname = 'embedding' ORDER BY attrelid::regclass::text";
    assert_eq!(
        db.lines(types),
        ["content_vectors|vector(8)", "entity_vectors|vector(384)"]
    );
}

#[test]
fn stored_leaves_the_entities_vectors_null() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let report = db.migrate(&source, "embeddings => 'stored'");
    assert_eq!(
        db.count("entity_vectors WHERE embedding IS NULL"),
        report.total().entities
    );
    assert!(report.total().entities > 18);
    assert_eq!(report.total().embedded, 0);
}

#[test]
fn no_entity_target_no_entities() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    assert_eq!(
        db.migrate(&source, "entity_target => NULL")
            .total()
            .entities,
        0
    );
    assert_eq!(db.line("SELECT to_regclass('entity_vectors')"), "∅");
}

#[test]
fn an_applications_entity_table_is_taken_as_it_is() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    db.run("CREATE TABLE entity_vectors (content_id varchar REFERENCES content_vectors, entity_name varchar(10), embedding halfvec(384))");
    let report = db.migrate(&source, "collection => 'library_a'");
    // Names of more than ten characters are refused; what becomes of their record is one thing for all of them.
    assert_eq!(db.count("entity_vectors WHERE length(entity_name) > 10"), 0);
    assert_eq!(db.count("entity_vectors"), report.total().entities);
    assert_eq!(db.count("content_vectors"), report.total().migrated);
    assert!(
        report.total().failed > 0,
        "autovacuum has eleven characters? {report:?}"
    );
    let reasons = db.lines("SELECT DISTINCT reason FROM vector_migrate.run_errors");
    assert_eq!(reasons, ["constraint"]);
}

#[test]
fn entities_of_rows_that_are_there_are_left_alone() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let arguments = "collection => 'library_a', embeddings => 'stored'";
    db.migrate(&source, arguments);
    let before = db.lines("SELECT ctid, t::text FROM entity_vectors t ORDER BY 1");
    assert_eq!(db.migrate(&source, arguments).total().entities, 0);
    assert_eq!(
        db.lines("SELECT ctid, t::text FROM entity_vectors t ORDER BY 1"),
        before
    );
}

#[test]
fn entities_of_two_collections_with_one_id_stay_apart() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "embeddings => 'stored'");
    let rows = "SELECT chroma_collection, entity_name FROM entity_vectors WHERE content_id = 'content-004' ORDER BY 1, id";
    assert_eq!(
        db.lines(rows),
        [
            "library_a|PostgreSQL",
            "library_a|autovacuum",
            "library_b|PostgreSQL",
            "library_b|autovacuum"
        ]
    );
}
