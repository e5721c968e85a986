//! Memory is bounded by bytes, whatever the number of records.

use std::fs;

use vector_migrate_tests::{Db, Session, many_records, tables};

const RECORDS: i64 = 200_000;

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
    let (db, source) = (Db::new(), many_records(RECORDS));
    db.run(&tables::minimal(4, ""));
    let session = db.session();
    // 100 bytes for each record and each row of the queue do not fit into the first, and leave 10 MB of the second.
    session.run("SET vector_migrate.max_memory_mb = 32");
    let refused = session.migrate_error(&source, "entity_target => NULL");
    refused
        .expect("54000")
        .names("200000 records")
        .hints("max_memory_mb to 42");
    session.run("SET vector_migrate.max_memory_mb = 48");
    let before = megabytes(&session, "VmHWM") - megabytes(&session, "RssShmem");
    let report = session.migrate(&source, "entity_target => NULL, orphans => 'keep'");
    assert_eq!(report.outcome(), (RECORDS, RECORDS, 0, 0));
    // The highest of all memory less the shared part, which only grows: the process's own, or a little more.
    let used = megabytes(&session, "VmHWM") - megabytes(&session, "RssShmem") - before;
    // The texts alone are 200 MB. 30 MB are SQLite's cache, blocks of the index and the library.
    assert!(used < 48 + 30, "{used} MB");
    let again = session.migrate(&source, "entity_target => NULL, orphans => 'keep'");
    assert_eq!(again.outcome(), (RECORDS, 0, RECORDS, 0));
}
