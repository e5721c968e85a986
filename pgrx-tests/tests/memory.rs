//! Memory is bounded by bytes, whatever the number of records.

use std::fs;

use vector_migrate_tests::{Db, Session, Store, store, tables};

const RECORDS: i64 = 200_000;

/// A store of 200,000 records with a document of 1,000 characters each, all but 2,500 of them in the queue.
fn large() -> Store {
    let source = store("special/many");
    source.damage(&format!(
        "PRAGMA synchronous = OFF;
         WITH RECURSIVE n(n) AS (VALUES (2500) UNION ALL SELECT n + 1 FROM n WHERE n < {RECORDS} - 1)
         INSERT INTO embeddings_queue (seq_id, created_at, operation, topic, id, vector, encoding, metadata)
         SELECT n + 1, created_at, 0, topic, 'm-' || n, vector, encoding,
                '{{\"user_id\":\"' || (n % 5 + 1) || '\",\"chroma:document\":\"' || n || ' '
                || replace(hex(zeroblob(500)), '0', 'x') || '\"}}'
           FROM n, (SELECT * FROM embeddings_queue LIMIT 1)"
    ));
    source
}

/// A line of the backend's `/proc/<pid>/status`, in MB.
fn megabytes(session: &Session, line: &str) -> i64 {
    let pid = session.line("SELECT pg_backend_pid()");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let number = found.and_then(|rest| rest.trim_start_matches(':').trim().split(' ').next());
    number.expect("the line").parse::<i64>().expect("a number") / 1024
}

#[test]
fn a_large_run_fits_into_a_tight_ceiling() {
    let (db, source) = (Db::new(), large());
    db.run(&tables::minimal(4, ""));
    let session = db.session();
    session.run("SET vector_migrate.max_memory_mb = 16");
    let before = megabytes(&session, "VmHWM") - megabytes(&session, "RssShmem");
    let report = session.migrate(&source, "entity_target => NULL, orphans => 'keep'");
    assert_eq!(report.outcome(), (RECORDS, RECORDS, 0, 0));
    // The highest of all memory less the shared part, which only grows: the process's own, or a little more.
    let used = megabytes(&session, "VmHWM") - megabytes(&session, "RssShmem") - before;
    // The texts alone are 200 MB. What grows with the records is what is known of each id: most here, where all of
    // them are in the queue's tail, as no Chroma leaves it.
    assert!(used < 150, "{used} MB");
    let again = session.migrate(&source, "entity_target => NULL, orphans => 'keep'");
    assert_eq!(again.outcome(), (RECORDS, 0, RECORDS, 0));
}
