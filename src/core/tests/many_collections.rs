//! Stores of many empty collections: the time grows with their number, not with its square.
//!
//! `COLLECTIONS`: how many (default 2,000).

mod common;

use std::time::Instant;

use common::{copy, try_open};
use vector_migrate_core::source::Source;
use vector_migrate_core::source::SourceError;
use vector_migrate_core::survey::survey;

/// Gives every collection and segment of the store so many copies without records.
const MANY: &str = "PRAGMA foreign_keys = 0;
    CREATE TEMP TABLE n AS WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
        SELECT n, printf('00000000-0000-0000-0000-%012x', n) AS id FROM n;
    INSERT INTO collections (id, name, database_id, config_json_str)
        SELECT n.id, 'c' || n, database_id, '{}' FROM n, (SELECT * FROM collections LIMIT 1);
    INSERT INTO segments (id, type, scope, collection)
        SELECT CASE scope WHEN 'VECTOR' THEN '1' ELSE '2' END || substr(n.id, 2), type, scope, n.id
        FROM n, (SELECT DISTINCT type, scope FROM segments)";

#[test]
fn many_empty_collections_are_opened_counted_and_read() {
    let count = std::env::var("COLLECTIONS").map_or(2000, |told| told.parse().expect("a number"));
    let copy = copy("special/two-collections");
    copy.sql(&MANY.replace("{count}", &i32::to_string(&count)));
    let mut since = Instant::now();
    let mut lap = |what: &str| {
        println!("{what}: {:?}", since.elapsed());
        since = Instant::now();
    };
    let store = try_open(&copy.directory).unwrap();
    lap("opened");
    let all = store.collections();
    assert_eq!(all.len(), usize::try_from(count).unwrap() + 2);
    let sum = |each: &dyn Fn(usize) -> Result<u64, SourceError>| {
        (0..all.len()).map(|at| each(at).unwrap()).sum::<u64>()
    };
    assert_eq!(sum(&|at| store.count(&all[at])), 18);
    lap("counted");
    assert_eq!(sum(&|at| Ok(store.inventory(&all[at])?.records)), 18);
    lap("inventory");
    let read = |at: usize| {
        let mut records = 0;
        store.read(&all[at], &mut |_| {
            records += 1;
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(records)
    };
    assert_eq!(sum(&read), 18);
    lap("read");
    survey(&store).unwrap();
    lap("summary and size");
    store.copy_and_unlock().unwrap();
    lap("copied");
}
