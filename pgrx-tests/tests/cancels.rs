//! Cancels and timeouts at random moments: the session goes on as after any cancel, nothing is half done, and no thread, open
//! file or private copy stays. `CANCELS` is how many each kind of call gets (`make soak` has 400).

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use vector_migrate_tests::tables::minimal;
use vector_migrate_tests::{Db, Session, Store, store};

/// Loads the model, which a run that creates an entity table does, too: its threads stay.
const MODEL: &str = "SELECT embed_text('warm')";

fn cancels() -> u32 {
    std::env::var("CANCELS").map_or(60, |n| n.parse().expect("CANCELS is a number"))
}

/// Numbers that look random and are the same in every run: Lehmer's generator.
struct Dice(u64);

impl Dice {
    /// A number from 0 to `below` - 1.
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        self.0 % below.max(1)
    }
}

/// A store that is in SQLite's write-ahead mode, and so read in a private copy.
fn copied_store() -> Store {
    let source = store("special/two-collections");
    source.damage("PRAGMA journal_mode = wal");
    source
}

/// A session, and what its process has to be like after each call.
struct Watched<'d> {
    db: &'d Db,
    session: Session,
    /// Sends the cancels; sent when its statement ends, where the protocol's own cancel may come later.
    canceller: Session,
    pid: i32,
    threads: usize,
}

impl<'d> Watched<'d> {
    fn new(db: &'d Db, warm_up: &str) -> Watched<'d> {
        let session = db.session();
        session.run("CREATE TEMP TABLE outcome (word text)");
        session.run(warm_up);
        let pid = session.one("SELECT pg_backend_pid()");
        Watched {
            db,
            session,
            canceller: db.session(),
            pid,
            threads: 0,
        }
        .settled()
    }

    /// With the threads that the model keeps.
    fn settled(mut self) -> Self {
        self.threads = self.count("task");
        self
    }

    fn count(&self, what: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{what}", self.pid)).map_or(0, Iterator::count)
    }

    /// What of the store or of a copy the process has open, as far as that may be looked at.
    fn open_files(&self, source: &Store) -> usize {
        let Ok(files) = fs::read_dir(format!("/proc/{}/fd", self.pid)) else {
            return 0;
        };
        let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        links
            .filter(|path| {
                path.starts_with(source.path())
                    || path.to_string_lossy().contains("vector_migrate.")
            })
            .count()
    }

    fn thread_names(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid));
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
        tasks.map_or_else(
            |_| Vec::new(),
            |tasks| tasks.filter_map(|task| name(task.ok()?)).collect(),
        )
    }

    fn copies(&self) -> i64 {
        self.db.one(&format!(
            "SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false) n
              WHERE n LIKE 'pgsql_tmp_vector_migrate.{}.%'",
            self.pid
        ))
    }

    /// Runs `call` once, ended after about `micros` by a timeout or by a cancel, in a statement of its own or within a block
    /// that catches it; whether it was ended.
    fn ended(&mut self, call: &str, micros: u64, by_timeout: bool, in_block: bool) -> bool {
        let sql = if in_block {
            format!(
                "DO $$ BEGIN PERFORM * FROM {call}; INSERT INTO outcome VALUES ('done');
                 EXCEPTION WHEN query_canceled THEN INSERT INTO outcome VALUES ('cancelled'); END $$"
            )
        } else {
            format!("SELECT * FROM {call}")
        };
        if by_timeout {
            self.session.run(&format!(
                "SET statement_timeout = {}",
                micros.div_ceil(1000).max(1)
            ));
        }
        let cancel = format!("SELECT pg_cancel_backend({})", self.pid);
        let canceller = &mut self.canceller;
        let session = &self.session;
        let answer = thread::scope(|scope| {
            if !by_timeout {
                scope.spawn(move || {
                    thread::sleep(Duration::from_micros(micros));
                    canceller.run(&cancel);
                });
            }
            session.attempt(&sql)
        });
        // A cancel that came too late hits one of these.
        while let Err(failure) = self.session.attempt("SET statement_timeout = 0") {
            failure.expect("57014");
        }
        match answer {
            Err(failure) => {
                failure.expect("57014");
                true
            }
            Ok(_) if in_block => self.session.line("TABLE outcome") == "cancelled",
            Ok(_) => false,
        }
    }

    /// Checks that the session lives and that nothing of the call is left.
    fn check(&self, source: &Store, call: &str) {
        self.session.run("DELETE FROM outcome");
        assert_eq!(
            self.session.one::<i32>("SELECT pg_backend_pid()"),
            self.pid,
            "{call}"
        );
        let start = Instant::now();
        loop {
            let left = (
                self.count("task").saturating_sub(self.threads),
                self.open_files(source),
                self.copies(),
            );
            if left == (0, 0, 0) {
                break;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{call} left (threads, open files, copies): {left:?}; {:?}",
                self.thread_names()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Ends `call` at random moments of its length, [`cancels`] times. `warm_up` is run once by each session, `before` and `after`
/// around each call.
fn storm(db: &Db, source: &Store, seed: u64, call: &str, warm_up: &str, before: &str, after: &str) {
    let started: String = db.one("SELECT pg_postmaster_start_time()::text");
    let mut dice = Dice(seed);
    let mut watched = Watched::new(db, warm_up);
    watched.session.run(before);
    let begin = Instant::now();
    watched.session.run(&format!("SELECT * FROM {call}"));
    let length = u64::try_from(begin.elapsed().as_micros()).expect("short");
    watched.session.run(after);
    let mut ended = 0;
    for n in 0..cancels() {
        watched.session.run(before);
        let micros = dice.roll(length + length / 8);
        if watched.ended(call, micros, n % 3 == 0, n % 2 == 0) {
            ended += 1;
        }
        watched.check(source, call);
        watched.session.run(after);
        if n % 20 == 19 {
            // What a session's end would do with a broken state.
            watched = Watched::new(db, warm_up);
        }
    }
    drop(watched);
    assert!(ended > 0, "none of {call} was ended");
    assert_eq!(
        db.one::<String>("SELECT pg_postmaster_start_time()::text"),
        started,
        "the server did not crash"
    );
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"),
        0
    );
}

#[test]
fn a_dry_run_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    let call = format!(
        "migrate_chroma({}, embeddings => 'stored', dry_run => true)",
        source.sql()
    );
    storm(&db, &source, 11, &call, MODEL, "SELECT 1", "SELECT 1");
}

#[test]
fn a_run_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    let call = format!("migrate_chroma({}, embeddings => 'stored')", source.sql());
    // Whole or not at all, and the ledger knows it.
    let whole = "DO $$ BEGIN
        IF to_regclass('content_vectors') IS NULL THEN
            ASSERT (SELECT count(*) FROM vector_migrate.runs) = 0;
            ASSERT (SELECT count(*) FROM vector_migrate.run_rows) = 0;
        ELSE
            ASSERT (SELECT count(*) FROM content_vectors) = 18;
            ASSERT (SELECT sum(cardinality(keys)) FROM vector_migrate.run_rows) = 18;
            ASSERT (SELECT sum(migrated) FROM vector_migrate.runs) = 18;
        END IF; END $$;
        DROP TABLE IF EXISTS entity_vectors, content_vectors;
        DELETE FROM vector_migrate.run_rows; DELETE FROM vector_migrate.runs";
    storm(&db, &source, 12, &call, MODEL, "SELECT 1", whole);
}

#[test]
fn a_run_into_several_tables_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), store("special/mixed-dimensions"));
    source.damage("PRAGMA journal_mode = wal");
    let call = format!(
        "migrate_chroma({}, embeddings => 'stored', entity_target => NULL)",
        source.sql()
    );
    // Both tables or none.
    let whole = "DO $$ BEGIN
        IF to_regclass('content_vectors_8') IS NULL THEN
            ASSERT to_regclass('content_vectors_16') IS NULL;
            ASSERT (SELECT count(*) FROM vector_migrate.run_targets) = 0;
            ASSERT (SELECT count(*) FROM vector_migrate.run_rows) = 0;
        ELSE
            ASSERT (SELECT count(*) FROM content_vectors_8) = 6;
            ASSERT (SELECT count(*) FROM content_vectors_16) = 6;
            ASSERT (SELECT sum(migrated) FROM vector_migrate.run_targets) = 12;
            ASSERT (SELECT sum(migrated) FROM vector_migrate.runs) = 12;
        END IF; END $$;
        DROP TABLE IF EXISTS content_vectors_8, content_vectors_16;
        DELETE FROM vector_migrate.run_rows; DELETE FROM vector_migrate.run_targets; DELETE FROM vector_migrate.runs";
    storm(&db, &source, 23, &call, MODEL, "SELECT 1", whole);
}

#[test]
fn a_run_into_a_table_with_keys_and_triggers_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    db.run(&minimal(
        8,
        ", number serial, made timestamptz DEFAULT now()",
    ));
    db.run(
        "CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users SELECT generate_series(0, 99);
         ALTER TABLE content_vectors ADD FOREIGN KEY (user_id) REFERENCES users;
         CREATE TABLE log (id text);
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO log VALUES (NEW.id); RETURN NULL; END';
         CREATE TRIGGER tell AFTER INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION tell()",
    );
    let call = format!(
        "migrate_chroma({}, embeddings => 'stored', entity_target => NULL)",
        source.sql()
    );
    // Each row has its line in the log, or neither is there.
    let whole = "DO $$ BEGIN
        ASSERT (SELECT count(*) FROM content_vectors) = (SELECT count(*) FROM log);
        ASSERT (SELECT count(*) FROM content_vectors) = coalesce((SELECT sum(migrated) FROM vector_migrate.runs), 0);
        END $$;
        DELETE FROM content_vectors; DELETE FROM log;
        DELETE FROM vector_migrate.run_rows; DELETE FROM vector_migrate.runs";
    storm(&db, &source, 17, &call, MODEL, "SELECT 1", whole);
}

#[test]
fn a_run_into_a_table_that_is_filled_by_insert_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    db.run(&minimal(8, ""));
    db.run(
        "CREATE TABLE parts (LIKE content_vectors, PRIMARY KEY (id, user_id)) PARTITION BY HASH (user_id);
         CREATE TABLE part_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE part_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         DROP TABLE content_vectors; ALTER TABLE parts RENAME TO content_vectors;
         CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER same BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION same()",
    );
    let call = format!(
        "migrate_chroma({}, embeddings => 'stored', entity_target => NULL)",
        source.sql()
    );
    let whole = "DO $$ BEGIN
        ASSERT (SELECT count(*) FROM content_vectors) = coalesce((SELECT sum(migrated) FROM vector_migrate.runs), 0);
        END $$;
        DELETE FROM content_vectors; DELETE FROM vector_migrate.run_rows; DELETE FROM vector_migrate.runs";
    storm(&db, &source, 19, &call, MODEL, "SELECT 1", whole);
}

#[test]
fn a_run_into_an_applications_tables_and_its_rollback_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    let call = format!(
        "migrate_chroma({}, collection => 'library_a', preset => 'langchain_v1')",
        source.sql()
    );
    // The collection's row, the records' rows and the ledger, or none of them.
    let whole = "DO $$ DECLARE rows bigint = 0; made bigint = 0; migrated bigint; BEGIN
        IF to_regclass('langchain_pg_embedding') IS NOT NULL THEN
            rows = (SELECT count(*) FROM langchain_pg_embedding);
            made = (SELECT count(*) FROM langchain_pg_collection);
        END IF;
        migrated = coalesce((SELECT sum(r.migrated) FROM vector_migrate.runs r WHERE status = 'completed'), 0);
        ASSERT rows = migrated;
        ASSERT made = (SELECT count(*) FROM vector_migrate.run_parents);
        ASSERT made = (rows > 0)::int;
        END $$";
    let clean = "DROP TABLE IF EXISTS langchain_pg_embedding, langchain_pg_collection;
        DELETE FROM vector_migrate.run_parents; DELETE FROM vector_migrate.run_rows; DELETE FROM vector_migrate.run_targets;
        DELETE FROM vector_migrate.runs";
    storm(&db, &source, 29, &call, MODEL, clean, whole);
    let filled = format!("{clean}; SELECT * FROM {call}");
    storm(
        &db,
        &source,
        31,
        "rollback_migration()",
        MODEL,
        &filled,
        whole,
    );
}

#[test]
fn a_run_into_a_table_without_ids_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    db.run("CREATE TABLE documents (id bigserial PRIMARY KEY, content text, metadata jsonb, embedding vector(8))");
    let call = format!(
        "migrate_chroma({}, collection => 'library_a', target => 'documents')",
        source.sql()
    );
    // The ledger has each row's number.
    let whole = "DO $$ BEGIN
        ASSERT (SELECT count(*) FROM documents) = coalesce((SELECT sum(migrated) FROM vector_migrate.runs), 0);
        ASSERT (SELECT count(*) FROM documents) =
               (SELECT count(*) FROM documents d, vector_migrate.run_rows r WHERE d.id::text = ANY (r.keys));
        END $$;
        DELETE FROM documents; DELETE FROM vector_migrate.run_rows; DELETE FROM vector_migrate.runs";
    storm(&db, &source, 37, &call, MODEL, "SELECT 1", whole);
}

#[test]
fn a_rollback_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    let before = format!(
        "DROP TABLE IF EXISTS entity_vectors, content_vectors;
         DELETE FROM vector_migrate.run_rows; DELETE FROM vector_migrate.runs;
         SELECT * FROM migrate_chroma({}, embeddings => 'stored')",
        source.sql()
    );
    let whole = "DO $$ BEGIN
        IF (SELECT status FROM vector_migrate.runs) = 'completed' THEN
            ASSERT (SELECT count(*) FROM content_vectors) = 18;
        ELSE
            ASSERT (SELECT count(*) FROM content_vectors) = 0;
            ASSERT (SELECT count(*) FROM entity_vectors) = 0;
        END IF; END $$";
    storm(
        &db,
        &source,
        13,
        "rollback_migration()",
        MODEL,
        &before,
        whole,
    );
}

#[test]
fn a_search_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    db.run("SELECT init_content_tables()");
    let call = "search_content('what the harbour looked like in the morning', match_count => 3)";
    let warm_up = format!("SELECT * FROM {call}");
    storm(&db, &source, 14, call, &warm_up, "SELECT 1", "SELECT 1");
}

#[test]
fn embedding_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    let call = "embed_text(ARRAY(SELECT 'a sentence of some words, and number ' || n || ' ' || random() FROM generate_series(1, 12) n))";
    storm(&db, &source, 15, call, MODEL, "SELECT 1", "SELECT 1");
}

#[test]
fn embedding_many_texts_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    // So many that they have a session of the runtime and threads of their own, which end with each call.
    let call = "embed_text(ARRAY(SELECT n || ' and ' || random() FROM generate_series(1, 64) n))";
    storm(&db, &source, 18, call, MODEL, "SELECT 1", "SELECT 1");
}

#[test]
fn a_model_that_is_being_loaded_can_be_waited_for_no_longer() {
    let (db, source) = (Db::new(), copied_store());
    let mut dice = Dice(16);
    for n in 0..cancels() / 10 {
        let mut watched = Watched::new(&db, "SELECT 1");
        watched.ended(
            "embed_text('one')",
            dice.roll(1_200_000),
            n % 3 == 0,
            n % 2 == 0,
        );
        // Loaded to its end, for the next call.
        watched.session.run("SELECT embed_text('two')");
        watched = watched.settled();
        watched.check(&source, "embed_text");
    }
}

#[test]
fn a_record_reader_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), copied_store());
    let call = format!("chroma_records({})", source.sql());
    storm(&db, &source, 17, &call, "SELECT 1", "SELECT 1", "SELECT 1");
}

#[test]
fn a_session_can_be_terminated_at_any_moment_and_the_server_lives() {
    let (db, source) = (Db::new(), copied_store());
    let started: String = db.one("SELECT pg_postmaster_start_time()::text");
    let calls = [
        format!("SELECT * FROM migrate_chroma({}, embeddings => 'stored')", source.sql()),
        format!("SELECT * FROM migrate_chroma({}, embeddings => 'generate', dry_run => true)", source.sql()),
        "SELECT count(*) FROM embed_text(ARRAY(SELECT repeat('a sentence of words ', 20) || n FROM generate_series(1, 500) n))".to_owned(),
    ];
    let mut dice = Dice(18);
    for n in 0..cancels() / 4 {
        let mut client = db.client();
        let pid: i32 = client
            .query_one("SELECT pg_backend_pid()", &[])
            .expect("answers")
            .get(0);
        let call = &calls[n as usize % calls.len()];
        let micros = dice.roll(if n % 2 == 0 { 60_000 } else { 1_800_000 });
        thread::scope(|scope| {
            // Connected until it is terminated.
            let calling = scope.spawn(move || (client.simple_query(call).is_err(), client));
            thread::sleep(Duration::from_micros(micros));
            let gone = format!("SELECT pg_terminate_backend({pid}, 10000)");
            assert!(db.one::<bool>(&gone), "it ends within ten seconds: {call}");
            calling.join().expect("no panic");
        });
        let copies = format!(
            "SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false) n WHERE n LIKE 'pgsql_tmp_vector_migrate.{pid}.%'"
        );
        assert_eq!(db.one::<i64>(&copies), 0, "{call}");
    }
    assert_eq!(
        db.one::<String>("SELECT pg_postmaster_start_time()::text"),
        started,
        "the server did not crash"
    );
}
