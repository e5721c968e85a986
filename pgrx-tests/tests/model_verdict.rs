//! `migrate_chroma` compares some of the stored vectors with the model's, warns, and writes the verdict down.

use std::fs;
use std::thread;

use vector_migrate_tests::models::ModelFolder;
use vector_migrate_tests::{Db, Notice, Session, Store, demo_store, queued_demo_store, store};

const STORED: &str = "embeddings => 'stored'";

/// A database whose runs compare, as they do by default.
fn comparing() -> Db {
    let db = Db::new();
    db.run("SET vector_migrate.check_model = on");
    db
}

fn reversed(vector: &[f32]) -> Vec<f32> {
    vector.iter().rev().copied().collect()
}

fn of_another_model() -> Store {
    queued_demo_store(|_, vector| reversed(vector))
}

fn verdict(session: &Session) -> String {
    session.line("SELECT model_verdict FROM vector_migrate.runs ORDER BY run_id DESC LIMIT 1")
}

fn warnings(session: &Session) -> Vec<String> {
    let is = |notice: &Notice| notice.severity == "WARNING";
    let all = session.notices().into_iter().filter(is);
    all.map(|warning| warning.text).collect()
}

const NULL: &str = "∅";

#[test]
fn it_is_on_by_default_and_anybodys() {
    let db = Db::new();
    let setting =
        "SELECT boot_val, context FROM pg_settings WHERE name = 'vector_migrate.check_model'";
    db.run("LOAD 'vector_migrate'");
    assert_eq!(db.line(setting), "on|user");
}

#[test]
fn the_models_own_vectors_are_written_down_as_such() {
    let db = comparing();
    db.migrate(&demo_store(), STORED);
    assert_eq!(verdict(&db), "same model");
    assert_eq!(warnings(&db), [""; 0]);
    let made = "SELECT model, embedded, truncated FROM vector_migrate.runs";
    assert_eq!(db.line(made), format!("{NULL}|0|0"));
}

#[test]
fn texts_of_the_comparison_are_in_no_count() {
    let db = comparing();
    let source = demo_store();
    source.damage(
        "UPDATE embedding_metadata SET string_value = string_value || replace(hex(zeroblob(1000)), '0', ' x')
         WHERE key = 'chroma:document'",
    );
    db.migrate(&source, STORED);
    assert_ne!(verdict(&db), NULL);
    assert_eq!(db.line("SELECT truncated FROM vector_migrate.runs"), "0");
    let told = db.notices();
    assert!(
        !told.iter().any(|it| it.text.contains("longer than")),
        "{told:?}"
    );
}

#[test]
fn vectors_of_another_model_are_warned_of() {
    let (db, source) = (comparing(), of_another_model());
    for embeddings in ["auto", "stored"] {
        let arguments = format!(
            "embeddings => '{embeddings}', target => 'content_{embeddings}', entity_target => NULL"
        );
        db.migrate(&source, &arguments);
        assert_eq!(verdict(&db), "different");
        let said = warnings(&db);
        assert_eq!(said.len(), 1, "{said:?}");
        let path = source.path().display().to_string();
        for part in [
            "all-MiniLM-L6-v2",
            "median of 16 documents",
            "text search",
            "check_model(",
            &path,
            "embeddings => 'generate'",
        ] {
            assert!(said[0].contains(part), "{part}: {said:?}");
        }
    }
    let compared = db.line(&format!(
        "SELECT verdict FROM check_model({})",
        source.sql()
    ));
    assert_eq!(compared, "different");
}

#[test]
fn the_sample_is_of_the_records_that_are_migrated() {
    let db = comparing();
    // The records of user 2 have vectors of another model.
    let of_2 = demo_store().texts(
        "SELECT e.embedding_id FROM embeddings e JOIN embedding_metadata m USING (id)
         WHERE m.key = 'user_id' AND m.string_value = '2'",
    );
    let source = queued_demo_store(|id, vector| match of_2.iter().any(|it| it == id) {
        true => reversed(vector),
        false => vector.to_vec(),
    });
    for (user, expected) in [("1", "same model"), ("2", "different"), ("3", "same model")] {
        // Strict: every vector is read, whoever it belongs to.
        db.migrate(&source, &format!("{user}, {STORED}, strict => true"));
        assert_eq!(verdict(&db), expected, "user {user}");
    }
}

#[test]
fn nothing_is_compared_where_nothing_is_asked_or_taken_over() {
    let (db, source) = (comparing(), of_another_model());
    db.migrate(&source, &format!("{STORED}, dry_run => true"));
    assert_eq!(db.count("vector_migrate.runs"), 0);
    assert_eq!(warnings(&db), [""; 0]);

    db.migrate(&source, "embeddings => 'generate', target => 'anew'");
    assert_eq!((verdict(&db), warnings(&db)), (NULL.to_owned(), vec![]));

    db.run("SET vector_migrate.check_model = off");
    db.migrate(&source, STORED);
    assert_eq!((verdict(&db), warnings(&db)), (NULL.to_owned(), vec![]));

    // Every record is there: none of the vectors is read.
    db.run("SET vector_migrate.check_model = on");
    for strict in ["false", "true"] {
        db.migrate(&source, &format!("{STORED}, strict => {strict}"));
        assert_eq!((verdict(&db), warnings(&db)), (NULL.to_owned(), vec![]));
    }
    assert_eq!(db.count("vector_migrate.runs"), 4);
}

#[test]
fn without_a_model_of_the_vectors_dimensions_nothing_is_compared() {
    let db = comparing();
    // Vectors of few dimensions, and then no model at all.
    let report = db.migrate(
        &store("chroma-1.5.9"),
        "collection => 'content', embeddings => 'stored', entity_target => NULL",
    );
    assert!(report.total().reused > 0);
    assert_eq!((verdict(&db), warnings(&db)), (NULL.to_owned(), vec![]));
    let session = db.session();
    session.run(
        "SET vector_migrate.check_model = on; SET vector_migrate.model_path = '/no/such/model'",
    );
    session.migrate(
        &of_another_model(),
        &format!("{STORED}, target => 'without'"),
    );
    assert_eq!(
        (verdict(&session), warnings(&session)),
        (NULL.to_owned(), vec![])
    );
}

#[test]
fn a_model_that_does_not_load_costs_a_warning() {
    let db = comparing();
    let model = ModelFolder::real();
    model.write("model.onnx", b"not a model");
    model.set(&db);
    let report = db.migrate(&demo_store(), &format!("{STORED}, entity_target => NULL"));
    assert_eq!(report.total().migrated, 288);
    assert_eq!(verdict(&db), NULL);
    let said = warnings(&db);
    assert_eq!(said.len(), 1, "{said:?}");
    for part in [
        "were not compared",
        "could not load the embedding model",
        "check_model = off",
    ] {
        assert!(said[0].contains(part), "{part}: {said:?}");
    }
}

/// Whether the process `pid` has a thread on which a loaded model computes.
fn has_a_model(pid: &str) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let mut names = tasks.map(|task| fs::read_to_string(task.expect("reads").path().join("comm")));
    // A thread may end while it is looked at.
    names.any(|name| name.is_ok_and(|name| ["embed search", "embed batch"].contains(&name.trim())))
}

#[test]
fn a_cancel_while_the_vectors_are_compared_ends_the_run() {
    let db = comparing();
    let source = queued_demo_store(|_, vector| vector.to_vec());
    // A megabyte of white space each: tokenising takes its time.
    source.damage(
        "UPDATE embedding_metadata SET string_value = replace(hex(zeroblob(500000)), '0', ' ') || string_value
         WHERE key = 'chroma:document'",
    );
    let session = db.session();
    session.run("SET vector_migrate.check_model = on");
    let pid = session.line("SELECT pg_backend_pid()");
    let sql = format!(
        "SELECT * FROM migrate_chroma({}, {STORED}, entity_target => NULL)",
        source.sql()
    );
    let answer = thread::scope(|scope| {
        let running = scope.spawn(move || session.attempt(&sql));
        // Nothing else of this run needs the model.
        while !has_a_model(&pid) {
            assert!(!running.is_finished(), "it never began to compare");
            thread::yield_now();
        }
        db.run(&format!("SELECT pg_cancel_backend({pid})"));
        running.join().expect("no panic")
    });
    answer.expect_err("it was cancelled").expect("57014");
    assert_eq!(db.count("vector_migrate.runs"), 0);
    assert_eq!(db.count("pg_class WHERE relname = 'content_vectors'"), 0);
}
