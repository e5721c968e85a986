//! Arguments and targets that do not fit are clear errors with their SQLSTATE, and nothing is written.

use vector_migrate_tests::{Db, Failure, Store, quote, store, tables};

#[track_caller]
fn call_refused(db: &Db, source: &Store, arguments: &str, code: &str) -> Failure {
    let sql = format!(
        "SELECT * FROM migrate_chroma({}, {arguments})",
        source.sql()
    );
    db.refused(&sql, code)
}

#[test]
fn an_unknown_collection_lists_the_ones_there() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let failure = call_refused(&db, &source, "collection => 'contents'", "42704").names("contents");
    for name in [
        "\"content\"",
        "\"l2_history\"",
        "\"acme/library/shared_name\"",
    ] {
        assert!(failure.detail.contains(name), "{failure:#?}");
    }
    db.refused(
        &format!("SELECT * FROM chroma_records({}, 'contents')", source.sql()),
        "42704",
    )
    .details("\"content\"");
    call_refused(&db, &source, "collection => ''", "42704");
    call_refused(
        &db,
        &source,
        "collection => 'acme/library/content'",
        "42704",
    );
}

#[test]
fn a_target_with_a_wrong_type() {
    let source = store("special/two-collections");
    for (good, bad, column) in [
        ("embedding vector(8)", "embedding text", "embedding"),
        ("title text", "title integer", "title"),
        ("user_id bigint", "user_id boolean", "user_id"),
        ("full_content jsonb", "full_content bytea", "full_content"),
        ("id text", "id point", "id"),
        ("summary text", "summary interval", "summary"),
    ] {
        let db = Db::new();
        let table = "CREATE TABLE content_vectors (id text, user_id bigint, title text NOT NULL, full_content jsonb NOT NULL,
            searchable_text text NOT NULL, embedding vector(8), summary text)";
        assert!(table.contains(good));
        db.run(&table.replace(good, bad));
        let failure = call_refused(&db, &source, "entity_target => NULL", "42804");
        assert!(
            failure.message.contains(&format!("\"{column}\"")),
            "{failure:#?}"
        );
        call_refused(
            &db,
            &source,
            "entity_target => NULL, dry_run => true",
            "42804",
        );
    }
}

#[test]
fn a_target_without_a_required_column() {
    let source = store("special/two-collections");
    for column in [
        "id",
        "user_id",
        "embedding",
        "title",
        "full_content",
        "searchable_text",
    ] {
        let db = Db::new();
        db.run(&tables::minimal(8, ""));
        db.run(&format!("ALTER TABLE content_vectors DROP COLUMN {column}"));
        let failure = call_refused(&db, &source, "entity_target => NULL", "42703");
        assert!(
            failure.message.contains(&format!("\"{column}\"")),
            "{failure:#?}"
        );
    }
    for column in ["content_id", "entity_name", "embedding"] {
        let db = Db::new();
        db.run(&tables::sqlalchemy(8));
        db.run(&format!("ALTER TABLE entity_vectors DROP COLUMN {column}"));
        let failure = call_refused(&db, &source, "embeddings => 'stored'", "42703");
        assert!(
            failure.message.contains(&format!("\"{column}\"")),
            "{failure:#?}"
        );
    }
}

#[test]
fn a_column_that_nobody_can_fill() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ", checked_by integer NOT NULL"));
    call_refused(&db, &source, "entity_target => NULL", "23502").names("\"checked_by\"");
    db.run("ALTER TABLE content_vectors ALTER checked_by SET DEFAULT 0");
    assert_eq!(
        db.migrate(&source, "entity_target => NULL")
            .total()
            .migrated,
        12
    );
}

#[test]
fn a_target_that_is_no_table() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run("CREATE SEQUENCE numbers");
    call_refused(
        &db,
        &source,
        "target => 'numbers', entity_target => NULL",
        "42809",
    )
    .names("numbers");
    db.run("CREATE VIEW plain AS SELECT 1 AS id");
    let failure = db.migrate_error(&source, "target => 'plain', entity_target => NULL");
    assert!(
        ["42809", "42703", "55000"].contains(&&*failure.code),
        "{failure:#?}"
    );
}

#[test]
fn dimensions_that_differ_from_the_targets() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(384, ""));
    for embeddings in ["auto", "stored"] {
        let failure = call_refused(
            &db,
            &source,
            &format!("entity_target => NULL, embeddings => '{embeddings}'"),
            "22000",
        );
        assert!(
            failure.text().contains('8') && failure.text().contains("384"),
            "{failure:#?}"
        );
        assert!(
            failure.hint.contains("embeddings => 'generate'"),
            "{failure:#?}"
        );
    }
    assert_eq!(
        db.migrate(&source, "entity_target => NULL, embeddings => 'generate'")
            .total()
            .embedded,
        12
    );
}

#[test]
fn dimensions_of_the_model_that_differ_from_the_targets() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    call_refused(
        &db,
        &source,
        "entity_target => NULL, embeddings => 'generate'",
        "22000",
    )
    .names("384");
    db.run("CREATE TABLE entity_vectors (content_id text, entity_name text, embedding vector(8))");
    call_refused(&db, &source, "NULL", "22000").names("entity_vectors");
}

#[test]
fn collections_of_different_dimensions_of_which_none_fits_the_target() {
    let (db, source) = (Db::new(), store("special/mixed-dimensions"));
    db.run(&tables::minimal(4, ""));
    let failure = call_refused(&db, &source, "entity_target => NULL", "22000");
    for part in ["narrow", "8", "content_vectors", "4"] {
        assert!(failure.message.contains(part), "{failure:#?}");
    }
    failure
        .hints("{dimension}")
        .hints("embeddings => 'generate'");
    // The hint works.
    let arguments = "entity_target => NULL, target => 't_{dimension}'";
    assert_eq!(db.migrate(&source, arguments).outcome(), (12, 12, 0, 0));
}

#[test]
fn a_user_id_that_the_column_cannot_hold() {
    let source = store("special/two-collections");
    for (ty, user) in [
        ("bigint", "'alice'"),
        ("integer", "99999999999"),
        ("smallint", "'40000'"),
        ("uuid", "1"),
        ("varchar(3)", "'alice'"),
    ] {
        let db = Db::new();
        db.run(&tables::minimal_of("text PRIMARY KEY", ty, "vector(8)", ""));
        call_refused(
            &db,
            &source,
            &format!("{user}, entity_target => NULL"),
            "22023",
        );
        call_refused(
            &db,
            &source,
            &format!("default_user_id => {user}::text, entity_target => NULL"),
            "22023",
        );
    }
    // A table that is made for the call has users of that kind.
    let none = Db::new().migrate(&source, "'alice', entity_target => NULL");
    assert_eq!(none.outcome(), (0, 0, 0, 0));
}

#[test]
fn words_that_no_option_knows() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    for (option, known) in [
        ("embeddings", &["auto", "stored", "generate"][..]),
        ("on_conflict", &["skip", "update", "overwrite", "error"]),
        ("orphans", &["auto", "skip", "keep"]),
        ("nul_characters", &["error", "remove", "replace"]),
    ] {
        for word in ["'no_such_word'", "'SKIPPED'", "''"] {
            let failure =
                call_refused(&db, &source, &format!("{option} => {word}"), "22023").names(option);
            for known in known {
                assert!(failure.hint.contains(known), "{failure:#?}");
            }
        }
    }
}

#[test]
fn a_filter_that_is_no_object() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    for filter in ["[]", "1", "\"text\"", "null", "true"] {
        call_refused(&db, &source, &format!("filter => '{filter}'"), "22023").names("filter");
        db.refused(
            &format!(
                "SELECT * FROM chroma_records({}, NULL, '{filter}')",
                source.sql()
            ),
            "22023",
        );
    }
}

#[test]
fn a_filter_nested_too_deep_names_the_argument() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for depth in [128, 2000, 4000] {
        let filter = quote(&nested(depth));
        let failure =
            call_refused(&db, &source, &format!("filter => {filter}"), "22023").names("\"filter\"");
        assert!(failure.message.len() < 200, "{failure:#?}");
        db.refused(
            &format!(
                "SELECT * FROM chroma_records({}, NULL, {filter})",
                source.sql()
            ),
            "22023",
        )
        .names("\"filter\"")
        .hints("127");
    }
    // As deep as can be: it matches nothing, as metadata is flat.
    let records = format!(
        "chroma_records({}, NULL, {})",
        source.sql(),
        quote(&nested(127))
    );
    assert_eq!(db.count(&records), 0);
}

#[test]
fn a_model_that_is_not_installed() {
    let source = store("special/no-vector");
    for setting in ["model_path", "onnxruntime_path"] {
        let db = Db::new();
        db.run("SELECT init_content_tables(384)");
        db.run(&format!("SET vector_migrate.{setting} = '/no/such/model'"));
        call_refused(
            &db,
            &source,
            "entity_target => NULL, embeddings => 'generate'",
            "55000",
        )
        .hints("vector_migrate.model_path");
        db.refused("SELECT embed_text('text')", "55000")
            .hints("vector_migrate.model_path");
        db.refused("SELECT * FROM search_content('text')", "55000")
            .hints("vector_migrate.model_path");
        // Entities want embedding; without it, they are said to be stored without.
        call_refused(&db, &source, "embeddings => 'auto'", "55000").hints("embeddings => 'stored'");
    }
}

#[test]
fn without_a_model_and_none_needed_everything_works() {
    let db = Db::new();
    db.run("SET vector_migrate.model_path = '/no/such/model'; SET vector_migrate.onnxruntime_path = '/no/such/file'");
    assert_eq!(
        db.migrate(&store("special/two-collections"), "entity_target => NULL")
            .total()
            .migrated,
        18
    );
    let source = store("special/no-vector");
    let report = db.migrate(&source, "entity_target => NULL, target => 'other'");
    assert_eq!((report.total().reused, report.total().failed), (5, 3));
    assert_eq!(
        db.lines("SELECT DISTINCT reason FROM vector_migrate.run_errors"),
        ["no_vector"]
    );
    let report = db.migrate(&source, "embeddings => 'stored', target => 'third'");
    assert!(report.total().entities > 0);
    assert_eq!(db.line("SELECT loaded FROM model_info()"), "f");
}

#[test]
fn impossible_dimensions() {
    let db = Db::new();
    for dimensions in ["0", "-1"] {
        db.refused(
            &format!("SELECT init_content_tables({dimensions})"),
            "22023",
        );
    }
    db.refused("SELECT init_content_tables(16001)", "54000");
    db.refused(
        "SELECT init_content_tables(user_id_type => 'point')",
        "22023",
    );
}
