//! Search in tables whose rows are on another server: postgres_fdw, which here leads back to the same one.

use vector_migrate_tests::{Db, Session};

/// With postgres_fdw: a table `local` of 2,000 rows with an HNSW index, and `other`, the same table as seen through postgres_fdw.
fn filled(db: &Db) {
    db.run(
        "CREATE TABLE local (id text, title text, embedding vector(384));
         INSERT INTO local SELECT n::text, 'row', l2_normalize((SELECT array_agg(x + (random() - 0.5) * 0.1)::real[]::vector
                                                                  FROM unnest(q.v::real[]) x, generate_series(n, n)))
           FROM (SELECT embed_text('sea') AS v) q, generate_series(1, 2000) n;
         CREATE INDEX ON local USING hnsw (embedding vector_cosine_ops); ANALYZE local;
         DO $$ BEGIN EXECUTE format('CREATE SERVER back FOREIGN DATA WRAPPER postgres_fdw OPTIONS
             (host %L, port %L, dbname %L, extensions ''vector'', options ''-c enable_seqscan=off'')',
             split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
         END $$;
         CREATE USER MAPPING FOR CURRENT_USER SERVER back;
         CREATE FOREIGN TABLE other (id text, title text, embedding vector(384)) SERVER back
             OPTIONS (schema_name 'public', table_name 'local')",
    );
}

/// How many rows a search for 100 finds, and what it says about another server.
fn found(session: &Session, target: &str) -> (i64, Vec<String>) {
    session.notices();
    let rows = session.count(&format!(
        "search_content('sea', match_count => 100, target => '{target}')"
    ));
    let told = session.notices().into_iter().map(|notice| notice.text);
    (
        rows,
        told.filter(|text| text.contains("another server"))
            .collect(),
    )
}

/// pgvector has iterative scans since 0.8.
fn iterative(db: &Db) -> bool {
    db.one("SELECT string_to_array(extversion, '.')::int[] >= '{0,8}' FROM pg_extension WHERE extname = 'vector'")
}

#[test]
fn few_rows_of_another_server_are_explained() {
    let db = Db::new();
    if !db.has_module("postgres_fdw") {
        return;
    }
    filled(&db);
    assert_eq!(found(&db, "local"), (100, vec![]));
    db.run(
        "CREATE VIEW seen AS SELECT * FROM other;
         CREATE TABLE whole (id text, title text, embedding vector(384)) PARTITION BY LIST (title);
         CREATE FOREIGN TABLE part PARTITION OF whole FOR VALUES IN ('row') SERVER back
             OPTIONS (schema_name 'public', table_name 'local');
         CREATE TABLE here PARTITION OF whole DEFAULT",
    );
    for target in ["other", "seen", "whole"] {
        let (rows, told) = found(&db, target);
        assert_eq!((rows, told.len()), (40, 1), "{target}: {told:?}");
        for part in [
            "(back)",
            "40 rows found where 100",
            "hnsw.iterative_scan=strict_order",
        ] {
            assert!(told[0].contains(part), "{target}: {told:?}");
        }
    }
    if iterative(&db) {
        // As the notice says.
        db.run(
            "ALTER SERVER back OPTIONS (SET options '-c enable_seqscan=off -c hnsw.iterative_scan=strict_order')",
        );
        let session = db.session();
        for target in ["other", "seen", "whole"] {
            assert_eq!(found(&session, target), (100, vec![]), "{target}");
        }
        // About all there are (the index is not exact): nothing to set.
        db.run("DELETE FROM local WHERE id::int > 50");
        let (rows, told) = found(&session, "other");
        assert!(
            (40..=50).contains(&rows) && told.is_empty(),
            "{rows}: {told:?}"
        );
    }
}

#[test]
fn few_rows_of_a_table_that_citus_distributes_are_explained() {
    let db = Db::new();
    // What Citus has in its catalog of such a table.
    db.run(
        "CREATE TABLE t (id text, embedding vector(384)); INSERT INTO t SELECT 'a', embed_text('sea');
         SET allow_system_table_mods = on;
         CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass)",
    );
    assert_eq!(found(&db, "t"), (1, vec![]));
    db.run("INSERT INTO pg_dist_partition VALUES ('t'); CREATE INDEX ON t USING hnsw (embedding vector_cosine_ops)");
    let (rows, told) = found(&db, "t");
    assert_eq!((rows, told.len()), (1, 1));
    assert!(told[0].contains("(Citus)"), "{told:?}");
}
