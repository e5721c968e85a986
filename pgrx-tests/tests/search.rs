//! `search_content` and `search_entities`: which index they use, and that no row is lost to it.

use vector_migrate_tests::{Db, Session};

/// Rows of user 1, all near the query; user 2 has three that are far from it.
const MANY: i64 = 3000;

/// The classes that can serve a search, none among them, with the operator that each serves.
const INDEXES: [(&str, &str); 4] = [
    ("hnsw (embedding vector_cosine_ops)", "<=>"),
    ("hnsw (embedding vector_l2_ops)", "<->"),
    ("hnsw (embedding vector_ip_ops)", "<#>"),
    (
        "hnsw ((embedding::halfvec(384)) halfvec_cosine_ops)",
        "halfvec",
    ),
];

/// A table `t` of vectors of length 1 about the embedding of `sea and moon`: the nearer, the lower the id. The last
/// three, of user 2, point the other way.
fn filled(db: &Db, user_type: &str) {
    db.run(&format!(
        "SELECT setseed(0.5);
         CREATE TABLE t (id text PRIMARY KEY, user_id {user_type}, title text, content_type text, embedding vector(384));
         INSERT INTO t
         SELECT n::text, CASE WHEN n <= {MANY} THEN 1 ELSE 2 END, 'row ' || n, CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END, v
           FROM (SELECT embed_text('sea and moon') AS q) q,
                generate_series(1, {MANY} + 3) AS n,
                LATERAL (SELECT l2_normalize(array_agg(CASE WHEN n <= {MANY} THEN x ELSE -x END
                                + (n::float8 / {MANY}) * (random() - 0.5) * 0.1)::real[]::vector) AS v
                           FROM unnest(q.q::real[]) AS x) v"
    ));
}

/// A session whose plans take an index where one serves, and are shown as notices where the server has auto_explain.
fn explaining(db: &Db) -> Session {
    let session = db.session();
    session.run("SET enable_seqscan = off");
    match session.attempt("LOAD 'auto_explain'") {
        Ok(_) => session.run(
            "SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
             SET client_min_messages = log",
        ),
        Err(failure) => {
            failure.expect("58P01").names("auto_explain");
            println!("plans are not looked at: this server does not have auto_explain");
        }
    }
    session
}

/// How many queries a search through an HNSW index takes that passes most rows over: one where the index goes on by
/// itself (pgvector 0.8), else another without it.
fn queries(db: &Db) -> usize {
    let goes_on = "SELECT string_to_array(extversion, '.')::int[] >= '{0,8}' FROM pg_extension WHERE extname = 'vector'";
    if db.one(goes_on) { 1 } else { 2 }
}

/// The plans since the last call, of queries on `table`; none without auto_explain.
fn plans(session: &Session, table: &str) -> Option<Vec<String>> {
    let texts = session.notices().into_iter().map(|notice| notice.text);
    let on = [format!(" on {table} "), format!(" on public.{table} ")];
    let plans = texts.filter(|text| on.iter().any(|on| text.contains(on)));
    let shown =
        session.line("SELECT current_setting('auto_explain.log_min_duration', true) IS NOT NULL");
    (shown == "t").then(|| plans.collect())
}

#[test]
fn each_index_is_used_by_its_own_operator() {
    let db = Db::new();
    filled(&db, "bigint");
    let search = "SELECT id FROM search_content('sea and moon', match_count => 10, target => 't')";
    // The first rows are so near to each other that an index may take any of them.
    let exact = db.lines(&search.replace("10", "50"));
    for (index, operator) in INDEXES {
        db.run(&format!(
            "DROP INDEX IF EXISTS near; CREATE INDEX near ON t USING {index}; ANALYZE t"
        ));
        let session = explaining(&db);
        session.notices();
        let found = session.lines(search);
        if let Some(plans) = plans(&session, "t") {
            assert_eq!(plans.len(), 1, "{index}: {plans:#?}");
            assert!(
                plans[0].contains("Index Scan using near on t"),
                "{index}: {plans:#?}"
            );
            assert!(plans[0].contains(operator), "{index}: {plans:#?}");
        }
        let same = found.iter().filter(|id| exact.contains(id)).count();
        assert!(same == 10, "{index}: {found:?} are not {exact:?}");
    }
}

#[test]
fn similarity_is_one_minus_the_cosine_distance_whatever_the_index() {
    let db = Db::new();
    filled(&db, "bigint");
    for (index, _) in INDEXES {
        db.run(&format!(
            "DROP INDEX IF EXISTS near; CREATE INDEX near ON t USING {index}"
        ));
        let wrong = "SELECT s.id FROM search_content('sea and moon', match_count => 20, target => 't') s JOIN t USING (id)
                      WHERE abs(s.similarity - (1 - (t.embedding <=> embed_text('sea and moon')))) > 1e-6";
        assert!(db.lines(wrong).is_empty(), "{index}");
        let ordered =
            "SELECT array_agg(similarity) = array_agg(similarity ORDER BY similarity DESC)
                         FROM search_content('sea and moon', match_count => 20, target => 't')";
        assert_eq!(db.line(ordered), "t", "{index}");
    }
}

#[test]
fn a_user_with_few_rows_far_away_loses_none() {
    let db = Db::new();
    filled(&db, "bigint");
    let of_user =
        "SELECT id FROM search_content('sea and moon', '2', 3, target => 't') ORDER BY id";
    let all = ["3001", "3002", "3003"];
    for index in [
        INDEXES[0].0,
        INDEXES[3].0,
        "ivfflat (embedding vector_cosine_ops) WITH (lists = 20)",
    ] {
        db.run(&format!(
            "DROP INDEX IF EXISTS near; CREATE INDEX near ON t USING {index}; ANALYZE t"
        ));
        let session = explaining(&db);
        session.notices();
        assert_eq!(session.lines(of_user), all, "{index}");
        let plans = plans(&session, "t");
        if let Some(plans) = &plans {
            assert!(plans[0].contains("using near on t"), "{index}: {plans:#?}");
        }
        // What the index leaves out is looked for without it.
        if index.starts_with("hnsw") {
            if let Some(plans) = plans {
                assert_eq!(plans.len(), queries(&db), "{index}: {plans:#?}");
            }
            if queries(&db) == 1 {
                session.run("SET hnsw.max_scan_tuples = 1");
                assert_eq!(session.lines(of_user), all, "{index}");
                assert_eq!(session.line("SHOW hnsw.iterative_scan"), "off");
            }
            assert_eq!(session.line("SHOW enable_indexscan"), "on");
        }
        let more = "SELECT count(*) FROM search_content('sea and moon', '2', 50, target => 't')";
        assert_eq!(session.line(more), "3", "{index}");
    }
}

#[test]
fn types_filter_and_many_rows_come_back() {
    let db = Db::new();
    filled(&db, "bigint");
    db.run("CREATE INDEX near ON t USING hnsw (embedding vector_cosine_ops)");
    let session = explaining(&db);
    let count = |arguments: &str| {
        session.line(&format!(
            "SELECT count(*), count(*) FILTER (WHERE t.content_type = 'even')
               FROM search_content('sea and moon', {arguments}, target => 't') s JOIN t USING (id)"
        ))
    };
    assert!(count("match_count => 200").starts_with("200|"));
    assert_eq!(
        count("match_count => 300, content_type => 'even'"),
        "300|300"
    );
    assert_eq!(
        count("user_id => '2', match_count => 9, content_type => 'even'"),
        "1|1"
    );
    assert_eq!(count("match_count => 10000, content_type => 'none'"), "0|0");
}

#[test]
fn partitions_are_searched_each_through_its_index_and_no_row_is_lost() {
    let db = Db::new();
    filled(&db, "bigint");
    db.run(
        "ALTER TABLE t RENAME TO rows;
         CREATE TABLE t (id text, user_id bigint, title text, content_type text, embedding vector(384))
                PARTITION BY LIST (user_id);
         CREATE TABLE first PARTITION OF t FOR VALUES IN (1);
         CREATE TABLE second PARTITION OF t FOR VALUES IN (2);
         INSERT INTO t SELECT * FROM rows;
         CREATE INDEX near ON t USING hnsw (embedding vector_l2_ops);
         ANALYZE t",
    );
    let session = explaining(&db);
    session.notices();
    let found = session
        .lines("SELECT id FROM search_content('sea and moon', match_count => 10, target => 't')");
    assert_eq!(found.len(), 10);
    if let Some(plans) = plans(&session, "first") {
        assert!(
            plans[0].contains("Index Scan using first_embedding_idx on first"),
            "{plans:#?}"
        );
        assert!(plans[0].contains("<->"), "{plans:#?}");
    }
    let of_user =
        "SELECT id FROM search_content('sea and moon', '2', 9, target => 't') ORDER BY id";
    assert_eq!(session.lines(of_user), ["3001", "3002", "3003"]);
    // Both partitions in one order: the far ones come last.
    let last =
        "SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM search_content('sea and moon',
                match_count => 3003, target => 't') ORDER BY similarity LIMIT 3) s";
    assert_eq!(session.line(last), "{3001,3002,3003}");
    // An index of one partition alone.
    db.run("DROP INDEX near; CREATE INDEX ON first USING hnsw (embedding vector_cosine_ops)");
    let all =
        "SELECT count(*) FROM search_content('sea and moon', match_count => 3003, target => 't')";
    assert_eq!(session.line(all), "3003");
}

#[test]
fn a_view_is_searched_through_its_tables_index() {
    let db = Db::new();
    filled(&db, "bigint");
    db.run(
        "CREATE INDEX near ON t USING hnsw (embedding vector_cosine_ops);
         ANALYZE t;
         CREATE VIEW v AS SELECT id, user_id, 'from the view' AS title, embedding FROM t WHERE content_type = 'even'",
    );
    let session = explaining(&db);
    session.notices();
    let found = session.lines("SELECT id::int % 2, title FROM search_content('sea and moon', match_count => 60, target => 'v')");
    assert_eq!(found, vec!["0|from the view"; 60]);
    if let Some(plans) = plans(&session, "t") {
        assert_eq!(plans.len(), queries(&db), "{plans:#?}");
        assert!(
            plans[0].contains("Index Scan using near on t"),
            "{plans:#?}"
        );
    }
    // What the view lacks is NULL, or cannot be asked for.
    assert_eq!(
        session.line("SELECT DISTINCT summary FROM search_content('sea and moon', target => 'v')"),
        "∅"
    );
    session
        .refused(
            "SELECT FROM search_content('sea and moon', content_type => 'even', target => 'v')",
            "42703",
        )
        .names("content_type");
}

#[test]
fn a_column_of_halfvec_is_searched() {
    let db = Db::new();
    db.run(
        "CREATE TABLE h (id text, embedding halfvec(384));
         INSERT INTO h SELECT w, embed_text(w)::halfvec FROM unnest('{sun,cheese,train}'::text[]) w;
         CREATE INDEX ON h USING hnsw (embedding halfvec_ip_ops)",
    );
    let found = "SELECT id, user_id, similarity > 0.999 FROM search_content('cheese', match_count => 1, target => 'h')";
    assert_eq!(db.line(found), "cheese|∅|t");
}

#[test]
fn vectors_of_other_lengths_and_zero_vectors_are_compared_by_the_cosine() {
    let db = Db::new();
    db.run(
        "CREATE TABLE t (id text PRIMARY KEY, user_id bigint, embedding vector(384));
         INSERT INTO t SELECT 'same, but long', 1, (SELECT array_agg(5 * x) FROM unnest(embed_text('sea')::real[]) x)::real[]::vector;
         INSERT INTO t SELECT 'other', 1, embed_text('a tax form');
         INSERT INTO t SELECT 'nothing', 1, array_fill(0::real, ARRAY[384])::vector;
         CREATE INDEX ON t USING hnsw (embedding vector_l2_ops)",
    );
    let found = db.lines("SELECT id || ' ' || round(similarity::numeric, 3) FROM search_content('sea', target => 't')");
    assert_eq!(
        found.first().map(String::as_str),
        Some("same, but long 1.000")
    );
    assert_eq!(found.len(), 2);
}
