//! Target tables of other shapes: other types, partitions, views, row-level security, triggers, checks.

use vector_migrate_tests::{Db, Report, store, tables};

const CONTENT: &str = "collection => 'content', entity_target => NULL";

/// The content collection of 1.5.9: 37 records, of which 32 have a user that a bigint can hold.
fn migrate(db: &Db) -> Report {
    db.migrate(&store("chroma-1.5.9"), CONTENT)
}

fn reasons(db: &Db) -> Vec<String> {
    db.lines("SELECT reason, count(*) FROM vector_migrate.run_errors GROUP BY 1 ORDER BY 1")
}

#[test]
fn text_arrays_take_topics_and_tags() {
    let db = Db::new();
    db.run(&tables::minimal(16, ", topics text[], tags varchar(40)[]"));
    migrate(&db);
    let row = "SELECT topics, tags, topics[2] FROM content_vectors WHERE id = 'content-003'";
    assert_eq!(db.line(row), "{gardening,日本}|{article,part-1}|日本");
}

#[test]
fn a_text_user_takes_every_user() {
    let db = Db::new();
    db.run(&tables::minimal_of(
        "varchar(100) PRIMARY KEY",
        "text",
        "vector(16)",
        "",
    ));
    let report = migrate(&db);
    assert_eq!(report.outcome(), (37, 33, 4, 0));
    assert_eq!(
        db.line("SELECT user_id FROM content_vectors WHERE id = 'content-user-alice'"),
        "alice"
    );
    assert_eq!(
        db.line("SELECT user_id FROM content_vectors WHERE id = 'content-user-number'"),
        "7"
    );
}

#[test]
fn a_uuid_user_takes_uuids_only() {
    let db = Db::new();
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "uuid",
        "vector(16)",
        "",
    ));
    let source = store("chroma-1.5.9");
    source.damage(
        "UPDATE embedding_metadata SET string_value = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' WHERE key = 'user_id' AND string_value = '2'",
    );
    let report = db.migrate(&source, CONTENT);
    assert_eq!(
        report
            .user(Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"))
            .migrated,
        11
    );
    assert_eq!(report.outcome(), (37, 11, 4, 22));
}

#[test]
fn a_halfvec_column_takes_what_fits_it() {
    let db = Db::new();
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "bigint",
        "halfvec(8)",
        "",
    ));
    let source = store("chroma-1.5.9");
    let report = db.migrate(
        &source,
        "collection => 'cosine_queue', orphans => 'keep', entity_target => NULL",
    );
    // Components of 1e6 and more are beyond a half's 65504.
    assert_eq!(report.outcome(), (15, 14, 0, 1));
    assert_eq!(
        db.lines("SELECT record_id, reason FROM vector_migrate.run_errors"),
        ["large|bad_vector"]
    );
    assert_eq!(
        db.line("SELECT embedding FROM content_vectors WHERE id = 'unit'"),
        "[1,0,0,0,0,0,0,0]"
    );
}

#[test]
fn a_vector_column_without_dimensions_takes_any_collection() {
    let db = Db::new();
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "bigint",
        "vector",
        "",
    ));
    assert_eq!(migrate(&db).total().migrated, 32);
}

#[test]
fn rows_find_their_partitions() {
    let db = Db::new();
    db.run(
        "CREATE TABLE content_vectors (id text, user_id integer, title text NOT NULL, full_content jsonb NOT NULL,
             searchable_text text NOT NULL, embedding vector(16), PRIMARY KEY (user_id, id)) PARTITION BY LIST (user_id);
         CREATE TABLE content_1 PARTITION OF content_vectors FOR VALUES IN (1);
         CREATE TABLE content_2 PARTITION OF content_vectors FOR VALUES IN (2)",
    );
    let report = migrate(&db);
    assert_eq!((db.count("content_1"), db.count("content_2")), (11, 11));
    // Users 3 and 7 have no partition.
    assert_eq!(report.outcome(), (37, 22, 4, 11));
    assert_eq!(
        reasons(&db),
        ["bad_user_id|1", "constraint|10", "no_user_id|4"]
    );
    assert_eq!(migrate(&db).total().migrated, 0);
}

#[test]
fn a_view_with_an_instead_of_trigger_is_a_target() {
    let db = Db::new();
    db.run(
        "CREATE TABLE kept (id text PRIMARY KEY, user_id bigint, title text, full_content jsonb, searchable_text text, embedding vector(16));
         CREATE VIEW content_vectors AS SELECT * FROM kept;
         CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO kept VALUES (NEW.id, NEW.user_id, upper(NEW.title), NEW.full_content, NEW.searchable_text, NEW.embedding);
             RETURN NEW; END $$;
         CREATE TRIGGER keep INSTEAD OF INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    let report = migrate(&db);
    assert_eq!(report.outcome(), (37, 32, 4, 1));
    assert_eq!(db.count("kept"), 32);
    assert_eq!(
        db.line("SELECT title FROM kept WHERE id = 'content-004'"),
        "VACUUM WITHOUT FEAR"
    );
}

#[test]
fn row_level_security_of_the_calling_role_is_obeyed() {
    let db = Db::new();
    let role = db.reader("rls");
    db.run(&tables::minimal(16, ""));
    db.run(&format!(
        "ALTER TABLE content_vectors ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON content_vectors TO {role} USING (user_id = 2) WITH CHECK (user_id = 2);
         GRANT SELECT, INSERT ON content_vectors TO {role}"
    ));
    let report = db
        .session_as(&role)
        .migrate(&store("chroma-1.5.9"), CONTENT);
    assert_eq!(
        (report.total().migrated, report.user(Some("2")).migrated),
        (11, 11)
    );
    assert_eq!(
        db.lines("SELECT DISTINCT user_id FROM content_vectors"),
        ["2"]
    );
    assert_eq!(
        reasons(&db),
        ["bad_user_id|1", "constraint|21", "no_user_id|4"]
    );
    let message =
        "SELECT DISTINCT message FROM vector_migrate.run_errors WHERE reason = 'constraint'";
    assert!(
        db.line(message).contains("row-level security policy"),
        "{}",
        db.line(message)
    );
}

#[test]
fn a_trigger_changes_rows_and_the_table_keeps_the_change() {
    let db = Db::new();
    db.run(&tables::minimal(16, ""));
    db.run(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := upper(NEW.title); RETURN NEW; END $$;
         CREATE TRIGGER shout BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION shout()",
    );
    assert_eq!(migrate(&db).total().migrated, 32);
    assert_eq!(
        db.line("SELECT title FROM content_vectors WHERE id = 'content-004'"),
        "VACUUM WITHOUT FEAR"
    );
}

#[test]
fn rows_that_a_trigger_drops_are_not_counted_as_migrated() {
    let db = Db::new();
    db.run(&tables::minimal(16, ""));
    db.run(
        "CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.user_id = 2 THEN RETURN NULL; END IF; RETURN NEW; END $$;
         CREATE TRIGGER drop_it BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION drop_it()",
    );
    let report = migrate(&db);
    assert_eq!(db.count("content_vectors"), 21);
    assert_eq!(
        (report.total().migrated, report.user(Some("2")).migrated),
        (21, 0)
    );
    assert_eq!(
        reasons(&db),
        ["bad_user_id|1", "constraint|11", "no_user_id|4"]
    );
}

#[test]
fn a_trigger_that_raises_rejects_its_row_alone() {
    let db = Db::new();
    db.run(&tables::minimal(16, ""));
    db.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.id = 'content-007' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON content_vectors FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    assert_eq!(migrate(&db).outcome(), (37, 31, 4, 2));
    let refused = "SELECT record_id FROM vector_migrate.run_errors
                    WHERE reason = 'constraint' AND message LIKE 'not this one%'";
    assert_eq!(db.lines(refused), ["content-007"]);
}

#[test]
fn rows_that_a_check_refuses_are_found_one_by_one() {
    let db = Db::new();
    db.run(&tables::minimal(
        16,
        ", content_type text, CONSTRAINT no_videos CHECK (content_type <> 'video')",
    ));
    let report = migrate(&db);
    let videos =
        db.one::<i64>("SELECT count(*) FROM vector_migrate.run_errors WHERE reason = 'constraint'");
    assert!(videos > 5, "{videos}");
    assert_eq!(report.outcome(), (37, 32 - videos, 4, 1 + videos));
    let others =
        "vector_migrate.run_errors WHERE reason = 'constraint' AND message NOT LIKE '%no_videos%'";
    assert_eq!(db.count(others), 0);
}

#[test]
fn a_deferred_constraint_of_the_application_still_holds() {
    let db = Db::new();
    db.run("CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users VALUES (1), (2);");
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "bigint REFERENCES users DEFERRABLE INITIALLY DEFERRED",
        "vector(16)",
        "",
    ));
    let report = migrate(&db);
    assert_eq!(report.total().migrated, 22);
    assert_eq!(report.total().skipped, 4 + 10);
}

#[test]
fn generated_columns_are_left_to_the_server() {
    let db = Db::new();
    db.run(&tables::minimal(
        16,
        ", summary text GENERATED ALWAYS AS (lower(title)) STORED",
    ));
    assert_eq!(migrate(&db).total().migrated, 32);
    assert_eq!(
        db.line("SELECT summary FROM content_vectors WHERE id = 'content-004'"),
        "vacuum without fear"
    );
}

#[test]
fn domains_and_enums_take_values_that_they_allow() {
    let db = Db::new();
    db.run(
        "CREATE TYPE kind AS ENUM ('article', 'video', 'podcast', 'note');
         CREATE DOMAIN mode_name AS text CHECK (VALUE <> 'work')",
    );
    db.run(&tables::minimal(16, ", content_type kind, mode mode_name"));
    let report = migrate(&db);
    // Recipes are not of the enum, the mode `work` is not of the domain.
    assert_eq!(db.count("content_vectors WHERE mode = 'work'"), 0);
    assert_eq!(db.count("content_vectors"), report.total().migrated);
    assert!(
        report.total().migrated > 10 && report.total().failed > 5,
        "{report:?}"
    );
    assert_eq!(
        db.line("SELECT content_type FROM content_vectors WHERE id = 'content-004'"),
        "podcast"
    );
}

#[test]
fn users_of_a_padded_type_are_found_by_their_whole_name() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    db.run("CREATE TABLE users (id char(8) PRIMARY KEY); INSERT INTO users VALUES ('alice')");
    db.run(&tables::minimal_of(
        "text PRIMARY KEY",
        "char(8) REFERENCES users",
        "vector(16)",
        "",
    ));
    let report = db.migrate(
        &source,
        "'alice', collection => 'content', entity_target => NULL",
    );
    assert_eq!(report.total().migrated, 1);
    assert_eq!(db.line("SELECT user_id FROM content_vectors"), "alice   ");
}

#[test]
fn rules_are_obeyed_as_by_insert() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&tables::minimal(8, ""));
    db.run(
        "CREATE TABLE log (id text); CREATE TABLE elsewhere (LIKE content_vectors INCLUDING ALL);
         CREATE RULE logged AS ON INSERT TO content_vectors DO ALSO INSERT INTO log VALUES (NEW.id)",
    );
    let arguments = "entity_target => NULL, collection => 'library_a'";
    let dry = db.migrate(&source, &format!("{arguments}, dry_run => true"));
    assert_eq!(db.count("log"), 0);
    let real = db.migrate(&source, arguments);
    assert_eq!(dry.without_run(), real.without_run());
    assert_eq!((db.count("content_vectors"), db.count("log")), (9, 9));
    db.run(
        "DROP RULE logged ON content_vectors; DELETE FROM content_vectors;
         CREATE RULE moved AS ON INSERT TO content_vectors DO INSTEAD INSERT INTO elsewhere VALUES (NEW.*)",
    );
    assert_eq!(db.migrate(&source, arguments).total().migrated, 9);
    assert_eq!((db.count("content_vectors"), db.count("elsewhere")), (0, 9));
    db.run(
        "DROP RULE moved ON content_vectors; DELETE FROM elsewhere;
         CREATE RULE dropped AS ON INSERT TO content_vectors WHERE NEW.id LIKE '%8' DO INSTEAD NOTHING",
    );
    let report = db.migrate(&source, arguments);
    assert_eq!(report.total().migrated, db.count("content_vectors"));
    assert!(db.count("content_vectors") < 9);
    assert_eq!(
        db.lines("SELECT DISTINCT reason FROM vector_migrate.run_errors WHERE run_id = (SELECT max(run_id) FROM vector_migrate.runs)"),
        ["constraint"]
    );
}
