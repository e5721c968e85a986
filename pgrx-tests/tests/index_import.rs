//! The vector index from Chroma's graph: what is imported, what is built, and that each holds every row.

use vector_migrate_tests::graph::{Field, GraphFiles};
use vector_migrate_tests::indexes::{
    Came, Checked, PLAIN, agreement, definition, index_of, migrate_into,
};
use vector_migrate_tests::{Db, Store, store, tables};

/// Migrates a collection of a store into a table; how its index came.
#[track_caller]
fn into(db: &Db, store: &Store, collection: &str, way: &str, target: &str) -> Came {
    migrate_into(db, store, collection, way, target).0
}

/// Imports a collection of `graphs/spaces`; `on` is what the index is on with its operator class, `with` its options, as
/// pg_get_indexdef writes them.
#[track_caller]
fn is_imported(collection: &str, operator: &str, expression: &str, on: &str, with: &str) {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let came = into(&db, &source, collection, "import", "imported")
        .expect("imported", "linked as in Chroma's graph");
    let recall = came.recall.expect("a measured recall");
    into(&db, &source, collection, "build", "built").expect("built", "index => 'build'");
    let index = index_of(&db, "imported");
    let checked = Checked::sound(&db, "imported", &index);
    assert_eq!(
        checked.recall,
        Some(recall),
        "the run measures as the check does"
    );
    assert_eq!(
        definition(&db, &index),
        format!("CREATE INDEX {index} ON public.imported USING hnsw ({on}){with}")
    );
    Checked::sound(&db, "built", &index_of(&db, "built"));
    let found = agreement(&db, "imported", expression, operator);
    let wanted = agreement(&db, "built", expression, operator);
    assert!(
        found >= wanted - 0.02,
        "{collection}: {found}, built {wanted}"
    );
    assert!(recall > 0.9, "{collection}: {recall}");
}

#[test]
fn a_graph_for_cosine_distances_is_imported() {
    is_imported(
        "cosine",
        "<=>",
        "embedding",
        "embedding vector_cosine_ops",
        "",
    );
}

#[test]
fn a_graph_for_euclidean_distances_is_imported() {
    is_imported(
        "euclidean",
        "<->",
        "embedding",
        "embedding vector_l2_ops",
        "",
    );
}

#[test]
fn a_graph_for_inner_products_is_imported_with_its_m() {
    is_imported(
        "product",
        "<#>",
        "embedding",
        "embedding vector_ip_ops",
        " WITH (m='8')",
    );
}

#[test]
fn a_graph_of_2048_dimensions_is_imported_as_halfvec() {
    let cast = "(embedding::halfvec(2048))";
    let on = "((embedding)::halfvec(2048)) halfvec_cosine_ops";
    is_imported("wide", "<=>", cast, on, "");
}

#[test]
fn a_graph_of_every_release_is_imported() {
    // 1.0.0 has one used element of 10,000.
    for release in [
        "0.4.0", "0.4.24", "0.5.0", "0.5.5", "0.5.23", "0.6.3", "1.0.21", "1.1.1", "1.3.7", "1.5.9",
    ] {
        for collection in ["l2_history", "cosine_history"] {
            let (db, source) = (Db::new(), store(&format!("chroma-{release}")));
            let came = into(&db, &source, collection, "auto", "imported");
            println!("{release} {collection}: {came:?}");
            let checked = Checked::sound(&db, "imported", &index_of(&db, "imported"));
            assert!(checked.rows > 0, "{release}");
        }
    }
    let (db, source) = (Db::new(), store("graphs/old-0.4.24"));
    into(&db, &source, "old", "import", "imported")
        .expect("imported", "400 rows linked as in Chroma's graph");
    let index = index_of(&db, "imported");
    Checked::sound(&db, "imported", &index).reachable();
    assert!(agreement(&db, "imported", "embedding", "<=>") > 0.97);
}

#[test]
fn auto_imports_and_says_how_good_it_is() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.notices();
    into(&db, &source, "euclidean", "auto", "imported").expect("imported", "700 rows");
    let notices = db.notices();
    let told = notices.iter().any(|it| {
        it.text
            .starts_with("vector index of public.imported imported in ")
    });
    assert!(told, "{notices:?}");
}

#[test]
fn build_builds_and_none_makes_none() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    into(&db, &source, "euclidean", "build", "built").expect("built", "index => 'build'");
    assert_eq!(into(&db, &source, "euclidean", "none", "bare").way, "");
    let indexes =
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'bare' AND indexdef LIKE '%hnsw%'";
    assert_eq!(db.line(indexes), "0");
    assert_eq!(db.count("bare"), 700);
}

#[test]
fn other_words_and_null_are_refused() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    for (value, code) in [
        ("'perhaps'", "22023"),
        ("'IMPORT'", "22023"),
        ("''", "22023"),
        ("NULL", "22004"),
    ] {
        let call = format!(
            "SELECT * FROM migrate_chroma({}, index => {value})",
            source.sql()
        );
        db.refused(&call, code).names("index");
    }
}

/// An import of `collection` into `target` is refused for `reason`, and nothing is left.
#[track_caller]
fn is_refused(db: &Db, source: &Store, arguments: &str, reason: &str) {
    let call = format!(
        "SELECT * FROM migrate_chroma({}, {PLAIN}, index => 'import', {arguments})",
        source.sql()
    );
    db.refused(&call, "55000").names(reason);
}

#[test]
fn an_import_without_a_graph_is_refused_and_auto_builds() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    let reason = "the collection has no graph: Chroma has not written index files for it yet";
    is_refused(&db, &source, "collection => 'library_a'", reason);
    into(&db, &source, "library_a", "auto", "built").expect("built", reason);
    Checked::sound(&db, "built", &index_of(&db, "built"));
}

#[test]
fn an_import_into_a_filled_table_with_an_index_is_refused() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    into(&db, &source, "euclidean", "auto", "content_vectors");
    db.run("DELETE FROM content_vectors WHERE id LIKE '%7'");
    is_refused(
        &db,
        &source,
        "collection => 'euclidean'",
        "has a vector index, and rows",
    );
    // The rows that were missing go into the index as they come.
    assert_eq!(
        into(&db, &source, "euclidean", "auto", "content_vectors").way,
        ""
    );
    db.run("VACUUM content_vectors");
    Checked::sound(&db, "content_vectors", &index_of(&db, "content_vectors"));
}

#[test]
fn an_import_of_an_m_that_pgvector_has_not_is_refused() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let files = GraphFiles::of(&source, "euclidean");
    files.header(Field::M, 101);
    is_refused(&db, &source, "collection => 'euclidean'", "M");
    into(&db, &source, "euclidean", "auto", "built").expect("built", "M");
    Checked::sound(&db, "built", &index_of(&db, "built"));
}

#[test]
fn an_import_into_an_index_for_another_distance_is_refused() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    db.run(&tables::minimal(16, ""));
    db.run("CREATE INDEX mine ON content_vectors USING hnsw (embedding vector_cosine_ops)");
    is_refused(
        &db,
        &source,
        "collection => 'euclidean'",
        "for the space l2, the index for cosine",
    );
    into(&db, &source, "euclidean", "auto", "content_vectors")
        .expect("built", "for the space l2, the index for cosine");
    Checked::sound(&db, "content_vectors", "mine");
}

#[test]
fn an_import_of_vectors_that_are_made_anew_is_refused() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    let call = format!(
        "SELECT * FROM migrate_chroma({}, embeddings => 'generate', index => 'import', collection => 'euclidean')",
        source.sql()
    );
    db.refused(&call, "55000").names("makes other vectors");
}

#[test]
fn a_graph_of_little_effort_is_imported_only_where_that_is_asked_for() {
    let (db, source) = (Db::new(), store("graphs/spaces"));
    GraphFiles::of(&source, "euclidean").header(Field::Effort, 20);
    into(&db, &source, "euclidean", "auto", "built").expect("built", "ef_construction 20");
    into(&db, &source, "euclidean", "import", "imported").expect("imported", "700 rows");
}
