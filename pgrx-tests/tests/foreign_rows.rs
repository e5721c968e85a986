//! Rows that are not in a table of this server's own: whether they have changed cannot be told, so a rollback keeps them.

use vector_migrate_tests::{Db, Session, Store, store};

const STORED: &str = "collection => 'library_a', embeddings => 'stored', entity_target => NULL";

/// The columns of a content table.
const COLUMNS: &str = "id text, user_id integer, title text NOT NULL, full_content jsonb NOT NULL, searchable_text text NOT NULL,
    embedding vector(8)";

/// `removed|restored|kept` of the content table.
fn undo(db: &Session, arguments: &str) -> String {
    db.line(&format!(
        "SELECT removed, restored, kept FROM rollback_migration({arguments})"
    ))
}

/// A database with a foreign server that is itself, and a table `far` that is to be reached by it; none where there is
/// no postgres_fdw.
fn loop_back() -> Option<(Db, Store)> {
    let db = Db::new();
    if !db.has_module("postgres_fdw") {
        return None;
    }
    let setting = |name: &str| std::env::var(name).expect("the harness has checked it");
    db.run(&format!(
        "CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{}', port '{}', dbname '{}');
         CREATE USER MAPPING FOR CURRENT_USER SERVER itself OPTIONS (user '{}');
         CREATE TABLE far ({COLUMNS})",
        setting("VECTOR_MIGRATE_HOST"),
        setting("VECTOR_MIGRATE_PORT"),
        db.name(),
        setting("VECTOR_MIGRATE_USER"),
    ));
    Some((db, store("special/two-collections")))
}

fn kept_unless_forced(db: &Db, source: &Store) {
    assert_eq!(db.migrate(source, STORED).total().migrated, 9);
    let before = db.lines("SELECT * FROM content_vectors ORDER BY id");
    db.notices();
    assert_eq!(undo(db, ""), "0|0|9");
    assert_eq!(
        db.lines("SELECT * FROM content_vectors ORDER BY id"),
        before
    );
    // Nothing was undone, and both that and why are said.
    assert_eq!(
        db.line("SELECT status, rolled_back_at FROM vector_migrate.runs"),
        "completed|∅"
    );
    let texts: Vec<String> = db.notices().into_iter().map(|it| it.text).collect();
    let said = |part: &str| texts.iter().any(|text| text.contains(part));
    assert!(
        said("cannot tell which rows") && said("nothing was undone"),
        "{texts:?}"
    );
    assert_eq!(undo(db, "force => true"), "9|0|0");
    assert_eq!(db.count("content_vectors"), 0);
    assert_eq!(
        db.line("SELECT status FROM vector_migrate.runs"),
        "rolled back"
    );
}

#[test]
fn foreign_tables() {
    let Some((db, source)) = loop_back() else {
        return;
    };
    db.run(&format!(
        "CREATE FOREIGN TABLE content_vectors ({COLUMNS}) SERVER itself OPTIONS (table_name 'far')"
    ));
    kept_unless_forced(&db, &source);
}

#[test]
fn partitions_of_partitions_that_are_foreign_tables() {
    let Some((db, source)) = loop_back() else {
        return;
    };
    db.run(&format!(
        "CREATE TABLE content_vectors ({COLUMNS}) PARTITION BY LIST (user_id);
         CREATE TABLE content_1 PARTITION OF content_vectors FOR VALUES IN (1);
         CREATE TABLE content_2 PARTITION OF content_vectors FOR VALUES IN (2) PARTITION BY LIST (user_id);
         CREATE FOREIGN TABLE content_3 PARTITION OF content_2 DEFAULT SERVER itself OPTIONS (table_name 'far')"
    ));
    kept_unless_forced(&db, &source);
}

#[test]
fn children_that_are_foreign_tables() {
    let Some((db, source)) = loop_back() else {
        return;
    };
    db.run(&format!(
        "CREATE TABLE content_vectors ({COLUMNS});
         CREATE FOREIGN TABLE child () INHERITS (content_vectors) SERVER itself OPTIONS (table_name 'far')"
    ));
    kept_unless_forced(&db, &source);
}

#[test]
fn views() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&format!(
        "CREATE TABLE behind ({COLUMNS}); CREATE VIEW content_vectors AS SELECT * FROM behind"
    ));
    kept_unless_forced(&db, &source);
}

/// A content table that Citus, of which only the catalog is there, distributes.
fn on_citus() -> (Db, Store) {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&format!(
        "CREATE TABLE content_vectors ({COLUMNS});
         SET allow_system_table_mods = on;
         CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
         RESET allow_system_table_mods;
         INSERT INTO pg_catalog.pg_dist_partition VALUES ('content_vectors')"
    ));
    (db, source)
}

#[test]
fn tables_that_citus_has_in_its_catalog() {
    let (db, source) = on_citus();
    kept_unless_forced(&db, &source);
}

#[test]
fn rows_that_citus_distributes_are_not_overwritten_and_nothing_is_read_for_it() {
    let (db, source) = on_citus();
    let update = "entity_target => NULL, on_conflict => 'update'";
    let sql = format!("SELECT * FROM migrate_chroma({}, {update})", source.sql());
    db.refused(&sql, "0A000")
        .names("content_vectors")
        .hints("'skip'");
    assert_eq!(db.count("content_vectors"), 0);
}
