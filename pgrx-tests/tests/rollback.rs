//! `rollback_migration` puts the tables back as they were before a run.

use vector_migrate_tests::{Db, Session, Store, store, tables};

const LIBRARY: &str = "collection => 'library_a', embeddings => 'stored'";

/// `removed|restored|kept` of the content table.
fn content_line(db: &Session, arguments: &str) -> String {
    db.line(&format!(
        "SELECT removed, restored, kept FROM rollback_migration({arguments}) WHERE target LIKE '%content_vectors%'"
    ))
}

fn contents(db: &Session, table: &str) -> Vec<String> {
    db.lines(&format!("SELECT t::text FROM {table} t ORDER BY 1"))
}

fn both(db: &Session) -> (Vec<String>, Vec<String>) {
    (
        contents(db, "content_vectors"),
        contents(db, "entity_vectors"),
    )
}

#[test]
fn a_run_into_tables_of_its_own_leaves_them_empty() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let report = db.migrate(&source, "embeddings => 'stored'");
    let answer = format!(
        "SELECT run_id, target, removed, restored, kept FROM rollback_migration({})",
        report.run_id()
    );
    let lines = db.lines(&format!("{answer} ORDER BY target"));
    assert_eq!(lines.len(), 2, "one row a table: {lines:?}");
    assert!(
        lines[0].contains("content_vectors") && lines[0].ends_with("|18|0|0"),
        "{lines:?}"
    );
    let entities = report.total().entities;
    assert!(
        lines[1].contains("entity_vectors") && lines[1].ends_with(&format!("|{entities}|0|0")),
        "{lines:?}"
    );
    assert_eq!(db.count("content_vectors") + db.count("entity_vectors"), 0);
    assert_eq!(
        db.line("SELECT status FROM vector_migrate.runs"),
        "rolled back"
    );
}

#[test]
fn without_an_argument_the_newest_run_is_undone() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, LIBRARY);
    let second = db.migrate(&source, "collection => 'library_b', embeddings => 'stored'");
    assert_eq!(
        db.line("SELECT DISTINCT run_id FROM rollback_migration()"),
        second.run_id().to_string()
    );
    assert_eq!(
        db.lines("SELECT DISTINCT chroma_collection FROM content_vectors"),
        ["library_a"]
    );
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count("content_vectors"), 0);
    db.error("SELECT * FROM rollback_migration()")
        .expect("55000");
}

#[test]
fn runs_that_are_not_there_or_undone_are_refused() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.error("SELECT * FROM rollback_migration()")
        .expect("55000");
    db.error("SELECT * FROM rollback_migration(4711)")
        .expect("42704")
        .names("4711");
    let run = db.migrate(&source, LIBRARY).run_id();
    db.run(&format!("SELECT * FROM rollback_migration({run})"));
    db.error(&format!("SELECT * FROM rollback_migration({run})"))
        .expect("55000")
        .names(&run.to_string());
    assert_eq!(db.migrate(&source, LIBRARY).total().migrated, 9);
}

#[test]
fn rows_of_the_application_stay() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.run(&tables::sqlalchemy(16));
    db.run(
        "INSERT INTO content_vectors (id, user_id, title, full_content, searchable_text, embedding)
         SELECT 'own-' || n, 1, 'own', '{ \"a\":  1 }', '', array_fill(0.1, ARRAY[16])::vector FROM generate_series(1, 5) n;
         INSERT INTO entity_vectors (content_id, entity_name) VALUES ('own-1', 'own')",
    );
    let before = both(&db);
    let report = db.migrate(&source, "collection => 'content', embeddings => 'stored'");
    assert_eq!(db.count("content_vectors"), 35);
    assert_eq!(content_line(&db, &report.run_id().to_string()), "30|0|0");
    assert_eq!(both(&db), before);
}

#[test]
fn rows_that_the_application_has_changed_since_are_kept_and_counted() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, LIBRARY);
    db.run("UPDATE content_vectors SET title = 'mine now' WHERE id = 'content-001'");
    db.run("UPDATE content_vectors SET title = title WHERE id = 'content-002'");
    db.run("DELETE FROM content_vectors WHERE id = 'content-005'");
    assert_eq!(content_line(&db, ""), "6|0|2");
    assert_eq!(
        db.lines("SELECT id, title = 'mine now' FROM content_vectors ORDER BY 1"),
        ["content-001|t", "content-002|f"]
    );
    assert_eq!(
        db.line("SELECT status FROM vector_migrate.runs"),
        "rolled back"
    );
}

#[test]
fn force_removes_changed_rows_too() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, LIBRARY);
    db.run("UPDATE content_vectors SET title = 'mine now' WHERE id = 'content-001'");
    assert_eq!(content_line(&db, "force => true"), "9|0|0");
    assert_eq!(db.count("content_vectors"), 0);
}

/// An application's tables with odd but valid values in every column, then Chroma's rows over them.
fn updated() -> (Db, Store, (Vec<String>, Vec<String>)) {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::sqlalchemy(8));
    db.run(
        "ALTER TABLE content_vectors ADD note bytea, ADD amount numeric, ADD period tstzrange, ADD words text[];
         INSERT INTO content_vectors VALUES
             ('content-000', 3, 'Own', NULL, '', E'line\\nbreak', '{\"b\":1,  \"a\":[ 1.50 ]}', '[]', NULL, 'x', NULL,
              '{ \"dup\": 1, \"dup\": 2 }', 2147483647, '', '[1e-38,3.4e38,-0.0000001,1,2,3,4,0.333333343]',
              '0044-03-15 12:00:00.123456 BC', 'infinity', '\\x00ff', 1.10, '[2024-01-01,)', '{NULL,\"\",\"NULL\"}'),
             ('content-001', 1, 'Other', 'a', 'b', NULL, '1', 'null', '{}', NULL, true, '\"text\"', NULL, 't',
              '[0,0,0,0,0,0,0,0]', NULL, now(), NULL, 'NaN', NULL, NULL);
         INSERT INTO entity_vectors (content_id, entity_name, embedding, created_at) VALUES
             ('content-000', 'own', array_fill(0.25, ARRAY[384])::vector, NULL), ('content-001', 'more', NULL, '-infinity')",
    );
    let before = both(&db);
    let report = db.migrate(&source, &format!("{LIBRARY}, on_conflict => 'update'"));
    assert_eq!(report.outcome(), (9, 9, 0, 0));
    assert_ne!(both(&db), before);
    (db, source, before)
}

#[test]
fn updated_rows_come_back_exactly() {
    let (db, _source, before) = updated();
    assert_eq!(content_line(&db, ""), "7|2|0");
    assert_eq!(both(&db), before);
}

#[test]
fn updated_rows_that_changed_since_are_kept_unless_forced() {
    let (db, _source, before) = updated();
    db.run("UPDATE content_vectors SET summary = 'newer' WHERE id = 'content-000'");
    assert_eq!(content_line(&db, ""), "7|1|1");
    assert_eq!(
        db.line("SELECT summary FROM content_vectors WHERE id = 'content-000'"),
        "newer"
    );

    let (db, _source, _) = updated();
    db.run("UPDATE content_vectors SET summary = 'newer' WHERE id = 'content-000'");
    assert_eq!(content_line(&db, "NULL, true"), "7|2|0");
    let own = db.lines("SELECT t::text FROM content_vectors t ORDER BY 1");
    assert_eq!(own.len(), before.0.len());
    assert_eq!(own[1].split(',').next(), before.0[1].split(',').next());
}

#[test]
fn an_older_run_can_be_undone_after_a_newer_one() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let first = db.migrate(&source, LIBRARY).run_id();
    db.migrate(&source, "collection => 'library_b', embeddings => 'stored'");
    let newer = db.lines(
        "SELECT t::text FROM content_vectors t WHERE chroma_collection = 'library_b' ORDER BY 1",
    );
    assert_eq!(content_line(&db, &first.to_string()), "9|0|0");
    assert_eq!(contents(&db, "content_vectors"), newer);
    assert_eq!(
        db.lines("SELECT status FROM vector_migrate.runs ORDER BY run_id"),
        ["rolled back", "completed"]
    );
}

#[test]
fn rows_that_a_newer_run_updated_go_with_the_run_that_brought_them() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let first = db.migrate(&source, LIBRARY).run_id();
    let second = db.migrate(
        &source,
        &format!("{LIBRARY}, on_conflict => 'update', filter => '{{\"user_id\": \"1\"}}'"),
    );
    assert_eq!(second.total().migrated, 5);
    // A newer run is not the application: the rows were not there before the older one.
    assert_eq!(content_line(&db, &first.to_string()), "9|0|0");
    assert_eq!(db.count("content_vectors"), 0);
    assert_eq!(content_line(&db, ""), "0|0|0");
    assert_eq!(db.count("content_vectors"), 0);
}

#[test]
fn undone_in_reverse_order_runs_leave_nothing() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::sqlalchemy(8));
    let mut states = vec![both(&db)];
    for arguments in [
        format!("{LIBRARY}, user_id => 1"),
        LIBRARY.to_owned(),
        format!("{LIBRARY}, on_conflict => 'update'"),
        "collection => 'library_b', on_conflict => 'update', embeddings => 'stored'".to_owned(),
    ] {
        db.migrate(&source, &arguments);
        states.push(both(&db));
    }
    for state in states.iter().rev().skip(1) {
        db.run("SELECT * FROM rollback_migration()");
        assert_eq!(&both(&db), state);
    }
}

#[test]
fn a_rollback_of_the_rollback_is_the_callers_own() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, LIBRARY);
    let before = both(&db);
    db.run("BEGIN; SELECT * FROM rollback_migration(); ROLLBACK");
    assert_eq!(both(&db), before);
    assert_eq!(
        db.line("SELECT status FROM vector_migrate.runs"),
        "completed"
    );
}

#[test]
fn a_table_that_is_gone_is_named() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "entity_target => NULL");
    db.run("DROP TABLE content_vectors");
    let failure = db.error("SELECT * FROM rollback_migration()");
    assert_eq!(failure.code, "42P01", "{failure:#?}");
    assert_eq!(
        db.line("SELECT status FROM vector_migrate.runs"),
        "completed"
    );
}

#[test]
fn partitioned_tables_are_put_back_too() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(
        "CREATE TABLE content_vectors (id text, user_id integer, title text NOT NULL, full_content jsonb NOT NULL,
             searchable_text text NOT NULL, embedding vector(8), PRIMARY KEY (user_id, id)) PARTITION BY LIST (user_id);
         CREATE TABLE content_1 PARTITION OF content_vectors FOR VALUES IN (1);
         CREATE TABLE content_2 PARTITION OF content_vectors FOR VALUES IN (2)",
    );
    db.run("INSERT INTO content_vectors VALUES ('own', 1, 't', '{}', '', NULL)");
    db.migrate(&source, "collection => 'library_a', entity_target => NULL");
    assert_eq!(content_line(&db, ""), "9|0|0");
    assert_eq!(db.lines("SELECT id FROM content_vectors"), ["own"]);
}

#[test]
fn without_an_argument_the_newest_run_of_the_calling_role_is_undone_and_named() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let (role, other) = (db.reader("one"), db.reader("other"));
    db.run(&format!("GRANT {other} TO {role}"));
    let (one, another) = (db.session_as(&role), db.session_as(&other));
    let table = |name: &str| format!("target => '{name}', entity_target => NULL");
    let first = one.migrate(&source, &table("first")).run_id();
    let second = another.migrate(&source, &table("second")).run_id();
    // A member of the other role sees its run, and so does a superuser: neither takes it unasked.
    assert_eq!(one.count("vector_migrate.runs"), 2);
    db.error("SELECT * FROM rollback_migration()")
        .expect("55000");
    one.notices();
    assert_eq!(
        one.line("SELECT run_id, removed FROM rollback_migration()"),
        format!("{first}|18")
    );
    let told = one.notices();
    let started = db.line(&format!(
        "SELECT started_at FROM vector_migrate.runs WHERE run_id = {first}"
    ));
    let path = source.path().display().to_string();
    for part in [&role, &started, &path] {
        assert!(
            told.iter().any(|it| it.text.contains(part)),
            "{part}: {told:?}"
        );
    }
    one.error("SELECT * FROM rollback_migration()")
        .expect("55000");
    assert_eq!(
        one.line(&format!("SELECT removed FROM rollback_migration({second})"))
            .as_str(),
        "18"
    );
}

#[test]
fn collections_that_share_ids_get_back_their_own_rows() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, "embeddings => 'stored'");
    db.run("UPDATE content_vectors SET title = 'own of ' || chroma_collection");
    let before = both(&db);
    let update = "embeddings => 'stored', on_conflict => 'update'";
    assert_eq!(db.migrate(&source, update).total().migrated, 18);
    assert_eq!(content_line(&db, ""), "0|18|0");
    assert_eq!(both(&db), before);
}

#[test]
fn a_row_that_another_collections_record_overwrites_stays_its_runs() {
    // The table has the collection, its key has not.
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ", chroma_collection text NOT NULL"));
    db.run("CREATE TABLE entity_vectors (content_id text REFERENCES content_vectors, entity_name text, chroma_collection text, embedding vector(8))");
    let first = db.migrate(&source, LIBRARY);
    let update = "collection => 'library_b', embeddings => 'stored', on_conflict => 'update'";
    db.migrate(&source, update);
    // The entity rows of the record before are replaced with it.
    assert_eq!(
        db.count("entity_vectors e JOIN content_vectors c ON c.id = content_id WHERE e.chroma_collection <> c.chroma_collection"),
        0
    );
    assert_eq!(content_line(&db, &first.run_id().to_string()), "9|0|0");
    assert_eq!(db.line("SELECT count(*), count(*) FILTER (WHERE chroma_collection = 'library_b') FROM content_vectors"), "3|3");
}
