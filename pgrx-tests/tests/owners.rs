//! Whose a record is: collections without owners, owners of every kind, and owners under another key.

use vector_migrate_tests::{Db, Expected, Session, Store, store, tables};

const CONTENT: &str = "entity_target => NULL";
const KINDS: [&str; 6] = ["numbers", "uuids", "names", "mixed", "nobody", "flags"];

fn of(collection: &str, more: &str) -> String {
    format!("collection => '{collection}', {CONTENT}{more}")
}

/// The type of `user_id` in a table.
fn type_of_users(db: &Session, table: &str) -> String {
    db.line(&format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
          WHERE attrelid = '{table}'::regclass AND attname = 'user_id'"
    ))
}

/// The notes of a call's rows, none twice.
fn notes(db: &Session, source: &Store, arguments: &str) -> String {
    let lines = db.lines(&format!(
        "SELECT DISTINCT note FROM migrate_chroma({}, {arguments}) WHERE note IS NOT NULL",
        source.sql()
    ));
    lines.join("\n")
}

/// Two of the uuids that own records of `uuids`.
fn people() -> Vec<String> {
    let expected = Expected::of("special/owners");
    let records = expected.collection("uuids").records.iter().take(2);
    records
        .filter_map(|record| Some(record.metadata["user_id"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn a_collection_in_which_no_record_has_an_owner_is_migrated_without_owners() {
    let (db, source) = (Db::new(), store("special/owners"));
    let notes = notes(&db, &source, &of("nobody", ""));
    assert!(notes.contains("user_id is null"), "{notes}");
    assert!(db.told(&["nobody", "user_id", "null"]));
    assert_eq!(
        db.line("SELECT found, migrated, skipped, failed FROM vector_migrate.runs"),
        "5|5|0|0"
    );
    assert_eq!(db.count("content_vectors WHERE user_id IS NULL"), 5);
    assert_eq!(db.count("vector_migrate.run_errors"), 0);
}

#[test]
fn records_without_owner_are_skipped_where_others_of_their_collection_have_one() {
    let (db, source) = (Db::new(), store("special/owners"));
    let report = db.migrate(&source, &of("mixed", ""));
    assert_eq!(report.outcome(), (8, 5, 3, 0));
    assert_eq!(report.users(), [Some("1"), Some("2"), None]);
    assert_eq!(
        db.lines("SELECT record_id, reason FROM vector_migrate.run_errors ORDER BY 1"),
        [
            "mixed-1|no_user_id",
            "mixed-4|no_user_id",
            "mixed-7|no_user_id"
        ]
    );
}

#[test]
fn a_filter_does_not_make_a_collection_one_without_owners() {
    let (db, source) = (Db::new(), store("special/owners"));
    let report = db.migrate(&source, &of("mixed", r#", filter => '{"n": 1}'"#));
    assert_eq!(report.outcome(), (1, 0, 1, 0));
}

#[test]
fn skip_and_keep_mean_what_they_say_for_every_collection() {
    let source = store("special/owners");
    for (collection, skipped, kept) in [("nobody", (5, 0, 5, 0), 5), ("mixed", (8, 5, 3, 0), 8)] {
        for (orphans, outcome) in [("skip", skipped), ("keep", (kept, kept, 0, 0))] {
            let db = Db::new();
            let arguments = of(collection, &format!(", orphans => '{orphans}'"));
            let report = db.migrate(&source, &arguments);
            assert_eq!(report.outcome(), outcome, "{collection} {orphans}");
        }
    }
}

#[test]
fn all_collections_in_one_call_each_by_its_own_owners() {
    let (db, source) = (Db::new(), store("special/owners"));
    let report = db.migrate(&source, CONTENT);
    let outcome = |name: &str| {
        let counts = report.collection(name);
        (counts.found, counts.migrated, counts.skipped, counts.failed)
    };
    assert_eq!(outcome("numbers"), (6, 6, 0, 0));
    assert_eq!(outcome("uuids"), (4, 4, 0, 0));
    assert_eq!(outcome("names"), (4, 4, 0, 0));
    assert_eq!(outcome("mixed"), (8, 5, 3, 0));
    assert_eq!(outcome("nobody"), (5, 5, 0, 0));
    // A truth value is nobody's name.
    assert_eq!(outcome("flags"), (3, 0, 0, 3));
    assert_eq!(type_of_users(&db, "content_vectors"), "text");
    assert_eq!(
        db.lines("SELECT DISTINCT user_id FROM content_vectors WHERE chroma_collection = 'numbers' ORDER BY 1"),
        ["1", "2", "3"]
    );
    assert_eq!(
        db.lines("SELECT reason, count(*) FROM vector_migrate.run_errors GROUP BY 1 ORDER BY 1"),
        ["bad_user_id|3", "no_user_id|3"]
    );
}

#[test]
fn a_created_tables_users_have_the_type_that_the_stores_owners_have() {
    let source = store("special/owners");
    let person = &people()[0];
    let uuid = format!(", default_user_id => '{person}'");
    for (collection, more, wanted, migrated) in [
        ("numbers", "", "bigint", 6),
        ("uuids", "", "uuid", 4),
        ("names", "", "text", 4),
        ("mixed", "", "bigint", 5),
        ("nobody", "", "bigint", 5),
        ("mixed", ", default_user_id => 'alice'", "text", 8),
        ("mixed", ", default_user_id => '42'", "bigint", 8),
        ("nobody", ", default_user_id => 'alice'", "text", 5),
        ("nobody", &uuid, "uuid", 5),
    ] {
        let db = Db::new();
        let report = db.migrate(&source, &of(collection, more));
        let place = format!("{collection}{more}");
        assert_eq!(report.total().migrated, migrated, "{place}");
        assert_eq!(report.total().failed, 0, "{place}");
        assert_eq!(type_of_users(&db, "content_vectors"), wanted, "{place}");
    }
}

#[test]
fn a_created_entity_tables_users_have_the_same_type() {
    let (db, source) = (Db::new(), store("special/owners"));
    db.migrate(&source, "collection => 'names', embeddings => 'stored'");
    assert_eq!(type_of_users(&db, "content_vectors"), "text");
    assert_eq!(type_of_users(&db, "entity_vectors"), "text");
}

#[test]
fn each_overload_finds_its_user_in_a_table_that_it_made() {
    let source = store("special/owners");
    let person = &people()[0];
    let uuid = format!("'{person}'::uuid");
    let word = format!("'{}'", person.to_uppercase());
    for (user, collection, wanted, found) in [
        ("1", "numbers", "bigint", 2),
        ("'1'", "numbers", "bigint", 2),
        ("'alice'", "names", "text", 2),
        (&*uuid, "uuids", "uuid", 2),
        (&*word, "uuids", "uuid", 2),
    ] {
        let db = Db::new();
        let arguments = format!("{user}, {}", of(collection, ""));
        let report = db.migrate(&source, &arguments);
        assert_eq!(report.outcome(), (found, found, 0, 0), "{arguments}");
        assert_eq!(type_of_users(&db, "content_vectors"), wanted, "{arguments}");
    }
}

#[test]
fn a_table_whose_users_cannot_be_null_gets_none_without_and_it_is_said_what_to_do() {
    let source = store("special/owners");
    for (column, migrated) in [("bigint", 5), ("bigint NOT NULL", 0)] {
        let db = Db::new();
        db.run(&tables::minimal_of(
            "text PRIMARY KEY",
            column,
            "vector(4)",
            "",
        ));
        let notes = notes(&db, &source, &of("nobody", ""));
        let refused = 5 - migrated;
        assert_eq!(
            db.line("SELECT found, migrated, skipped, failed FROM vector_migrate.runs"),
            format!("5|{migrated}|{refused}|0"),
            "{column}"
        );
        assert_eq!(
            notes.contains("default_user_id"),
            migrated == 0,
            "{column}: {notes}"
        );
        let reason = "vector_migrate.run_errors WHERE reason = 'no_user_id'";
        assert_eq!(db.count(reason), refused, "{column}");
        let again = db.migrate(&source, &of("nobody", ", default_user_id => '7'"));
        assert_eq!(again.total().migrated, refused, "{column}");
    }
}

#[test]
fn owners_that_an_existing_table_cannot_hold_fail_each_for_itself() {
    let (db, source) = (Db::new(), store("special/owners"));
    db.run(&tables::minimal(4, ""));
    assert_eq!(
        db.migrate(&source, &of("names", "")).outcome(),
        (4, 0, 0, 4)
    );
    let errors = "SELECT DISTINCT user_id, reason FROM vector_migrate.run_errors ORDER BY 1";
    assert_eq!(db.lines(errors), ["alice|bad_user_id", "bob|bad_user_id"]);
}

#[test]
fn a_dry_run_says_the_same_of_owners() {
    let source = store("special/owners");
    let calls = KINDS.map(|kind| of(kind, "")).into_iter();
    for arguments in calls.chain([CONTENT.to_owned()]) {
        for table in ["", "bigint NOT NULL", "text"] {
            let db = Db::new();
            if !table.is_empty() {
                db.run(&tables::minimal_of(
                    "text PRIMARY KEY",
                    table,
                    "vector(4)",
                    "",
                ));
            }
            let rows = |dry: bool| db.answer(&source, &format!("dry_run => {dry}, {arguments}"));
            assert_eq!(rows(true), rows(false), "{arguments} {table}");
        }
    }
}

#[test]
fn owners_under_another_key_are_found_by_its_name() {
    let (db, source) = (Db::new(), store("special/chat-files"));
    let report = db.migrate(&source, &format!("owner_key => 'created_by', {CONTENT}"));
    let expected = Expected::of("special/chat-files");
    let count: i64 = expected.collections.iter().map(|it| it.count).sum();
    assert_eq!(report.outcome(), (count, count, 0, 0));
    for table in ["content_vectors_8", "content_vectors_12"] {
        assert_eq!(type_of_users(&db, table), "uuid");
        let differ =
            format!("{table} WHERE user_id::text IS DISTINCT FROM metadata->>'created_by'");
        assert_eq!(db.count(&differ), 0);
        assert!(db.count(table) > 0);
    }
    let users = "SELECT count(DISTINCT user_id) FROM (SELECT user_id FROM content_vectors_8 UNION ALL SELECT user_id FROM content_vectors_12) u";
    assert_eq!(db.line(users), "3");
}

#[test]
fn one_user_under_another_key_gets_that_users_records() {
    let (db, source) = (Db::new(), store("special/chat-files"));
    let expected = Expected::of("special/chat-files");
    let records = || expected.collections.iter().flat_map(|it| &it.records);
    let first = records().next().expect("has records");
    let user = first.metadata["created_by"].as_str().expect("an owner");
    let of_user = records().filter(|it| it.metadata["created_by"] == user);
    let count = of_user.count() as i64;
    let arguments = format!("'{user}'::uuid, owner_key => 'created_by', {CONTENT}");
    let report = db.migrate(&source, &arguments);
    assert_eq!(report.outcome(), (count, count, 0, 0));
}

#[test]
fn a_key_that_looks_like_the_owners_is_named_where_no_record_has_the_one_asked_for() {
    let source = store("special/chat-files");
    for owner_key in ["user_id", "nonsense"] {
        let db = Db::new();
        let arguments = format!("owner_key => '{owner_key}', {CONTENT}");
        let report = db.migrate(&source, &arguments);
        let total = report.total();
        assert_eq!((total.migrated, total.found), (total.found, total.found));
        assert!(
            db.told(&["created_by", "owner_key"]),
            "nothing about created_by with {owner_key}"
        );
        assert_eq!(db.count("content_vectors_8 WHERE user_id IS NOT NULL"), 0);
    }
    let db = Db::new();
    db.migrate(&source, &format!("owner_key => 'created_by', {CONTENT}"));
    assert!(!db.told(&["owner_key"]));
    // Nothing in the other store looks like an owner, or it has one.
    for collection in ["nobody", "names"] {
        db.migrate(&store("special/owners"), &of(collection, ""));
        assert!(!db.told(&["owner_key"]), "{collection}");
    }
}

#[test]
fn a_key_that_is_no_name_is_refused() {
    let (db, source) = (Db::new(), store("special/owners"));
    for (argument, code) in [
        ("owner_key => ''", "22023"),
        ("owner_key => NULL", "22004"),
        ("orphans => 'never'", "22023"),
    ] {
        let call = format!("SELECT * FROM migrate_chroma({}, {argument})", source.sql());
        let name = argument.split(' ').next().expect("a name");
        db.refused(&call, code).names(name);
    }
}

#[test]
fn owners_are_those_at_the_time_of_the_call() {
    let (db, source) = (Db::new(), store("special/owners"));
    let report = db.migrate(&source, &of("nobody", ""));
    assert_eq!(report.outcome(), (5, 5, 0, 0));
    // The application has begun to write owners since.
    source.damage(
        "INSERT INTO embedding_metadata (id, key, string_value)
         SELECT id, 'user_id', '7' FROM embeddings WHERE embedding_id IN ('nobody-0', 'nobody-1')",
    );
    let report = db.migrate(&source, &of("nobody", ", on_conflict => 'update'"));
    assert_eq!(report.user(Some("7")).migrated, 2);
    assert_eq!(report.user(None).skipped, 3);
    assert_eq!(db.count("content_vectors WHERE user_id = 7"), 2);
    assert_eq!(db.count("content_vectors"), 5);
}
