//! Rows that go into plain tables directly: the same bytes as by INSERT, and by INSERT where a table asks for more.

use vector_migrate_tests::tables::minimal;
use vector_migrate_tests::{Db, Session, Store, demo_store, quote, store};

/// A value's bytes as the server keeps them, in hexadecimal.
const RAW: &str = "CREATE FUNCTION raw(jsonb) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteaout';
                   CREATE FUNCTION raw(vector) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteaout'";

/// Whether the rows of a run with these arguments went directly into the content table.
fn went_directly(session: &Session, source: &Store, arguments: &str) -> bool {
    session.run("SET client_min_messages = debug1");
    session.notices();
    session.migrate(source, arguments);
    session.run("RESET client_min_messages");
    let notices = session.notices();
    notices.iter().any(|it| it.text.ends_with(" directly"))
}

#[test]
fn both_ways_store_the_same_bytes() {
    for name in [
        "chroma-0.4.24",
        "chroma-1.0.21",
        "chroma-1.5.9",
        "special/many",
        "special/two-collections",
        "special/memories",
        "special/owners",
    ] {
        let (db, source) = (Db::new(), store(name));
        db.run(RAW);
        let session = db.session();
        let names = db.lines(&format!(
            "SELECT DISTINCT collection FROM chroma_collections({}) WHERE records > 0 \
                AND tenant = 'default_tenant' AND database = 'default_database'",
            source.sql()
        ));
        assert!(!names.is_empty());
        for (at, name) in names.iter().enumerate() {
            let run = |target: &str, on: &str| {
                session.run(&format!("SET vector_migrate.direct_load = {on}"));
                went_directly(
                    &session,
                    &source,
                    &format!(
                        "embeddings => 'stored', target => '{target}_{at}', entity_target => NULL, \
                         collection => {}, orphans => 'keep'",
                        quote(name)
                    ),
                )
            };
            assert!(run("direct", "on"), "{name}");
            assert!(!run("copied", "off"), "{name}");
            let rows = |of: &str| {
                format!(
                    "SELECT t::text, raw(full_content)::text, raw(metadata)::text, raw(topics)::text, raw(tags)::text, \
                            raw(collections)::text, raw(embedding)::text FROM {of}_{at} t"
                )
            };
            for (one, other) in [("direct", "copied"), ("copied", "direct")] {
                let sql = format!("{} EXCEPT ALL {}", rows(one), rows(other));
                assert_eq!(db.lines(&sql), [""; 0], "{name}");
            }
        }
    }
}

/// JSON objects of every shape; the same ones each time.
fn objects(count: usize) -> Vec<String> {
    let mut dice = Dice(7);
    let mut all: Vec<String> = [
        "{}",
        "{\"a\":{},\"b\":[]}",
        "{\"b\":1,\"a\":2,\"b\":3,\"\":4,\"aa\":5,\"a\":6}",
        "{\"\\u0061\":1,\"a\":2,\"\\\"\\\\\\n\":\"\\ud83d\\ude00\\u00e9\\t/\\/\"}",
        "{\"n\":[0,-0,0.0,-0.00,1,-1,10,1e0,1E+2,1.50e-3,123456789012345678901234567890.0123456789]}",
        "{\"n\":[9999,10000,99999999,0.0001,0.00001,1e63,1e64,1e255,1e256,1e-63,1e-64,1e-300,1e131071,1e-16383]}",
    ]
    .map(str::to_owned)
    .into();
    // Entries with an offset come after each 32.
    for length in [31, 32, 33, 64, 65, 200] {
        let items: Vec<_> = (0..length).map(|at| format!("\"{at}\"")).collect();
        let pairs: Vec<_> = (0..length).map(|at| format!("\"k{at}\":{at}")).collect();
        all.push(format!("{{\"l\":[{}]}}", items.join(",")));
        all.push(format!("{{{}}}", pairs.join(",")));
    }
    all.push(format!("{}1{}", "{\"a\":[".repeat(60), "]}".repeat(60)));
    while all.len() < count {
        all.push(dice.object(4));
    }
    all
}

/// Small random numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn text(&mut self) -> String {
        let pieces = [
            "a", "bc", "é", "😀", "\\n", "\\\"", "\\\\", "\\u00e9", " ", "\\u2028", "user",
        ];
        let length = self.below(6);
        let text: String = (0..length)
            .map(|_| pieces[self.below(11) as usize])
            .collect();
        format!("\"{text}\"")
    }

    fn number(&mut self) -> String {
        let sign = ["", "-"][self.below(2) as usize];
        let digits = 1 + self.below(9) as u32;
        let whole = self.below(10_u64.pow(digits));
        let fraction = match self.below(3) {
            0 => String::new(),
            _ => format!(
                ".{:0width$}",
                self.below(1000),
                width = 1 + self.below(12) as usize
            ),
        };
        let exponent = match self.below(4) {
            0 => format!("e{}", self.below(80) as i64 - 40),
            _ => String::new(),
        };
        format!("{sign}{whole}{fraction}{exponent}")
    }

    fn value(&mut self, depth: u64) -> String {
        match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => "null".to_owned(),
            1 => "true".to_owned(),
            2 => "false".to_owned(),
            3 => self.number(),
            4 | 5 => self.text(),
            6 => {
                let length = self.below(40);
                let items: Vec<_> = (0..length).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", items.join(", "))
            }
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: u64) -> String {
        let length = self.below(12);
        let pairs: Vec<_> = (0..length)
            .map(|_| format!("{}: {}", self.text(), self.value(depth)))
            .collect();
        format!("{{{}}}", pairs.join(" ,"))
    }
}

#[test]
fn json_of_every_shape_is_stored_as_the_server_stores_it() {
    let (db, source) = (Db::new(), store("special/many"));
    let ids = source.texts("SELECT embedding_id FROM embeddings ORDER BY id LIMIT 400");
    let objects = objects(ids.len());
    db.run(RAW);
    db.run("CREATE TABLE wanted (id text, content jsonb)");
    let mut sql = "DELETE FROM embedding_metadata WHERE key = 'full_content';".to_owned();
    for (id, object) in ids.iter().zip(&objects) {
        let (id, object) = (quote(id), quote(object));
        sql += &format!(
            "INSERT INTO embedding_metadata (id, key, string_value)
             SELECT id, 'full_content', {object} FROM embeddings WHERE embedding_id = {id};"
        );
        db.run(&format!("INSERT INTO wanted VALUES ({id}, {object})"));
    }
    source.damage(&sql);
    let session = db.session();
    assert!(went_directly(
        &session,
        &source,
        "embeddings => 'stored', entity_target => NULL, orphans => 'keep'"
    ));
    let same = "SELECT count(*) FROM wanted w JOIN content_vectors c USING (id)
                 WHERE raw(c.full_content)::text = raw(w.content)::text";
    let found = db.one::<i64>(same);
    let other = "SELECT w.content FROM wanted w LEFT JOIN content_vectors c
                     ON c.id = w.id AND raw(c.full_content)::text = raw(w.content)::text WHERE c.id IS NULL LIMIT 3";
    assert_eq!(found, ids.len() as i64, "{:?}", db.lines(other));
}

#[test]
fn a_table_that_asks_for_more_gets_insert() {
    let trigger = |when: &str| {
        format!(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER t {when} EXECUTE FUNCTION nothing()"
        )
    };
    let statement = &trigger("AFTER INSERT ON content_vectors");
    let before = &trigger("BEFORE INSERT ON content_vectors FOR EACH ROW");
    let row = &trigger("AFTER INSERT ON content_vectors FOR EACH ROW");
    let transition =
        &trigger("AFTER INSERT ON content_vectors REFERENCING NEW TABLE AS added FOR EACH ROW");
    let domain = "CREATE DOMAIN words AS text CHECK (value <> 'no')";
    let partitions = "CREATE TABLE parts (LIKE content_vectors) PARTITION BY RANGE (user_id);
                      DROP TABLE content_vectors; ALTER TABLE parts RENAME TO content_vectors;
                      CREATE TABLE part PARTITION OF content_vectors DEFAULT";
    for (before, columns, after, directly) in [
        ("", "", "", true),
        (
            "",
            ", plain text, CHECK (title <> 'no')",
            "CREATE INDEX ON content_vectors (lower(title))",
            true,
        ),
        (
            "",
            ", created_at timestamp DEFAULT now(), uri varchar",
            "",
            true,
        ),
        ("", ", serial_number serial", "", true),
        ("", ", number bigint GENERATED ALWAYS AS IDENTITY", "", true),
        ("", ", made_by text NOT NULL DEFAULT current_user", "", true),
        ("", ", dice float DEFAULT random()", "", false),
        (
            "",
            ", made int GENERATED ALWAYS AS (length(id)) STORED",
            "",
            false,
        ),
        ("", ", mode varchar(50), uri char(300)", "", true),
        ("", ", topics json", "", true),
        ("", ", created_at timestamptz(0)", "", true),
        (domain, ", mode words", "", true),
        (domain, ", other words", "", false),
        ("", "", row, true),
        ("", "", statement, false),
        ("", "", before, false),
        ("", "", transition, false),
        ("", "", partitions, false),
        (
            "CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users SELECT generate_series(0, 1000)",
            ", FOREIGN KEY (user_id) REFERENCES users",
            "",
            true,
        ),
    ] {
        let (db, source) = (Db::new(), demo_store());
        db.run(before);
        db.run(&minimal(384, columns));
        db.run(after);
        let session = db.session();
        let arguments = "embeddings => 'stored', entity_target => NULL";
        assert_eq!(
            went_directly(&session, &source, arguments),
            directly,
            "{columns} {after}"
        );
        assert!(db.count("content_vectors") > 0, "{columns} {after}");
    }
}

#[test]
fn an_overwriting_run_inserts_directly_too_and_the_setting_turns_it_off() {
    let (db, source) = (Db::new(), demo_store());
    let session = db.session();
    let arguments = "embeddings => 'stored', entity_target => NULL";
    let updating = format!("{arguments}, on_conflict => 'update'");
    assert!(went_directly(&session, &source, &updating));
    let trial = format!("{arguments}, target => 'other', dry_run => true");
    assert!(went_directly(&session, &source, &trial));
    session.run("SET vector_migrate.direct_load = off");
    assert!(!went_directly(&session, &source, &trial));
}

#[test]
fn rows_that_the_table_refuses_are_refused_alone() {
    let mut said = Vec::new();
    for on in ["on", "off"] {
        let (db, source) = (Db::new(), store("special/many"));
        db.run(&minimal(
            4,
            ", dropped int, CHECK (id NOT LIKE '%7'), note text, UNIQUE (title, searchable_text)",
        ));
        db.run("ALTER TABLE content_vectors DROP COLUMN dropped");
        let session = db.session();
        session.run(&format!("SET vector_migrate.direct_load = {on}"));
        let arguments = "embeddings => 'stored', entity_target => NULL, orphans => 'keep'";
        assert_eq!(went_directly(&session, &source, arguments), on == "on");
        let failed = db.lines(
            "SELECT record_id, reason, message FROM vector_migrate.run_errors ORDER BY record_id, reason",
        );
        assert!(failed.len() > 100, "{}", failed.len());
        said.push((
            failed,
            db.lines("SELECT c.*::text FROM content_vectors c ORDER BY id"),
        ));
    }
    assert!(said[0] == said[1]);
}

#[test]
fn constraints_and_indexes_see_which_table_a_row_is_in() {
    let (db, source) = (Db::new(), store("special/two-collections"));
    db.run(&minimal(8, ""));
    // The table's name is not known before it is there.
    db.run("ALTER TABLE content_vectors ADD CHECK (tableoid = 'content_vectors'::regclass)");
    assert!(went_directly(
        &db,
        &source,
        "entity_target => NULL, collection => 'library_a'"
    ));
    assert_eq!(db.count("content_vectors"), 9);
}
