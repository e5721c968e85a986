//! Search: who sees which rows, which arguments and tables are refused, and users of each type.

use vector_migrate_tests::{Db, quote};

/// A table of three words, of users 1, 1 and 2.
fn words(db: &Db, user_type: &str, users: [&str; 2]) {
    let [one, two] = users.map(quote);
    db.run(&format!(
        "CREATE TABLE w (id text, user_id {user_type}, content_type text, embedding vector(384));
         INSERT INTO w SELECT v.id, v.owner::{user_type}, 'word', embed_text(v.id)
           FROM (VALUES ('sun', {one}), ('cheese', {one}), ('train', {two})) AS v(id, owner);
         CREATE INDEX ON w USING hnsw (embedding vector_l2_ops)"
    ));
}

const ALL: &str = "SELECT id FROM search_content('bread and butter', target => 'w') ORDER BY id";

#[test]
fn a_role_without_select_is_refused() {
    let db = Db::new();
    words(&db, "bigint", ["1", "2"]);
    let role = db.reader("blind");
    let session = db.session_as(&role);
    session.refused(ALL, "42501");
    db.run(&format!("GRANT SELECT (id, embedding) ON w TO {role}"));
    session.refused(ALL, "42501");
    db.run(&format!("GRANT SELECT ON w TO {role}"));
    assert_eq!(session.lines(ALL), ["cheese", "sun", "train"]);
}

#[test]
fn row_level_security_hides_rows_and_only_those() {
    let db = Db::new();
    words(&db, "bigint", ["1", "2"]);
    let role = db.reader("tenant");
    db.run(&format!(
        "GRANT SELECT ON w TO {role}; ALTER TABLE w ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON w USING (user_id = current_setting('app.tenant')::bigint)"
    ));
    let session = db.session_as(&role);
    session.run("SET enable_seqscan = off; SET app.tenant = 2");
    assert_eq!(session.lines(ALL), ["train"]);
    session.run("SET app.tenant = 1");
    assert_eq!(session.lines(ALL), ["cheese", "sun"]);
    assert_eq!(db.lines(ALL), ["cheese", "sun", "train"]);
}

#[test]
fn users_of_each_type() {
    let uuids = [
        "00000000-0000-0000-0000-00000000000a",
        "00000000-0000-0000-0000-00000000000b",
    ];
    for (ty, users, not_one) in [
        ("bigint", ["1", "2"], Some("99999999999999999999")),
        ("integer", ["1", "2"], Some("anna")),
        ("uuid", uuids, Some("2")),
        ("text", ["anna", "o'hara"], None),
        ("varchar(20)", ["anna", "o'hara"], None),
    ] {
        let db = Db::new();
        words(&db, ty, users);
        let of = |user: &str| {
            let user = quote(user);
            format!("SELECT id, user_id FROM search_content('x', user_id => {user}, target => 'w')")
        };
        assert_eq!(
            db.lines(&of(users[1])),
            [format!("train|{}", users[1])],
            "{ty}"
        );
        assert_eq!(db.lines(&of(users[0])).len(), 2, "{ty}");
        match not_one {
            Some(user) => {
                db.refused(&of(user), "22023").names(user).names("user_id");
            }
            None => assert!(db.lines(&of("nobody")).is_empty(), "{ty}"),
        }
    }
}

#[test]
fn arguments_that_cannot_be() {
    let db = Db::new();
    words(&db, "bigint", ["1", "2"]);
    for (arguments, code, part) in [
        ("NULL, target => 'w'", "22004", "query"),
        ("'x', target => NULL", "22004", "target"),
        (
            "'x', match_count => NULL, target => 'w'",
            "22004",
            "match_count",
        ),
        (
            "'x', match_count => 0, target => 'w'",
            "22023",
            "match_count",
        ),
        (
            "'x', match_count => -1, target => 'w'",
            "22023",
            "match_count",
        ),
        (
            "'x', match_count => 2147483647, target => 'w'",
            "22023",
            "10000",
        ),
        ("'', target => 'w'", "22023", "query"),
        (E_SPACES, "22023", "query"),
        ("'x', target => 'nothing'", "42P01", "nothing"),
        ("'x', target => 'pg_catalog.pg_class'", "42703", "embedding"),
    ] {
        db.refused(&format!("SELECT * FROM search_content({arguments})"), code)
            .names(part);
    }
    db.refused(
        "SELECT * FROM search_entities('x', match_count => 0, target => 'w')",
        "22023",
    );
}

const E_SPACES: &str = "E' \\n\\t', target => 'w'";

#[test]
fn tables_that_do_not_fit() {
    let db = Db::new();
    db.run(
        "CREATE TABLE plain (id text);
         CREATE TABLE numbers (id text, embedding real[]);
         CREATE TABLE other (id text, embedding vector(3));
         CREATE TABLE mixed (id text, embedding vector);
         INSERT INTO mixed SELECT 'ours', embed_text('x') UNION ALL SELECT 'other', '[1,2,3]';
         CREATE TABLE empty (id text, embedding vector(384))",
    );
    let on = |table: &str| format!("SELECT id FROM search_content('x', target => '{table}')");
    db.refused(&on("plain"), "42703").names("embedding");
    db.refused(&on("numbers"), "42804").names("real[]");
    let failure = db
        .refused(&on("other"), "22000")
        .names("384")
        .names("has 3");
    assert!(!failure.hint.is_empty());
    assert_eq!(db.lines(&on("mixed")), ["ours"]);
    assert!(db.lines(&on("empty")).is_empty());
    db.refused(
        "SELECT * FROM search_content('x', user_id => '1', target => 'empty')",
        "42703",
    );
    db.refused(
        "SELECT * FROM search_content('x', content_type => 'a', target => 'empty')",
        "42703",
    );
}

#[test]
fn entities_come_with_the_content_that_they_are_of() {
    let db = Db::new();
    db.run(
        "CREATE TABLE e (id text, content_id text, user_id bigint, entity_name text, entity_type text, embedding vector(384));
         INSERT INTO e SELECT w, 'doc ' || w, 7, w, 'word', embed_text(w) FROM unnest('{sun,cheese,train}'::text[]) w;
         CREATE INDEX ON e USING hnsw (embedding vector_ip_ops)",
    );
    let first = "SELECT content_id, user_id, entity_name, entity_type, similarity > 0.999
                   FROM search_entities('cheese', match_count => 1, target => 'e')";
    assert_eq!(db.line(first), "doc cheese|7|cheese|word|t");
    assert_eq!(
        db.count("search_entities('cheese', user_id => '7', target => 'e')"),
        3
    );
    assert_eq!(
        db.count("search_entities('cheese', user_id => '8', target => 'e')"),
        0
    );
}

#[test]
fn contents_of_any_depth_and_number_come_as_they_are() {
    let db = Db::new();
    let deep = format!("{}1e400{}", "[".repeat(2000), "]".repeat(2000));
    db.run(&format!(
        "CREATE TABLE t (id text, full_content jsonb, embedding vector(384));
         INSERT INTO t SELECT 'a', {}, embed_text('x'); INSERT INTO t SELECT 'b', '{{\"n\": 1.50}}', embed_text('x');
         INSERT INTO t SELECT 'c', NULL, embed_text('x')",
        quote(&deep)
    ));
    assert_eq!(
        db.lines(
            "SELECT s.id, s.full_content::text IS NOT DISTINCT FROM t.full_content::text
               FROM search_content('x', target => 't') s JOIN t USING (id) ORDER BY 1"
        ),
        ["a|t", "b|t", "c|t"]
    );
}
