//! Embedding is bounded and can be interrupted, whatever the texts; what was cut is told.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use postgres::NoTls;
use vector_migrate_tests::models::{cosine, embed, reference};
use vector_migrate_tests::{Db, Session, store};

/// A number from the backend's `/proc/<pid>/status`.
fn kilobytes(session: &Session, line: &str) -> i64 {
    let pid = session.line("SELECT pg_backend_pid()");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let number = found.and_then(|rest| rest.trim_start_matches(':').trim().split(' ').next());
    number.expect("the line").parse().expect("a number")
}

/// The signals that each thread of a backend blocks, the backend's own thread first.
fn blocked_signals(pid: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let mut ids: Vec<u32> = tasks
        .map(|task| {
            task.expect("reads")
                .file_name()
                .to_str()
                .expect("a number")
                .parse()
                .expect("a number")
        })
        .collect();
    ids.sort_by_key(|id| (id.to_string() != pid, *id));
    ids.iter()
        .map(|id| {
            let status =
                fs::read_to_string(format!("/proc/{pid}/task/{id}/status")).expect("a thread");
            let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            line.expect("the line").trim().to_owned()
        })
        .collect()
}

#[test]
fn a_text_of_ten_megabytes_has_the_vector_of_its_beginning() {
    let db = Db::new();
    // Each cut to 256 tokens, but for the endless words: WordPiece does not know them.
    let sentence = "A longer text that goes on and on, far over the limit of the model. ";
    let long = sentence.repeat((10 << 20) / sentence.len());
    let expected = reference()
        .into_iter()
        .find(|one| one.text == sentence.repeat(100))
        .expect("is there");
    assert!(cosine(&embed(&db, &long), &expected.mean) > 0.9999);
    let unknown = reference()
        .into_iter()
        .find(|one| one.text == "x".repeat(101))
        .expect("is there");
    for endless in [
        "x".repeat(10 << 20),
        "é".repeat(5 << 20),
        "𓀀".repeat(2 << 20),
    ] {
        assert!(cosine(&embed(&db, &endless), &unknown.mean) > 0.9999);
    }
    let nothing = reference()
        .into_iter()
        .find(|one| one.text.is_empty())
        .expect("is there");
    assert!(cosine(&embed(&db, &" ".repeat(10 << 20)), &nothing.mean) > 0.9999);
    // White space does not count, unless there is a megabyte of it.
    let gap = format!("{}The weather is lovely today.", " ".repeat(900_000));
    assert!(cosine(&embed(&db, &gap), &reference()[0].mean) > 0.9999);
}

#[test]
fn memory_does_not_grow_with_the_texts() {
    let db = Db::new();
    let session = db.session();
    let many = |count: i32| {
        format!(
            "SELECT count(*) FROM embed_text(ARRAY(SELECT n || repeat(' word', 4000) FROM generate_series(1, {count}) n))"
        )
    };
    session.run(&many(40));
    let before = kilobytes(&session, "VmHWM");
    session.run(&many(160));
    let grown = kilobytes(&session, "VmHWM") - before;
    // The texts are 3 MB, their vectors and what SQL makes of them less than one; the runtime's arena, which is a new
    // one for each batch, takes another 20 MB after its first steps, and then no more. 120 texts more in one step
    // would take a gigabyte.
    assert!(grown < 48 << 10, "{grown} kB");
}

#[test]
fn texts_over_the_limit_are_counted_and_told() {
    let (db, source) = (Db::new(), store("special/no-vector"));
    db.migrate(&source, "entity_target => NULL");
    assert_eq!(db.line("SELECT truncated FROM vector_migrate.runs"), "0");
    let texts: i64 = db.one("SELECT count(*) FROM content_vectors");
    db.run("DROP TABLE content_vectors; DELETE FROM vector_migrate.runs");
    let long = "x ".repeat(300);
    source.damage(&format!(
        "UPDATE embedding_metadata SET string_value = '{long}' || string_value WHERE key = 'chroma:document'
          AND id IN (SELECT id FROM embedding_metadata WHERE key = 'chroma:document' ORDER BY id LIMIT 2)"
    ));
    db.notices();
    db.migrate(&source, "entity_target => NULL, embeddings => 'generate'");
    assert_eq!(db.count("content_vectors"), texts);
    assert_eq!(db.line("SELECT truncated FROM vector_migrate.runs"), "2");
    let told = "2 texts were longer than the model's 256 tokens";
    assert!(
        db.notices()
            .iter()
            .any(|notice| notice.text.starts_with(told))
    );
}

#[test]
fn threads_take_no_signals_and_none_starts_before_it_is_needed() {
    let db = Db::new();
    let session = db.session();
    let pid = session.line("SELECT pg_backend_pid()");
    session.run("SET vector_migrate.embed_threads = 3; LOAD 'vector_migrate'");
    assert_eq!(blocked_signals(&pid).len(), 1);
    embed(&session, "x");
    assert_eq!(
        blocked_signals(&pid).len(),
        2,
        "the backend, and the model's"
    );
    session.run(MANY);
    let threads = blocked_signals(&pid);
    // The runtime has one fewer than are asked for, and no more than there are processors.
    let runtime = processors().min(3) - 1;
    assert!(
        threads.len() >= 3 + runtime,
        "the backend, tokenizer, model and {runtime} of the runtime: {threads:?}"
    );
    let all = |mask: &String| u64::from_str_radix(mask, 16).expect("hexadecimal") & 0x7fff_ffff;
    // SIGKILL and SIGSTOP cannot be blocked.
    let blockable = 0x7fff_ffff & !(1 << 8) & !(1 << 18);
    for thread in &threads[1..] {
        assert_eq!(all(thread) & blockable, blockable, "{threads:?}");
    }
    assert_ne!(all(&threads[0]) & blockable, blockable, "the backend's own");
}

/// Begins a transaction and embeds so many texts in it that they get threads of their own, which stay until its end.
const MANY: &str =
    "BEGIN; SELECT embed_text(array_agg('text ' || n)) FROM generate_series(1, 64) n";

/// Processors that this process may use, as the server of the tests may.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, |n| n.get())
}

#[test]
fn more_threads_than_processors_are_never_started() {
    let db = Db::new();
    let session = db.session();
    let pid = session.line("SELECT pg_backend_pid()");
    session.run("LOAD 'vector_migrate'; SET vector_migrate.embed_threads = 256");
    embed(&session, "x");
    session.run(MANY);
    let threads = blocked_signals(&pid).len();
    // The backend, the one that searches, tokenizer, model, and one fewer of the runtime than processors.
    assert!(
        (4..=processors() + 3).contains(&threads),
        "{threads} threads"
    );
    assert_eq!(session.line("SHOW vector_migrate.embed_threads"), "256");
}

/// Runs `sql` in a session of its own and waits until it has embedded for a while.
fn while_embedding(db: &Db, sql: &str, act: impl FnOnce(&Session, &str)) -> (Session, String) {
    let session = db.session();
    embed(&session, "loads the model");
    session.run("SET vector_migrate.embed_batch_tokens = 16384");
    let pid = session.line("SELECT pg_backend_pid()");
    let session = thread::scope(|scope| {
        let running = scope.spawn(move || (session.attempt(sql), session));
        let begun = format!(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'
             AND clock_timestamp() - query_start > interval '500 ms')"
        );
        let start = Instant::now();
        while !db.one::<bool>(&begun) {
            assert!(
                start.elapsed() < Duration::from_secs(60) && !running.is_finished(),
                "it never began"
            );
            thread::sleep(Duration::from_millis(5));
        }
        act(db, &pid);
        let (answer, session) = running.join().expect("no panic");
        assert!(answer.is_err());
        session
    });
    (session, pid)
}

#[test]
fn steps_have_a_ceiling() {
    let db = Db::new();
    db.run("LOAD 'vector_migrate'; SET vector_migrate.embed_batch_tokens = 16384");
    db.error("SET vector_migrate.embed_batch_tokens = 16385")
        .expect("22023");
}

/// Minutes of work, if it were not stopped.
const ENDLESS: &str = "SELECT count(*) FROM embed_text(ARRAY(SELECT n || repeat(' many words', 200) FROM generate_series(1, 20000) n))";

#[test]
fn a_cancel_stops_the_model_and_the_session_goes_on() {
    let db = Db::new();
    let canceled = |db: &Session, pid: &str| db.run(&format!("SELECT pg_cancel_backend({pid})"));
    let (session, pid) = while_embedding(&db, ENDLESS, canceled);
    let vector = embed(&session, "The weather is lovely today.");
    assert!(cosine(&vector, &reference()[0].mean) > 0.9999);
    session.run("SET statement_timeout = '700ms'");
    session.error(ENDLESS).expect("57014");
    assert_eq!(session.line("SELECT pg_backend_pid()"), pid);
}

#[test]
fn a_session_that_is_terminated_while_it_embeds_takes_nobody_along() {
    let db = Db::new();
    let terminated =
        |db: &Session, pid: &str| db.run(&format!("SELECT pg_terminate_backend({pid})"));
    let (_, pid) = while_embedding(&db, ENDLESS, terminated);
    let start = Instant::now();
    while fs::exists(format!("/proc/{pid}/status")).expect("asks") {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the process is still there"
        );
        thread::sleep(Duration::from_millis(5));
    }
    // A crash would have ended every session.
    assert_eq!(db.one::<i32>("SELECT 1"), 1);
}

#[test]
fn a_cancel_while_the_model_loads_leaves_a_session_that_can_load_it() {
    let db = Db::new();
    let session = db.session();
    session.run("SET statement_timeout = '60ms'");
    // Quick machines load it in less.
    if let Err(failure) = session.attempt("SELECT embed_text('x')") {
        failure.expect("57014");
    }
    session.run("RESET statement_timeout");
    let vector = embed(&session, "The weather is lovely today.");
    assert!(cosine(&vector, &reference()[0].mean) > 0.9999);
    let token = session.cancel_token();
    token
        .cancel_query(NoTls)
        .expect("the server takes a cancel");
}
