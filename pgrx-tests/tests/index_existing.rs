//! A vector index of the caller's on an empty table: rows first, the index after them, under its name and definition; and
//! other sessions that use the table meanwhile.

use std::thread;

use vector_migrate_tests::indexes::{Came, Checked, PLAIN, agreement, definition, migrate_into};
use vector_migrate_tests::{Db, FUNCTIONS, Session, Store, store, tables};

/// An empty table with the index `mine`.
fn with_index(options: &str) -> (Db, Store) {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run(&tables::minimal(16, ""));
    db.run(&format!(
        "CREATE INDEX mine ON content_vectors USING hnsw (embedding vector_l2_ops) {options}"
    ));
    (db, source)
}

#[track_caller]
fn run(session: &Session, source: &Store, way: &str) -> Came {
    let (came, report) = migrate_into(session, source, "euclidean", way, "content_vectors");
    assert_eq!(report.total().migrated, 700);
    came
}

#[test]
fn an_index_keeps_its_name_its_definition_and_its_comment() {
    let (db, source) = with_index("WITH (m = 16, ef_construction = 100)");
    db.run("COMMENT ON INDEX mine IS 'of the application'");
    let facts = "SELECT i.oid, obj_description(i.oid, 'pg_class'), i.reloptions, i.relowner, x.indisvalid, x.indislive
                   FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid WHERE i.relname = 'mine'";
    let before = (db.line(facts), definition(&db, "mine"));
    run(&db, &source, "import").expect("imported", "700 rows linked as in Chroma's graph");
    assert_eq!((db.line(facts), definition(&db, "mine")), before);
    assert_eq!(db.line("SELECT count(*) FROM pg_indexes WHERE tablename = 'content_vectors' AND indexdef LIKE '%hnsw%'"), "1");
    Checked::sound(&db, "content_vectors", "mine").reachable();
    assert!(agreement(&db, "content_vectors", "embedding", "<->") > 0.95);
}

#[test]
fn an_index_with_another_m_is_built_with_its_own() {
    let (db, source) = with_index("WITH (m = 8)");
    let call = format!(
        "SELECT * FROM migrate_chroma({}, {PLAIN}, collection => 'euclidean', index => 'import')",
        source.sql()
    );
    db.refused(&call, "55000")
        .names("M of Chroma's graph is 16, m of the index 8");
    assert_eq!(Checked::sound(&db, "content_vectors", "mine").rows, 0);
    run(&db, &source, "auto").expect("built", "M of Chroma's graph is 16, m of the index 8");
    Checked::sound(&db, "content_vectors", "mine");
    assert!(definition(&db, "mine").ends_with("WITH (m='8')"));
}

#[test]
fn build_fills_it_and_none_lets_the_rows_fill_it() {
    let (db, source) = with_index("");
    run(&db, &source, "build").expect("built", "index => 'build'");
    Checked::sound(&db, "content_vectors", "mine");
    let (db, source) = with_index("");
    assert_eq!(run(&db, &source, "none").way, "");
    Checked::sound(&db, "content_vectors", "mine");
}

#[test]
fn of_two_indexes_the_one_for_the_graphs_distance_gets_it() {
    for (first, second) in [("l2", "cosine"), ("cosine", "l2")] {
        let (db, source) = (Db::new(), store("graphs/spaces"));
        db.run(&tables::minimal(16, ""));
        for space in [first, second] {
            db.run(&format!(
                "CREATE INDEX of_{space} ON content_vectors USING hnsw (embedding vector_{space}_ops)"
            ));
        }
        run(&db, &source, "import").expect("imported", "700 rows");
        Checked::sound(&db, "content_vectors", "of_l2").reachable();
        Checked::sound(&db, "content_vectors", "of_cosine");
    }
}

#[test]
fn other_indexes_are_filled_by_the_rows() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run(&tables::minimal(16, ""));
    db.run(
        "CREATE INDEX part ON content_vectors USING hnsw (embedding vector_l2_ops) WHERE user_id = 3;
         CREATE INDEX lists ON content_vectors USING ivfflat (embedding vector_l2_ops) WITH (lists = 4);
         CREATE INDEX taxi ON content_vectors USING hnsw (embedding vector_l1_ops)",
    );
    // The lists are made anew (index_kept.rs).
    run(&db, &source, "auto").expect("built", "IVFFlat");
    db.run("SET enable_seqscan = off; SET enable_sort = off; SET ivfflat.probes = 4");
    for (condition, operator, wanted) in [
        ("WHERE user_id = 3", "<->", "part"),
        ("", "<->", "lists"),
        ("", "<+>", "taxi"),
    ] {
        let sql = format!(
            "SELECT id FROM content_vectors {condition} ORDER BY embedding {operator}
                    (SELECT embedding FROM content_vectors WHERE id = 'euclidean-0002') LIMIT 1"
        );
        let plan = db.lines(&format!("EXPLAIN (COSTS OFF) {sql}")).join("\n");
        assert!(plan.contains(&format!("using {wanted}")), "{plan}");
        assert_eq!(db.lines(&sql), ["euclidean-0002"], "{wanted}");
    }
}

#[test]
fn who_may_only_insert_has_the_index_filled() {
    let (db, source) = with_index("");
    let role = db.role("writer");
    db.run(&format!(
        "GRANT pg_read_server_files TO {role}; GRANT EXECUTE ON FUNCTION {FUNCTIONS} TO {role};
         GRANT SELECT, INSERT ON content_vectors TO {role}"
    ));
    let owner = "SELECT relowner FROM pg_class WHERE relname = 'mine'";
    let before = db.line(owner);
    let session = db.session_as(&role);
    session.migrate(
        &source,
        &format!("{PLAIN}, collection => 'euclidean', index => 'import'"),
    );
    Came::of_last_run(&db).expect("imported", "700 rows");
    assert_eq!(db.line(owner), before);
    Checked::sound(&db, "content_vectors", "mine").reachable();
    session
        .error("SELECT * FROM check_vector_index('mine')")
        .expect("42501");
}

/// Waits until the run, which is another session's, holds the lock `mode` on the table; false if it ended before.
fn holds(db: &Db, mode: &str, over: impl Fn() -> bool) -> bool {
    let sql = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = 'content_vectors'::regclass AND mode = '{mode}' AND granted
            AND pid IN (SELECT pid FROM pg_stat_activity WHERE query LIKE '%migrate_chroma%' AND pid <> pg_backend_pid())
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    while db.line(&sql) == "0" {
        if over() {
            return false;
        }
        thread::yield_now();
    }
    true
}

#[test]
fn a_session_that_reads_by_the_index_is_not_waited_for_without_end() {
    let (db, source) = with_index("");
    let (reader, runner, other) = (db.session(), db.session(), db.session());
    reader.run("BEGIN; SET LOCAL enable_seqscan = off");
    let nearest = "SELECT count(*) FROM (SELECT * FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector LIMIT 5) n";
    reader.run(nearest);
    runner.run("BEGIN");
    let runner = thread::scope(|scope| {
        let source = &source;
        let run = scope.spawn(move || (run(&runner, source, "auto"), runner));
        assert!(holds(&db, "ShareLock", || run.is_finished()));
        // Nobody waits behind the run, neither for the table nor for the index.
        other.run("SET lock_timeout = '5s'; SET enable_seqscan = off");
        assert_eq!(other.line(nearest), "0");
        assert!(!run.is_finished());
        // A row that comes when the run cannot have the index; it waits until the run has given up.
        reader.run(
            "INSERT INTO content_vectors (id, user_id, title, full_content, searchable_text, embedding)
             VALUES ('mine', 1, '', '{}', '', array_fill(1, ARRAY[16])::vector)",
        );
        let (came, runner) = run.join().expect("a run");
        came.expect("inserted", "other sessions use the table or the index");
        runner
    });
    // The lock that it had on the table alone is given back before its transaction ends.
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'content_vectors'::regclass AND mode = 'ShareLock'";
    assert_eq!(db.line(held), "0");
    runner.run("COMMIT");
    reader.run("COMMIT");
    let checked = Checked::sound(&db, "content_vectors", "mine");
    assert_eq!(checked.rows, 701);
    assert!(agreement(&db, "content_vectors", "embedding", "<->") > 0.95);
}

#[test]
fn a_session_that_has_written_costs_the_import_its_index() {
    let (db, source) = with_index("");
    let writer = db.session();
    writer.run(
        "BEGIN; INSERT INTO content_vectors (id, user_id, title, full_content, searchable_text, embedding)
                SELECT 'w' || n, 1, '', '{}', '', array_fill(n / 7.0, ARRAY[16])::vector FROM generate_series(1, 30) n",
    );
    let file = "SELECT pg_relation_filenode('mine')";
    let before = db.line(file);
    let call = format!(
        "SELECT * FROM migrate_chroma({}, {PLAIN}, collection => 'euclidean', index => 'import')",
        source.sql()
    );
    db.refused(&call, "55000")
        .names("other sessions use the table or the index");
    run(&db, &source, "auto").expect("inserted", "other sessions use the table or the index");
    assert_eq!(db.line(file), before);
    writer.run("COMMIT");
    assert_eq!(Checked::sound(&db, "content_vectors", "mine").rows, 730);
}

#[test]
fn rows_that_others_commit_during_the_load_are_in_the_index() {
    let (db, source) = with_index("");
    db.run(
        "CREATE FUNCTION stop() RETURNS bool LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_advisory_xact_lock_shared(8); RETURN true; END $$;
         ALTER TABLE content_vectors ADD CHECK (id <> 'euclidean-0300' OR stop())",
    );
    let (writer, runner) = (db.session(), db.session());
    let insert = |from: u32| {
        writer.run(&format!(
            "INSERT INTO content_vectors (id, user_id, title, full_content, searchable_text, embedding)
             SELECT 'w' || n, 1, '', '{{}}', '', array_fill(n / 7.0, ARRAY[16])::vector FROM generate_series({from}, {from} + 9) n"
        ));
    };
    writer.run("SELECT pg_advisory_lock(8); BEGIN");
    insert(0);
    thread::scope(|scope| {
        let source = &source;
        let run = scope.spawn(move || run(&runner, source, "auto"));
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 8 AND NOT granted
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while db.line(waits) == "0" {
            assert!(!run.is_finished());
            thread::yield_now();
        }
        insert(10);
        writer.run("COMMIT");
        insert(20);
        writer.run("SELECT pg_advisory_unlock(8)");
        let came = run.join().expect("a run");
        came.expect(
            "imported",
            "700 rows linked as in Chroma's graph, 30 inserted by pgvector",
        );
    });
    assert_eq!(Checked::sound(&db, "content_vectors", "mine").rows, 730);
    assert!(agreement(&db, "content_vectors", "embedding", "<->") > 0.95);
}

#[test]
fn rows_that_others_commit_during_the_load_are_not_inserted_a_second_time() {
    let (db, source) = with_index("");
    db.run(
        "CREATE FUNCTION stop() RETURNS bool LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_advisory_xact_lock_shared(9); RETURN true; END $$;
         ALTER TABLE content_vectors ADD CHECK (id <> 'euclidean-0300' OR stop())",
    );
    let (writer, reader, runner) = (db.session(), db.session(), db.session());
    writer.run("SELECT pg_advisory_lock(9)");
    reader.run("BEGIN; SET LOCAL enable_seqscan = off");
    reader.run(
        "SELECT * FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector LIMIT 5",
    );
    thread::scope(|scope| {
        let source = &source;
        let run = scope.spawn(move || run(&runner, source, "auto"));
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 9 AND NOT granted
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while db.line(waits) == "0" {
            assert!(!run.is_finished());
            thread::yield_now();
        }
        writer.run(
            "INSERT INTO content_vectors (id, user_id, title, full_content, searchable_text, embedding)
             SELECT 'w' || n, 1, '', '{}', '', array_fill(n / 7.0, ARRAY[16])::vector FROM generate_series(1, 10) n",
        );
        writer.run("SELECT pg_advisory_unlock(9)");
        let came = run.join().expect("a run");
        came.expect("inserted", "other sessions use the table or the index");
    });
    reader.run("COMMIT");
    assert_eq!(Checked::sound(&db, "content_vectors", "mine").rows, 710);
}

#[test]
fn rows_of_a_subtransaction_that_was_taken_back_are_not_inserted_late() {
    let (db, source) = with_index("");
    // The table refuses a tenth: whole loads are taken back and tried in halves.
    db.run("ALTER TABLE content_vectors ADD CHECK (id NOT LIKE '%7')");
    let reader = db.session();
    reader.run("BEGIN; SET LOCAL enable_seqscan = off");
    reader.run(
        "SELECT * FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector LIMIT 5",
    );
    let (came, report) = migrate_into(&db, &source, "euclidean", "auto", "content_vectors");
    assert_eq!(report.outcome(), (700, 630, 0, 70));
    came.expect("inserted", "other sessions use");
    reader.run("COMMIT");
    assert_eq!(Checked::sound(&db, "content_vectors", "mine").rows, 630);
    db.run("VACUUM content_vectors");
    assert_eq!(Checked::sound(&db, "content_vectors", "mine").deleted, 0);
}

#[test]
fn an_index_that_a_cursor_of_the_same_session_reads_is_not_emptied() {
    let nearest =
        "SELECT id FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector";
    let open = format!(
        "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off;
         DECLARE near CURSOR FOR {nearest}; FETCH 2 FROM near"
    );
    // Nothing is in it when the cursor is opened: the rows get their entries one by one.
    let (db, source) = with_index("");
    let file = "SELECT pg_relation_filenode('mine')";
    let before = db.line(file);
    db.run(&open);
    run(&db, &source, "auto").expect("inserted", "an open query of this session uses the index");
    assert_eq!(db.line(file), before);
    db.run("FETCH 3 FROM near; COMMIT");
    assert_eq!(Checked::sound(&db, "content_vectors", "mine").rows, 700);
    // The rows that the cursor goes on to give are those that it would have given.
    db.run(&open);
    let wanted = db.lines("FETCH ALL FROM near");
    db.run("ROLLBACK");
    db.run(&open);
    db.run("SAVEPOINT whole");
    db.error(&format!(
        "SELECT * FROM import_index('content_vectors', {}, 'euclidean')",
        source.sql()
    ))
    .expect("55000")
    .names("an open query of this session uses the index");
    db.run("ROLLBACK TO whole");
    let given = db.lines("FETCH ALL FROM near");
    assert!(wanted.len() > 20);
    assert!(given == wanted, "{given:?} {wanted:?}");
    db.run("CLOSE near");
    db.run(&format!(
        "SELECT * FROM import_index('content_vectors', {}, 'euclidean'); COMMIT",
        source.sql()
    ));
}
