//! Few subtransactions, whatever the number of rows: with 64 and more in one transaction, every other session's snapshots read
//! `pg_subtrans`. Each writes its rows under an id of its own, so the ids are counted in `xmin`.

use vector_migrate_tests::{Db, many_records, tables};

/// Records of the first test: `RECORDS`, in `make soak` a million.
fn records() -> i64 {
    std::env::var("RECORDS").map_or(100_000, |n| n.parse().expect("RECORDS is a number"))
}

/// Subtransactions that wrote rows of the table.
fn subtransactions(db: &Db, table: &str) -> i64 {
    db.one(&format!("SELECT count(DISTINCT xmin::text) FROM {table}"))
}

#[test]
fn a_run_of_very_many_batches_has_fewer_than_64() {
    let records = records();
    let source = many_records(records);
    for (way, prepare) in [
        ("directly", ""),
        ("by INSERT", "SET vector_migrate.direct_load = off"),
        (
            "by INSERT",
            "CREATE RULE also AS ON INSERT TO content_vectors DO ALSO NOTHING",
        ),
    ] {
        let db = Db::new();
        db.run(&tables::minimal(4, ""));
        db.run(prepare);
        // 1 kB a row, in batches of 64 kB, or of 1 MB for a million.
        db.run(&format!(
            "SET vector_migrate.batch_bytes = {}",
            (records / 1600).clamp(64, 1024)
        ));
        let arguments = "entity_target => NULL, orphans => 'keep', on_conflict";
        let report = db.migrate(&source, &format!("{arguments} => 'skip'"));
        assert_eq!(report.total().migrated, records);
        let ids = subtransactions(&db, "content_vectors");
        println!("{way}: {ids} subtransactions for {records} rows");
        assert!(ids < 64, "{way}: {ids}");
        if way == "by INSERT" {
            let report = db.migrate(&source, &format!("{arguments} => 'update'"));
            assert_eq!(report.total().migrated, records);
            let ids = subtransactions(&db, "content_vectors");
            println!("overwriting: {ids} subtransactions for {records} rows");
            assert!(ids < 64, "overwriting: {ids}");
            assert_eq!(
                db.one::<i64>("SELECT sum(cardinality(before)) FROM vector_migrate.run_rows"),
                records
            );
        }
    }
}

#[test]
fn rows_that_are_refused_take_few_others_with_them() {
    let source = many_records(20_000);
    let db = Db::new();
    db.run(&tables::minimal(
        4,
        ", CHECK (id NOT IN ('m-5000', 'm-15000'))",
    ));
    db.run("SET vector_migrate.batch_bytes = 64");
    let arguments = "entity_target => NULL, orphans => 'keep', on_conflict => 'update'";
    assert_eq!(
        db.migrate(&source, arguments).outcome(),
        (20_000, 19_998, 0, 2)
    );
    assert_eq!(db.count("content_vectors"), 19_998);
    let known = "SELECT sum(cardinality(keys)) FROM vector_migrate.run_rows";
    assert_eq!(db.one::<i64>(known), 19_998);
    // The same with rows to overwrite, whose images are in the ledger.
    db.run(
        "ALTER TABLE content_vectors ADD CHECK (title <> 'x' OR id <> 'm-7000') NOT VALID;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.id = 'm-7000' THEN RAISE check_violation; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON content_vectors FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    assert_eq!(
        db.migrate(&source, arguments).outcome(),
        (20_000, 19_997, 0, 3)
    );
    let run = "run_id = (SELECT max(run_id) FROM vector_migrate.runs)";
    let entries = format!("SELECT sum(cardinality(keys)) FROM vector_migrate.run_rows WHERE {run}");
    assert_eq!(db.one::<i64>(&entries), 19_997);
    let doubles = format!(
        "SELECT count(*) - count(DISTINCT k) FROM vector_migrate.run_rows, unnest(keys) k WHERE {run}"
    );
    assert_eq!(db.one::<i64>(&doubles), 0);
    let undone = db.line("SELECT removed, restored, kept FROM rollback_migration()");
    assert_eq!(undone, "0|19997|0");
}
