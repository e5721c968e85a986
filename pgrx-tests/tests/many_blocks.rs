//! A rollback takes few subtransactions, however many blocks the ledger has of the run.

use vector_migrate_tests::{Db, Store, store, tables};

const NO_ENTITIES: &str = "entity_target => NULL, embeddings => 'stored'";

/// `removed|restored|kept` of the content table.
fn undo(db: &Db, arguments: &str) -> String {
    db.line(&format!(
        "SELECT removed, restored, kept FROM rollback_migration({arguments})"
    ))
}

/// A run of 2,500 rows, in as many blocks as a run of a million rows has: 250.
fn in_many_blocks(before: &str, arguments: &str) -> (Db, Store) {
    let (db, source) = (Db::new(), store("special/many"));
    db.run(&tables::minimal(4, ""));
    db.run("ALTER TABLE content_vectors SET (autovacuum_enabled = off)");
    db.run(before);
    assert_eq!(db.migrate(&source, arguments).total().migrated, 2500);
    db.run(
        "CREATE TEMP TABLE whole AS SELECT * FROM vector_migrate.run_rows;
         DELETE FROM vector_migrate.run_rows;
         INSERT INTO vector_migrate.run_rows
         SELECT run_id, block_no * 1000 + part, target, collection, source, collection_key, keys[a:b], records[a:b], users[a:b], entities[a:b], xids[a:b], before[a:b]
           FROM whole, generate_series(0, (cardinality(keys) - 1) / 10) part,
                LATERAL (SELECT part * 10 + 1, part * 10 + 10) AS bounds(a, b)",
    );
    assert_eq!(db.count("vector_migrate.run_rows"), 250);
    (db, source)
}

/// How many transaction ids have deleted rows of the table, as its pages have them; none without pageinspect.
fn deleting_ids(db: &Db) -> Option<i64> {
    db.has_module("pageinspect").then(|| {
        db.one(
        "SELECT count(DISTINCT t_xmax::text) FROM generate_series(0, pg_relation_size('content_vectors') / 8192 - 1) page,
                heap_page_items(get_raw_page('content_vectors', page::int)) WHERE t_xmax <> '0'",
        )
    })
}

#[test]
fn inserted_rows_go_in_few_subtransactions() {
    let (db, _source) = in_many_blocks("", NO_ENTITIES);
    assert_eq!(undo(&db, ""), "2500|0|0");
    assert_eq!(db.count("vector_migrate.run_rows"), 0);
    if let Some(ids) = deleting_ids(&db) {
        assert!((1..=9).contains(&ids), "{ids}: 1 + 2 + 4 ... blocks");
    }
}

#[test]
fn overwritten_rows_come_back_in_few_subtransactions() {
    let (db, _source) = in_many_blocks(
        "INSERT INTO content_vectors SELECT 'm-' || to_char(n, 'FM0000'), 9, 'own ' || n, '{}', '', '[1,2,3,4]'
           FROM generate_series(0, 2499) n",
        &format!("{NO_ENTITIES}, on_conflict => 'update'"),
    );
    assert_eq!(undo(&db, ""), "0|2500|0");
    let ids: i64 = db.one("SELECT count(DISTINCT xmin::text) FROM content_vectors");
    assert!((1..=9).contains(&ids), "{ids}");
    assert_eq!(db.count("content_vectors WHERE title LIKE 'own %'"), 2500);
}

#[test]
fn a_block_with_a_row_that_a_trigger_keeps_costs_its_own_only() {
    let (db, _source) = in_many_blocks("", NO_ENTITIES);
    db.run(
        "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF OLD.id = 'm-1000' THEN RAISE check_violation; END IF;
             IF OLD.id = 'm-2000' THEN RETURN NULL; END IF; RETURN OLD; END $$;
         CREATE TRIGGER stay BEFORE DELETE ON content_vectors FOR EACH ROW EXECUTE FUNCTION stay();
         UPDATE content_vectors SET title = title WHERE id IN ('m-0001', 'm-2499')",
    );
    assert_eq!(undo(&db, ""), "2496|0|4");
    let left = ["m-0001", "m-1000", "m-2000", "m-2499"];
    assert_eq!(db.lines("SELECT id FROM content_vectors ORDER BY 1"), left);
    assert_eq!(
        db.lines("SELECT unnest(keys) FROM vector_migrate.run_rows ORDER BY 1"),
        left
    );
    if let Some(ids) = deleting_ids(&db) {
        assert!(ids < 64, "{ids}");
    }
}
