//! Eight sessions that migrate, undo and search at random, beside pgbench on its own tables and on the targets:
//! `SOAK_SECONDS` long (`make soak`: ten minutes).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use vector_migrate_tests::{Db, Session, Store, demo_store, store};

const SESSIONS: u64 = 8;

/// What a session may meet here, as README has it: another run in the table, a run that is undone already or unknown, its own
/// timeout, a deadlock, a row that another session has changed.
const MET: [&str; 6] = ["55P03", "55000", "42704", "57014", "40P01", "40001"];

/// What an application does with the tables meanwhile; ids of its own rows begin with `app-`.
const APPLICATION: &str = "
\\set n random(1, 300)
\\set m random(1, 100000)
BEGIN;
UPDATE content_vectors SET title = 'changed ' || :m WHERE id = (SELECT id FROM content_vectors ORDER BY id OFFSET :n LIMIT 1);
INSERT INTO content_vectors (chroma_collection, id, title, full_content, searchable_text, metadata)
    VALUES ('app', 'app-' || :m, 'own', '{}', '', '{}') ON CONFLICT DO NOTHING;
DELETE FROM content_vectors WHERE id = 'app-' || (:m - 7);
DELETE FROM content_vectors WHERE :n = 1 AND id = (SELECT max(id) FROM content_vectors);
END;
SELECT count(*) FROM content_vectors c JOIN entity_vectors e ON e.content_id = c.id WHERE c.user_id = :n % 5;
";

fn seconds() -> u64 {
    std::env::var("SOAK_SECONDS").map_or(5, |text| text.parse().expect("SOAK_SECONDS is a number"))
}

/// pgbench on `db`; it tries again what ends in a deadlock, and fails at any other error.
fn pgbench(db: &Db, arguments: &[&str]) -> Child {
    let folder: String = db.one("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
    let own = format!("{folder}/pgbench");
    let program = if Path::new(&own).exists() {
        own
    } else {
        "pgbench".to_owned()
    };
    let setting = |name: &str| std::env::var(name).expect("the harness has checked it");
    Command::new(program)
        .env("PGHOST", setting("VECTOR_MIGRATE_HOST"))
        .env("PGPORT", setting("VECTOR_MIGRATE_PORT"))
        .env("PGUSER", setting("VECTOR_MIGRATE_USER"))
        .args(arguments)
        .arg(db.name())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pgbench is there")
}

#[track_caller]
fn succeeds(child: Child) {
    let output = child.wait_with_output().expect("ends");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && !text.contains("ERROR"), "{text}");
}

/// Numbers that look random, the same for one seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One thing that a session does.
fn action(dice: &mut Dice, own: u64, demo: &Store, small: &Store) -> String {
    let conflict = ["skip", "update"][usize::from(dice.roll(2) == 0)];
    let shared = format!(
        "SELECT * FROM migrate_chroma({}, embeddings => 'stored', on_conflict => '{conflict}'",
        demo.sql()
    );
    let table = format!(
        "SELECT * FROM migrate_chroma({}, target => 'own_{own}', entity_target => NULL, embeddings => 'stored', on_conflict => '{conflict}'",
        small.sql()
    );
    let user = dice.roll(4) + 1;
    match dice.roll(10) {
        0 => format!("{shared})"),
        1 => format!("{shared}, user_id => '{user}')"),
        2 => format!("{table})"),
        3 => format!("{table}, dry_run => true); {shared}, dry_run => true)"),
        4 => format!("BEGIN; {table}); {shared}, user_id => '{user}'); ROLLBACK"),
        5 => format!("SET statement_timeout = {}; {shared}); RESET statement_timeout", dice.roll(60) + 1),
        6 => "SELECT * FROM rollback_migration()".to_owned(),
        7 => format!(
            "SELECT r.* FROM (SELECT run_id FROM vector_migrate.runs ORDER BY md5(run_id::text || '{}') LIMIT 1) one,
                    rollback_migration(one.run_id, {}) r",
            dice.roll(1000),
            dice.roll(2) == 0
        ),
        8 => format!("SELECT * FROM search_content('cheese', user_id => '{user}', match_count => 50)"),
        _ => format!(
            "SELECT * FROM search_entities('sea', match_count => 20); SELECT count(*) FROM chroma_records({})",
            small.sql()
        ),
    }
}

fn act_until(session: &Session, end: Instant, own: u64, demo: &Store, small: &Store) -> u64 {
    let mut dice = Dice(own + 1);
    let mut done = 0;
    // On a busy machine a first action may take longer than all of the time.
    while Instant::now() < end || done == 0 {
        let sql = action(&mut dice, own, demo, small);
        if let Err(failure) = session.attempt(&sql) {
            assert!(MET.contains(&failure.code.as_str()), "{sql}\n{failure:#?}");
            session.run("ROLLBACK; RESET statement_timeout");
        } else {
            done += 1;
        }
        session.notices();
    }
    done
}

#[test]
fn eight_sessions_and_pgbench_leave_sound_tables_and_sums_that_add_up() {
    let (db, demo, small) = (Db::new(), demo_store(), store("special/two-collections"));
    if !db.one::<bool>("SELECT current_setting('server_version_num')::int >= 150000") {
        println!("skipped: pgbench of PostgreSQL 14 does not try again what ends in a deadlock");
        return;
    }
    let amcheck = db.has_module("amcheck");
    succeeds(pgbench(&db, &["-i", "-q", "-s", "2"]));
    // What the application has tables for is there before its first statement.
    db.migrate(&demo, "embeddings => 'stored'");
    let script = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(script.path(), APPLICATION).expect("writes");
    let path = script.path().to_str().expect("UTF-8").to_owned();
    let time = seconds();
    let (length, file) = (time.to_string(), format!("{path}@3"));
    let options = [
        "-n",
        "-c",
        "4",
        "-j",
        "2",
        "--max-tries=100",
        "-T",
        &length,
        "-b",
        "tpcb-like@1",
        "-f",
        &file,
    ];
    let bench = pgbench(&db, &options);
    let end = Instant::now() + Duration::from_secs(time);
    let sessions: Vec<Session> = (0..SESSIONS).map(|_| db.session()).collect();
    let done: Vec<u64> = thread::scope(|scope| {
        let (demo, small) = (&demo, &small);
        let start = |(own, session): (u64, Session)| {
            scope.spawn(move || act_until(&session, end, own, demo, small))
        };
        let running: Vec<_> = (0..).zip(sessions).map(start).collect();
        running
            .into_iter()
            .map(|one| one.join().expect("no session fails"))
            .collect()
    });
    succeeds(bench);
    println!("{time} s: {done:?} actions");
    assert!(done.iter().all(|&actions| actions > 0), "{done:?}");
    if amcheck {
        sound(&db);
    }
    assert_eq!(
        db.line("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
        "0"
    );
    sums(&db);
}

/// Heaps and indexes of the tables and of the ledger are as they should be.
fn sound(db: &Db) {
    let tables = "FROM pg_class c WHERE c.relnamespace IN ('public'::regnamespace, 'vector_migrate'::regnamespace)";
    let broken = format!("SELECT c.relname, v.msg {tables} AND c.relkind = 'r'");
    let broken = broken.replace(" WHERE", ", LATERAL verify_heapam(c.oid) v WHERE");
    assert!(db.lines(&broken).is_empty(), "{:?}", db.lines(&broken));
    db.run(&format!(
        "SELECT bt_index_parent_check(c.oid, true) {tables} AND c.relkind = 'i' AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')"
    ));
}

/// Each row of a table that only runs have written is some run's, and once; what no run has left is the application's.
fn sums(db: &Db) {
    for own in 0..SESSIONS {
        let table = format!("own_{own}");
        if db.line(&format!("SELECT to_regclass('{table}') IS NULL")) == "t" {
            continue;
        }
        let written: i64 = db.one(&format!(
            "SELECT coalesce(sum(cardinality(keys)), 0)::bigint FROM vector_migrate.run_rows
              WHERE target = '{table}'::regclass AND before IS NULL"
        ));
        let history = db.lines(&format!(
            "SELECT r.run_id, status, options->>'on_conflict', migrated, skipped, failed, started_at, finished_at, rolled_back_at,
                    (SELECT string_agg(format('%s %s %s %s', collection, cardinality(keys), before IS NULL, xids), ' / ')
                       FROM vector_migrate.run_rows b WHERE b.run_id = r.run_id)
               FROM vector_migrate.runs r WHERE content_target = '{table}'::regclass ORDER BY 1"
        ));
        let rows = db.lines(&format!(
            "SELECT chroma_collection, xmin::text, count(*) FROM {table} GROUP BY 1, 2 ORDER BY 1, 2"
        ));
        let last = history.get(history.len().saturating_sub(30)..);
        assert_eq!(db.count(&table), written, "{table}: {rows:#?} {last:#?}");
    }
    let open =
        "SELECT run_id FROM vector_migrate.runs WHERE status = 'completed' ORDER BY run_id DESC";
    for run in db.lines(open) {
        db.run(&format!(
            "SELECT * FROM rollback_migration({run}, force => true)"
        ));
    }
    let undone = "SELECT DISTINCT run_id FROM vector_migrate.run_rows ORDER BY 1 DESC";
    for run in db.lines(undone) {
        db.run(&format!(
            "SELECT * FROM rollback_migration({run}, force => true)"
        ));
    }
    let left = "SELECT (SELECT count(*) FROM content_vectors WHERE id NOT LIKE 'app-%'), (SELECT count(*) FROM entity_vectors)";
    assert_eq!(db.line(left), "0|0");
}
