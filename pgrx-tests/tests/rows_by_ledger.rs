//! Tables without a column for Chroma's ids: the run draws the key itself, and the ledger knows which row is which record's.

use serde_json::json;
use vector_migrate_tests::{Db, Store, Written, store_written};

const CALL: &str = "collection => 'library_a', target => 'documents'";
/// Supabase's usual table.
const SUPABASE: &str = "CREATE TABLE documents (id bigserial PRIMARY KEY, content text, metadata jsonb, embedding vector(8))";

fn store_of_texts(texts: &[&str]) -> Store {
    let record = |(n, text): (usize, &&str)| Written {
        collection: "library_a",
        id: format!("r{n}"),
        vector: (0..8)
            .map(|at| if at == n % 8 { 1.0 } else { 0.0 })
            .collect(),
        metadata: json!({"chroma:document": text, "n": n}),
    };
    store_written(&texts.iter().enumerate().map(record).collect::<Vec<_>>())
}

fn rows(db: &Db) -> Vec<String> {
    db.lines("SELECT id, content FROM documents ORDER BY id")
}

/// `removed|restored|kept`.
fn undo(db: &Db, arguments: &str) -> String {
    db.line(&format!(
        "SELECT removed, restored, kept FROM rollback_migration({arguments})"
    ))
}

#[test]
fn supabases_usual_table_is_filled_with_numbers_of_its_sequence() {
    let (db, source) = (Db::new(), store_of_texts(&["one", "two", "three"]));
    db.run(SUPABASE);
    db.run("INSERT INTO documents (content) VALUES ('own')");
    db.notices();
    let report = db.migrate(&source, CALL);
    assert!(db.told(&["supabase_documents"]));
    assert_eq!(report.outcome(), (3, 3, 0, 0));
    assert_eq!(rows(&db), ["1|own", "2|one", "3|two", "4|three"]);
    assert_eq!(
        db.line("SELECT keys, records FROM vector_migrate.run_rows"),
        "{2,3,4}|{r0,r1,r2}"
    );
    // The application goes on where the run has ended.
    db.run("INSERT INTO documents (content) VALUES ('later')");
    assert_eq!(rows(&db).len(), 5);
    assert_eq!(undo(&db, ""), "3|0|0");
    assert_eq!(rows(&db), ["1|own", "5|later"]);
}

#[test]
fn a_second_run_knows_the_records_by_the_ledger_and_brings_back_what_is_gone() {
    let (db, source) = (Db::new(), store_of_texts(&["one", "two", "three"]));
    db.run(SUPABASE);
    db.migrate(&source, CALL);
    let again = db.migrate(&source, CALL);
    assert_eq!(again.outcome(), (3, 0, 3, 0));
    assert_eq!(
        db.line("SELECT DISTINCT reason FROM vector_migrate.run_errors"),
        "already_exists"
    );
    db.run("DELETE FROM documents WHERE content = 'two'");
    assert_eq!(db.migrate(&source, CALL).outcome(), (3, 1, 2, 0));
    assert_eq!(rows(&db), ["1|one", "3|three", "4|two"]);
    // Another collection's records are others, whatever their ids.
    let other = "collection => 'library_b', target => 'documents'";
    assert_eq!(db.migrate(&source, other).outcome(), (0, 0, 0, 0));
    let error = db.migrate_error(&source, &format!("{CALL}, on_conflict => 'error'"));
    error.expect("23505").names("r0");
    for overwrites in ["update", "overwrite"] {
        let error = db.migrate_error(&source, &format!("{CALL}, on_conflict => '{overwrites}'"));
        error.expect("22023").names("on_conflict");
    }
}

#[test]
fn a_rollback_keeps_rows_that_were_changed_and_the_next_run_knows_them() {
    let (db, source) = (Db::new(), store_of_texts(&["one", "two"]));
    db.run(SUPABASE);
    db.migrate(&source, CALL);
    db.run("UPDATE documents SET content = 'mine' WHERE content = 'two'");
    assert_eq!(undo(&db, ""), "1|0|1");
    assert_eq!(rows(&db), ["2|mine"]);
    assert_eq!(db.migrate(&source, CALL).outcome(), (2, 1, 1, 0));
    assert_eq!(rows(&db), ["2|mine", "3|one"]);
    assert_eq!(undo(&db, "1, true"), "1|0|0");
    assert_eq!(undo(&db, "2"), "1|0|0");
    assert_eq!(db.count("documents"), 0);
}

#[test]
fn a_dry_run_counts_the_same_and_leaves_the_sequence_alone() {
    let (db, source) = (Db::new(), store_of_texts(&["one", "two"]));
    for table in [
        SUPABASE,
        "CREATE TABLE documents (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, content text, metadata jsonb,
            embedding vector(8) CHECK (tableoid <> 0))",
    ] {
        db.run(table);
        let columns = r#"columns => '{"content": "document", "metadata": "metadata", "embedding": "vector"}'"#;
        let call = format!("{CALL}, {columns}");
        let dry = db.migrate(&source, &format!("{call}, dry_run => true"));
        assert_eq!(dry.outcome(), (2, 2, 0, 0));
        assert_eq!(db.count("documents"), 0);
        assert_eq!(db.migrate(&source, &call).outcome(), (2, 2, 0, 0));
        assert_eq!(rows(&db), ["1|one", "2|two"]);
        db.run("DROP TABLE documents");
    }
}

#[test]
fn identities_uuids_and_triggers_are_no_hindrance() {
    let (db, source) = (Db::new(), store_of_texts(&["one", "two"]));
    let columns = r#"columns => '{"content": "document", "embedding": "vector"}'"#;
    let call = format!("{CALL}, {columns}");
    db.run(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN NEW.content = upper(NEW.content); RETURN NEW; END $$",
    );
    for (key, triggered) in [
        ("smallserial", false),
        ("integer GENERATED ALWAYS AS IDENTITY", false),
        ("integer GENERATED ALWAYS AS IDENTITY", true),
        ("uuid DEFAULT gen_random_uuid()", false),
        ("uuid DEFAULT gen_random_uuid()", true),
    ] {
        db.run(&format!(
            "CREATE TABLE documents (content text, embedding vector(8), id {key} PRIMARY KEY)"
        ));
        if triggered {
            db.run("CREATE TRIGGER shout BEFORE INSERT ON documents FOR EACH ROW EXECUTE FUNCTION shout()");
        }
        assert_eq!(db.migrate(&source, &call).outcome(), (2, 2, 0, 0), "{key}");
        let texts = db.lines("SELECT content FROM documents ORDER BY 1");
        assert_eq!(
            texts,
            if triggered {
                ["ONE", "TWO"]
            } else {
                ["one", "two"]
            }
        );
        assert_eq!(db.migrate(&source, &call).outcome(), (2, 0, 2, 0), "{key}");
        assert_eq!(
            undo(
                &db,
                "(SELECT min(run_id) FROM vector_migrate.runs WHERE status = 'completed')"
            ),
            "2|0|0"
        );
        assert_eq!(db.count("documents"), 0);
        db.run("DROP TABLE documents; UPDATE vector_migrate.runs SET status = 'rolled back'");
    }
}

#[test]
fn numbers_that_their_column_cannot_hold_end_the_run() {
    let (db, source) = (Db::new(), store_of_texts(&["one", "two"]));
    db.run(
        "CREATE SEQUENCE far START 40000; CREATE TABLE documents (id smallint PRIMARY KEY DEFAULT nextval('far'), content text,
            embedding vector(8))",
    );
    let columns = r#"columns => '{"content": "document", "embedding": "vector"}'"#;
    let error = db.migrate_error(&source, &format!("{CALL}, {columns}"));
    error.expect("22003").names("40000");
}
