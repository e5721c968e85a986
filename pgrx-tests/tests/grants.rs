//! What PUBLIC may call, and what README says about granting the rest.

use vector_migrate_tests::{Db, demo_store};

/// README, with its two roles given names of the test's own.
fn readme(migrator: &str, application: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(path).expect("README.md is there");
    text.replace("TO migrator", &format!("TO {migrator}"))
        .replace("TO application", &format!("TO {application}"))
}

/// The statements of README's code that grant something, without comments.
fn grants(readme: &str) -> Vec<String> {
    let code = readme.split("```").skip(1).step_by(2);
    let lines = code
        .filter_map(|block| block.strip_prefix("sql\n"))
        .flat_map(str::lines)
        .filter_map(|line| line.split("--").next());
    let sql: Vec<&str> = lines.collect();
    sql.join("\n")
        .split(';')
        .map(|statement| statement.trim().to_owned())
        .filter(|statement| statement.starts_with("GRANT"))
        .collect()
}

#[test]
fn public_may_call_only_what_needs_neither_files_nor_the_model() {
    let db = Db::new();
    let granted = db.lines(
        "SELECT DISTINCT p.proname FROM pg_proc p
           JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
           JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vector_migrate',
                aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
          WHERE a.grantee = 0 ORDER BY 1",
    );
    assert_eq!(
        granted,
        [
            // An error but within the extension's own statements.
            "bulk_rows",
            "check_vector_index",
            // What their caller could compute and read by hand.
            "chroma_distance",
            "chroma_document",
            "chroma_get",
            "chroma_presets",
            // By a vector.
            "chroma_query",
            "chroma_where",
            "init_content_tables",
            "rollback_migration",
            // What chroma_where is made of.
            "where_text"
        ]
    );
    let stranger = db.session_as(&db.role("stranger"));
    for call in [
        "embed_text('x')",
        "embed_text('{x}'::text[])",
        "model_info()",
        "search_content('x')",
        "search_entities('x')",
        "chroma_query('x')",
    ] {
        stranger.refused(&format!("SELECT * FROM {call}"), "42501");
    }
}

#[test]
fn the_grants_that_readme_names_are_enough_and_name_single_functions() {
    let (db, source) = (Db::new(), demo_store());
    let (migrator, application) = (db.role("migrator"), db.role("application"));
    let grants = grants(&readme(&migrator, &application));
    assert!(grants.len() >= 3, "{grants:?}");
    for grant in &grants {
        assert!(!grant.contains(" ALL FUNCTIONS "), "{grant}");
        db.run(grant);
    }
    db.run(&format!(
        "GRANT CREATE ON SCHEMA public TO {migrator}; CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1';
         REVOKE ALL ON FUNCTION other() FROM PUBLIC"
    ));
    let session = db.session_as(&migrator);
    for call in [
        "chroma_collections",
        "chroma_store",
        "chroma_records",
        "check_model",
    ] {
        session.run(&format!("SELECT * FROM {call}({})", source.sql()));
    }
    assert!(session.migrate(&source, "").total().migrated > 0);
    session.error("SELECT other()").expect("42501");
    session.run(&format!(
        "GRANT SELECT ON content_vectors, entity_vectors TO {application}"
    ));
    let session = db.session_as(&application);
    session.run(
        "SELECT * FROM search_content('x'); SELECT * FROM search_entities('x'); SELECT embed_text('x'); SELECT * FROM chroma_query('x')",
    );
    for call in [&format!("chroma_store({})", source.sql()), "model_info()"] {
        session
            .error(&format!("SELECT * FROM {call}"))
            .expect("42501");
    }
}
