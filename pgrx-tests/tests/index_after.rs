//! After an import: the index is as any other of pgvector's, in every transaction and under every change.

use std::thread;

use vector_migrate_tests::indexes::{
    Came, Checked, PLAIN, agreement, definition, index_of, migrate_into,
};
use vector_migrate_tests::{Db, Session, Store, store, tables};

/// A database with the collection `euclidean` of 700 records in `content_vectors`, its index imported.
fn imported() -> (Db, Store) {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    migrate_into(&db, &source, "euclidean", "import", "content_vectors")
        .0
        .expect("imported", "700 rows");
    (db, source)
}

const INDEX: &str = "content_vectors_embedding_idx";

#[track_caller]
fn finds(session: &Session, least: f64) {
    let found = agreement(session, "content_vectors", "embedding", "<->");
    assert!(found >= least, "{found}");
}

#[test]
fn the_index_can_be_built_anew() {
    let (db, _source) = imported();
    let before = definition(&db, INDEX);
    for command in [
        "REINDEX INDEX content_vectors_embedding_idx",
        "REINDEX TABLE CONCURRENTLY content_vectors",
    ] {
        db.run(command);
        Checked::sound(&db, "content_vectors", INDEX);
        assert_eq!(definition(&db, INDEX), before);
        finds(&db, 0.95);
    }
}

#[test]
fn vacuum_finds_full_lists() {
    let (db, _source) = imported();
    assert_eq!(Checked::sound(&db, "content_vectors", INDEX).not_full, 0);
    db.run("DELETE FROM content_vectors WHERE id LIKE '%7'");
    db.run("VACUUM content_vectors");
    let checked = Checked::sound(&db, "content_vectors", INDEX);
    assert_eq!((checked.rows, checked.deleted), (630, 70), "{checked:?}");
    finds(&db, 0.95);
}

#[test]
fn two_writers_and_vacuum_leave_it_sound() {
    let (db, _source) = imported();
    let writer = |session: Session, own: usize| {
        for round in 0..6 {
            session.run(&format!(
                "INSERT INTO content_vectors (chroma_collection, id, user_id, title, full_content, searchable_text, metadata, embedding)
                     SELECT 'w', 'w{own}-{round}-' || row_number() OVER (), user_id, title, full_content, searchable_text, metadata,
                            (SELECT array_agg(x * (1 + random() / 20)) FROM unnest(embedding::float4[]) x)::vector
                       FROM content_vectors WHERE id LIKE 'euclidean-%{own}{round}' OR id LIKE 'euclidean-%{round}{own}';
                 UPDATE content_vectors SET embedding =
                        (SELECT array_agg(x * (1 + random() / 20)) FROM unnest(embedding::float4[]) x)::vector
                  WHERE id LIKE 'euclidean-%{own}{round}' OR id LIKE 'w{own}-%3';
                 DELETE FROM content_vectors WHERE id LIKE 'euclidean-%{round}{own}' OR id LIKE 'w{own}-{round}-%7'"
            ));
        }
    };
    thread::scope(|scope| {
        let (one, two, cleaner) = (db.session(), db.session(), db.session());
        let writers = [
            scope.spawn(move || writer(one, 7)),
            scope.spawn(move || writer(two, 8)),
        ];
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            cleaner.run("VACUUM content_vectors");
        }
    });
    db.run("VACUUM content_vectors");
    let checked = Checked::sound(&db, "content_vectors", INDEX);
    assert!(checked.deleted > 0 || checked.rows > 700, "{checked:?}");
    finds(&db, 0.93);
}

#[test]
fn a_run_that_is_undone_leaves_an_empty_index_that_takes_rows_again() {
    let (db, source) = imported();
    let run: i64 = db.one("SELECT max(run_id) FROM vector_migrate.runs");
    db.run(&format!("SELECT * FROM rollback_migration({run})"));
    assert_eq!(db.count("content_vectors"), 0);
    db.run("VACUUM content_vectors");
    let empty = Checked::sound(&db, "content_vectors", INDEX);
    assert_eq!((empty.elements, empty.recall), (0, None), "{empty:?}");
    migrate_into(&db, &source, "euclidean", "import", "content_vectors")
        .0
        .expect("imported", "700 rows");
    Checked::sound(&db, "content_vectors", INDEX).reachable();
    finds(&db, 0.95);
}

#[test]
fn a_transaction_that_is_taken_back_leaves_nothing() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let files = "SELECT count(*) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = current_database())) f
                  WHERE f ~ '^[0-9]+$' AND NOT EXISTS (SELECT FROM pg_class WHERE pg_relation_filenode(oid) = f::oid)";
    let state =
        "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM vector_migrate.runs)";
    let before = (db.line(state), db.line(files));
    db.run("BEGIN");
    migrate_into(&db, &source, "euclidean", "import", "content_vectors")
        .0
        .expect("imported", "700 rows");
    Checked::sound(&db, "content_vectors", INDEX).reachable();
    finds_within(&db);
    db.run("ROLLBACK");
    // Files of a transaction that was taken back are truncated, and gone at the next checkpoint.
    db.run("CHECKPOINT");
    assert_eq!((db.line(state), db.line(files)), before);
}

/// The index answers in the transaction that made it.
fn finds_within(session: &Session) {
    session.run("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off");
    let nearest = "SELECT count(*) FROM (SELECT id FROM content_vectors ORDER BY embedding <->
                   (SELECT embedding FROM content_vectors LIMIT 1) LIMIT 10) n";
    let plan = session
        .lines(&format!("EXPLAIN (COSTS OFF) {nearest}"))
        .join("\n");
    assert!(plan.contains(INDEX), "{plan}");
    assert_eq!(session.line(nearest), "10");
    session.run("SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on");
}

#[test]
fn a_savepoint_takes_it_back_and_the_next_run_makes_it_again() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run("BEGIN; SAVEPOINT before");
    migrate_into(&db, &source, "euclidean", "import", "content_vectors");
    db.run("ROLLBACK TO before");
    assert_eq!(
        db.line("SELECT to_regclass('content_vectors') IS NULL"),
        "t"
    );
    db.run("SAVEPOINT second");
    migrate_into(&db, &source, "euclidean", "import", "content_vectors")
        .0
        .expect("imported", "700 rows");
    db.run("RELEASE second; COMMIT");
    Checked::sound(&db, "content_vectors", INDEX).reachable();
    finds(&db, 0.95);
}

#[test]
fn an_index_of_the_callers_is_as_it_was_after_a_savepoint_is_taken_back() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run(&tables::minimal(16, ""));
    db.run("CREATE INDEX mine ON content_vectors USING hnsw (embedding vector_l2_ops)");
    let file = "SELECT pg_relation_filenode('mine')";
    let before = db.line(file);
    db.run("BEGIN; SAVEPOINT before");
    migrate_into(&db, &source, "euclidean", "import", "content_vectors")
        .0
        .expect("imported", "700 rows");
    assert_ne!(db.line(file), before);
    db.run("ROLLBACK TO before");
    assert_eq!(db.line(file), before);
    assert_eq!(Checked::sound(&db, "content_vectors", "mine").rows, 0);
    db.run("COMMIT");
    migrate_into(&db, &source, "euclidean", "import", "content_vectors");
    Checked::sound(&db, "content_vectors", "mine").reachable();
}

#[test]
fn a_run_with_an_import_can_be_prepared() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let name = format!("import_{}", db.name());
    db.run("BEGIN");
    migrate_into(&db, &source, "euclidean", "import", "content_vectors");
    db.run(&format!("PREPARE TRANSACTION '{name}'"));
    db.session().run(&format!("COMMIT PREPARED '{name}'"));
    Checked::sound(&db, "content_vectors", INDEX).reachable();
    finds(&db, 0.95);
}

#[test]
fn a_table_of_the_same_transaction_gets_its_index() {
    for persistence in ["", "UNLOGGED ", "TEMP "] {
        let (db, source) = (Db::new(), store("graphs/spaces"));
        db.run("BEGIN");
        db.run(
            &tables::minimal(16, "").replace("CREATE TABLE", &format!("CREATE {persistence}TABLE")),
        );
        db.run("CREATE INDEX mine ON content_vectors USING hnsw (embedding vector_l2_ops)");
        let (came, _) = migrate_into(&db, &source, "euclidean", "auto", "content_vectors");
        came.expect("imported", "700 rows");
        db.run("COMMIT");
        Checked::sound(&db, "content_vectors", "mine");
        finds(&db, 0.95);
    }
}

#[test]
fn an_unlogged_table_keeps_an_index_that_a_crash_would_empty() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run(&tables::minimal(16, "").replace("CREATE TABLE", "CREATE UNLOGGED TABLE"));
    db.run("CREATE INDEX mine ON content_vectors USING hnsw (embedding vector_l2_ops)");
    migrate_into(&db, &source, "euclidean", "import", "content_vectors")
        .0
        .expect("imported", "700 rows");
    Checked::sound(&db, "content_vectors", "mine").reachable();
    let forks =
        "SELECT pg_relation_size('mine', 'init') > 0, pg_relation_size('mine', 'main') > 100000";
    assert_eq!(db.line(forks), "t|t");
    db.run("ALTER TABLE content_vectors SET LOGGED");
    Checked::sound(&db, "content_vectors", "mine");
    assert_eq!(db.line(forks), "f|t");
    finds(&db, 0.95);
    let (made, _source) = imported();
    made.run("ALTER TABLE content_vectors SET UNLOGGED");
    Checked::sound(&made, "content_vectors", INDEX);
}

#[test]
fn statistics_and_sizes_are_those_of_an_index_that_was_built() {
    let (db, source) = imported();
    migrate_into(&db, &source, "euclidean", "build", "built");
    let facts = |index: &str| {
        db.line(&format!(
            "SELECT reltuples, relpages = pg_relation_size(oid) / 8192, indisvalid, indisready, indislive, indcheckxmin
               FROM pg_class JOIN pg_index ON indexrelid = oid WHERE oid = '{index}'::regclass"
        ))
    };
    assert_eq!(facts(INDEX), facts(&index_of(&db, "built")));
    let size = |index: &str| db.one::<i64>(&format!("SELECT pg_relation_size('{index}')"));
    assert_eq!(size(INDEX), size(&index_of(&db, "built")));
}

#[test]
fn runs_of_two_sessions_make_an_index_each() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    thread::scope(|scope| {
        for target in ["one", "two", "three"] {
            let (session, source) = (db.session(), &source);
            scope.spawn(move || {
                let arguments = format!(
                    "{PLAIN}, collection => 'product', index => 'import', target => '{target}'"
                );
                session.migrate(source, &arguments);
            });
        }
    });
    let ways = db.lines("SELECT DISTINCT index_way FROM vector_migrate.runs");
    assert_eq!(ways, ["imported"], "{:?}", Came::of_last_run(&db));
    for target in ["one", "two", "three"] {
        Checked::sound(&db, target, &index_of(&db, target)).reachable();
    }
}
