//! Tables of vecs (Supabase): `preset => 'vecs'`.

use vector_migrate_tests::Db;
use vector_migrate_tests::apps::{Application, Table, packed_store};

const fn table(name: &'static str) -> Table {
    Table {
        name,
        key: "id",
        own: &[],
        records: true,
    }
}

const VECS: Application = Application {
    name: "vecs",
    store: "langchain",
    tables: &[
        table("vecs.\"Tea.List-v3\""),
        table("vecs.manual"),
        table("vecs.requests"),
    ],
    calls: &[
        "collection => 'manual', target => 'vecs.manual'",
        "collection => 'requests', target => 'vecs.requests'",
        "collection => 'Tea.List-v3', target => 'vecs.\"Tea.List-v3\"'",
    ],
    makes: &[
        ("preset => 'vecs', collection => 'manual'", &["vecs.manual"]),
        (
            "preset => 'vecs', collection => 'requests'",
            &["vecs.requests"],
        ),
        (
            "preset => 'vecs', collection => 'Tea.List-v3', target => 'vecs.\"Tea.List-v3\"'",
            &["vecs.\"Tea.List-v3\""],
        ),
    ],
    failed: &[],
    blank: None,
};

#[test]
fn the_tables_are_filled_as_the_client_fills_them() {
    VECS.assert_fills_the_tables_as_its_client_does();
}

#[test]
fn a_second_run_adds_nothing() {
    VECS.assert_a_second_run_adds_nothing();
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    VECS.assert_a_dry_run_counts_the_same_and_writes_nothing();
}

#[test]
fn a_rollback_leaves_the_tables_as_they_were() {
    VECS.assert_a_rollback_leaves_the_tables_as_they_were(
        "INSERT INTO vecs.manual VALUES ('own', '[1,2,3,4,5,6,7,8]', '{\"a\": 1.0}')",
    );
}

#[test]
fn missing_tables_are_made_as_the_client_makes_them_and_their_schema() {
    VECS.assert_the_preset_makes_missing_tables();
}

#[test]
fn the_text_goes_under_the_key_that_the_caller_names() {
    let (db, source) = (Db::new(), packed_store("langchain"));
    let key = r#"columns => '{"metadata": "metadata + content: document"}'"#;
    let report = db.migrate(
        &source,
        &format!("preset => 'vecs', collection => 'manual', {key}"),
    );
    assert_eq!(report.outcome(), (6, 6, 0, 0));
    assert_eq!(
        db.line("SELECT metadata->>'content', metadata ? 'text', metadata->>'step' FROM vecs.manual WHERE id = 'step-2'"),
        "Step 2|f|2"
    );
}
