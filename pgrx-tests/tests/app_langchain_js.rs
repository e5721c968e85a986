//! Tables of LangChain JS, which n8n has, too: `preset => 'langchain_js'`.

use vector_migrate_tests::apps::{Application, Table};

const LANGCHAIN_JS: Application = Application {
    name: "langchain_js",
    store: "langchain_js",
    tables: &[
        Table {
            name: "js_collections",
            key: "name",
            own: &["uuid"],
            records: false,
        },
        Table {
            name: "n8n_vectors",
            key: "id",
            own: &[],
            records: true,
        },
        Table {
            name: "js_vectors",
            key: "id",
            own: &["collection_id"],
            records: true,
        },
    ],
    calls: &[
        "collection => 'notes', target => 'n8n_vectors'",
        "collection => 'shelf', target => 'js_vectors'",
    ],
    makes: &[(
        "preset => 'langchain_js', collection => 'notes'",
        &["n8n_vectors"],
    )],
    failed: &[],
    blank: None,
};

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    LANGCHAIN_JS.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    LANGCHAIN_JS.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    LANGCHAIN_JS.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    LANGCHAIN_JS.assert_a_rollback_leaves_the_tables_as_they_were(
        "INSERT INTO n8n_vectors (text, metadata) VALUES ('own', '{\"a\": 1.0}');
         INSERT INTO js_collections (name) VALUES ('other')",
    );
}

#[test]
fn a_missing_table_is_made_as_the_client_makes_it() {
    LANGCHAIN_JS.assert_the_preset_makes_missing_tables();
}
