//! Rolling back a run that filled several tables, of which not all are there any more or not all may be written.

use vector_migrate_tests::{Db, store};

/// A run into two content tables without entities.
fn filled() -> Db {
    let (db, source) = (Db::new(), store("special/mixed-dimensions"));
    let report = db.migrate(&source, "entity_target => NULL");
    assert_eq!(report.outcome(), (12, 12, 0, 0));
    assert_eq!(
        db.lines("SELECT content_target FROM vector_migrate.run_targets ORDER BY target_no"),
        ["content_vectors_8", "content_vectors_16"]
    );
    db
}

#[test]
fn a_table_that_was_dropped_does_not_keep_the_others_from_being_undone() {
    let db = filled();
    db.run("DROP TABLE content_vectors_8");
    assert_eq!(
        db.lines("SELECT target, removed, kept FROM rollback_migration()"),
        ["content_vectors_16|6|0"]
    );
    assert!(db.told(&["1 of the tables", "do not exist any more"]));
    assert_eq!(db.count("content_vectors_16"), 0);
    db.error("SELECT * FROM rollback_migration(1)")
        .expect("55000");
}

#[test]
fn a_run_whose_tables_are_all_gone_cannot_be_undone() {
    let db = filled();
    db.run("DROP TABLE content_vectors_8, content_vectors_16");
    db.error("SELECT * FROM rollback_migration()")
        .expect("42P01");
}

#[test]
fn what_a_table_keeps_is_undone_later_and_the_others_are_not_asked_for() {
    let db = filled();
    db.run("UPDATE content_vectors_16 SET title = 'mine'");
    assert_eq!(
        db.lines("SELECT target, removed, kept FROM rollback_migration()"),
        ["content_vectors_8|6|0", "content_vectors_16|0|6"]
    );
    assert_eq!(
        db.lines("SELECT target, removed, kept FROM rollback_migration(1, force => true)"),
        ["content_vectors_8|0|0", "content_vectors_16|6|0"]
    );
}

#[test]
fn a_role_that_may_not_delete_from_one_table_undoes_nothing() {
    let db = filled();
    let role = db.role("clerk");
    db.run(&format!(
        "UPDATE vector_migrate.runs SET role = '{role}';
         GRANT SELECT, DELETE ON content_vectors_8 TO {role}; GRANT SELECT ON content_vectors_16 TO {role}"
    ));
    let clerk = db.session_as(&role);
    clerk
        .error("SELECT * FROM rollback_migration()")
        .expect("42501");
    assert_eq!(db.count("content_vectors_8"), 6);
    db.run(&format!("GRANT DELETE ON content_vectors_16 TO {role}"));
    clerk.run("SELECT * FROM rollback_migration()");
    assert_eq!(db.count("content_vectors_8"), 0);
}

#[test]
fn a_run_into_one_of_the_tables_is_waited_for() {
    let db = filled();
    let (other, source) = (db.session(), store("special/mixed-dimensions"));
    other.run("BEGIN");
    other.migrate(&source, "dimension => 16, entity_target => NULL");
    db.run("SET lock_timeout = '50ms'");
    db.error("SELECT * FROM rollback_migration(1)")
        .expect("55P03");
    assert_eq!(db.count("content_vectors_8"), 6);
    other.run("ROLLBACK");
    db.run("SELECT * FROM rollback_migration(1)");
    assert_eq!(db.count("content_vectors_8"), 0);
}

#[test]
fn a_second_run_into_one_of_the_tables_is_refused_while_the_first_goes_on() {
    let db = filled();
    let (other, source) = (db.session(), store("special/mixed-dimensions"));
    other.run("BEGIN");
    other.migrate(&source, "entity_target => NULL");
    db.migrate_error(&source, "dimension => 16, entity_target => NULL")
        .expect("55P03");
    db.migrate(
        &source,
        "target => 'apart_{dimension}', entity_target => NULL",
    );
    other.run("COMMIT");
    db.migrate(&source, "dimension => 16, entity_target => NULL");
}
