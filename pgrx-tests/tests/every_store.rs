//! `migrate_chroma(path)` with no other argument, on every store that there is: everything arrives, or `run_errors` says why not.

use std::fs;
use std::path::Path;

use vector_migrate_tests::{
    Db, Report, Session, Store, assert_verified, demo_files, demo_store, store,
};

/// The names of all fixtures.
fn names() -> Vec<String> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for part in ["", "special/", "graphs/"] {
        for entry in fs::read_dir(fixtures.join(part)).expect("lists") {
            let path = entry.expect("reads").path();
            if path.join("chroma.sqlite3").exists() {
                let name = path.file_name().expect("has one").to_string_lossy();
                found.push(format!("{part}{name}"));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 28, "{found:?}");
    found
}

/// Every store, one after the other.
fn stores() -> impl Iterator<Item = (String, Store)> {
    let fixtures = names().into_iter().map(|name| {
        let source = store(&name);
        (name, source)
    });
    let demo = || ("demo/store".to_owned(), demo_store());
    let files = || ("demo/files".to_owned(), demo_files());
    fixtures.chain([demo(), files()])
}

/// Tables that the runs have filled.
fn filled(db: &Session) -> Vec<String> {
    db.lines(
        "SELECT DISTINCT t::regclass FROM vector_migrate.run_targets,
                unnest(ARRAY[content_target, entity_target]) t WHERE t IS NOT NULL ORDER BY 1",
    )
}

fn rows(db: &Session) -> Vec<String> {
    let tables = filled(db);
    let rows = tables.iter().map(|table| {
        db.line(&format!(
            "SELECT '{table}', count(*), md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {table} t"
        ))
    });
    rows.collect()
}

/// Panics unless the run's errors are the records that the answer says were skipped or failed, each with a reason and a sentence.
fn assert_errors(db: &Session, report: &Report, name: &str) {
    let skips = "reason IN ('no_user_id', 'user_not_found', 'already_exists')";
    let counts = db.line(&format!(
        "SELECT count(*) FILTER (WHERE {skips}), count(*) FILTER (WHERE NOT {skips} AND reason <> 'stale'),
                coalesce(bool_and(message <> '' AND record_id <> '' AND collection <> '' AND reason <> ''), true)
           FROM vector_migrate.run_errors WHERE run_id = {}",
        report.run_id()
    ));
    let total = report.total();
    assert_eq!(
        counts,
        format!("{}|{}|t", total.skipped, total.failed),
        "{name}"
    );
}

#[test]
fn everything_arrives_or_is_told_with_a_reason_and_the_estimate_was_right() {
    let (mut kept_back, mut other_estimates) = (Vec::new(), Vec::new());
    for (name, source) in stores() {
        let db = Db::new();
        let before = source.snapshot();
        let told = format!(
            "SELECT records, estimated_rows FROM chroma_store({})",
            source.sql()
        );
        let row = &db.query(&told, &[])[0];
        let (records, estimated): (i64, i64) = (row.get(0), row.get(1));
        let report = db.migrate(&source, "");
        let total = report.total();
        assert_eq!(total.found, records, "{name}");
        assert_errors(&db, &report, &name);
        assert_verified(&db, report.run_id());
        let in_tables: i64 =
            db.one("SELECT coalesce(sum(migrated), 0)::bigint FROM vector_migrate.run_targets");
        assert_eq!(in_tables, total.migrated, "{name}");
        assert_eq!(source.snapshot(), before, "{name}");
        let reasons = db
            .lines("SELECT reason, count(*) FROM vector_migrate.run_errors GROUP BY 1 ORDER BY 1");
        if !reasons.is_empty() {
            kept_back.push(format!("{name}: {}", reasons.join(", ")));
        }
        let written = total.migrated + total.entities;
        if estimated != written {
            other_estimates.push(format!("{name}: {estimated} instead of {written}"));
        }
    }
    // A new reason here is a question that somebody will have.
    assert_eq!(kept_back, KEPT_BACK);
    assert_eq!(other_estimates, OTHER_ESTIMATES);
}

#[test]
fn a_dry_run_says_the_same_and_a_second_run_changes_nothing() {
    for (name, source) in stores() {
        let db = Db::new();
        let lines = |dry: bool| db.answer(&source, &format!("dry_run => {dry}"));
        assert_eq!(lines(true), lines(false), "{name}");
        let before = rows(&db);
        let again = db.migrate(&source, "");
        assert_eq!(again.total().migrated, 0, "{name}");
        assert_eq!(rows(&db), before, "{name}");
    }
}

#[test]
fn a_rollback_leaves_no_row_of_any_store() {
    for (name, source) in stores() {
        let db = Db::new();
        let report = db.migrate(&source, "");
        let tables = filled(&db);
        assert!(!tables.is_empty(), "{name}");
        let removed: i64 =
            db.one("SELECT coalesce(sum(removed), 0)::bigint FROM rollback_migration()");
        let total = report.total();
        assert_eq!(removed, total.migrated + total.entities, "{name}");
        assert!(tables.iter().all(|table| db.count(table) == 0), "{name}");
    }
}

/// Reasons and records of each store that keeps some back.
const KEPT_BACK: [&str; 10] = [
    "chroma-0.4.24: no_user_id|24",
    "chroma-0.5.23: no_user_id|28",
    "chroma-1.0.21: no_user_id|30",
    "chroma-1.1.1: no_user_id|25",
    "chroma-1.5.9: no_user_id|29",
    "special/bad-values-0.6.3: bad_content|1, bad_text|4, bad_user_id|1, bad_vector|4",
    "special/no-vector-0.5.11: no_vector|4",
    "special/nul-characters: bad_content|1, bad_text|9, bad_user_id|1",
    "special/owners: bad_user_id|3, no_user_id|3",
    "demo/store: no_user_id|12",
];

/// An estimate does not look at vectors: it counts those that are lost, and those that are no numbers.
const OTHER_ESTIMATES: [&str; 2] = [
    "special/bad-values-0.6.3: 11 instead of 7",
    "special/no-vector-0.5.11: 46 instead of 35",
];
