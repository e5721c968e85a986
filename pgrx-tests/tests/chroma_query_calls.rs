//! `chroma_query`, `chroma_get` and `chroma_distance`: arguments, errors, privileges, plans.

use vector_migrate_tests::queries::Queries;
use vector_migrate_tests::{Db, Session};

/// A table in a shape that nobody described: 2,000 rows around a circle, each tenth without a document.
fn circle() -> Db {
    let db = Db::new();
    db.run(
        "CREATE TABLE circle (id text PRIMARY KEY, content text, metadata jsonb, source text, embedding vector(2) NOT NULL);
         INSERT INTO circle SELECT 'r' || n, CASE WHEN n % 10 > 0 THEN 'row ' || n END, jsonb_build_object('n', n), 'made',
                ARRAY[cos(n * pi() / 1000), sin(n * pi() / 1000)]::vector
           FROM generate_series(0, 1999) n",
    );
    db
}

#[test]
fn distances_are_those_that_chroma_computes() {
    let db = Db::new();
    for (a, b, space, wanted) in [
        ("[3,4,0]", "[0,2,1]", "l2", 14.0),
        ("[3,4,0]", "[0,2,1]", "ip", -7.0),
        ("[3,4,0]", "[0,2,1]", "cosine", 0.284_458_22),
        ("[3,4,0]", "[0,0,0]", "cosine", 1.0),
        ("[0,0,0]", "[0,0,0]", "cosine", 1.0),
        ("[1e30,1]", "[-1e30,1]", "l2", f64::INFINITY),
    ] {
        let found: f64 = db.one(&format!("SELECT chroma_distance('{a}', '{b}', '{space}')"));
        assert!(
            found == wanted || (found - wanted).abs() < 1e-6,
            "{a} {b} {space}: {found}"
        );
    }
    assert_eq!(
        db.line("SELECT chroma_distance('[1]', '[1]', NULL), provolatile, proparallel FROM pg_proc WHERE proname = 'chroma_distance'"),
        "∅|i|s"
    );
    db.refused("SELECT chroma_distance('[1]', '[1]', 'l1')", "22023")
        .names("l1")
        .hints("l2, cosine and ip");
    db.refused("SELECT chroma_distance('[1]', '[1,2]', 'l2')", "22000")
        .names("1 and 2");
    // Stored compressed, or with a short header.
    db.run(
        "CREATE TABLE v (a vector); ALTER TABLE v ALTER a SET STORAGE MAIN;
         INSERT INTO v SELECT array_fill(1::real, ARRAY[n])::vector FROM unnest('{3,16000}'::int[]) n",
    );
    assert_eq!(
        db.lines("SELECT chroma_distance(a, a, 'ip') FROM v ORDER BY 1 DESC"),
        ["-2", "-15999"]
    );
}

#[test]
fn a_table_that_nobody_described_is_read_by_the_names_of_its_columns() {
    let db = circle();
    assert_eq!(
        db.line("SELECT * FROM chroma_query('[1,0]'::vector, 1, target => 'circle')"),
        r#"r0|∅|{"n": 0}|∅|0"#
    );
    assert_eq!(
        db.line("SELECT * FROM chroma_get('{r5,r5,x,NULL}', target => 'circle')"),
        r#"r5|row 5|{"n": 5}|∅|{0.9998766,0.015707318}"#
    );
    // Without a column for the metadata: the other columns.
    db.run("ALTER TABLE circle DROP metadata, ADD uri text DEFAULT 'u', ADD v real DEFAULT 1.5");
    assert_eq!(
        db.line("SELECT id, document, metadata, uri FROM chroma_get('{r5}', target => 'circle')"),
        r#"r5|row 5|{"v": 1.5, "source": "made"}|u"#
    );
    let found =
        "SELECT count(*) FROM chroma_get(filter => '{\"source\": \"made\"}', target => 'circle')";
    assert_eq!(db.line(found), "2000");
    db.run("CREATE VIEW seen AS SELECT * FROM circle");
    assert_eq!(
        db.line("SELECT id FROM chroma_query('[0,1]'::vector, 1, target => 'seen', space => 'l2')"),
        "r500"
    );
}

#[test]
fn nothing_is_lost_to_filters_and_the_index_is_used() {
    let db = circle();
    db.run(
        "CREATE INDEX near ON circle USING hnsw (embedding vector_l2_ops);
         CREATE INDEX keys ON circle USING gin (metadata jsonb_path_ops); ANALYZE circle",
    );
    // The farthest rows of all.
    let far = r#"SELECT id, round(distance::numeric, 4) FROM chroma_query('[1,0]'::vector, 3, '{"n": {"$in": [999, 1000, 1001, 1002]}}', target => 'circle')"#;
    assert_eq!(
        db.lines(far),
        ["r1002|4.0000", "r1001|4.0000", "r999|4.0000"]
    );
    let few = r#"SELECT count(*) FROM chroma_query('[1,0]'::vector, 3000, '{"n": {"$gte": 1000}}', '{"$contains": "row"}', target => 'circle')"#;
    assert_eq!(db.line(few), "900");
    // Also where the index ends before.
    db.run("SET enable_seqscan = off; SET enable_bitmapscan = off; SET hnsw.max_scan_tuples = 50; SET hnsw.ef_search = 10");
    assert_eq!(db.lines(far).len(), 3);
    assert_eq!(db.line(few), "900");
    db.run("RESET ALL; SET client_min_messages = notice");
    if db.attempt("LOAD 'auto_explain'").is_err() {
        println!("skipped: this server does not have auto_explain");
        return;
    }
    db.run(
        "SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
         SET client_min_messages = log; SET enable_seqscan = off",
    );
    let plans = |sql: &str, part: &str| {
        db.notices();
        db.lines(sql);
        let plans = db.notices().into_iter().filter(|it| it.text.contains(part));
        plans.count()
    };
    let nearest = "SELECT * FROM chroma_query('[1,0]'::vector, 3, target => 'circle')";
    assert_eq!(plans(nearest, "Index Scan using near on"), 1);
    // An index for another distance than the one asked for does not serve.
    let cosine =
        "SELECT * FROM chroma_query('[1,0]'::vector, 3, target => 'circle', space => 'cosine')";
    assert_eq!(plans(cosine, "Index Scan using near on"), 0);
    let got = r#"SELECT * FROM chroma_get(filter => '{"n": 7}', target => 'circle')"#;
    assert_eq!(plans(got, "Bitmap Index Scan on keys"), 1);
    let by_id = "SELECT * FROM chroma_get('{r7}', target => 'circle')";
    assert_eq!(plans(by_id, "circle_pkey"), 1);
}

#[test]
fn halfvec_and_its_indexes_serve() {
    let db = circle();
    db.run("CREATE INDEX cast_to_half ON circle USING hnsw ((embedding::halfvec(2)) halfvec_l2_ops); SET enable_seqscan = off");
    let found =
        "SELECT id, distance < 1e-5 FROM chroma_query('[0,1]'::vector, 1, target => 'circle')";
    assert_eq!(db.line(found), "r500|t");
    db.run("DROP INDEX cast_to_half; ALTER TABLE circle ALTER embedding TYPE halfvec(2)");
    assert_eq!(db.line(found), "r500|t");
    assert_eq!(
        db.line("SELECT embedding FROM chroma_get('{r500}', target => 'circle')"),
        "{6.079674e-06,1}".replace(
            "6.079674e-06",
            &db.line("SELECT (embedding::vector::real[])[1] FROM circle WHERE id = 'r500'")
        )
    );
}

#[test]
fn vectors_of_other_dimensions_are_passed_over_or_refused() {
    let db = circle();
    let query = "SELECT count(*) FROM chroma_query('[1,0,0]'::vector, 3, target => 'circle')";
    db.refused(query, "22000").names("3").names("2");
    db.run("ALTER TABLE circle ALTER embedding TYPE vector");
    assert_eq!(db.line(query), "0");
    db.run("INSERT INTO circle (id, embedding) VALUES ('three', '[1,2,3]')");
    assert_eq!(db.line(query), "1");
}

#[test]
fn wrong_arguments_are_errors_that_say_what_is_right() {
    let db = circle();
    for (arguments, code, hint) in [
        ("'[1,0]'::vector, 0", "22023", "1 to 10000"),
        ("'[1,0]'::vector, 10001", "22023", "1 to 10000"),
        (
            "'[1,0]'::vector, space => 'dot'",
            "22023",
            "l2, cosine and ip",
        ),
        (
            "'[1,0]'::vector, collection => 'x'",
            "22023",
            "leave the argument out",
        ),
        ("'[1,0]'", "22023", "::vector"),
        ("' '", "22023", "text"),
    ] {
        db.refused(
            &format!("SELECT FROM chroma_query({arguments}, target => 'circle')"),
            code,
        )
        .hints(hint);
    }
    for arguments in ["NULL::vector", "NULL::text", "'[1,0]'::vector, NULL"] {
        db.refused(
            &format!("SELECT FROM chroma_query({arguments}, target => 'circle')"),
            "22004",
        );
    }
    db.refused(
        "SELECT FROM chroma_query('[1]'::vector, target => 'none')",
        "42P01",
    );
    db.refused("SELECT FROM chroma_get(target => 'none')", "42P01");
    db.refused("SELECT FROM chroma_get(target => NULL)", "22004");
    // A filter that Chroma would refuse, also where no row is read.
    db.run("TRUNCATE circle");
    for filter in [r#"{"n": {"$near": 1}}"#, "[]"] {
        db.refused(
            &format!("SELECT FROM chroma_get(filter => '{filter}', target => 'circle')"),
            "22023",
        );
        db.refused(
            &format!("SELECT FROM chroma_query('[1,0]'::vector, filter => '{filter}', target => 'circle')"),
            "22023",
        );
    }
}

#[test]
fn a_text_is_embedded_and_needs_a_grant() {
    let db = Db::new();
    db.run(
        "CREATE TABLE words (id text PRIMARY KEY, document text, embedding vector(384));
         INSERT INTO words SELECT w, w, embed_text(w) FROM unnest('{sun,cheese,train}'::text[]) w",
    );
    let query = "SELECT id FROM chroma_query('bread and butter', 1, target => 'words')";
    assert_eq!(db.line(query), "cheese");
    let role = db.role("stranger");
    let stranger = db.session_as(&role);
    stranger.refused(query, "42501");
    let by_vector =
        "SELECT count(*) FROM chroma_query(array_fill(1, ARRAY[384])::vector, target => 'words')";
    let get = "SELECT count(*) FROM chroma_get(target => 'words')";
    // Tables are read as the caller.
    for sql in [by_vector, get] {
        stranger.refused(sql, "42501");
    }
    db.run(&format!("GRANT SELECT ON words TO {role}"));
    for sql in [by_vector, get] {
        assert_eq!(stranger.line(sql), "3");
    }
    db.run(&format!(
        "ALTER TABLE words ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON words TO {role} USING (id <> 'sun')"
    ));
    for sql in [by_vector, get] {
        assert_eq!(stranger.line(sql), "2");
    }
}

#[test]
fn a_get_of_many_rows_is_made_as_it_is_read() {
    let db = circle();
    assert_eq!(
        db.line("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM chroma_get(target => 'circle')"),
        "2000|2000|r0|r999"
    );
    // One that is not read to its end leaves no cursor.
    db.run("BEGIN");
    assert_eq!(
        db.line("SELECT id FROM chroma_get(target => 'circle') LIMIT 1"),
        "r0"
    );
    assert_eq!(
        db.line("SELECT chroma_get(target => 'circle') IS NULL LIMIT 1"),
        "f"
    );
    db.run("COMMIT");
    // Rows that the same transaction has written are there.
    db.run("BEGIN; UPDATE circle SET content = 'new' WHERE id = 'r1'");
    assert_eq!(
        db.line("SELECT document FROM chroma_get('{r1}', target => 'circle')"),
        "new"
    );
    db.run("ROLLBACK");
}

#[test]
fn the_distance_is_the_arguments_then_the_runs_then_the_indexs_then_cosine() {
    let queries = Queries::new();
    let db = Db::new();
    // A table with an index for cosine, filled from a collection of another distance.
    db.migrate(&queries.store, "preset => 'mem0', collection => 'by_l2'");
    let role = db.role("stranger");
    db.run(&format!("GRANT SELECT ON by_l2 TO {role}"));
    let nearest = |session: &Session, space: &str| -> String {
        session.line(&format!(
            "SELECT round(distance::numeric, 3) FROM chroma_query(array_fill(1, ARRAY[16])::vector, 1{space}, target => 'by_l2')"
        ))
    };
    let [l2, cosine, ip] =
        ["l2", "cosine", "ip"].map(|it| nearest(&db, &format!(", space => '{it}'")));
    assert!(l2 != cosine && ip != cosine && l2 != ip);
    assert_eq!(nearest(&db, ""), l2);
    // Who cannot read the run has the index's.
    let stranger = db.session_as(&role);
    assert_eq!(nearest(&stranger, ""), cosine);
    db.run("DROP INDEX by_l2_hnsw_idx; CREATE INDEX ON by_l2 USING hnsw (vector vector_ip_ops)");
    assert_eq!(nearest(&stranger, ""), ip);
    assert_eq!(nearest(&db, ""), l2);
    // A run that was rolled back says nothing.
    db.run("INSERT INTO by_l2 SELECT gen_random_uuid(), vector, payload FROM by_l2");
    db.run("SELECT * FROM rollback_migration()");
    assert_eq!(nearest(&db, ""), ip);
    db.run("DROP INDEX by_l2_vector_idx");
    assert_eq!(nearest(&db, ""), cosine);
}

#[test]
fn a_row_without_metadata_is_as_a_record_without() {
    let db = circle();
    db.run("UPDATE circle SET metadata = NULL WHERE id = 'r1'; UPDATE circle SET metadata = '{}' WHERE id = 'r2'");
    let count = |filter: &str| {
        db.line(&format!("SELECT count(*), count(*) - count(metadata) FROM chroma_get(filter => '{filter}', target => 'circle')"))
    };
    assert_eq!(count(r#"{"n": {"$ne": 7}}"#), "1999|2");
    assert_eq!(count(r#"{"n": {"$gte": 0}}"#), "1998|0");
}

#[test]
fn a_key_that_a_preset_adds_is_not_of_the_metadata_for_a_filter_either() {
    let queries = Queries::new();
    let db = Db::new();
    db.migrate(
        &queries.store,
        "preset => 'vecs', collection => 'by_ip', target => 'chunks'",
    );
    let count = |filter: &str| {
        db.line(&format!(
            "SELECT count(*) FROM chroma_get(filter => '{filter}', target => 'chunks')"
        ))
    };
    let text = db.line("SELECT metadata->>'text' FROM chunks LIMIT 1");
    assert_eq!(count(&format!(r#"{{"text": "{text}"}}"#)), "0");
    assert_eq!(count(r#"{"text": {"$ne": "x"}}"#), "300");
    assert_ne!(count(r#"{"topic": "tea"}"#), "0");
}
