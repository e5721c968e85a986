//! A store of several collections and dimensions in one call: one run, as many tables as it needs.

use std::collections::BTreeSet;

use vector_migrate_tests::chat_files::{
    chat_files, filled, made, records, run_targets, type_of_vectors,
};
use vector_migrate_tests::{Db, Session, quote, tables};

const CONTENT: &str = "entity_target => NULL";
const FILES: &str = "entity_target => NULL, target => 'files_{dimension}'";

fn contents(db: &Session, table: &str) -> Vec<String> {
    db.lines(&format!("SELECT t::text FROM {table} t ORDER BY 1"))
}

#[test]
fn a_store_of_two_dimensions_goes_into_two_tables_in_one_run() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    let report = db.migrate(&source, CONTENT);
    let (all, eight, twelve) = (
        records(&expected, 0),
        records(&expected, 8),
        records(&expected, 12),
    );
    assert_eq!(report.outcome(), (all, all, 0, 0));
    assert_eq!(made(&db), ["content_vectors_12", "content_vectors_8"]);
    assert_eq!(type_of_vectors(&db, "content_vectors_8"), "vector(8)");
    assert_eq!(type_of_vectors(&db, "content_vectors_12"), "vector(12)");
    assert_eq!(db.count("content_vectors_8"), eight);
    assert_eq!(db.count("content_vectors_12"), twelve);
    assert_eq!(db.count("vector_migrate.runs"), 1);
    assert_eq!(
        run_targets(&db),
        [
            format!("content_vectors_8|t|{eight}"),
            format!("content_vectors_12|t|{twelve}")
        ]
    );
    let indexes = "SELECT tablename FROM pg_indexes WHERE indexdef LIKE '%USING hnsw%' ORDER BY 1";
    assert_eq!(
        db.lines(indexes),
        ["content_vectors_12", "content_vectors_8"]
    );
    let notices = db.notices();
    for table in ["content_vectors_8", "content_vectors_12"] {
        let says = |text: &str| text.contains("creat") && text.contains(table);
        assert!(
            notices.iter().any(|it| says(&it.text)),
            "nothing about {table}: {notices:#?}"
        );
    }
}

#[test]
fn every_vector_of_both_tables_is_the_one_that_chromadb_returned() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    db.migrate(&source, CONTENT);
    for collection in &expected.collections {
        let table = match collection.dimension {
            Some(dimension) => format!("content_vectors_{dimension}"),
            None => continue,
        };
        let sql = format!(
            "SELECT id, embedding, searchable_text FROM {table} WHERE chroma_collection = $1"
        );
        let rows = db.query(&sql, &[&collection.name]);
        assert_eq!(rows.len() as i64, collection.count, "{}", collection.name);
        for row in rows {
            let record = collection.record(row.get("id"));
            let vector: pgvector::Vector = row.get("embedding");
            collection.assert_vector(record, Some(vector.as_slice()));
            assert_eq!(Some(row.get("searchable_text")), record.document);
        }
    }
}

#[test]
fn the_run_is_undone_as_one() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    db.migrate(&source, CONTENT);
    let undone = db.lines("SELECT target, removed, restored, kept FROM rollback_migration()");
    let lines: BTreeSet<&str> = undone.iter().map(|it| it.as_str()).collect();
    for dimension in [8, 12] {
        let of = format!(
            "content_vectors_{dimension}|{}|0|0",
            records(&expected, dimension)
        );
        assert!(lines.iter().any(|it| it.ends_with(&of)), "{undone:?}");
    }
    assert_eq!(undone.len(), 2);
    assert_eq!(db.count("content_vectors_8"), 0);
    assert_eq!(db.count("content_vectors_12"), 0);
    assert_eq!(
        db.line("SELECT status FROM vector_migrate.runs"),
        "rolled back"
    );
    db.error("SELECT * FROM rollback_migration()")
        .expect("55000");
    let again = db.migrate(&source, CONTENT);
    assert_eq!(again.total().migrated, records(&expected, 0));
}

#[test]
fn undoing_a_run_keeps_the_rows_that_other_runs_and_the_application_wrote_in_each_table() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    let collections = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|it| quote(it)).collect();
        format!("{CONTENT}, collections => ARRAY[{}]", names.join(", "))
    };
    let mut first = filled(&expected, 8)[..2].to_vec();
    first.push(filled(&expected, 12)[0].clone());
    db.migrate(&source, &collections(&first));
    for table in ["content_vectors_8", "content_vectors_12"] {
        db.run(&format!(
            "INSERT INTO {table} (id, chroma_collection, title, full_content, searchable_text, metadata)
             VALUES ('own', 'own', 'own', '{{}}', '', '{{}}')"
        ));
    }
    let before = (
        contents(&db, "content_vectors_8"),
        contents(&db, "content_vectors_12"),
    );
    let second = db.migrate(&source, CONTENT);
    let there: i64 = first
        .iter()
        .map(|name| expected.collection(name).count)
        .sum();
    assert_eq!(second.total().skipped, there);
    assert_eq!(second.total().migrated, records(&expected, 0) - there);
    let changed = "UPDATE content_vectors_12 SET title = 'mine' WHERE ctid = (SELECT max(ctid) FROM content_vectors_12)";
    db.run(changed);
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(contents(&db, "content_vectors_8"), before.0);
    let kept = contents(&db, "content_vectors_12");
    assert_eq!(kept.len(), before.1.len() + 1);
    assert!(before.1.iter().all(|row| kept.contains(row)));
}

#[test]
fn a_second_call_changes_nothing() {
    for arguments in [
        CONTENT,
        FILES,
        "entity_target => NULL, target => 'f_{collection}'",
    ] {
        let (db, (source, expected)) = (Db::new(), chat_files());
        db.migrate(&source, arguments);
        let tables = made(&db);
        let rows = || -> Vec<Vec<String>> { tables.iter().map(|it| contents(&db, it)).collect() };
        let before = rows();
        let all = records(&expected, 0);
        let again = db.migrate(&source, arguments);
        assert_eq!(again.outcome(), (all, 0, all, 0), "{arguments}");
        assert_eq!(made(&db), tables, "{arguments}");
        assert_eq!(rows(), before, "{arguments}");
    }
}

#[test]
fn a_dry_run_gives_the_same_rows_and_writes_nothing() {
    for arguments in [
        CONTENT,
        FILES,
        "entity_target => NULL, target => 'f_{collection}'",
        "target => 'c_{dimension}', entity_target => 'e_{dimension}'",
    ] {
        let (db, (source, _)) = (Db::new(), chat_files());
        let rows = |dry: bool| db.answer(&source, &format!("dry_run => {dry}, {arguments}"));
        let state =
            "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM vector_migrate.runs),
                            (SELECT count(*) FROM vector_migrate.run_targets)";
        let before = db.line(state);
        let dry = rows(true);
        assert_eq!(db.line(state), before, "{arguments}");
        assert_eq!(dry, rows(false), "{arguments}");
    }
}

#[test]
fn a_table_for_vectors_of_any_dimension_takes_all() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "bigint",
        "vector",
        "",
    ));
    let all = records(&expected, 0);
    assert_eq!(db.migrate(&source, CONTENT).outcome(), (all, all, 0, 0));
    assert_eq!(made(&db), ["content_vectors"]);
    let dimensions =
        "SELECT vector_dims(embedding), count(*) FROM content_vectors GROUP BY 1 ORDER BY 1";
    assert_eq!(
        db.lines(dimensions),
        [8, 12].map(|it| format!("{it}|{}", records(&expected, it)))
    );
}

#[test]
fn a_table_of_one_dimension_takes_what_fits_and_counts_the_others() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    db.run(&tables::minimal(8, ""));
    let (eight, twelve) = (records(&expected, 8), records(&expected, 12));
    let report = db.migrate(&source, CONTENT);
    assert_eq!(report.outcome(), (eight + twelve, eight, 0, twelve));
    assert_eq!(db.count("content_vectors"), eight);
    let errors = "SELECT reason, count(*), bool_and(message <> '') FROM vector_migrate.run_errors GROUP BY 1";
    assert_eq!(db.line(errors), format!("dimension_mismatch|{twelve}|t"));
    for collection in filled(&expected, 12) {
        let counts = report.collection(&collection);
        assert_eq!((counts.failed, counts.migrated), (counts.found, 0));
    }
    let notes = db.lines(&format!(
        "SELECT DISTINCT collection FROM migrate_chroma({}, {CONTENT}, dry_run => true) WHERE note LIKE '%dimension%'",
        source.sql()
    ));
    assert_eq!(
        BTreeSet::from_iter(notes),
        BTreeSet::from_iter(filled(&expected, 12))
    );
}

#[test]
fn a_table_into_which_nothing_fits_is_refused() {
    let (db, (source, _)) = (Db::new(), chat_files());
    db.run(&tables::minimal(16, ""));
    for (arguments, dimension) in [
        (CONTENT, "8"),
        (
            "entity_target => NULL, dimension => 12, dry_run => true",
            "12",
        ),
    ] {
        let call = format!(
            "SELECT * FROM migrate_chroma({}, {arguments})",
            source.sql()
        );
        let failure = db.refused(&call, "22000").names("16").names(dimension);
        let keeps = arguments.contains("dry_run");
        assert!(
            !keeps || !failure.hint.contains("migrate_chroma(") || failure.hint.contains("dry_run"),
            "{failure:#?}"
        );
    }
}

#[test]
fn an_error_in_the_second_table_takes_the_first_back() {
    let (db, (source, _)) = (Db::new(), chat_files());
    db.migrate(&source, &format!("{FILES}, dimension => 12"));
    let call = format!(
        "SELECT * FROM migrate_chroma({}, {FILES}, on_conflict => 'error')",
        source.sql()
    );
    db.refused(&call, "23505");
    assert_eq!(made(&db), ["files_12"]);
    assert_eq!(db.count("vector_migrate.runs"), 1);
    assert_eq!(db.count("vector_migrate.run_targets"), 1);
}

#[test]
fn strict_refuses_damage_in_any_collection_and_takes_a_whole_store() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    let all = records(&expected, 0);
    let report = db.migrate(
        &source,
        &format!("{CONTENT}, strict => true, dry_run => true"),
    );
    assert_eq!(report.outcome(), (all, all, 0, 0));
    let of_twelve = quote(&filled(&expected, 12)[0]);
    source.damage(&format!(
        "DELETE FROM embeddings_queue WHERE topic LIKE '%' || (SELECT id FROM collections WHERE name = {of_twelve})"
    ));
    let call = format!(
        "SELECT * FROM migrate_chroma({}, {CONTENT}, strict => true)",
        source.sql()
    );
    db.refused(&call, "XX001");
    assert!(made(&db).is_empty());
    let lost = expected.collection(of_twelve.trim_matches('\'')).count;
    let report = db.migrate(&source, &format!("{CONTENT}, embeddings => 'stored'"));
    assert_eq!(report.outcome(), (all, all - lost, 0, lost));
}

#[test]
fn every_table_of_a_run_is_locked_to_the_end_of_the_transaction() {
    let (db, (source, _)) = (Db::new(), chat_files());
    db.migrate(&source, FILES);
    db.run("SELECT * FROM rollback_migration()");
    let other = db.session();
    for undo in [false, true] {
        db.run("BEGIN");
        if undo {
            db.run("SELECT * FROM rollback_migration()");
        } else {
            db.migrate(&source, FILES);
        }
        for table in ["files_8", "files_12"] {
            let lock = format!("BEGIN; LOCK TABLE {table} IN SHARE MODE NOWAIT");
            other.error(&lock).expect("55P03");
            other.run("ROLLBACK");
        }
        db.run("COMMIT");
        for table in ["files_8", "files_12"] {
            other.run(&format!(
                "BEGIN; LOCK TABLE {table} IN SHARE MODE NOWAIT; ROLLBACK"
            ));
        }
    }
    assert_eq!(db.count("files_8") + db.count("files_12"), 0);
}

#[test]
fn the_callers_rollback_undoes_every_table() {
    let (db, (source, _)) = (Db::new(), chat_files());
    db.run("BEGIN");
    db.migrate(&source, FILES);
    db.run("ROLLBACK");
    assert!(made(&db).is_empty());
    assert_eq!(db.count("vector_migrate.run_targets"), 0);
}
