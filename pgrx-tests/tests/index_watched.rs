//! An import under way: seen from another session, cancelled, timed out; and `import_index`, which does nothing else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vector_migrate_tests::indexes::{
    Checked, PLAIN, agreement, definition, index_of, migrate_into,
};
use vector_migrate_tests::{Db, Store, store};

const INDEX: &str = "content_vectors_embedding_idx";

/// The collection `cosine` in `content_vectors`, with an index that was built.
fn built() -> (Db, Store) {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    migrate_into(&db, &source, "cosine", "build", "content_vectors");
    (db, source)
}

fn call(source: &Store) -> String {
    format!(
        "import_index('content_vectors', {}, 'cosine')",
        source.sql()
    )
}

#[test]
fn a_filled_tables_index_is_imported_under_its_name() {
    let (db, source) = built();
    db.run("DELETE FROM content_vectors WHERE id LIKE '%9'");
    db.run("UPDATE content_vectors SET embedding = array_fill(user_id + 0.5, ARRAY[16])::vector WHERE id LIKE '%55'");
    // Else transactions in other databases decide whether what was deleted counts as recently dead.
    db.run("VACUUM content_vectors");
    let facts =
        format!("SELECT oid, relowner, reloptions FROM pg_class WHERE oid = '{INDEX}'::regclass");
    let before = (db.line(&facts), definition(&db, INDEX));
    let answer = db.line(&format!(
        "SELECT index, rows, inserted, seconds >= 0, recall > 0.9 FROM {}",
        call(&source)
    ));
    // Of 900 rows two have no length, and ten have another vector now.
    assert_eq!(answer, format!("{INDEX}|898|10|t|t"));
    assert_eq!((db.line(&facts), definition(&db, INDEX)), before);
    Checked::sound(&db, "content_vectors", INDEX);
    assert!(agreement(&db, "content_vectors", "embedding", "<=>") > 0.95);
}

#[test]
fn a_filled_table_without_an_index_gets_one() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    migrate_into(&db, &source, "cosine", "none", "content_vectors");
    db.run(&format!("SELECT * FROM {}", call(&source)));
    let index = index_of(&db, "content_vectors");
    Checked::sound(&db, "content_vectors", &index).reachable();
    assert_eq!(
        definition(&db, &index),
        format!(
            "CREATE INDEX {index} ON public.content_vectors USING hnsw (embedding vector_cosine_ops)"
        )
    );
}

#[test]
fn an_import_that_cannot_be_leaves_the_index_as_it_was() {
    let (db, source) = built();
    let state = format!("SELECT pg_relation_filenode('{INDEX}'), (SELECT count(*) FROM pg_class)");
    let before = db.line(&state);
    let wrong = [
        ("import_index('content_vectors', PATH, 'product')", "55000"),
        (
            "import_index('content_vectors', PATH, 'euclidean')",
            "55000",
        ),
        ("import_index('content_vectors', PATH, 'nobody')", ""),
        ("import_index('nowhere', PATH, 'cosine')", "42P01"),
        ("import_index(NULL, PATH, 'cosine')", "22004"),
        ("import_index('content_vectors', NULL, 'cosine')", "22004"),
        ("import_index('pg_class', PATH, 'cosine')", ""),
    ];
    for (call, code) in wrong {
        let failure = db.error(&format!(
            "SELECT * FROM {}",
            call.replace("PATH", &source.sql())
        ));
        assert!(
            failure.code != "XX000" && (code.is_empty() || failure.code == code),
            "{call}: {failure:?}"
        );
        assert_eq!(db.line(&state), before, "{call}");
    }
    db.run("DELETE FROM content_vectors WHERE id > 'cosine-0200'");
    db.run("VACUUM content_vectors");
    let before = db.line(&state);
    db.error(&format!("SELECT * FROM {}", call(&source)))
        .expect("55000")
        .names("elements of Chroma's graph are rows of the table");
    assert_eq!(db.line(&state), before);
    let role = db.reader("other");
    db.run(&format!(
        "GRANT ALL ON content_vectors TO {role}; GRANT EXECUTE ON FUNCTION import_index TO {role}"
    ));
    db.session_as(&role)
        .error(&format!("SELECT * FROM {}", call(&source)))
        .expect("42501");
    assert_eq!(db.line(&state), before);
}

#[test]
fn another_session_sees_the_import_as_a_reindex() {
    let (db, source) = built();
    let (runner, watcher) = (db.session(), db.session());
    let (seen, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let call = call(&source);
    let most = thread::scope(|scope| {
        let (seen, over) = (&seen, &over);
        // An import of a thousand rows takes a moment only: it is made again until it was seen.
        scope.spawn(move || {
            for _ in 0..200 {
                runner.run(&format!("SELECT * FROM {call}"));
                if seen.load(Ordering::Relaxed) {
                    break;
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        let mut lines = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let now = watcher.lines(
                "SELECT command || ' ' || index_relid::regclass || ' ' || relid::regclass || ' ' || (blocks_total > 0)
                   FROM pg_stat_progress_create_index WHERE datname = current_database()",
            );
            let full = format!("REINDEX {INDEX} content_vectors true");
            if now.contains(&full) {
                seen.store(true, Ordering::Relaxed);
            }
            lines.extend(now);
        }
        lines.sort();
        lines.dedup();
        lines
    });
    assert!(seen.load(Ordering::Relaxed), "{most:?}");
    let nothing =
        "SELECT count(*) FROM pg_stat_progress_create_index WHERE datname = current_database()";
    assert_eq!(db.line(nothing), "0");
}

/// Runs `sql` with timeouts of one millisecond and more, until it is through; how often it was ended. `check` is called
/// after each.
fn ended(db: &Db, sql: &str, mut check: impl FnMut(bool)) -> u32 {
    let session = db.session();
    let mut times = 0;
    for n in 1..400 {
        session.run(&format!("SET statement_timeout = {n}"));
        let result = session.attempt(sql);
        session.run("SET statement_timeout = 0");
        let through = match result {
            Ok(_) => true,
            Err(failure) => {
                failure.expect("57014");
                times += 1;
                false
            }
        };
        check(through);
        if through && n > 20 {
            break;
        }
    }
    times
}

#[test]
fn an_import_can_be_ended_at_any_moment() {
    let (db, source) = built();
    let file = format!("SELECT pg_relation_filenode('{INDEX}')");
    let mut before = db.line(&file);
    let classes = "SELECT count(*) FROM pg_class";
    let all = db.line(classes);
    let times = ended(
        &db,
        &format!("SELECT * FROM {}", call(&source)),
        |through| {
            if through {
                before = db.line(&file);
            }
            assert_eq!(db.line(&file), before);
            assert_eq!(db.line(classes), all);
        },
    );
    assert!(times > 0);
    Checked::sound(&db, "content_vectors", INDEX);
}

#[test]
fn a_run_with_an_import_can_be_ended_at_any_moment() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let sql = format!(
        "SELECT * FROM migrate_chroma({}, {PLAIN}, collection => 'euclidean', index => 'import')",
        source.sql()
    );
    let classes = "SELECT count(*) FROM pg_class";
    let none = db.line(classes);
    let times = ended(&db, &sql, |through| {
        if through {
            Checked::sound(&db, "content_vectors", INDEX).reachable();
            db.run("DROP TABLE content_vectors; DELETE FROM vector_migrate.runs");
        }
        assert_eq!(db.line(classes), none);
        assert_eq!(db.line("SELECT count(*) FROM vector_migrate.runs"), "0");
    });
    assert!(times > 0);
}

#[test]
fn a_check_says_what_is_wrong_with_pages() {
    let pages = 40;
    for (damage, code, finding) in [
        // The whole file, a page, where a page says which is the next, the last half.
        ("decode(repeat('00', 8192 * 40), 'hex')", "XX002", ""),
        (
            "overlay(b placing decode(repeat('00', 8192), 'hex') from 8192 * 7 + 1)",
            "",
            "page",
        ),
        (
            "overlay(b placing decode('ff', 'hex') from 8192 * 7 + 8185)",
            "",
            "",
        ),
        ("substr(b, 1, 8192 * 20)", "", ""),
    ] {
        let db = Db::new();
        db.run(
            "CREATE TABLE t (embedding vector(384));
             INSERT INTO t SELECT (SELECT array_agg(sin(n * 1.7 + c)) FROM generate_series(1, 384) c)::vector
               FROM generate_series(1, 156) n;
             CREATE INDEX mine ON t USING hnsw (embedding vector_l2_ops)",
        );
        let size = format!("SELECT pg_relation_size('mine') / 8192 >= {pages}");
        assert_eq!(
            db.line(&size),
            "t",
            "{}",
            db.line("SELECT pg_relation_size('mine')")
        );
        assert_eq!(Checked::of(&db, "mine").problems, 0);
        let db = db.copied();
        let object = db.line(&format!(
            "SELECT lo_from_bytea(0, {damage})
               FROM (SELECT pg_read_binary_file(pg_relation_filepath('mine')) AS b) file"
        ));
        db.run(&format!(
            "SELECT lo_export({object}, pg_relation_filepath('mine'))"
        ));
        // A checksum is wrong before we are asked.
        let summed = db.line("SHOW data_checksums") == "on" && damage.contains("'ff'");
        if summed {
            db.error("SELECT * FROM check_vector_index('mine')")
                .expect("XX001");
        } else if code.is_empty() {
            let checked = Checked::of(&db, "mine");
            assert!(
                checked.problems > 0 && checked.recall.is_none(),
                "{damage}: {checked:?}"
            );
            assert!(
                checked.findings[0].contains(finding),
                "{damage}: {checked:?}"
            );
        } else {
            db.error("SELECT * FROM check_vector_index('mine')")
                .expect(code);
        }
        db.run("REINDEX INDEX mine");
        assert_eq!(Checked::of(&db, "mine").problems, 0);
    }
}

/// Pages of the index on disk, and those of them that the log has (their heads say where: eight bytes).
fn logged(db: &Db) -> String {
    db.run("CHECKPOINT");
    db.line(&format!(
        "SELECT count(*), count(*) FILTER (WHERE substr(f.b, 1 + n * 8192, 8) <> decode(repeat('00', 8), 'hex'))
           FROM (SELECT pg_read_binary_file(pg_relation_filepath('{INDEX}')) AS b) f,
                generate_series(0, length(f.b) / 8192 - 1) n"
    ))
}

#[test]
fn every_page_of_an_imported_index_is_in_the_log() {
    let (db, source) = built();
    db.run(&format!("SELECT * FROM {}", call(&source)));
    let found = logged(&db);
    let (pages, logged) = found.split_once('|').expect("two figures");
    assert_eq!(pages, logged);
    assert!(pages.parse::<u32>().expect("a number") > 10, "{pages}");
}

#[test]
fn an_index_is_pgvectors_again_as_soon_as_it_is_filled() {
    let (db, source) = built();
    let file = format!("SELECT pg_relation_size('{INDEX}') > 100000");
    db.run(&format!("BEGIN; SELECT * FROM {}", call(&source)));
    db.run(&format!("REINDEX INDEX {INDEX}; COMMIT"));
    assert_eq!(db.line(&file), "t");
    Checked::sound(&db, "content_vectors", INDEX);
}

#[test]
fn nothing_is_written_to_a_table_while_its_index_is_checked() {
    let (db, _source) = built();
    let (writer, checker) = (db.session(), db.session());
    writer.run("BEGIN; DELETE FROM content_vectors WHERE id LIKE '%7'");
    let pid: i32 = checker.one("SELECT pg_backend_pid()");
    thread::scope(|scope| {
        let checking = scope.spawn(move || {
            let rows: i64 = checker.one(&format!("SELECT rows FROM check_vector_index('{INDEX}')"));
            assert_eq!(rows, 998);
            checker.run(&format!(
                "BEGIN; SELECT * FROM check_vector_index('{INDEX}')"
            ));
            checker
        });
        let waits = format!(
            "SELECT count(*) FROM pg_locks WHERE pid = {pid} AND mode = 'ShareLock' AND NOT granted
                AND relation = 'content_vectors'::regclass"
        );
        while db.line(&waits) == "0" {
            assert!(!checking.is_finished(), "it did not wait");
            thread::yield_now();
        }
        writer.run("ROLLBACK");
        let checker = checking.join().expect("no panic");
        writer.run("SET lock_timeout = '100ms'");
        writer
            .error("DELETE FROM content_vectors WHERE id LIKE '%7'")
            .expect("55P03");
        checker.run("COMMIT");
    });
    writer.run("DELETE FROM content_vectors WHERE id LIKE '%7'");
}
