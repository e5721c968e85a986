//! A run can be watched from another session: `pg_stat_progress_copy` shows all of it as one COPY.
//!
//! `pg_stat_progress_copy` and `pg_locks` show every database of the cluster, and the tests run side by side: each looks
//! at its own database only.

use std::thread;

use vector_migrate_tests::{Db, Report, Store, store, tables};

/// Stops a migration at the record `m-<number>`, for as long as somebody holds the lock 7.
fn stopping_at(number: u32) -> String {
    format!(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF NEW.id = 'm-{number:04}' THEN PERFORM pg_advisory_xact_lock_shared(7); END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER stop BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION stop()"
    )
}

/// What `pg_stat_progress_copy` shows of the test's own database.
const OWN: &str = "(SELECT * FROM pg_stat_progress_copy WHERE datname = current_database()) own";

/// Migrates `source` in a session with `settings` and gives the answers to `question` of another session while the run
/// stands still (see [`stopping_at`]), with its report.
fn halfway(db: &Db, source: &Store, settings: &str, question: &str) -> (Vec<String>, Report) {
    const STANDS: &str = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                           WHERE locktype = 'advisory' AND objid = 7 AND NOT granted \
                             AND datname = current_database()";
    let watcher = db.session();
    watcher.run("SELECT pg_advisory_lock(7)");
    thread::scope(|scope| {
        let session = db.session();
        let run = scope.spawn(move || {
            session.run("SET vector_migrate.batch_bytes = '64kB'");
            session.run(settings);
            session.migrate(source, "entity_target => NULL, orphans => 'keep'")
        });
        while watcher.line(STANDS) == "0" {
            assert!(!run.is_finished(), "the run was not stopped");
            thread::yield_now();
        }
        let answers = watcher.lines(question);
        watcher.run("SELECT pg_advisory_unlock(7)");
        (answers, run.join().expect("a report"))
    })
}

/// Rows and bytes of the run, as another session sees them while it stands still at the record.
fn seen_at(number: u32) -> (i64, i64) {
    let (db, source) = (Db::new(), store("special/many"));
    db.run(&tables::minimal(4, ""));
    db.run(&stopping_at(number));
    let (seen, report) = halfway(
        &db,
        &source,
        "",
        &format!(
            "SELECT concat_ws(' ', tuples_processed, bytes_processed, bytes_total, command, type)
               FROM {OWN} WHERE relid = 'content_vectors'::regclass"
        ),
    );
    assert_eq!(report.total().migrated, 2500);
    assert_eq!(db.count(OWN), 0);
    let [line] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    let (figures, what) = line.split_once(" COPY ").expect("a command");
    assert_eq!(what, "FROM CALLBACK");
    let figures: Vec<i64> = figures
        .split(' ')
        .map(|it| it.parse().expect("a number"))
        .collect();
    let (rows, bytes, total) = (figures[0], figures[1], figures[2]);
    assert!((1..2500).contains(&rows), "{rows} rows");
    assert!(0 < bytes && bytes < total, "{bytes} of {total} bytes");
    (rows, bytes)
}

#[test]
fn another_session_sees_rows_and_bytes_of_the_whole_run() {
    let (early, late) = (seen_at(300), seen_at(2300));
    // A batch of 64 kB holds a few hundred of these rows.
    assert!(early.0 <= 300 && late.0 > 1500, "{early:?}, {late:?}");
    assert!(late.1 > 3 * early.1, "{early:?}, {late:?}");
}

#[test]
fn the_figures_go_on_after_rows_that_the_server_refuses() {
    let (db, source) = (Db::new(), store("special/many"));
    // Every bulk load is taken back once and loaded in halves.
    db.run(&tables::minimal(4, ", CHECK (id NOT LIKE 'm-%77')"));
    db.run(&stopping_at(2300));
    let (seen, report) = halfway(
        &db,
        &source,
        "",
        &format!("SELECT tuples_processed || ' ' || tuples_excluded FROM {OWN}"),
    );
    assert_eq!(report.outcome(), (2500, 2475, 0, 25));
    let figures = seen.iter().flat_map(|line| line.split(' '));
    let figures: Vec<i64> = figures.map(|it| it.parse().expect("a number")).collect();
    assert!(figures[0] > 1500 && figures[1] > 5, "{figures:?}");
}

#[test]
fn a_session_that_tracks_nothing_shows_nothing() {
    let (db, source) = (Db::new(), store("special/many"));
    db.run(&tables::minimal(4, ""));
    db.run(&stopping_at(2300));
    let untracked = "SET track_activities = off";
    let (seen, report) = halfway(&db, &source, untracked, &format!("SELECT * FROM {OWN}"));
    assert_eq!(seen, [""; 0]);
    assert_eq!(report.total().migrated, 2500);
}

#[test]
fn a_run_leaves_the_sessions_tracking_as_it_was() {
    let (db, source) = (Db::new(), store("special/many"));
    for track in ["on", "off"] {
        db.run(&format!("SET track_activities = {track}"));
        db.migrate(
            &source,
            &format!("target => 'tracking_{track}', entity_target => NULL, orphans => 'keep'"),
        );
        assert_eq!(db.line("SHOW track_activities"), track);
    }
}
