//! What Chroma's graph does not have goes into the index all the same: records that are only queued, new vectors, other
//! collections; and what it has too much does not.

use vector_migrate_tests::indexes::{Came, Checked, PLAIN, agreement, index_of, migrate_into};
use vector_migrate_tests::{Db, store};

/// The last run's index is imported for these numbers of rows, and finds what a built one finds.
#[track_caller]
fn is_imported(db: &Db, came: Came, linked: i64, inserted: i64) {
    let told =
        format!("{linked} rows linked as in Chroma's graph, {inserted} inserted by pgvector");
    came.expect("imported", &told);
    let checked = Checked::sound(db, "imported", &index_of(db, "imported"));
    assert_eq!(checked.rows, linked + inserted);
    assert_eq!(
        checked.not_full, 0,
        "VACUUM will have to do with it: {checked:?}"
    );
    let found = agreement(db, "imported", "embedding", "<->");
    assert!(found > 0.95, "{found}");
}

/// How many rows came from the graph, and how many were inserted.
#[track_caller]
fn shares(came: &Came) -> (i64, i64) {
    let words: Vec<&str> = came.reason.split(' ').collect();
    let number = |word: Option<&&str>| word.and_then(|word| word.parse().ok()).expect("a number");
    (number(words.first()), number(words.iter().rev().nth(3)))
}

#[test]
fn queued_records_and_new_vectors_are_inserted_and_deleted_ones_left_out() {
    let (db, source) = (Db::new(), store("graphs/history"));
    // Of 800 records 40 are deleted, and 40 have another vector; 60 were added.
    let (came, report) = migrate_into(&db, &source, "history", "import", "imported");
    assert_eq!(report.total().migrated, 820);
    let (linked, inserted) = shares(&came);
    assert!(linked + inserted == 820 && inserted > 30, "{came:?}");
    is_imported(&db, came, linked, inserted);
}

#[test]
fn a_second_small_collection_is_inserted() {
    let (db, source) = (Db::new(), store("graphs/history"));
    let report = db.migrate(
        &source,
        &format!("{PLAIN}, index => 'import', target => 'imported'"),
    );
    assert_eq!(report.total().migrated, 860);
    let came = Came::of_last_run(&db);
    let (linked, inserted) = shares(&came);
    // The 40 of the other collection among them.
    assert!(linked + inserted == 860 && inserted > 70, "{came:?}");
    is_imported(&db, came, linked, inserted);
}

#[test]
fn records_that_are_gone_from_most_of_the_graph_make_a_build() {
    let (db, source) = (Db::new(), store("graphs/history"));
    source.damage(
        "PRAGMA foreign_keys = off;
         DELETE FROM embeddings WHERE embedding_id < 'history-0700' AND embedding_id LIKE 'history-%'",
    );
    let arguments = format!("{PLAIN}, collection => 'history', target => 'built'");
    assert_eq!(db.migrate(&source, &arguments).total().migrated, 155);
    Came::of_last_run(&db).expect("built", "elements of Chroma's graph are rows of the table");
    Checked::sound(&db, "built", &index_of(&db, "built"));
}

#[test]
fn a_largest_collection_that_is_not_large_makes_a_build() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.migrate(&source, PLAIN);
    Came::of_last_run(&db).expect("built", "has only 9 of 18 records");
}

#[test]
fn a_filter_takes_a_part_of_the_graph() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let filtered = |filter: &str, target: &str| {
        let arguments =
            format!("{PLAIN}, collection => 'euclidean', filter => {filter}, target => '{target}'");
        let migrated = db.migrate(&source, &arguments).total().migrated;
        Checked::sound(&db, target, &index_of(&db, target));
        (migrated, Came::of_last_run(&db))
    };
    let (migrated, came) = filtered("'{\"user_id\": \"3\"}'", "fifth");
    assert_eq!(migrated, 140);
    came.expect(
        "built",
        "only 140 of the 700 elements of Chroma's graph are rows of the table",
    );
}

#[test]
fn users_one_by_one_each_add_to_the_index() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    for user in 1..=5 {
        let arguments = format!("'{user}', {PLAIN}, collection => 'euclidean'");
        assert_eq!(db.migrate(&source, &arguments).total().migrated, 140);
        let came = Came::of_last_run(&db);
        assert_eq!(came.way, if user == 1 { "built" } else { "" }, "{came:?}");
    }
    Checked::sound(&db, "content_vectors", &index_of(&db, "content_vectors"));
}

#[test]
fn rows_that_the_table_refuses_are_not_in_the_index() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run(&vector_migrate_tests::tables::minimal(
        16,
        ", CHECK (id NOT LIKE '%7')",
    ));
    db.run("CREATE INDEX mine ON content_vectors USING hnsw (embedding vector_l2_ops)");
    let (came, report) = migrate_into(&db, &source, "euclidean", "import", "content_vectors");
    assert_eq!(report.outcome(), (700, 630, 0, 70));
    came.expect("imported", "630 rows linked as in Chroma's graph");
    Checked::sound(&db, "content_vectors", "mine").reachable();
    assert!(agreement(&db, "content_vectors", "embedding", "<->") > 0.95);
}
