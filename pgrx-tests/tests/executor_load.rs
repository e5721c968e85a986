//! Rows that go into tables by INSERT: from the extension's own function, as the server plans it.

use vector_migrate_tests::tables::minimal;
use vector_migrate_tests::{Db, demo_store, store};

const ARGUMENTS: &str = "embeddings => 'stored', entity_target => NULL, orphans => 'keep'";
const ERRORS: &str =
    "SELECT record_id, reason, message FROM vector_migrate.run_errors ORDER BY 1, 2";

/// What a run leaves in a table with these columns, and what it says of the records it refuses.
fn run_into(before: &str, columns: &str, way: &str, shown: &str) -> (Vec<String>, Vec<String>) {
    let db = Db::new();
    if columns.contains("citext") {
        db.has_module("citext");
    }
    db.run(before);
    db.run(&minimal(384, columns));
    db.run(&format!("SET vector_migrate.direct_load = {way}"));
    db.migrate(&demo_store(), ARGUMENTS);
    let rows = format!("SELECT id, {shown} FROM content_vectors ORDER BY id");
    (db.lines(&rows), db.lines(ERRORS))
}

#[test]
fn values_of_every_type_are_the_same_both_ways_and_none_is_cut() {
    let types = "CREATE TYPE kind AS ENUM ('article', 'video', 'podcast');
        CREATE DOMAIN short AS varchar(400) CHECK (value NOT LIKE '%7');
        CREATE DOMAIN shorter AS varchar(40)";
    for (columns, shown, said) in [
        (", summary citext", "summary", ""),
        (
            ", content_type kind",
            "content_type",
            "invalid input value for enum kind",
        ),
        (
            ", source_url shorter",
            "source_url",
            "value too long for type character varying(40)",
        ),
        (
            ", source_url short",
            "source_url",
            "violates check constraint \"short_check\"",
        ),
        (
            ", mode varchar(3)",
            "mode",
            "value too long for type character varying(3)",
        ),
        (", mode char(30)", "mode, octet_length(mode)", ""),
        (", mode name", "mode", ""),
        (", summary name", "summary", "is too long for type name"),
        (
            ", tags varchar(7)[]",
            "tags",
            "value too long for type character varying(7)",
        ),
        (", topics text[], tags json", "topics, tags", ""),
        (
            ", created_at date, updated_at timestamp(0)",
            "created_at, updated_at",
            "",
        ),
        (
            ", file_size_bytes smallint, has_transcript bool",
            "file_size_bytes, has_transcript",
            "out of range for type smallint",
        ),
    ] {
        if columns.contains("citext") && !Db::new().has_module("citext") {
            continue;
        }
        let direct = run_into(types, columns, "on", shown);
        let executor = run_into(types, columns, "off", shown);
        assert!(direct == executor, "{columns}: {direct:?} {executor:?}");
        let (rows, errors) = direct;
        assert_eq!(rows.len() + errors.len(), 300, "{columns}");
        let all = errors.iter().all(|error| error.contains(said));
        assert!(
            all && errors.is_empty() == said.is_empty(),
            "{columns}: {errors:?}"
        );
    }
}

#[test]
fn a_domain_refuses_null_both_ways() {
    let domain = "CREATE DOMAIN filled AS text NOT NULL";
    let direct = run_into(domain, ", uri filled", "on", "uri");
    assert!(direct.0.is_empty());
    let all = |error: &String| error.ends_with("domain filled does not allow null values");
    assert!(
        direct.1.len() == 300 && direct.1.iter().all(all),
        "{:?}",
        direct.1
    );
    assert!(direct == run_into(domain, ", uri filled", "off", "uri"));
}

#[test]
fn several_statements_that_rules_make_of_one_all_see_the_rows() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&minimal(8, ""));
    db.run(
        "ALTER TABLE content_vectors RENAME TO below;
         CREATE TABLE log (id text); CREATE TABLE titles (title text);
         CREATE RULE logged AS ON INSERT TO below DO ALSO INSERT INTO log VALUES (NEW.id);
         CREATE RULE titled AS ON INSERT TO below WHERE NEW.id LIKE '%8' DO ALSO INSERT INTO titles VALUES (NEW.title);
         CREATE VIEW content_vectors AS SELECT * FROM below",
    );
    let report = db.migrate(&source, "entity_target => NULL, collection => 'library_a'");
    assert_eq!(report.total().migrated, 9);
    let counts = "SELECT (SELECT count(*) FROM below), (SELECT count(*) FROM log), (SELECT count(*) FROM titles)";
    assert_eq!(db.line(counts), "9|9|1");
}

#[test]
fn a_bulk_load_is_one_statement() {
    let (db, source) = (Db::new(), store("special/many"));
    db.run(&minimal(4, ""));
    db.run(
        "CREATE TABLE statements (n serial);
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO statements DEFAULT VALUES; RETURN NULL; END';
         CREATE TRIGGER tell BEFORE INSERT ON content_vectors FOR EACH STATEMENT EXECUTE FUNCTION tell();
         SET vector_migrate.batch_bytes = 64",
    );
    db.migrate(&source, ARGUMENTS);
    assert!(db.count("content_vectors") > 1000);
    assert_eq!(db.count("statements"), 1);
}

#[test]
fn the_function_gives_rows_to_nobody_else() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&minimal(8, ""));
    let stranger = db.session_as(&db.role("stranger"));
    for call in [
        "SELECT vector_migrate.bulk_rows(NULL::pg_catalog.pg_class)",
        "SELECT * FROM vector_migrate.bulk_rows(NULL::pg_catalog.pg_class)",
        "SELECT vector_migrate.bulk_rows(1)",
    ] {
        stranger.refused(call, "55000");
    }
    // A trigger that asks for rows of the statement that it is part of.
    for (when, row) in [
        ("BEFORE", "ROW"),
        ("BEFORE", "STATEMENT"),
        ("AFTER", "STATEMENT"),
    ] {
        db.run(&format!(
            "CREATE TABLE seen (error text);
             CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM vector_migrate.bulk_rows(NULL::content_vectors);
                 RETURN NEW;
             EXCEPTION WHEN object_not_in_prerequisite_state THEN
                 INSERT INTO seen VALUES (SQLERRM); RETURN NEW;
             END $$;
             CREATE TRIGGER steal {when} INSERT ON content_vectors FOR EACH {row} EXECUTE FUNCTION steal()"
        ));
        let report = db.migrate(&source, "entity_target => NULL, collection => 'library_a'");
        assert_eq!(report.total().migrated, 9, "{when} {row}");
        assert_eq!(db.count("content_vectors"), 9);
        if row == "ROW" {
            assert_eq!(db.count("seen"), 9);
        }
        db.run("DROP TABLE seen; DROP FUNCTION steal CASCADE; SELECT * FROM rollback_migration()");
    }
}

#[test]
fn a_trigger_may_migrate_into_another_table() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&minimal(8, ""));
    db.run(&format!(
        "CREATE FUNCTION nested() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM migrate_chroma({}, target => 'other', entity_target => NULL, collection => 'library_b')
                 WHERE to_regclass('other') IS NULL;
             RETURN NEW;
         END $$;
         CREATE TRIGGER nested BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION nested();
         SET vector_migrate.direct_load = off",
        source.sql()
    ));
    let report = db.migrate(&source, "entity_target => NULL, collection => 'library_a'");
    assert_eq!(report.total().migrated, 9);
    assert_eq!(db.count("content_vectors"), 9);
    assert!(db.count("other") > 0);
}
