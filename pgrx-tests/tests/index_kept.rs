//! Vector indexes of a table that has rows already, and IVFFlat indexes: filled after the load where that is cheaper, kept up
//! row by row where it is not, and what other sessions see of it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use vector_migrate_tests::indexes::{Came, Checked, PLAIN, agreement, definition};
use vector_migrate_tests::{Db, FUNCTIONS, Session, Store, store, tables};

/// Records of the collection `euclidean`; a tenth of them are the most rows that a table may have for its index to be built anew.
const RECORDS: i64 = 700;

/// A table with `rows` rows of its own, and the index `mine`.
fn with_rows(rows: i64, index: &str) -> (Db, Store) {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run(&tables::minimal(16, ""));
    db.run(&format!(
        "CREATE INDEX mine ON content_vectors USING {index}"
    ));
    db.run(&own_rows("own", rows));
    db.notices();
    (db, source)
}

const HNSW: &str = "hnsw (embedding vector_l2_ops) WITH (m = 16, ef_construction = 80)";
const FILE: &str = "SELECT pg_relation_filenode('mine')";

fn own_rows(name: &str, rows: i64) -> String {
    format!(
        "INSERT INTO content_vectors (id, user_id, title, full_content, searchable_text, embedding)
         SELECT '{name}' || n, 1, '', '{{}}', '', (SELECT array_agg(sin(n * 1.7 + c)) FROM generate_series(1, 16) c)::vector
           FROM generate_series(1, {rows}) n"
    )
}

fn call(source: &Store, index: &str) -> String {
    format!(
        "SELECT * FROM migrate_chroma({}, {PLAIN}, collection => 'euclidean', index => '{index}')",
        source.sql()
    )
}

#[track_caller]
fn run(session: &Session, source: &Store, index: &str) -> Came {
    session.run(&call(source, index));
    Came::of_last_run(session)
}

#[track_caller]
fn sound(db: &Db, rows: i64) {
    assert_eq!(Checked::sound(db, "content_vectors", "mine").rows, rows);
    assert!(agreement(db, "content_vectors", "embedding", "<->") > 0.95);
}

/// What is said of rows that go in one by one, if it is said.
fn one_by_one(session: &Session) -> Option<String> {
    let mut notices = session.notices().into_iter().map(|it| it.text);
    notices.find(|it| it.contains("one by one"))
}

#[test]
fn the_index_of_a_table_with_few_rows_is_filled_after_the_load() {
    let (db, source) = with_rows(RECORDS / 10, HNSW);
    db.run("COMMENT ON INDEX mine IS 'of the application'");
    let facts = "SELECT i.oid, obj_description(i.oid, 'pg_class'), i.reloptions, i.relowner, i.reltablespace, x.indisvalid,
                        x.indisready, x.indislive FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid WHERE i.relname = 'mine'";
    let before = (db.line(facts), definition(&db, "mine"));
    let file = db.line(FILE);
    run(&db, &source, "auto").expect("built", "the table had rows before");
    assert_eq!((db.line(facts), definition(&db, "mine")), before);
    assert_ne!(db.line(FILE), file);
    assert_eq!(one_by_one(&db), None);
    sound(&db, RECORDS + RECORDS / 10);
    // It is an index as any other afterwards.
    db.run(&own_rows("later", 50));
    db.run("DELETE FROM content_vectors WHERE id LIKE '%7'");
    db.run("VACUUM content_vectors");
    Checked::sound(&db, "content_vectors", "mine");
}

#[test]
fn the_index_of_a_table_with_many_rows_takes_them_one_by_one_and_a_notice_says_why() {
    let (db, source) = with_rows(RECORDS / 10 + 1, HNSW);
    let file = db.line(FILE);
    assert_eq!(run(&db, &source, "auto").way, "");
    assert_eq!(db.line(FILE), file);
    let said = one_by_one(&db).expect("a notice");
    for part in [
        "mine",
        "content_vectors has rows, more than a tenth",
        "up to 700 rows",
        "ten times as long",
        "DROP INDEX",
    ] {
        assert!(said.contains(part), "{said}");
    }
    sound(&db, RECORDS + 71);
    // No row comes: nothing is said.
    run(&db, &source, "auto");
    assert_eq!(one_by_one(&db), None);
    // Whoever asks for it to be so is not told.
    db.run("DELETE FROM content_vectors WHERE id LIKE 'euclidean%'");
    run(&db, &source, "none");
    assert_eq!(one_by_one(&db), None);
    assert_eq!(db.count("content_vectors"), RECORDS + 71);
}

#[test]
fn no_advice_is_given_that_would_take_longer() {
    let (db, source) = with_rows(7_000, HNSW);
    db.run("ANALYZE content_vectors");
    run(&db, &source, "auto");
    let said = one_by_one(&db).expect("a notice");
    assert!(!said.contains("DROP INDEX"), "{said}");
}

#[test]
fn an_index_of_another_role_is_not_emptied_once_its_table_has_rows() {
    let (db, source) = with_rows(5, HNSW);
    let role = db.role("writer");
    db.run(&format!(
        "GRANT pg_read_server_files TO {role}; GRANT EXECUTE ON FUNCTION {FUNCTIONS} TO {role};
         GRANT SELECT, INSERT ON content_vectors TO {role}"
    ));
    let file = db.line(FILE);
    let session = db.session_as(&role);
    session.run(&call(&source, "auto"));
    let said = one_by_one(&session).expect("a notice");
    assert!(said.contains("belongs to another role"), "{said}");
    assert_eq!(db.line(FILE), file);
    sound(&db, RECORDS + 5);
    // A member of the owner may.
    let owner = db.role("owner");
    db.run(&format!(
        "DELETE FROM content_vectors WHERE id LIKE 'euclidean%';
         ALTER TABLE content_vectors OWNER TO {owner}; GRANT {owner} TO {role}"
    ));
    session.run(&call(&source, "auto"));
    assert_eq!(one_by_one(&session), None);
    assert_ne!(db.line(FILE), file);
    db.run("VACUUM content_vectors");
    sound(&db, RECORDS + 5);
    db.run("DROP TABLE content_vectors");
}

#[test]
fn an_import_is_for_empty_tables_and_says_so_before_anything_is_read() {
    let (db, source) = with_rows(5, HNSW);
    db.refused(&call(&source, "import"), "55000")
        .names("has a vector index, and rows");
}

#[test]
fn few_rows_of_many_that_come_are_inserted_after_all() {
    let (db, source) = with_rows(RECORDS / 10, HNSW);
    // The table takes seven of them.
    db.run("ALTER TABLE content_vectors ADD CHECK (id LIKE 'own%' OR id LIKE 'euclidean-0_11')");
    let file = db.line(FILE);
    run(&db, &source, "auto").expect("inserted", "only 7 of about 77 rows are new");
    assert_eq!(db.line(FILE), file);
    sound(&db, 77);
}

#[test]
fn a_run_that_adds_nothing_leaves_the_index_alone() {
    let (db, source) = with_rows(0, HNSW);
    db.run("ALTER TABLE content_vectors ADD CHECK (false)");
    let file = db.line(FILE);
    assert_eq!(run(&db, &source, "auto").way, "");
    assert_eq!(db.line(FILE), file);
}

#[test]
fn a_table_whose_entities_have_a_trigger_takes_its_rows_one_by_one() {
    let (db, source) = with_rows(0, HNSW);
    db.run(
        "CREATE TABLE entity_vectors (id bigserial PRIMARY KEY, user_id bigint, content_id text, entity_name text,
                                      entity_type text, embedding vector(384));
         CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER counts AFTER INSERT ON entity_vectors FOR EACH ROW EXECUTE FUNCTION nothing()",
    );
    db.run(&format!(
        "SELECT * FROM migrate_chroma({}, collection => 'euclidean', embeddings => 'stored', orphans => 'keep')",
        source.sql()
    ));
    let said = one_by_one(&db).expect("a notice");
    assert!(said.contains("has triggers"), "{said}");
    sound(&db, RECORDS);
}

#[test]
fn a_rollback_leaves_the_index_as_it_was() {
    let (db, source) = with_rows(40, HNSW);
    let file = db.line(FILE);
    db.run("BEGIN");
    run(&db, &source, "auto").expect("built", "");
    db.run("ROLLBACK");
    assert_eq!(db.line(FILE), file);
    sound(&db, 40);
    db.run("BEGIN; SAVEPOINT before");
    run(&db, &source, "build").expect("built", "index => 'build'");
    db.run("ROLLBACK TO before");
    db.run(&own_rows("after", 3));
    db.run("COMMIT");
    assert_eq!(db.line(FILE), file);
    sound(&db, 43);
}

/// Has the run wait at the record `euclidean-0300` until `meanwhile` is over; `session` makes it.
fn while_it_waits(
    db: &Db,
    runner: Session,
    source: &Store,
    meanwhile: impl FnOnce(),
) -> (Came, Session) {
    db.run(
        "CREATE FUNCTION stop() RETURNS bool LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_advisory_xact_lock_shared(8); RETURN true; END $$;
         ALTER TABLE content_vectors ADD CHECK (id <> 'euclidean-0300' OR stop());
         SELECT pg_advisory_lock(8)",
    );
    thread::scope(|scope| {
        let going = scope.spawn(move || (run(&runner, source, "auto"), runner));
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 8 AND NOT granted
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while db.line(waits) == "0" {
            assert!(!going.is_finished());
            thread::yield_now();
        }
        // A failure must not leave the run waiting, as the scope waits for it.
        let over = catch_unwind(AssertUnwindSafe(meanwhile));
        db.run("SELECT pg_advisory_unlock(8)");
        over.unwrap_or_else(|panic| resume_unwind(panic));
        going.join().expect("a run")
    })
}

#[test]
fn others_read_and_write_while_rows_come_and_lose_nothing() {
    let (db, source) = with_rows(20, HNSW);
    let (runner, reader, writer) = (db.session(), db.session(), db.session());
    for session in [&reader, &writer] {
        session.run("SET enable_seqscan = off; SET enable_sort = off");
    }
    let nearest = "SELECT count(*) FROM (SELECT id FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector
                                          LIMIT 30) n";
    runner.run("BEGIN");
    let (came, runner) = while_it_waits(&db, runner, &source, || {
        // The rows that were there, and those that come meanwhile, are found by the index while the run goes on.
        reader.run("SET lock_timeout = '5s'");
        assert_eq!(reader.line(nearest), "20");
        writer.run(&own_rows("other", 4));
        writer.run("DELETE FROM content_vectors WHERE id = 'own7'; UPDATE content_vectors SET title = 'x' WHERE id = 'own8'");
        assert_eq!(reader.line(nearest), "23");
    });
    came.expect("built", "the table had rows before");
    // From then on the index is the run's until its transaction ends, as REINDEX has it.
    reader.run("SET lock_timeout = '100ms'");
    reader.error(nearest).expect("55P03");
    runner.run("COMMIT");
    assert_eq!(reader.line(nearest), "30");
    db.run("VACUUM content_vectors");
    sound(&db, RECORDS + 23);
}

#[test]
fn an_older_snapshot_still_finds_its_rows_by_the_index() {
    let (db, source) = with_rows(20, HNSW);
    let reader = db.session();
    reader.run(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SELECT 1",
    );
    let ids = "SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM content_vectors
                 ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector LIMIT 20) n WHERE id LIKE 'own%'";
    db.run("SET hnsw.ef_search = 1000; SET enable_seqscan = off; SET enable_sort = off");
    let before = db.line(ids);
    db.run("DELETE FROM content_vectors WHERE id LIKE '%7'");
    // Not in use: the snapshot holds no lock on the table.
    run(&db, &source, "auto").expect("built", "the table had rows before");
    reader.run("SET LOCAL hnsw.ef_search = 1000");
    assert_eq!(reader.line(ids), before);
    reader.run("COMMIT");
    assert_eq!(reader.line("SELECT count(*) FROM content_vectors"), "718");
}

#[test]
fn of_a_table_in_use_only_the_rows_of_the_load_are_inserted() {
    let (db, source) = with_rows(20, HNSW);
    let reader = db.session();
    reader.run("BEGIN; SET LOCAL enable_seqscan = off");
    reader.run(
        "SELECT * FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector LIMIT 5",
    );
    let file = db.line(FILE);
    // Rows of this transaction that have their entries already: put in, and changed, by other commands.
    db.run("BEGIN");
    db.run(&own_rows("mine", 10));
    db.run("UPDATE content_vectors SET title = 'x' WHERE id IN ('own1', 'mine1')");
    db.run("UPDATE content_vectors SET embedding = array_fill(2, ARRAY[16])::vector WHERE id IN ('own2', 'mine2')");
    run(&db, &source, "auto").expect("inserted", "other sessions use the table or the index");
    db.run("COMMIT");
    reader.run("COMMIT");
    assert_eq!(db.line(FILE), file);
    db.run("VACUUM content_vectors");
    sound(&db, RECORDS + 30);
}

const LISTS: &str = "ivfflat (embedding vector_l2_ops) WITH (lists = 20)";

/// The rows that the IVFFlat index finds: all of them, if all lists are looked through.
#[track_caller]
fn listed(db: &Db) -> i64 {
    db.run("SET enable_seqscan = off; SET enable_sort = off; SET ivfflat.probes = 1000");
    let sql = "SELECT count(*) FROM (SELECT id FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector
                                      LIMIT 100000) n";
    let plan = db.lines(&format!("EXPLAIN (COSTS OFF) {sql}")).join("\n");
    assert!(plan.contains("using mine"), "{plan}");
    db.one(sql)
}

#[test]
fn lists_of_an_empty_table_are_made_anew_from_the_rows() {
    let (db, source) = with_rows(0, LISTS);
    let facts = "SELECT i.oid, i.reloptions, i.relowner, x.indisvalid FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid
                  WHERE i.relname = 'mine'";
    let before = (db.line(facts), definition(&db, "mine"), db.line(FILE));
    let came = run(&db, &source, "auto").expect("built", "IVFFlat");
    assert_eq!(came.recall, None);
    assert_eq!(
        (db.line(facts), definition(&db, "mine")),
        (before.0, before.1)
    );
    assert_ne!(db.line(FILE), before.2);
    assert_eq!(listed(&db), RECORDS);
}

#[test]
fn lists_of_a_table_with_few_rows_are_made_anew_and_of_one_with_many_kept() {
    for (rows, way) in [(30, "built"), (200, "")] {
        let (db, source) = with_rows(rows, LISTS);
        let file = db.line(FILE);
        assert_eq!(run(&db, &source, "auto").way, way);
        assert_eq!(db.line(FILE) == file, way.is_empty());
        // A row takes no longer there than in a build.
        assert_eq!(one_by_one(&db), None);
        assert_eq!(listed(&db), RECORDS + rows);
    }
}

#[test]
fn an_hnsw_and_an_ivfflat_index_are_both_filled() {
    let (db, source) = with_rows(0, HNSW);
    db.run(&format!(
        "CREATE INDEX lists ON content_vectors USING {LISTS}"
    ));
    let file = "SELECT pg_relation_filenode('lists')";
    let before = db.line(file);
    run(&db, &source, "auto").expect("imported", "700 rows");
    assert_ne!(db.line(file), before);
    Checked::sound(&db, "content_vectors", "mine").reachable();
    db.run("DROP INDEX mine; ALTER INDEX lists RENAME TO mine");
    assert_eq!(listed(&db), RECORDS);
}

#[test]
fn lists_that_need_more_memory_than_the_session_allows_get_it_or_stay() {
    // 240 MB for a thousand lists: pgvector refuses to build them with less.
    let thousand = "ivfflat (embedding vector_l2_ops) WITH (lists = 1000)";
    let (db, source) = with_rows(0, thousand);
    let file = db.line(FILE);
    db.run("SET maintenance_work_mem = '2MB'; SET vector_migrate.max_memory_mb = 64");
    run(&db, &source, "auto").expect("inserted", "MB are needed for the lists");
    assert_eq!(db.line(FILE), file);
    assert_eq!(listed(&db), RECORDS);
    db.run("TRUNCATE content_vectors; RESET vector_migrate.max_memory_mb");
    run(&db, &source, "auto").expect("built", "IVFFlat");
    assert_ne!(db.line(FILE), file);
    assert_eq!(db.line("SHOW maintenance_work_mem"), "2MB");
    assert_eq!(listed(&db), RECORDS);
}

#[test]
fn lists_that_others_read_take_the_rows_of_the_load() {
    let (db, source) = with_rows(10, LISTS);
    let reader = db.session();
    reader.run("BEGIN; SET LOCAL enable_seqscan = off");
    reader.run(
        "SELECT * FROM content_vectors ORDER BY embedding <-> array_fill(1, ARRAY[16])::vector LIMIT 5",
    );
    let file = db.line(FILE);
    run(&db, &source, "auto").expect("inserted", "other sessions use the table or the index");
    reader.run("COMMIT");
    assert_eq!(db.line(FILE), file);
    assert_eq!(listed(&db), RECORDS + 10);
}

#[test]
fn build_makes_no_hnsw_index_beside_an_ivfflat_one() {
    let (db, source) = with_rows(0, LISTS);
    run(&db, &source, "build").expect("built", "IVFFlat");
    let count = "SELECT count(*) FROM pg_index WHERE indrelid = 'content_vectors'::regclass";
    assert_eq!(db.line(count), "2");
}

#[test]
fn a_graph_goes_into_an_index_on_a_column_of_any_name() {
    let (db, source) = with_rows(0, HNSW);
    run(&db, &source, "auto").expect("imported", "700 rows");
    for (column, quoted) in [("vector", "vector"), ("Vec \"Col\"", "\"Vec \"\"Col\"\"\"")] {
        db.run(&format!(
            "DROP INDEX IF EXISTS mine; ALTER TABLE content_vectors RENAME {} TO {quoted};
             CREATE INDEX mine ON content_vectors USING hnsw ({quoted} vector_l2_ops)",
            if column == "vector" {
                "embedding"
            } else {
                "vector"
            }
        ));
        let import = format!(
            "SELECT index, rows, inserted FROM import_index('content_vectors', {}, 'euclidean')",
            source.sql()
        );
        assert_eq!(db.line(&import), "mine|700|0", "{column}");
        let checked = Checked::of(&db, "mine");
        assert_eq!((checked.rows, checked.problems), (RECORDS, 0), "{column}");
        // Where there is none, it is made on that column.
        db.run("DROP INDEX mine");
        db.run(&import);
        assert!(
            db.line("SELECT indexdef FROM pg_indexes WHERE tablename = 'content_vectors' AND indexdef LIKE '%hnsw%'")
                .contains(&format!("({quoted} vector_l2_ops)")),
        );
        db.run("DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX ' || quote_ident(indexname) FROM pg_indexes WHERE indexdef LIKE '%hnsw%'); END $$");
    }
    // Of several columns with vectors it is the one called `embedding`.
    db.run("ALTER TABLE content_vectors ADD other vector(16)");
    db.error(&format!(
        "SELECT * FROM import_index('content_vectors', {}, 'euclidean')",
        source.sql()
    ))
    .expect("42702")
    .names("\"Vec \"Col\"\", \"other\"");
}
