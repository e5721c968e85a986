//! Tables that an application made with SQLAlchemy are taken as they are.

use vector_migrate_tests::{Db, Report, Store, store, tables};

const CONTENT: &str = "collection => 'content', embeddings => 'stored'";

fn application(dimensions: u32) -> Db {
    let db = Db::new();
    db.run("SET TimeZone = 'UTC'");
    db.run(&tables::sqlalchemy(dimensions));
    db
}

fn migrated() -> (Db, Store, Report) {
    let (db, source) = (application(16), store("chroma-1.5.9"));
    let report = db.migrate(&source, CONTENT);
    (db, source, report)
}

#[test]
fn records_of_known_users_are_migrated_and_the_others_are_counted() {
    let (db, _source, report) = migrated();
    // 37 records: 31 of users 1 to 3, one of which has a title of 300 characters; 7 is unknown, alice is no integer,
    // four have no user.
    assert_eq!(report.outcome(), (37, 30, 5, 2));
    assert_eq!(db.count("content_vectors"), 30);
    assert_eq!(
        db.lines("SELECT user_id, count(*) FROM content_vectors GROUP BY 1 ORDER BY 1"),
        ["1|11", "2|11", "3|8"]
    );
    assert_eq!(
        (
            report.user(Some("1")).migrated,
            report.user(Some("3")).failed
        ),
        (11, 1)
    );
    assert_eq!(
        (
            report.user(Some("7")).skipped,
            report.user(Some("alice")).failed,
            report.user(None).skipped
        ),
        (1, 1, 4)
    );
    assert_eq!(
        db.lines("SELECT reason, count(*) FROM vector_migrate.run_errors GROUP BY 1 ORDER BY 1"),
        [
            "bad_user_id|1",
            "constraint|1",
            "no_user_id|4",
            "user_not_found|1"
        ]
    );
}

#[test]
fn values_are_converted_to_the_columns_types() {
    let (db, _source, _) = migrated();
    let row = "SELECT user_id, title, content_type, mode, topics, tags, collections, source_url, has_transcript,
                      file_size_bytes, created_at FROM content_vectors WHERE id = 'content-004'";
    let line = db.line(row);
    let parts: Vec<&str> = line.split('|').collect();
    assert_eq!(parts[..4], ["2", "Vacuum without fear", "podcast", "study"]);
    assert_eq!(parts[4].replace(' ', ""), r#"["postgresql","databases"]"#);
    assert_eq!(parts[5].replace(' ', ""), r#"["podcast","part-1"]"#);
    assert_eq!(parts[6].replace(", ", ","), r#"["reading list"]"#);
    assert_eq!(
        parts[7..],
        [
            "https://example.org/items/4",
            "t",
            "1148",
            "2024-05-05 08:04:00"
        ]
    );
    let same = "SELECT full_content->>'title' = title, embedding = $1 FROM content_vectors WHERE id = 'content-004'";
    let expected = vector_migrate_tests::Expected::of("chroma-1.5.9");
    let record = expected.collection("content").record("content-004");
    let bits = record.embedding.as_ref().expect("has a vector");
    let vector =
        pgvector::Vector::from(bits.iter().map(|x| f32::from_bits(*x)).collect::<Vec<_>>());
    let row = &db.query(same, &[&vector])[0];
    assert!(row.get::<_, bool>(0) && row.get::<_, bool>(1));
}

#[test]
fn the_applications_json_text_is_kept_as_it_was() {
    let (db, source, _) = migrated();
    let kept = db.line("SELECT full_content FROM content_vectors WHERE id = 'content-002'");
    let of_chroma = format!(
        "SELECT metadata->>'full_content' FROM chroma_records({}, 'content') WHERE id = 'content-002'",
        source.sql()
    );
    assert_eq!(kept, db.line(&of_chroma));
}

#[test]
fn a_title_that_is_too_long_is_that_records_error_with_the_servers_message() {
    let (db, _source, _) = migrated();
    let constraint =
        "SELECT record_id, user_id FROM vector_migrate.run_errors WHERE reason = 'constraint'
        AND message LIKE 'value too long for type character varying(255)%'";
    assert_eq!(db.lines(constraint), ["content-long-title|3"]);
}

#[test]
fn an_unknown_user_is_named_in_one_notice() {
    let db = application(16);
    db.run("DELETE FROM users WHERE id IN (2, 3)");
    db.notices();
    let report = db.migrate(&store("chroma-1.5.9"), CONTENT);
    assert_eq!(report.user(Some("2")).skipped, 11);
    assert_eq!(report.user(Some("3")).skipped, 9);
    assert_eq!(report.user(Some("1")).migrated, 11);
    let notices = db.notices();
    for user in ["2", "3", "7"] {
        let of_user =
            |text: &str| text.starts_with(&format!("user {user} does not exist in public.users"));
        let named: Vec<_> = notices
            .iter()
            .filter(|notice| of_user(&notice.text))
            .collect();
        assert_eq!(named.len(), 1, "user {user}: {notices:#?}");
    }
    assert!(
        !notices
            .iter()
            .any(|notice| notice.text.starts_with("user 1 ")),
        "{notices:#?}"
    );
}

#[test]
fn without_a_metadata_column_nothing_is_lost() {
    let (db, _source, _) = migrated();
    let content = |id: &str| {
        db.line(&format!(
            "SELECT full_content->>'id', full_content->>'title', full_content->>'document' = searchable_text,
                    full_content->'uri', full_content->'metadata'->>'content_type'
               FROM content_vectors WHERE id = '{id}'"
        ))
    };
    let wheel = "Repairing a bicycle wheel 🚲, part 5";
    assert_eq!(
        content("content-no-full-content"),
        format!("content-no-full-content|{wheel}|t|null|video")
    );
    assert_eq!(
        content("content-no-title"),
        "content-no-title|Untitled|t|null|note"
    );
    let half = "SELECT full_content->'metadata'->>'full_content' FROM content_vectors WHERE id = 'content-bad-json'";
    assert_eq!(
        db.line(half),
        "{\"id\": \"content-bad-json\", \"title\": \"Half a"
    );
}

#[test]
fn entities_refer_to_their_content_row_and_use_its_user() {
    let (db, _source, report) = migrated();
    assert_eq!(db.count("entity_vectors"), report.total().entities);
    assert_eq!(
        db.lines("SELECT entity_name, entity_type, user_id, embedding FROM entity_vectors WHERE content_id = 'content-000' ORDER BY id"),
        ["Carnot|person|1|∅", "compressor|device|1|∅"]
    );
    let strangers =
        "SELECT count(*) FROM entity_vectors e JOIN content_vectors c ON c.id = e.content_id
                      WHERE e.user_id IS DISTINCT FROM c.user_id";
    assert_eq!(db.one::<i64>(strangers), 0);
    // A record that was refused has no entities either.
    assert_eq!(
        db.count("entity_vectors WHERE content_id = 'content-long-title'"),
        0
    );
}

#[test]
fn nothing_is_added_to_the_applications_tables() {
    let db = application(16);
    let shape = "SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod) FROM pg_attribute
                  WHERE attnum > 0 AND attrelid IN ('content_vectors'::regclass, 'entity_vectors'::regclass) ORDER BY 1, 2";
    let objects =
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1";
    let before = (db.lines(shape), db.lines(objects));
    db.migrate(&store("chroma-1.5.9"), CONTENT);
    assert_eq!((db.lines(shape), db.lines(objects)), before);
}

#[test]
fn columns_that_the_table_lacks_are_left_out_and_defaults_fill_the_others() {
    let db = Db::new();
    db.run(&tables::minimal(
        16,
        ", checked boolean NOT NULL DEFAULT true, note text",
    ));
    let report = db.migrate(
        &store("chroma-1.5.9"),
        "collection => 'content', entity_target => NULL",
    );
    assert_eq!(report.outcome(), (37, 32, 4, 1));
    assert_eq!(
        db.lines("SELECT checked, note, count(*) FROM content_vectors GROUP BY 1, 2"),
        ["t|∅|32"]
    );
}

#[test]
fn records_of_two_collections_collide_where_only_the_id_is_the_key() {
    let (db, source) = (application(8), store("special/two-collections"));
    let report = db.migrate(&source, "entity_target => NULL");
    assert_eq!(report.collection("library_a").migrated, 9);
    assert_eq!(
        (
            report.collection("library_b").migrated,
            report.collection("library_b").failed
        ),
        (3, 6)
    );
    let same = "SELECT count(*) FROM vector_migrate.run_errors WHERE reason = 'id_collision' AND collection = 'library_b'
                    AND message LIKE '%, whose key has no chroma_collection: give it one, or %'";
    assert_eq!(db.one::<i64>(same), 6);
}

#[test]
fn chromas_time_is_used_where_the_item_has_none_of_its_own() {
    let db = application(8);
    let source = store("chroma-1.5.9");
    let wanted = vector_migrate_tests::Expected::of("chroma-1.5.9")
        .collection("l2_history")
        .record("l2-00")
        .created_at
        .clone();
    db.migrate(
        &source,
        "collection => 'l2_history', default_user_id => '1', entity_target => NULL",
    );
    assert_eq!(
        db.line("SELECT created_at, updated_at FROM content_vectors WHERE id = 'l2-00'"),
        format!("{wanted}|{wanted}")
    );
}
