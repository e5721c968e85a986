//! Whose records are migrated: the user filter, records without a user, the default owner, the metadata filter.

use vector_migrate_tests::{Db, store, tables};

const CONTENT: &str = "collection => 'content', entity_target => NULL";

#[test]
fn a_user_filter_takes_that_users_records_only() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(&source, &format!("1, {CONTENT}"));
    assert_eq!(report.outcome(), (11, 11, 0, 0));
    assert_eq!(report.users(), [Some("1")]);
    assert_eq!(
        db.lines("SELECT DISTINCT user_id FROM content_vectors"),
        ["1"]
    );
    let report = db.migrate(&source, &format!("'2', {CONTENT}"));
    assert_eq!(report.users(), [Some("2")]);
    assert_eq!(db.count("content_vectors"), 22);
}

#[test]
fn a_number_in_the_store_is_the_same_user_as_its_text() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    assert_eq!(
        db.migrate(&source, &format!("7, {CONTENT}")).outcome(),
        (1, 1, 0, 0)
    );
    assert_eq!(
        db.migrate(&source, &format!("'7', {CONTENT}")).outcome(),
        (1, 0, 1, 0)
    );
}

#[test]
fn a_user_that_nobody_is_gives_no_rows_and_no_error() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    assert_eq!(
        db.migrate(&source, &format!("99, {CONTENT}")).outcome(),
        (0, 0, 0, 0)
    );
    assert_eq!(db.line("SELECT to_regclass('content_vectors') IS NULL OR NOT EXISTS (SELECT FROM pg_class WHERE relname = 'content_vectors' AND reltuples > 0)"), "t");
}

#[test]
fn a_word_as_user_works_where_the_column_is_text() {
    let db = Db::new();
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "varchar(20)",
        "vector(16)",
        "",
    ));
    let report = db.migrate(&store("chroma-1.5.9"), &format!("'alice', {CONTENT}"));
    assert_eq!(report.outcome(), (1, 1, 0, 0));
}

#[test]
fn lines_are_ordered_by_collection_and_user_with_nobody_last() {
    let db = Db::new();
    let report = db.migrate(&store("chroma-1.5.9"), CONTENT);
    assert_eq!(
        report.users(),
        [
            Some("1"),
            Some("2"),
            Some("3"),
            Some("7"),
            Some("alice"),
            None
        ]
    );
    let report = Db::new().migrate(&store("special/two-collections"), "entity_target => NULL");
    let collections: Vec<&str> = report.lines.iter().map(|line| &*line.collection).collect();
    assert_eq!(
        collections,
        ["library_a", "library_a", "library_b", "library_b"]
    );
}

#[test]
fn orphans_are_skipped_unless_they_are_wanted() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(&source, CONTENT);
    assert_eq!(
        report.user(None),
        vector_migrate_tests::Counts {
            found: 4,
            skipped: 4,
            ..Default::default()
        }
    );
    assert_eq!(db.count("content_vectors WHERE user_id IS NULL"), 0);
    let report = db.migrate(&source, &format!("{CONTENT}, orphans => 'keep'"));
    assert_eq!(report.user(None).migrated, 4);
    assert_eq!(db.count("content_vectors WHERE user_id IS NULL"), 4);
}

#[test]
fn orphans_that_the_table_cannot_hold_fail_one_by_one() {
    let db = Db::new();
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "bigint NOT NULL",
        "vector(16)",
        "",
    ));
    let report = db.migrate(
        &store("chroma-1.5.9"),
        &format!("{CONTENT}, orphans => 'keep'"),
    );
    assert_eq!(report.user(None).failed, 4);
    assert_eq!(report.total().migrated, 32);
}

#[test]
fn a_default_owner_takes_the_orphans() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(&source, &format!("{CONTENT}, default_user_id => '42'"));
    assert_eq!(report.user(Some("42")).migrated, 4);
    assert!(!report.users().contains(&None));
    let owners = "SELECT user_id, count(*) FROM content_vectors WHERE id LIKE 'content-no-user%' OR id = 'content-user-empty' GROUP BY 1";
    assert_eq!(db.line(owners), "42|4");
}

#[test]
fn the_user_filter_finds_records_that_the_default_owner_gets() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(&source, &format!("42, {CONTENT}, default_user_id => '42'"));
    assert_eq!(report.outcome(), (4, 4, 0, 0));
    let report = db.migrate(&source, &format!("1, {CONTENT}, default_user_id => '1'"));
    assert_eq!(
        report.outcome(),
        (15, 11, 4, 0),
        "the four have been migrated for 42"
    );
}

#[test]
fn a_filter_takes_records_whose_metadata_contains_it() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let found = |filter: &str| {
        db.migrate(
            &source,
            &format!("{CONTENT}, dry_run => true, orphans => 'keep', filter => '{filter}'"),
        )
        .total()
        .found
    };
    assert_eq!(found("{}"), 37);
    assert_eq!(found(r#"{"user_id": 7}"#), 1);
    assert_eq!(
        found(r#"{"user_id": "7"}"#),
        0,
        "another type is another value"
    );
    assert_eq!(
        found(r#"{"user_id": "1", "content_type": "no such type"}"#),
        0
    );
    assert_eq!(
        found(r#"{"topics": ["home"]}"#),
        1,
        "a real array contains it"
    );
    let types = |filter: &str| {
        db.migrate(&source, &format!("collection => 'types', orphans => 'keep', entity_target => NULL, dry_run => true, filter => '{filter}'"))
            .total()
            .found
    };
    assert_eq!(types(r#"{"yes": true}"#), 1);
    assert_eq!(
        types(r#"{"whole": 3}"#),
        1,
        "numbers compare by value, as in jsonb"
    );
    assert_eq!(types(r#"{"text": "plain", "empty": ""}"#), 1);
}

#[test]
fn user_and_filter_work_together() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(
        &source,
        &format!("1, {CONTENT}, filter => '{{\"content_type\": \"recipe\"}}'"),
    );
    let of_chroma = format!(
        r#"SELECT count(*) FROM chroma_records({}, 'content', '{{"user_id": "1", "content_type": "recipe"}}')"#,
        source.sql()
    );
    assert_eq!(report.total().migrated, db.one::<i64>(&of_chroma));
    assert!(report.total().migrated > 0);
}

#[test]
fn a_collection_elsewhere_is_named_in_full() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let migrate = |name: &str, target: &str| {
        db.migrate(&source, &format!("collection => '{name}', orphans => 'keep', entity_target => NULL, target => '{target}'"))
    };
    let report = migrate("acme/library/shared_name", "a");
    assert_eq!(report.collection("acme/library/shared_name").migrated, 5);
    assert_eq!(
        db.lines("SELECT DISTINCT chroma_collection FROM a"),
        ["acme/library/shared_name"]
    );
    assert_eq!(
        migrate("shared_name", "b")
            .collection("shared_name")
            .migrated,
        3
    );
    assert_eq!(
        migrate("only_elsewhere", "c")
            .collection("acme/library/only_elsewhere")
            .migrated,
        2
    );
}

#[test]
fn an_empty_collection_is_no_error() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    for collection in ["empty", "emptied"] {
        let report = db.migrate(
            &source,
            &format!(
                "collection => '{collection}', target => 'of_{collection}', entity_target => NULL"
            ),
        );
        assert_eq!(report.outcome(), (0, 0, 0, 0), "{collection}");
    }
}
