//! The ledger's blocks: a rollback is exact whatever became of single rows of a block, and of any size.

use vector_migrate_tests::{Db, Session, Store, store, tables};

const NO_ENTITIES: &str = "entity_target => NULL, embeddings => 'stored'";

/// `removed|restored|kept` of the content table.
fn undo(db: &Session, arguments: &str) -> String {
    db.line(&format!(
        "SELECT removed, restored, kept FROM rollback_migration({arguments}) WHERE target LIKE '%content_vectors%'"
    ))
}

/// One line that two tables share only if their rows are the same.
fn hash(db: &Session) -> String {
    db.line(
        "SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM content_vectors t",
    )
}

/// The ids that the ledger still has.
fn entries(db: &Session) -> Vec<String> {
    db.lines("SELECT unnest(keys) FROM vector_migrate.run_rows ORDER BY 1")
}

/// `special/many` with as many more records in Chroma's queue as make it 20,000.
fn twenty_thousand() -> Store {
    let source = store("special/many");
    source.damage(
        "WITH RECURSIVE n(n) AS (VALUES (2500) UNION ALL SELECT n + 1 FROM n WHERE n < 19999)
         INSERT INTO embeddings_queue (seq_id, created_at, operation, topic, id, vector, encoding, metadata)
         SELECT n + 1, created_at, 0, topic, 'm-' || n, vector, encoding, '{\"user_id\":\"' || (n % 5 + 1) || '\"}'
           FROM n, (SELECT * FROM embeddings_queue LIMIT 1)",
    );
    source
}

#[test]
fn rows_are_kept_in_blocks() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let run = db.migrate(&source, "embeddings => 'stored'").run_id();
    assert_eq!(
        db.lines(
            "SELECT run_id, block_no, target, collection, cardinality(keys), users, before
               FROM vector_migrate.run_rows ORDER BY 2"
        ),
        [
            format!("{run}|0|content_vectors|library_a|9|∅|∅"),
            format!("{run}|1|content_vectors|library_b|9|∅|∅")
        ]
    );
    assert_eq!(
        db.lines(
            "SELECT collection || '/' || key, n FROM vector_migrate.run_rows, unnest(keys, entities) AS u(key, n) ORDER BY 1"
        ),
        db.lines(
            "SELECT chroma_collection || '/' || id, (SELECT count(*) FROM entity_vectors e
                      WHERE e.content_id = c.id AND e.chroma_collection = c.chroma_collection)
               FROM content_vectors c ORDER BY 1"
        )
    );
}

#[test]
fn a_block_partly_changed_gone_and_referred_to_is_undone_for_the_rest() {
    let (db, source) = (Db::new(), store("special/many"));
    db.run(&tables::minimal(4, ""));
    db.migrate(&source, NO_ENTITIES);
    assert_eq!(db.count("vector_migrate.run_rows"), 1);
    db.run(
        "UPDATE content_vectors SET title = title WHERE id IN ('m-0000', 'm-1111', 'm-2499');
         DELETE FROM content_vectors WHERE id IN ('m-0001', 'm-0002', 'm-1500');
         CREATE TABLE notes (about text REFERENCES content_vectors);
         INSERT INTO notes VALUES ('m-0007'), ('m-1800')",
    );
    assert_eq!(undo(&db, ""), "2492|0|5");
    let left = ["m-0000", "m-0007", "m-1111", "m-1800", "m-2499"];
    assert_eq!(db.lines("SELECT id FROM content_vectors ORDER BY 1"), left);
    assert_eq!(entries(&db), left);
    // What was kept can be undone later.
    db.run("DELETE FROM notes");
    let run = db.line("SELECT run_id FROM vector_migrate.runs");
    assert_eq!(undo(&db, &run), "2|0|3");
    assert_eq!(undo(&db, &format!("{run}, force => true")), "3|0|0");
    assert_eq!(
        db.count("content_vectors") + db.count("vector_migrate.run_rows"),
        0
    );
}

#[test]
fn a_block_of_overwritten_rows_keeps_those_that_changed_with_what_they_were() {
    let (db, source) = (Db::new(), store("special/many"));
    db.run(&tables::minimal(4, ""));
    db.run(
        "INSERT INTO content_vectors SELECT 'm-' || to_char(n, 'FM0000'), 9, 'own ' || n, '{}', '', '[1,2,3,4]'
           FROM generate_series(0, 2499) n",
    );
    let before = hash(&db);
    db.migrate(&source, &format!("{NO_ENTITIES}, on_conflict => 'update'"));
    assert_ne!(hash(&db), before);
    db.run("UPDATE content_vectors SET title = title WHERE id IN ('m-0003', 'm-1234')");
    assert_eq!(undo(&db, ""), "0|2498|2");
    assert_eq!(entries(&db), ["m-0003", "m-1234"]);
    let run = db.line("SELECT run_id FROM vector_migrate.runs");
    assert_eq!(undo(&db, &format!("{run}, force => true")), "0|2|0");
    assert_eq!(hash(&db), before);
}

#[test]
fn two_updates_are_undone_in_either_order() {
    for newer_first in [true, false] {
        let (db, source) = (Db::new(), store("special/many"));
        db.run(&tables::minimal(4, ""));
        db.run("INSERT INTO content_vectors VALUES ('m-0010', 9, 'own', '{}', '', '[1,2,3,4]')");
        let update = format!("{NO_ENTITIES}, on_conflict => 'update'");
        let mut states = vec![hash(&db)];
        let mut runs = Vec::new();
        for _ in 0..2 {
            runs.push(db.migrate(&source, &update).run_id().to_string());
            states.push(hash(&db));
        }
        if newer_first {
            assert_eq!(undo(&db, &runs[1]), "0|2500|0");
            assert_eq!(hash(&db), states[1]);
            assert_eq!(undo(&db, &runs[0]), "2499|1|0");
        } else {
            // The rows that the older run brought go; of the newer one's, one is left.
            assert_eq!(undo(&db, &runs[0]), "2499|1|0");
            assert_eq!(hash(&db), states[0]);
            assert_eq!(undo(&db, &runs[1]), "0|1|0");
            // Before the newer run, the row was as the older one had made it.
            assert_eq!(
                db.line("SELECT count(*), bool_and(title <> 'own') FROM content_vectors"),
                "1|t"
            );
        }
        assert_eq!(db.count("vector_migrate.run_rows"), 0);
    }
}

#[test]
fn owners_that_are_part_of_the_key_tell_rows_of_a_block_apart() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    // Two owners of each id, in two collections that the table does not tell apart.
    source.damage(
        "UPDATE embedding_metadata SET string_value = '9' WHERE key = 'user_id' AND id IN
           (SELECT e.id FROM embeddings e JOIN segments s ON s.id = e.segment_id JOIN collections c ON c.id = s.collection
             WHERE c.name = 'library_b');
         UPDATE embeddings_queue SET metadata = json_set(metadata, '$.user_id', '9') WHERE topic LIKE
           (SELECT '%' || id FROM collections WHERE name = 'library_b')",
    );
    db.run(&tables::minimal_of(
        "text",
        "bigint",
        "vector(8)",
        ", PRIMARY KEY (user_id, id)",
    ));
    db.run("INSERT INTO content_vectors VALUES ('content-001', 77, 'own', '{}', '', NULL)");
    let before = hash(&db);
    let first = db.migrate(&source, NO_ENTITIES);
    assert_eq!(first.outcome(), (18, 18, 0, 0));
    assert_eq!(
        db.lines(
            "SELECT DISTINCT u.user_id FROM vector_migrate.run_rows, unnest(users) AS u(user_id) ORDER BY 1"
        ),
        ["1", "2", "9"]
    );
    // The newer run takes the rows of one owner only: entries of the others' must not follow them.
    let update = format!("{NO_ENTITIES}, on_conflict => 'update', user_id => 9");
    assert_eq!(db.migrate(&source, &update).outcome(), (9, 9, 0, 0));
    assert_eq!(undo(&db, &first.run_id().to_string()), "18|0|0");
    assert_eq!(hash(&db), before);
}

#[test]
fn a_rollback_of_twenty_thousand_rows_is_exact_and_reads_no_table_through() {
    let (db, source) = (Db::new(), twenty_thousand());
    db.run(&tables::minimal(4, ", summary text"));
    db.run(
        "ALTER TABLE content_vectors SET (autovacuum_enabled = off);
         INSERT INTO content_vectors
         SELECT CASE WHEN n % 2 = 0 THEN 'm-' || (n + 2500) ELSE 'own-' || n END, n, 'own ' || n,
                jsonb_build_object('n', n), repeat('text ', n % 50), ARRAY[n, 0.1, 1e-30, -n]::vector, NULL
           FROM generate_series(1, 3000) n",
    );
    let before = hash(&db);
    // A session of its own: what others have read is not counted.
    let counted = db.session();
    counted.run("BEGIN");
    const READ: &str = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relid = 'content_vectors'::regclass";
    let report = counted.migrate(&source, &format!("{NO_ENTITIES}, on_conflict => 'update'"));
    assert_eq!(report.outcome(), (20_000, 20_000, 0, 0));
    let blocks = counted.count("vector_migrate.run_rows");
    assert!((5..=20).contains(&blocks), "{blocks} blocks");
    assert_eq!(
        counted.line(
            "SELECT sum(cardinality(keys)), sum(cardinality(before)) FROM vector_migrate.run_rows"
        ),
        "20000|1500"
    );
    // Once, for the keys that are there; and the first row, to see whether there is one.
    assert_eq!(counted.line(READ), "3001");
    assert_eq!(undo(&counted, ""), "18500|1500|0");
    assert_eq!(counted.line(READ), "3001");
    counted.run("COMMIT");
    assert_eq!(hash(&db), before);
    assert_eq!(db.count("vector_migrate.run_rows"), 0);
}
