//! Paths that cannot be read are clear errors with their SQLSTATE, and nothing is written.

use std::fs;

use vector_migrate_tests::{Db, Store, store};

#[track_caller]
fn path_refused(db: &Db, path: &str, code: &str) {
    for function in [
        "check_model",
        "chroma_collections",
        "chroma_records",
        "chroma_store",
        "migrate_chroma",
    ] {
        db.refused(&format!("SELECT * FROM {function}({path})"), code);
    }
}

#[test]
fn a_null_path() {
    path_refused(&Db::new(), "NULL", "22004");
}

#[test]
fn a_relative_path() {
    let db = Db::new();
    for path in ["'chroma'", "'./chroma'", "''", "'../chroma'"] {
        path_refused(&db, path, "22023");
    }
}

#[test]
fn a_path_that_is_not_there() {
    let db = Db::new();
    path_refused(&db, "'/no/such/path'", "58P01");
    db.error("SELECT * FROM migrate_chroma('/no/such/path')")
        .names("/no");
}

#[test]
fn a_directory_without_chroma_sqlite3() {
    let (db, empty) = (Db::new(), Store::empty());
    path_refused(&db, &empty.sql(), "58P01");
    db.migrate_error(&empty, "").names("chroma.sqlite3");
    // The folder above a store is no store either.
    let inside = store("special/two-collections");
    db.refused(
        &format!(
            "SELECT * FROM chroma_store('{}')",
            inside.parent().display()
        ),
        "58P01",
    );
}

#[test]
fn a_file_that_is_not_sqlite() {
    let db = Db::new();
    for content in [
        &b"This is no database, but it is long enough to be one.".repeat(40)[..],
        b"short",
        b"",
    ] {
        let source = Store::empty();
        fs::write(source.path().join("chroma.sqlite3"), content).expect("writes");
        path_refused(&db, &source.sql(), "42809");
        path_refused(&db, &source.sql_of("chroma.sqlite3"), "42809");
    }
    let source = store("special/two-collections");
    fs::write(source.path().join("notes.txt"), "not a store").expect("writes");
    db.refused(
        &format!("SELECT * FROM chroma_store({})", source.sql_of("notes.txt")),
        "42809",
    );
}

#[test]
fn an_sqlite_database_of_somebody_else() {
    let (db, source) = (Db::new(), Store::empty());
    source.damage("CREATE TABLE t (a)");
    path_refused(&db, &source.sql(), "0A000");
}

#[test]
fn a_chroma_sqlite3_that_is_no_file() {
    let (db, source) = (Db::new(), Store::empty());
    fs::create_dir(source.path().join("chroma.sqlite3")).expect("creates");
    path_refused(&db, &source.sql(), "42809");
}

#[test]
fn a_directory_that_the_server_may_not_read_names_the_first_unreadable_component() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let sql = format!("SELECT * FROM migrate_chroma({})", source.sql());
    let parent = source.parent().to_str().expect("UTF-8").to_owned();
    let path = source.path().to_str().expect("UTF-8").to_owned();
    source.chmod("chroma/chroma.sqlite3", 0);
    db.refused(&sql, "42501")
        .names(&format!("\"{path}/chroma.sqlite3\""));
    source.chmod("chroma", 0);
    db.refused(&sql, "42501").names(&format!("\"{path}\""));
    source.chmod("", 0);
    db.refused(&sql, "42501").names(&format!("\"{parent}\""));
}

#[test]
fn an_index_file_that_the_server_may_not_read_is_named() {
    let (db, source) = (Db::new(), store("special/many"));
    let segment = fs::read_dir(source.path())
        .expect("lists")
        .map(|entry| entry.expect("reads"))
        .find(|entry| entry.path().is_dir())
        .expect("has an index");
    let folder = segment.file_name().into_string().expect("UTF-8");
    let sql = format!(
        "SELECT * FROM migrate_chroma({}, entity_target => NULL)",
        source.sql()
    );
    source.chmod(&format!("chroma/{folder}/data_level0.bin"), 0);
    db.refused(&sql, "42501").names("data_level0.bin");
    source.chmod(&format!("chroma/{folder}"), 0);
    db.refused(&sql, "42501").names(&folder);
    source.chmod(&format!("chroma/{folder}"), 0o777);
}
