//! Which collections a call is about, and the tables that placeholders in `target` and `entity_target` name for them.

use std::collections::BTreeSet;

use vector_migrate_tests::chat_files::{
    chat_files, filled, made, records, run_targets, type_of_vectors,
};
use vector_migrate_tests::{Db, quote, store};

const CONTENT: &str = "entity_target => NULL";

#[test]
fn the_dimension_takes_the_place_of_its_placeholder() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    db.migrate(
        &source,
        "entity_target => NULL, target => 'files_{dimension}'",
    );
    assert_eq!(made(&db), ["files_12", "files_8"]);
    assert_eq!(db.count("files_8"), records(&expected, 8));
    assert_eq!(db.count("files_12"), records(&expected, 12));
}

#[test]
fn each_collection_has_a_table_of_a_valid_name_of_its_own() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    let report = db.migrate(
        &source,
        "entity_target => NULL, target => 'content_of_{collection}'",
    );
    let all = records(&expected, 0);
    assert_eq!(report.outcome(), (all, all, 0, 0));
    assert!(db.told(&["the name of collection", "is changed for its table", "more"]));
    let tables = made(&db);
    let filled = expected.collections.iter().filter(|it| it.count > 0);
    assert_eq!(tables.len(), filled.count(), "{tables:?}");
    let mut collections = BTreeSet::new();
    for table in &tables {
        assert!(table.starts_with("content_of_") && table.len() <= 63);
        assert!(
            table
                .chars()
                .all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit()),
            "{table} needs no quotes"
        );
        let names = db.lines(&format!("SELECT DISTINCT chroma_collection FROM {table}"));
        assert_eq!(names.len(), 1, "{table}");
        assert_eq!(
            db.count(table),
            expected.collection(&names[0]).count,
            "{table}"
        );
        collections.extend(names);
    }
    assert_eq!(collections.len(), tables.len());
    assert_eq!(run_targets(&db).len(), tables.len());
    db.run("SELECT * FROM rollback_migration()");
    assert!(tables.iter().all(|table| db.count(table) == 0));
}

#[test]
fn collections_whose_tables_would_have_one_name_have_two() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    let long = "x".repeat(80);
    let names = [
        "some-file".to_owned(),
        "some_file".to_owned(),
        "some.file".to_owned(),
        format!("{long}1"),
        format!("{long}2"),
    ];
    for (old, new) in filled(&expected, 8).iter().zip(&names) {
        source.damage(&format!(
            "UPDATE collections SET name = {} WHERE name = {}",
            quote(new),
            quote(old)
        ));
    }
    let names: Vec<String> = names.iter().map(|it| quote(it)).collect();
    let arguments = format!(
        "entity_target => NULL, target => 't_{{collection}}', collections => ARRAY[{}]",
        names.join(", ")
    );
    let report = db.migrate(&source, &arguments);
    assert_eq!(report.total().migrated, report.total().found);
    let tables = made(&db);
    assert_eq!(tables.len(), 5, "{tables:?}");
    assert!(tables.contains(&"t_some_file".to_owned()), "{tables:?}");
    for table in &tables {
        let collections = format!("(SELECT DISTINCT chroma_collection FROM {table}) c");
        assert_eq!(db.count(&collections), 1, "{table}");
    }
    // Alone, each has the same table.
    let one = "collection => 'some.file', entity_target => NULL, target => 't_{collection}'";
    let again = db.migrate(&source, one).total();
    assert_eq!((again.migrated, again.skipped), (0, again.found));
    assert_eq!(made(&db), tables);
}

#[test]
fn tenant_and_database_take_the_place_of_their_placeholders() {
    let (db, source) = (Db::new(), store("chroma-1.5.9"));
    let report = db.migrate(
        &source,
        "entity_target => NULL, orphans => 'keep', target => 'of_{tenant}_{database}_{dimension}',
         collections => ARRAY['shared_name', 'acme/library/shared_name', 'default_tenant/archive/shared_name']",
    );
    assert_eq!(report.collection("acme/library/shared_name").migrated, 5);
    assert_eq!(report.outcome(), (12, 12, 0, 0));
    let tables = made(&db);
    assert_eq!(tables.len(), 3, "{tables:?}");
    for (begins, rows) in [
        ("of_acme_library_", 5),
        ("of_default_tenant_archive_", 4),
        ("of_default_tenant_default_database_", 3),
    ] {
        let table = tables.iter().find(|it| it.starts_with(begins));
        let table = table.unwrap_or_else(|| panic!("no {begins}: {tables:?}"));
        assert_eq!(db.count(table), rows, "{table}");
    }
}

#[test]
fn entities_go_into_the_tables_that_their_placeholders_name() {
    let source = store("special/mixed-dimensions");
    for (arguments, entities) in [
        (
            "target => 'c_{dimension}', entity_target => 'e_{dimension}'",
            ["e_16", "e_8"],
        ),
        (
            "target => 'c_{dimension}', entity_target => 'e'",
            ["e", "e"],
        ),
        ("target => 'c', entity_target => 'e'", ["e_16", "e_8"]),
    ] {
        let db = Db::new();
        let report = db.migrate(&source, &format!("{arguments}, embeddings => 'stored'"));
        assert_eq!(report.outcome(), (12, 12, 0, 0), "{arguments}");
        let mut wanted = vec!["c_16", "c_8"];
        wanted.extend(BTreeSet::from(entities));
        assert_eq!(made(&db), wanted, "{arguments}");
        for (entities, collection) in entities.iter().zip(["wide", "narrow"]) {
            let of = format!("{entities} WHERE chroma_collection = '{collection}'");
            assert_eq!(
                db.count(&of),
                report.collection(collection).entities,
                "{arguments}"
            );
        }
        db.run("SELECT * FROM rollback_migration()");
        assert!(made(&db).iter().all(|it| db.count(it) == 0), "{arguments}");
    }
    // Rows of one table would have their entities in two.
    let db = Db::new();
    db.run("SELECT init_content_tables(8, target => 'c', entity_target => NULL)");
    let call = format!(
        "SELECT * FROM migrate_chroma({}, target => 'c', entity_target => 'e_{{dimension}}')",
        source.sql()
    );
    db.refused(&call, "22023").names("entity_target");
}

#[test]
fn only_the_collections_of_a_list_are_migrated() {
    let (db, (source, expected)) = (Db::new(), chat_files());
    let (eight, twelve) = (&filled(&expected, 8)[1], &filled(&expected, 12)[2]);
    let list = |more: &str| {
        format!(
            "{CONTENT}, collections => ARRAY[{}, {}{more}]",
            quote(eight),
            quote(twelve)
        )
    };
    let report = db.migrate(&source, &list(""));
    let names: BTreeSet<&str> = report.lines.iter().map(|it| &*it.collection).collect();
    assert_eq!(names, BTreeSet::from([&**eight, &**twelve]));
    assert_eq!(made(&db), ["content_vectors_12", "content_vectors_8"]);
    let refused = |arguments: &str, code: &str| {
        let call = format!(
            "SELECT * FROM migrate_chroma({}, {arguments})",
            source.sql()
        );
        db.refused(&call, code)
    };
    refused(&list(", 'no such one'"), "42704").names("no such one");
    refused(&list(", NULL"), "22004").names("collections");
    let both = format!("{}, collection => {}", list(""), quote(eight));
    refused(&both, "22023").names("collections");
}

#[test]
fn only_the_collections_of_a_dimension_are_migrated() {
    for dimension in [8, 12] {
        let (db, (source, expected)) = (Db::new(), chat_files());
        let report = db.migrate(&source, &format!("{CONTENT}, dimension => {dimension}"));
        let count = records(&expected, dimension);
        assert_eq!(report.outcome(), (count, count, 0, 0));
        // One dimension: one table, of the name that was asked for.
        assert_eq!(made(&db), ["content_vectors"]);
        let wanted = format!("vector({dimension})");
        assert_eq!(type_of_vectors(&db, "content_vectors"), wanted);
    }
    let (db, (source, _)) = (Db::new(), chat_files());
    for dimension in [99, 0, -8] {
        let call = format!(
            "SELECT * FROM migrate_chroma({}, dimension => {dimension})",
            source.sql()
        );
        db.refused(&call, "22023").names("dimension");
    }
}

#[test]
fn a_placeholder_that_is_none_is_refused() {
    let (db, (source, _)) = (Db::new(), chat_files());
    for argument in ["target => 'a_{colection}'", "entity_target => 'a_{}'"] {
        let call = format!("SELECT * FROM migrate_chroma({}, {argument})", source.sql());
        db.refused(&call, "22023").hints("{collection}");
    }
}
