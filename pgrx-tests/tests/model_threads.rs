//! Threads and memory of the model: few while it is used, none in a session that does nothing.

use std::fs;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use pgvector::Vector;
use vector_migrate_tests::models::{cosine, embed};
use vector_migrate_tests::{Db, Session, demo_store};

/// What everything here has to come to.
const PATIENCE: Duration = Duration::from_secs(30);

/// Texts of a few words, so many that they get threads of their own, and others each time: no vector is remembered.
const MANY: &str =
    "embed_text(ARRAY(SELECT 'some words, ' || random() FROM generate_series(1, 200)))";

/// Minutes of work, if it were not stopped.
const ENDLESS: &str = "SELECT count(*) FROM embed_text(ARRAY(SELECT n || repeat(' many words', 200) FROM generate_series(1, 20000) n))";

const SOON: &str = "SET vector_migrate.model_idle_timeout = '100ms'";

/// Names of the threads of the process `pid`, but for its first.
fn threads(pid: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let others = tasks
        .map(|task| task.expect("reads"))
        .filter(|task| task.file_name().to_str() != Some(pid));
    // One may end while it is looked at.
    let names = others.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// Waits until the process `pid` embeds many texts, as long as `running`.
fn until_many(pid: &str, running: &ScopedJoinHandle<'_, impl Send>) {
    let start = Instant::now();
    while !threads(pid).iter().any(|name| name == "embed tokens") {
        let ended = running.is_finished() || start.elapsed() > PATIENCE;
        assert!(!ended, "it never began");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A session, and its process.
struct Watched {
    session: Session,
    pid: String,
}

impl Watched {
    fn new(db: &Db) -> Watched {
        let session = db.session();
        session.run("LOAD 'vector_migrate'; SET vector_migrate.embed_threads = 2");
        let pid = session.line("SELECT pg_backend_pid()");
        Watched { session, pid }
    }

    /// Waits until no more than `most` threads are left, each of them that of searches.
    #[track_caller]
    fn until_at_most(&self, most: usize) {
        let start = Instant::now();
        loop {
            let threads = threads(&self.pid);
            if threads.len() <= most && threads.iter().all(|name| name == "embed search") {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{threads:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// As [`Watched::until_at_most`], long before any timeout: a statement has ended them, and the system only has to
    /// clear them away.
    #[track_caller]
    fn no_more_than_a_search(&self) {
        self.until_at_most(1);
    }

    /// Embeds many texts in the transaction that is open, whose threads are there afterwards.
    #[track_caller]
    fn many(&self) {
        self.session.run(&format!("SELECT count(*) FROM {MANY}"));
        let threads = threads(&self.pid);
        let batch = threads.iter().filter(|name| *name != "embed search");
        assert!(batch.count() >= 2, "{threads:?}");
    }

    /// Memory of its own that belongs to no file, in MB.
    fn own_megabytes(&self) -> i64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("a process");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("the line").parse::<i64>().expect("a number") / 1024
    }
}

#[test]
fn the_timeout_is_a_minute_and_anybodys() {
    let db = Db::new();
    let (role, setting) = (db.reader("anybody"), "vector_migrate.model_idle_timeout");
    let session = db.session_as(&role);
    session.run("SELECT * FROM model_info()");
    let show = format!("SHOW {setting}");
    assert_eq!(session.line(&show), "1min");
    session.run(&format!("SET {setting} = '100ms'"));
    assert_eq!(session.line(&show), "100ms");
    session.run(&format!("SET {setting} = 0"));
    for wrong in ["-1", "'-1s'", "'soon'"] {
        session
            .error(&format!("SET {setting} = {wrong}"))
            .expect("22023");
    }
    assert_eq!(session.line(&show), "0");
}

#[test]
fn a_search_has_one_thread_and_an_idle_session_none() {
    let db = Db::new();
    let watched: Vec<Watched> = (0..10).map(|_| Watched::new(&db)).collect();
    for one in &watched {
        assert_eq!(threads(&one.pid), [""; 0]);
        embed(&one.session, "a search");
        one.no_more_than_a_search();
        one.session.run(SOON);
        embed(&one.session, "a second search");
    }
    for one in &watched {
        one.until_at_most(0);
    }
    // Other words: the vector is not one that is remembered.
    let fresh = Watched::new(&db);
    let expected = embed(&fresh.session, "another search");
    for one in &watched {
        assert_eq!(embed(&one.session, "another search"), expected);
        one.until_at_most(0);
    }
}

#[test]
fn a_text_that_is_remembered_needs_no_thread() {
    let db = Db::new();
    let one = Watched::new(&db);
    one.session.run(SOON);
    let vector = embed(&one.session, "a search");
    one.until_at_most(0);
    one.session
        .run("SET vector_migrate.model_idle_timeout = 0; BEGIN");
    assert_eq!(embed(&one.session, "a search"), vector);
    let again = "SELECT count(*) FROM embed_text(array_fill('a search'::text, ARRAY[100]))";
    assert_eq!(one.session.line(again), "100");
    assert_eq!(threads(&one.pid), [""; 0]);
}

#[test]
fn a_timeout_of_nothing_keeps_the_thread() {
    let db = Db::new();
    let (keeps, ends) = (Watched::new(&db), Watched::new(&db));
    keeps
        .session
        .run("SET vector_migrate.model_idle_timeout = 0");
    ends.session.run(SOON);
    embed(&keeps.session, "a search");
    embed(&ends.session, "a search");
    ends.until_at_most(0);
    assert_eq!(threads(&keeps.pid), ["embed search"]);
    // The setting of the last text counts.
    keeps.session.run(SOON);
    embed(&keeps.session, "another search");
    keeps.until_at_most(0);
}

#[test]
fn the_end_of_a_transaction_ends_the_threads_of_many_texts() {
    let db = Db::new();
    let one = Watched::new(&db);
    embed(&one.session, "a search");
    one.session.run(&format!("SELECT count(*) FROM {MANY}"));
    one.no_more_than_a_search();
    for end in ["COMMIT", "ROLLBACK", "PREPARE TRANSACTION 'many_texts'"] {
        one.session.run("BEGIN; CREATE TABLE written (x int)");
        one.many();
        one.session.run(end);
        one.no_more_than_a_search();
        one.session.run("DROP TABLE IF EXISTS written");
        if end.starts_with("PREPARE") {
            one.session.run("ROLLBACK PREPARED 'many_texts'");
        }
    }
    // A savepoint is none.
    one.session.run("BEGIN; SAVEPOINT s");
    one.many();
    one.session.run("ROLLBACK TO s");
    one.many();
    one.session.run("COMMIT");
    one.no_more_than_a_search();
}

#[test]
fn texts_that_come_singly_are_many_only_within_a_transaction() {
    let db = Db::new();
    let one = Watched::new(&db);
    for n in 0..40 {
        one.session.run("BEGIN");
        embed(&one.session, &format!("text {n}"));
        one.no_more_than_a_search();
        one.session.run("COMMIT");
    }
    one.session
        .run("BEGIN; SELECT embed_text('row ' || n) FROM generate_series(1, 40) n");
    let threads = threads(&one.pid);
    assert!(threads.iter().any(|it| it == "embed batch"), "{threads:?}");
    one.session.run("COMMIT");
    one.no_more_than_a_search();
}

#[test]
fn an_error_ends_the_threads_of_many_texts() {
    let db = Db::new();
    let one = Watched::new(&db);
    let error = format!("SELECT 1 / (count(*) - 200) FROM {MANY}");
    one.session.error(&error).expect("22012");
    one.no_more_than_a_search();
    one.session.run("BEGIN");
    one.many();
    one.session.error("SELECT 1 / 0").expect("22012");
    one.no_more_than_a_search();
    one.session.run("ROLLBACK");
    assert_eq!(
        one.session.line(&format!("SELECT count(*) FROM {MANY}")),
        "200"
    );
    one.no_more_than_a_search();
}

#[test]
fn a_cancel_ends_the_threads_of_many_texts() {
    let db = Db::new();
    let one = Watched::new(&db);
    embed(&one.session, "a search");
    let pid = one.pid.clone();
    let one = thread::scope(|scope| {
        let running = scope.spawn(move || {
            one.session.error(ENDLESS).expect("57014");
            one
        });
        until_many(&pid, &running);
        db.run(&format!("SELECT pg_cancel_backend({pid})"));
        running.join().expect("it was cancelled")
    });
    one.no_more_than_a_search();
    one.session.run("SET statement_timeout = '1s'");
    one.session.error(ENDLESS).expect("57014");
    one.no_more_than_a_search();
    one.session.run("RESET statement_timeout");
    assert_eq!(
        one.session.line(&format!("SELECT count(*) FROM {MANY}")),
        "200"
    );
}

#[test]
fn a_transaction_that_goes_on_keeps_no_threads() {
    let db = Db::new();
    let one = Watched::new(&db);
    let words = "one more search";
    one.session.run(SOON);
    let expected = embed(&one.session, words);
    one.session.run("BEGIN");
    for _ in 0..2 {
        one.session.run(&format!("SELECT count(*) FROM {MANY}"));
        one.until_at_most(0);
        let again = embed(&one.session, words);
        assert_eq!(again, expected);
        let other = one.session.query(
            "SELECT v FROM embed_text(ARRAY(SELECT n || ' texts' FROM generate_series(1, 40) n) || $1::text) v",
            &[&" one more  search"],
        );
        let last: Vector = other[40].get(0);
        assert!(cosine(last.as_slice(), &expected) > 0.99999);
        one.until_at_most(0);
    }
    one.session.run("COMMIT");
    one.until_at_most(0);
}

#[test]
fn a_batch_gives_its_memory_back() {
    let db = Db::new();
    let (searched, batched) = (Watched::new(&db), Watched::new(&db));
    for one in [&searched, &batched] {
        embed(&one.session, "a search");
    }
    batched.session.run(
        "SET vector_migrate.embed_batch_tokens = 16384;
         SELECT count(*) FROM embed_text(ARRAY(SELECT n || repeat(' word', 200) FROM generate_series(1, 300) n))",
    );
    batched.no_more_than_a_search();
    embed(&batched.session, "another search");
    let (usual, after) = (searched.own_megabytes(), batched.own_megabytes());
    assert!(
        after < usual + 24,
        "{after} MB, and {usual} MB without a batch"
    );
}

#[test]
fn a_long_text_gives_its_memory_back() {
    let db = Db::new();
    let (short, long) = (Watched::new(&db), Watched::new(&db));
    embed(&short.session, "a search");
    for n in 0..5 {
        embed(&long.session, &format!("{n} {}", "word ".repeat(300)));
        long.session.run(&format!(
            "SELECT embed_text(array_agg(n || repeat(' text', 250))) FROM generate_series({n}0, {n}5) n"
        ));
    }
    let (usual, after) = (short.own_megabytes(), long.own_megabytes());
    assert!(
        after < usual + 6,
        "{after} MB, and {usual} MB of a short one"
    );
}

#[test]
fn a_session_with_threads_of_the_model_can_be_terminated() {
    let db = Db::new();
    let terminate = |pid: &str| {
        let sql = format!("SELECT pg_terminate_backend({pid}, 30000)");
        assert_eq!(db.line(&sql), "t", "it ends soon");
    };
    // While it embeds, while it waits in a transaction, and after a search.
    let mut client = db.client();
    let pid: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .expect("answers")
        .get(0);
    let pid = pid.to_string();
    thread::scope(|scope| {
        let running = scope.spawn(move || client.simple_query(ENDLESS).is_err());
        until_many(&pid, &running);
        terminate(&pid);
        assert!(running.join().expect("no panic"));
    });
    for sql in [
        format!("BEGIN; SELECT count(*) FROM {MANY}"),
        "SELECT embed_text('a search')".to_owned(),
    ] {
        let one = Watched::new(&db);
        one.session.run(&sql);
        assert_ne!(threads(&one.pid), [""; 0]);
        terminate(&one.pid);
    }
    // A crash would have ended every session.
    assert_eq!(db.one::<i32>("SELECT 1"), 1);
}

#[test]
fn a_comparison_of_stored_vectors_leaves_no_thread() {
    let db = Db::new();
    let one = Watched::new(&db);
    one.session.run(SOON);
    one.session.run("SET vector_migrate.check_model = on");
    one.session.migrate(&demo_store(), "embeddings => 'stored'");
    let verdict = "SELECT model_verdict FROM vector_migrate.runs";
    assert_eq!(one.session.line(verdict), "same model");
    one.until_at_most(0);
    // So many that they get threads of their own.
    let (source, sampled) = (demo_store(), "SELECT sum(sampled) > 32 FROM");
    let compared = format!("{sampled} check_model({}, NULL, 64)", source.sql());
    assert_eq!(one.session.line(&compared), "t");
    one.until_at_most(0);
}
