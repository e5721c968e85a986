//! Two stores with the same collection name and the same ids: a row knows which of them it came from.

use vector_migrate_tests::{Db, Session, Store, store, tables};

const CONTENT: &str = "entity_target => NULL";

fn stores() -> (Store, Store) {
    (store("special/north"), store("special/south"))
}

fn with(more: &str) -> String {
    format!("{CONTENT}, {more}")
}

fn contents(db: &Session) -> Vec<String> {
    db.lines("SELECT t::text FROM content_vectors t ORDER BY 1")
}

/// Rows whose text is of this office.
fn rows_of(db: &Session, place: &str) -> i64 {
    db.count(&format!(
        "content_vectors WHERE searchable_text LIKE 'Page % of the {place}ern office.'"
    ))
}

/// The newest run's errors: `reason|records`, and how many of their messages have `part`.
fn errors(db: &Session, part: &str) -> Vec<String> {
    db.lines(&format!(
        "SELECT reason, count(*), count(*) FILTER (WHERE message LIKE '%{part}%')
           FROM vector_migrate.run_errors
          WHERE run_id = (SELECT max(run_id) FROM vector_migrate.runs) GROUP BY 1 ORDER BY 1"
    ))
}

#[test]
fn records_of_another_store_are_collisions_and_never_called_there_already() {
    let (db, (north, south)) = (Db::new(), stores());
    assert_eq!(db.migrate(&north, CONTENT).outcome(), (10, 10, 0, 0));
    let before = contents(&db);
    let report = db.migrate(&south, CONTENT);
    assert_eq!(report.outcome(), (10, 0, 0, 10));
    assert_eq!(errors(&db, "another store"), ["id_collision|10|10"]);
    assert_eq!(errors(&db, "source_name"), ["id_collision|10|10"]);
    assert_eq!(contents(&db), before);
    // The first store is where it was.
    assert_eq!(db.migrate(&north, CONTENT).outcome(), (10, 0, 10, 0));
    assert_eq!(errors(&db, "another store"), ["already_exists|10|0"]);
}

#[test]
fn the_other_stores_path_is_told_to_whoever_may_see_its_run() {
    let (db, (north, south)) = (Db::new(), stores());
    db.migrate(&north, CONTENT);
    db.migrate(&south, CONTENT);
    let path = north.path().to_str().expect("UTF-8");
    assert_eq!(errors(&db, path), ["id_collision|10|10"]);
}

#[test]
fn update_leaves_the_other_stores_rows_alone() {
    let (db, (north, south)) = (Db::new(), stores());
    db.migrate(&north, CONTENT);
    let before = contents(&db);
    let report = db.migrate(&south, &with("on_conflict => 'update'"));
    assert_eq!(report.outcome(), (10, 0, 0, 10));
    assert_eq!(errors(&db, "another store"), ["id_collision|10|10"]);
    assert_eq!(contents(&db), before);
    // Its own rows it does update.
    let report = db.migrate(&north, &with("on_conflict => 'update'"));
    assert_eq!(report.outcome(), (10, 10, 0, 0));
}

#[test]
fn overwrite_takes_them_and_a_rollback_puts_them_back() {
    let (db, (north, south)) = (Db::new(), stores());
    db.migrate(&north, CONTENT);
    let before = contents(&db);
    let report = db.migrate(&south, &with("on_conflict => 'overwrite'"));
    assert_eq!(report.outcome(), (10, 10, 0, 0));
    assert_eq!((rows_of(&db, "north"), rows_of(&db, "south")), (0, 10));
    // Now they are the second store's.
    let report = db.migrate(&north, &with("on_conflict => 'update'"));
    assert_eq!(report.total().failed, 10);
    db.run("SELECT * FROM rollback_migration()");
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(contents(&db), before);
    let report = db.migrate(&north, CONTENT);
    assert_eq!(report.outcome(), (10, 0, 10, 0), "theirs again");
}

#[test]
fn a_conflict_that_is_an_error_names_the_other_store() {
    let (db, (north, south)) = (Db::new(), stores());
    db.migrate(&north, CONTENT);
    let before = contents(&db);
    let arguments = with("on_conflict => 'error'");
    db.migrate_error(&south, &arguments)
        .expect("23505")
        .names("another store");
    assert_eq!(contents(&db), before);
}

#[test]
fn a_name_for_the_source_puts_its_records_beside_the_others() {
    let (db, (north, south)) = (Db::new(), stores());
    db.migrate(&north, CONTENT);
    let named = with("source_name => 'south'");
    let report = db.migrate(&south, &named);
    assert_eq!(report.outcome(), (10, 10, 0, 0));
    assert_eq!(
        db.lines("SELECT chroma_collection, count(*) FROM content_vectors GROUP BY 1 ORDER BY 1"),
        ["langchain|10", "south:langchain|10"]
    );
    assert_eq!((rows_of(&db, "north"), rows_of(&db, "south")), (10, 10));
    assert_eq!(db.migrate(&south, &named).outcome(), (10, 0, 10, 0));
    let update = format!("{named}, on_conflict => 'update'");
    assert_eq!(db.migrate(&south, &update).outcome(), (10, 10, 0, 0));
    // Two sources of one name collide as two stores without.
    assert_eq!(db.migrate(&north, &named).outcome(), (10, 0, 0, 10));
    db.run("SELECT * FROM rollback_migration()");
    db.run("SELECT * FROM rollback_migration()");
    db.run("SELECT * FROM rollback_migration()");
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!((rows_of(&db, "north"), rows_of(&db, "south")), (10, 0));
}

#[test]
fn a_name_for_the_source_that_could_be_mistaken_is_refused() {
    let (db, (north, _)) = (Db::new(), stores());
    for name in ["", " ", "a:b", "a/b"] {
        let call = format!(
            "SELECT * FROM migrate_chroma({}, source_name => '{name}')",
            north.sql()
        );
        db.refused(&call, "22023").names("source_name");
    }
}

#[test]
fn a_table_of_its_own_takes_the_second_store_too() {
    let (db, (north, south)) = (Db::new(), stores());
    db.migrate(&north, CONTENT);
    let report = db.migrate(&south, &with("target => 'of_south'"));
    assert_eq!(report.outcome(), (10, 10, 0, 0));
    assert_eq!(db.count("of_south"), 10);
}

#[test]
fn the_same_store_under_another_path_is_the_same_store() {
    let db = Db::new();
    let (first, moved) = (store("special/north"), store("special/north"));
    assert_ne!(first.path(), moved.path());
    db.migrate(&first, CONTENT);
    assert_eq!(db.migrate(&moved, CONTENT).outcome(), (10, 0, 10, 0));
    assert_eq!(errors(&db, "another store"), ["already_exists|10|0"]);
    let update = with("on_conflict => 'update'");
    assert_eq!(db.migrate(&moved, &update).outcome(), (10, 10, 0, 0));
    assert_eq!(db.migrate(&first, &update).outcome(), (10, 10, 0, 0));
}

#[test]
fn rows_that_no_run_wrote_are_there_already() {
    let (db, (_, south)) = (Db::new(), stores());
    db.run(&tables::minimal(8, ""));
    db.run("INSERT INTO content_vectors VALUES ('chunk-3', 7, 'own', '{}', 'own', NULL)");
    assert_eq!(db.migrate(&south, CONTENT).outcome(), (10, 9, 1, 0));
    assert_eq!(errors(&db, "another store"), ["already_exists|1|0"]);
}

#[test]
fn after_a_rollback_of_the_first_store_the_second_goes_in() {
    let (db, (north, south)) = (Db::new(), stores());
    db.migrate(&north, CONTENT);
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.migrate(&south, CONTENT).outcome(), (10, 10, 0, 0));
    assert_eq!((rows_of(&db, "north"), rows_of(&db, "south")), (0, 10));
    assert_eq!(db.migrate(&north, CONTENT).outcome(), (10, 0, 0, 10));
}

#[test]
fn a_row_that_was_deleted_and_comes_from_the_second_store_is_the_second_stores() {
    let (db, (north, south)) = (Db::new(), stores());
    db.migrate(&north, CONTENT);
    db.run("DELETE FROM content_vectors WHERE id IN ('chunk-1', 'chunk-2')");
    assert_eq!(db.migrate(&south, CONTENT).outcome(), (10, 2, 0, 8));
    assert_eq!((rows_of(&db, "north"), rows_of(&db, "south")), (8, 2));
    let report = db.migrate(&north, CONTENT);
    assert_eq!(report.outcome(), (10, 0, 8, 2));
    assert_eq!(
        errors(&db, "another store"),
        ["already_exists|8|0", "id_collision|2|2"]
    );
}

#[test]
fn in_a_table_without_collections_in_its_key_stores_are_told_apart_too() {
    let (db, (north, south)) = (Db::new(), stores());
    db.run(&tables::minimal(8, ""));
    db.migrate(&north, CONTENT);
    let before = contents(&db);
    for more in ["on_conflict => 'skip'", "on_conflict => 'update'"] {
        assert_eq!(db.migrate(&south, &with(more)).outcome(), (10, 0, 0, 10));
        assert_eq!(errors(&db, "another store"), ["id_collision|10|10"]);
    }
    assert_eq!(contents(&db), before);
    let report = db.migrate(&south, &with("on_conflict => 'overwrite'"));
    assert_eq!(report.outcome(), (10, 10, 0, 0));
}

#[test]
fn equal_ids_of_three_collections_collide_where_the_key_is_the_id_alone_and_it_is_said_what_to_do()
{
    let (db, source) = (Db::new(), store("special/same-ids"));
    let report = db.migrate(&source, &with("target => 'made'"));
    assert_eq!(report.outcome(), (30, 30, 0, 0));
    db.run(&tables::minimal(8, ""));
    let report = db.migrate(&source, CONTENT);
    assert_eq!(report.outcome(), (30, 10, 0, 20));
    assert_eq!(errors(&db, "chroma_collection"), ["id_collision|20|20"]);
    assert_eq!(errors(&db, "another store"), ["id_collision|20|0"]);
    // The second time, too: what is there is one collection's.
    assert_eq!(db.migrate(&source, CONTENT).outcome(), (30, 0, 10, 20));
    assert_eq!(
        errors(&db, "another store"),
        ["already_exists|10|0", "id_collision|20|0"]
    );
    let report = db.migrate(&source, &with("on_conflict => 'update'"));
    assert_eq!(report.outcome(), (30, 10, 0, 20));
}

#[test]
fn a_dry_run_says_the_same() {
    for more in [
        "on_conflict => 'skip'",
        "on_conflict => 'update'",
        "on_conflict => 'overwrite'",
        "source_name => 'south'",
    ] {
        let (db, (north, south)) = (Db::new(), stores());
        db.migrate(&north, CONTENT);
        let rows = |dry: bool| db.answer(&south, &format!("dry_run => {dry}, {CONTENT}, {more}"));
        let before = contents(&db);
        let dry = rows(true);
        assert_eq!(contents(&db), before, "{more}");
        assert_eq!(dry, rows(false), "{more}");
    }
}

#[test]
fn two_stores_that_are_migrated_at_once_do_not_overwrite_each_other() {
    let (db, (north, south)) = (Db::new(), stores());
    db.run("SELECT init_content_tables(8, entity_target => NULL)");
    db.run("BEGIN");
    db.migrate(&north, CONTENT);
    let other = db.session();
    other.run("SET lock_timeout = '1s'");
    let call = format!("SELECT * FROM migrate_chroma({}, {CONTENT})", south.sql());
    other.error(&call).expect("55P03");
    db.run("COMMIT");
    assert_eq!(other.migrate(&south, CONTENT).outcome(), (10, 0, 0, 10));
    assert_eq!((rows_of(&db, "north"), rows_of(&db, "south")), (10, 0));
}
