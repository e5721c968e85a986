//! `verify_migration` finds what is not as the store has it, names it, and lets pass what is meant to differ.

use serde_json::{Value, json};
use vector_migrate_tests::{Db, Session, Store, Written, quote, store, store_written};

/// A store of one collection, whose record `r<n>` has the text `text <n>` and the number `n`.
fn source(records: usize) -> Store {
    let record = |n: usize| Written {
        collection: "library_a",
        id: format!("r{n}"),
        vector: (0..8).map(|at| (n * 8 + at) as f32 + 0.25).collect(),
        metadata: json!({"chroma:document": format!("text {n}"), "n": n, "user_id": "7"}),
    };
    store_written(&(0..records).map(record).collect::<Vec<_>>())
}

const CALL: &str = "collection => 'library_a', embeddings => 'stored'";

/// The lines that did not pass: check, expected, actual.
fn failed(db: &Session, arguments: &str) -> Vec<String> {
    db.lines(&format!(
        "SELECT check_name, expected, actual FROM verify_migration({arguments}) WHERE NOT passed"
    ))
}

/// `detail` of the one line of this check.
fn detail(db: &Session, check: &str, arguments: &str) -> Value {
    let text = db.line(&format!(
        "SELECT detail FROM verify_migration({arguments}) WHERE check_name = {}",
        quote(check)
    ));
    serde_json::from_str(&text).expect("is JSON")
}

/// A table whose trigger does this with record r1's row as it is put in: nobody can see later that it was another.
fn with_trigger(change: &str) -> Db {
    let db = Db::new();
    db.run("SELECT init_content_tables(8)");
    db.run(&format!(
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; RETURN NEW; END $$;
         CREATE TRIGGER change BEFORE INSERT ON content_vectors FOR EACH ROW WHEN (NEW.id = 'r1')
             EXECUTE FUNCTION change()"
    ));
    db
}

#[test]
fn a_run_as_it_was_left_passes_whole_and_in_part() {
    let (db, source) = (Db::new(), source(30));
    db.migrate(&source, CALL);
    for arguments in ["", "full => true"] {
        let lines = db.lines(&format!(
            "SELECT check_name, collection, passed, expected, actual FROM verify_migration({arguments})"
        ));
        let of = |name: &str| format!("{name}|library_a|t|30|30");
        let wanted = ["counts", "ids", "rows", "vectors"].map(of);
        assert_eq!(
            lines[0],
            "table|∅|t|public.content_vectors|public.content_vectors"
        );
        assert_eq!(lines[1..], wanted);
    }
}

#[test]
fn a_row_that_is_gone_is_named() {
    let (db, source) = (Db::new(), source(30));
    db.migrate(&source, CALL);
    db.run("DELETE FROM content_vectors WHERE id = 'r12'");
    for arguments in ["", "full => true"] {
        assert_eq!(failed(&db, arguments), ["counts|30|29", "ids|30|29"]);
        assert_eq!(detail(&db, "ids", arguments), json!({"missing": ["r12"]}));
    }
}

#[test]
fn another_text_is_found() {
    let (db, source) = (with_trigger("NEW.searchable_text := 'text 2'"), source(30));
    db.migrate(&source, CALL);
    assert_eq!(failed(&db, ""), ["rows|30|29"]);
    let wanted = json!({"id": "r1", "user_id": "7", "columns": ["searchable_text"]});
    assert_eq!(detail(&db, "rows", ""), json!({"differences": [wanted]}));
}

#[test]
fn one_bit_of_a_vector_is_found() {
    // 9.25 is 0x41140000: the next float is 9.250001.
    let change = "NEW.embedding := replace(NEW.embedding::text, '9.25', '9.250001')::vector(8)";
    let (db, source) = (with_trigger(change), source(30));
    db.migrate(&source, CALL);
    assert_eq!(failed(&db, ""), ["vectors|30|29"]);
    let wanted = json!({"id": "r1", "user_id": "7", "columns": ["vector"]});
    assert_eq!(detail(&db, "vectors", ""), json!({"differences": [wanted]}));
}

#[test]
fn a_number_that_became_a_text_is_found() {
    let change = "NEW.metadata := jsonb_set(NEW.metadata, '{n}', '\"1\"')";
    let (db, source) = (with_trigger(change), source(30));
    db.migrate(&source, CALL);
    assert_eq!(failed(&db, ""), ["rows|30|29"]);
    let wanted = json!({"id": "r1", "user_id": "7", "columns": ["metadata"]});
    assert_eq!(detail(&db, "rows", ""), json!({"differences": [wanted]}));
}

#[test]
fn another_table_of_the_name_is_no_target() {
    let (db, source) = (Db::new(), source(3));
    db.migrate(&source, CALL);
    db.run(
        "ALTER TABLE content_vectors RENAME TO content_before;
         CREATE TABLE content_vectors (LIKE content_before);
         INSERT INTO content_vectors SELECT * FROM content_before",
    );
    assert_eq!(
        failed(&db, ""),
        ["table|public.content_vectors|public.content_before"]
    );
    db.run("DROP TABLE content_before CASCADE");
    assert_eq!(failed(&db, ""), ["table|public.content_vectors|dropped"]);
}

#[test]
fn what_the_application_has_changed_passes_apart() {
    let (db, source) = (Db::new(), source(30));
    db.migrate(&source, CALL);
    db.run("UPDATE content_vectors SET searchable_text = 'mine' WHERE id = 'r5'");
    db.run(
        "CREATE TEMP TABLE own AS SELECT * FROM content_vectors WHERE id = 'r6';
         UPDATE own SET id = 'own';
         INSERT INTO content_vectors SELECT * FROM own",
    );
    assert_eq!(failed(&db, ""), Vec::<String>::new());
    let found = detail(&db, "changed since", "");
    let wanted = json!({"id": "r5", "user_id": "7", "columns": ["searchable_text"]});
    assert_eq!(
        found["application"],
        json!({"records": 1, "first": [wanted]})
    );
    assert_eq!(found["chroma"]["records"], 0);
}

#[test]
fn what_chroma_has_got_since_passes_apart() {
    let (db, source) = (Db::new(), source(30));
    db.migrate(&source, CALL);
    source.damage(
        "INSERT INTO embeddings_queue (seq_id, created_at, operation, topic, id, vector, encoding, metadata)
             SELECT seq_id + 1000, created_at, 2, topic, id, vector, encoding, replace(metadata, 'text 4', 'another')
               FROM embeddings_queue WHERE id = 'r4';
         INSERT INTO embeddings_queue (seq_id, created_at, operation, topic, id, vector, encoding, metadata)
             SELECT seq_id + 1000, created_at, operation, topic, 'new', vector, encoding, metadata
               FROM embeddings_queue WHERE id = 'r5'",
    );
    for arguments in ["", "full => true"] {
        assert_eq!(failed(&db, arguments), Vec::<String>::new());
        let found = detail(&db, "changed since", arguments);
        assert_eq!(found["chroma"]["records"], 2, "{found}");
        assert_eq!(found["application"]["records"], 0, "{found}");
    }
}

#[test]
fn what_the_run_left_out_passes_apart() {
    let (db, source) = (Db::new(), store("special/no-vector"));
    let report = db.migrate(&source, "embeddings => 'stored', orphans => 'keep'");
    assert!(report.total().failed > 0);
    assert_eq!(failed(&db, ""), Vec::<String>::new());
    let found = detail(&db, "left out", "");
    assert_eq!(found["no_vector"]["records"], report.total().failed);
    // The same after a run that has found everything there.
    db.migrate(&source, "embeddings => 'stored', orphans => 'keep'");
    assert_eq!(failed(&db, ""), Vec::<String>::new());
}

#[test]
fn a_share_is_compared_and_every_id_is_looked_up() {
    let (db, source) = (Db::new(), store("special/many"));
    db.migrate(&source, "embeddings => 'stored'");
    let compared: i64 =
        db.one("SELECT expected::bigint FROM verify_migration() WHERE check_name = 'rows'");
    assert!((100..1_000).contains(&compared), "{compared}");
    db.run("DELETE FROM content_vectors WHERE id IN (SELECT id FROM content_vectors ORDER BY 1 LIMIT 40)");
    assert_eq!(
        failed(&db, "").last().map(String::as_str),
        Some("ids|2500|2460")
    );
    let named = detail(&db, "ids", "");
    assert_eq!(named["missing"].as_array().map(Vec::len), Some(20));
}

#[test]
fn rows_without_the_records_ids_are_known_by_the_ledger() {
    let (db, source) = (Db::new(), source(30));
    db.run("CREATE TABLE documents (id bigserial PRIMARY KEY, content text, metadata jsonb, embedding vector(8))");
    db.migrate(&source, "collection => 'library_a', target => 'documents'");
    for arguments in ["", "full => true"] {
        assert_eq!(failed(&db, arguments), Vec::<String>::new());
    }
    db.run("UPDATE documents SET content = 'mine' WHERE content = 'text 3'");
    db.run("DELETE FROM documents WHERE content = 'text 4'");
    assert_eq!(failed(&db, ""), ["counts|30|29", "ids|30|29"]);
    assert_eq!(
        detail(&db, "changed since", "")["application"]["first"][0]["id"],
        "r3"
    );
}

#[test]
fn nothing_is_written_and_nobody_is_waited_for() {
    let (db, source) = (Db::new(), source(30));
    db.migrate(&source, CALL);
    let other = db.session();
    other.run("BEGIN; UPDATE content_vectors SET searchable_text = 'mine'; LOCK content_vectors IN SHARE ROW EXCLUSIVE MODE");
    db.run("BEGIN READ ONLY");
    assert_eq!(failed(&db, "full => true"), Vec::<String>::new());
    db.run("COMMIT");
    other.run("ROLLBACK");
}

#[test]
fn a_role_verifies_its_own_runs() {
    let (db, source) = (Db::new(), source(3));
    let report = db.migrate(&source, CALL);
    let reader = db.reader("reader");
    let call = format!("SELECT * FROM verify_migration({})", report.run_id());
    let other = db.session_as(&reader);
    other.refused(&call, "42501");
    db.run(&format!(
        "GRANT EXECUTE ON FUNCTION verify_migration TO {reader}"
    ));
    other.error(&call).expect("42704").names("run");
    other.error("SELECT * FROM verify_migration()");
    db.run("SELECT * FROM rollback_migration()");
    db.error(&call).names("rolled back");
    db.refused("SELECT * FROM verify_migration(full => NULL)", "22004");
}
