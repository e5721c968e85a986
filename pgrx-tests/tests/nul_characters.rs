//! U+0000 in records, which no text of PostgreSQL can hold: an error of the record, taken out, or replaced.

use vector_migrate_tests::{Db, Expected, Report, Session, assert_same_json, store, tables};

const CONTENT: &str = "entity_target => NULL";

fn with(nul: &str) -> String {
    format!("{CONTENT}, nul_characters => '{nul}'")
}

fn contents(db: &Session) -> Vec<String> {
    db.lines("SELECT t::text FROM content_vectors t ORDER BY id")
}

/// `reason|records` of a run.
fn reasons(db: &Session, report: &Report) -> Vec<String> {
    db.lines(&format!(
        "SELECT reason, count(*) FROM vector_migrate.run_errors WHERE run_id = {} GROUP BY 1 ORDER BY 1",
        report.run_id()
    ))
}

fn changed(db: &Session, report: &Report) -> i64 {
    db.one(&format!(
        "SELECT nul_changed FROM vector_migrate.runs WHERE run_id = {}",
        report.run_id()
    ))
}

#[test]
fn as_an_error_each_record_that_has_one_fails_for_itself_and_the_others_arrive() {
    for arguments in [CONTENT.to_owned(), with("error")] {
        let (db, source) = (Db::new(), store("special/nul-characters"));
        let report = db.migrate(&source, &arguments);
        assert_eq!(report.outcome(), (14, 3, 0, 11));
        assert_eq!(
            reasons(&db, &report),
            ["bad_content|1", "bad_text|9", "bad_user_id|1"]
        );
        assert_eq!(
            db.lines("SELECT id FROM content_vectors ORDER BY 1"),
            ["good-1", "good-2", "twin"]
        );
        let advice = "vector_migrate.run_errors WHERE message LIKE '%nul_characters%'";
        assert!(db.count(advice) >= 10, "says what to do about it");
        assert_eq!(changed(&db, &report), 0);
        let nameless = "vector_migrate.run_errors WHERE record_id = '' OR message = ''";
        assert_eq!(db.count(nameless), 0);
    }
}

#[test]
fn taken_out_every_text_is_what_is_left_of_it() {
    let (db, source) = (Db::new(), store("special/nul-characters"));
    let report = db.migrate(&source, &with("remove"));
    assert_eq!(report.outcome(), (14, 13, 0, 1));
    let one = |id: &str, column: &str| {
        db.line(&format!(
            "SELECT {column} FROM content_vectors WHERE id = '{id}'"
        ))
    };
    assert_eq!(one("document", "searchable_text"), "pageone");
    assert_eq!(one("value", "metadata->>'author'"), "AB");
    assert_eq!(one("key", "metadata->>'author'"), "Ada");
    assert_eq!(one("two-keys", "metadata->>'author'"), "without it");
    assert_eq!(
        one("two-keys", "metadata::text LIKE '%\"with it\"%'"),
        "t",
        "no key is lost"
    );
    assert_eq!(one("id", "searchable_text"), "A page without anything odd.");
    assert_eq!(one("owner", "user_id"), "7");
    assert_eq!(one("array", "metadata->'tags'"), "[\"blue\", \"green\"]");
    assert_eq!(
        one("content", "title, full_content->'topics'"),
        "Title  one|[\"ab\"]"
    );
    assert_eq!(one("uri", "uri"), "file:///pages/1.pdf");
    assert_eq!(db.count("content_vectors WHERE id = 'only'"), 1);
}

#[test]
fn of_two_ids_that_become_one_the_second_is_a_collision() {
    let (db, source) = (Db::new(), store("special/nul-characters"));
    let report = db.migrate(&source, &with("remove"));
    assert_eq!(reasons(&db, &report), ["id_collision|1"]);
    assert_eq!(db.count("content_vectors WHERE id = 'twin'"), 1);
    let text = "SELECT searchable_text FROM content_vectors WHERE id = 'twin'";
    assert_eq!(db.line(text), "The first of two.");
    assert_eq!(
        db.line("SELECT record_id FROM vector_migrate.run_errors"),
        "twin"
    );
}

#[test]
fn replaced_nothing_becomes_one() {
    let (db, source) = (Db::new(), store("special/nul-characters"));
    let report = db.migrate(&source, &with("replace"));
    assert_eq!(report.outcome(), (14, 14, 0, 0));
    let one = |id: &str, column: &str| {
        db.line(&format!(
            "SELECT {column} FROM content_vectors WHERE id = '{id}'"
        ))
    };
    assert_eq!(one("document", "searchable_text"), "page\u{FFFD}one");
    assert_eq!(one("value", "metadata->>'author'"), "A\u{FFFD}B");
    assert_eq!(one("key", "metadata->>'au\u{FFFD}thor'"), "Ada");
    assert_eq!(
        one(
            "two-keys",
            "metadata->>'au\u{FFFD}thor', metadata->>'author'"
        ),
        "with it|without it"
    );
    assert_eq!(
        db.count("content_vectors WHERE id IN ('i\u{FFFD}d', 'tw\u{FFFD}in', 'twin')"),
        3
    );
    assert_eq!(one("owner", "user_id"), "7\u{FFFD}");
    assert_eq!(
        one("content", "full_content->>'title', full_content->'topics'"),
        "Title \u{FFFD} one|[\"a\u{FFFD}b\"]"
    );
    assert_eq!(one("only", "searchable_text"), "\u{FFFD}");
    assert_eq!(one("uri", "uri"), "file:///pages/\u{FFFD}1.pdf");
}

#[test]
fn how_many_were_changed_is_counted_and_said() {
    for nul in ["remove", "replace"] {
        let (db, source) = (Db::new(), store("special/nul-characters"));
        let report = db.migrate(&source, &with(nul));
        assert_eq!(changed(&db, &report), 11, "{nul}");
        assert!(db.told(&["U+0000", "11"]), "{nul}");
        // A store that has none is not spoken of.
        let report = db.migrate(
            &store("special/north"),
            &format!("{}, target => 'n'", with(nul)),
        );
        assert_eq!(changed(&db, &report), 0, "{nul}");
        assert!(!db.told(&["U+0000"]), "{nul}");
    }
}

#[test]
fn a_second_run_changes_nothing_and_an_update_makes_the_same_rows() {
    for (nul, migrated) in [("remove", 13), ("replace", 14)] {
        let (db, source) = (Db::new(), store("special/nul-characters"));
        db.migrate(&source, &with(nul));
        let before = contents(&db);
        let again = db.migrate(&source, &with(nul));
        assert_eq!(again.total().migrated, 0, "{nul}");
        assert_eq!(again.total().skipped, migrated, "{nul}");
        assert_eq!(contents(&db), before, "{nul}");
        let update = db.migrate(&source, &format!("{}, on_conflict => 'update'", with(nul)));
        assert_eq!(update.total().migrated, migrated, "{nul}");
        let columns = "SELECT id, metadata, searchable_text, full_content, uri FROM content_vectors ORDER BY id";
        let updated = db.lines(columns);
        db.run("SELECT * FROM rollback_migration()");
        assert_eq!(db.lines(columns), updated, "{nul}");
        assert_eq!(contents(&db), before, "{nul}");
    }
}

#[test]
fn what_a_first_call_refused_comes_with_a_second_one() {
    for (nul, migrated) in [("remove", 10), ("replace", 11)] {
        let (db, source) = (Db::new(), store("special/nul-characters"));
        // A table whose owners may be any text: a replaced one is no number.
        db.run(&tables::minimal_of(
            "text PRIMARY KEY",
            "text",
            "vector(3)",
            "",
        ));
        db.migrate(&source, CONTENT);
        let report = db.migrate(&source, &with(nul));
        let total = report.total();
        assert_eq!((total.found, total.migrated), (14, migrated), "{nul}");
        assert_eq!(db.count("content_vectors"), 3 + migrated, "{nul}");
    }
}

#[test]
fn a_rollback_leaves_the_table_as_it_was() {
    for nul in ["remove", "replace"] {
        let (db, source) = (Db::new(), store("special/nul-characters"));
        db.run(&tables::minimal_of(
            "text PRIMARY KEY",
            "text",
            "vector(3)",
            "",
        ));
        db.run(
            "INSERT INTO content_vectors VALUES
                ('id', '1', 'own', '{}', 'own', '[1,2,3]'), ('own', '1', 'own', '{}', 'own', NULL)",
        );
        let before = contents(&db);
        db.migrate(&source, &format!("{}, on_conflict => 'update'", with(nul)));
        assert_ne!(contents(&db), before);
        db.run("SELECT * FROM rollback_migration()");
        assert_eq!(contents(&db), before, "{nul}");
    }
}

#[test]
fn a_dry_run_says_the_same() {
    for nul in ["error", "remove", "replace"] {
        let (db, source) = (Db::new(), store("special/nul-characters"));
        let rows = |dry: bool| db.answer(&source, &format!("{}, dry_run => {dry}", with(nul)));
        assert_eq!(rows(true), rows(false), "{nul}");
    }
}

#[test]
fn a_user_is_found_by_the_changed_name() {
    let (db, source) = (Db::new(), store("special/nul-characters"));
    let report = db.migrate(&source, &format!("'7', {}", with("remove")));
    assert_eq!(report.users(), [Some("7")]);
    assert_eq!(report.total().found, 13);
}

#[test]
fn chroma_records_shows_every_record_with_the_replacement_character() {
    let (db, source) = (Db::new(), store("special/nul-characters"));
    let rows = db.query(
        &format!(
            "SELECT id, document, uri, metadata FROM chroma_records({})",
            source.sql()
        ),
        &[],
    );
    let expected = Expected::of("special/nul-characters");
    let records = &expected.collection("pdfs").records;
    assert_eq!(rows.len(), records.len());
    let shown = |text: &str| text.replace('\0', "\u{FFFD}");
    for (row, record) in rows.iter().zip(records) {
        assert_eq!(row.get::<_, String>("id"), shown(&record.id));
        let document: Option<String> = row.get("document");
        assert_eq!(document, record.document.as_deref().map(shown));
        let uri: Option<String> = row.get("uri");
        assert_eq!(uri, record.uri.as_deref().map(shown));
        let metadata = record.metadata.to_string();
        // As JSON has it, apart from one that was escaped in the text already.
        let wanted = metadata
            .replace("\\\\u0000", "\u{1}")
            .replace("\\u0000", "\u{FFFD}");
        let wanted = serde_json::from_str(&wanted.replace('\u{1}', "\\\\u0000")).expect("is JSON");
        assert_same_json(&row.get("metadata"), &wanted, &record.id);
    }
    let warnings = db.notices();
    let about: Vec<_> = warnings
        .iter()
        .filter(|it| it.text.contains("U+FFFD"))
        .collect();
    assert_eq!(about.len(), 1, "{warnings:#?}");
    assert!(about[0].severity == "WARNING" && about[0].text.contains("\"document\""));
}

#[test]
fn a_word_that_is_none_of_the_three_is_refused() {
    let (db, source) = (Db::new(), store("special/nul-characters"));
    for (word, code) in [("'drop'", "22023"), ("''", "22023"), ("NULL", "22004")] {
        let call = format!(
            "SELECT * FROM migrate_chroma({}, nul_characters => {word})",
            source.sql()
        );
        let failure = db.refused(&call, code).names("nul_characters");
        if code == "22023" {
            failure.hints("error").hints("remove").hints("replace");
        }
    }
}
