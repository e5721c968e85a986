//! Stores that have lost something: what can be read is migrated, the rest is told, `strict` refuses.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use vector_migrate_tests::{Db, Store, demo_store, store};

/// The folder of the only vector segment.
fn segment(source: &Store) -> PathBuf {
    fs::read_dir(source.path())
        .expect("lists")
        .map(|entry| entry.expect("reads").path())
        .find(|path| path.is_dir())
        .expect("a segment")
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("removes");
}

fn cut(path: &Path) {
    let bytes = fs::read(path).expect("reads");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("writes");
}

fn field(header: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"))
}

/// A header that is consistent in itself, of an index with 8 dimensions.
fn of_another_dimension(path: &Path) {
    let mut bytes = fs::read(path).expect("reads");
    let label = field(&bytes, 44) + 4 * 8;
    bytes[36..44].copy_from_slice(&label.to_le_bytes());
    bytes[28..36].copy_from_slice(&(label + 8).to_le_bytes());
    fs::write(path, bytes).expect("writes");
}

fn without_folder(path: &Path) {
    fs::remove_dir_all(path.parent().expect("a folder")).expect("removes");
}

/// What happens to a file.
type Damage = fn(&Path);

/// Every kind of damage to the index files.
const KINDS: [(&str, Damage); 9] = [
    ("data_level0.bin", remove),
    ("data_level0.bin", cut),
    ("header.bin", remove),
    ("header.bin", cut),
    ("header.bin", of_another_dimension),
    ("index_metadata.pickle", remove),
    ("index_metadata.pickle", cut),
    ("length.bin", remove),
    ("header.bin", without_folder),
];

/// A demo store with its index damaged, and how many of its 300 records have no vector any longer.
fn damaged(db: &Db, file: &str, damage: Damage) -> (Store, i64) {
    let source = demo_store();
    damage(&segment(&source).join(file));
    let counts = db.line(&format!(
        "SELECT records, vectors = exact + restored, vectors + missing = records, missing \
         FROM chroma_collections({})",
        source.sql()
    ));
    let missing = counts
        .strip_prefix("300|t|t|")
        .unwrap_or_else(|| panic!("{file}: {counts}"));
    (source, missing.parse().expect("a number"))
}

#[test]
fn records_without_their_vector_are_errors_each_for_itself() {
    for (file, damage) in KINDS {
        let db = Db::new();
        let (source, missing) = damaged(&db, file, damage);
        assert!((100..=275).contains(&missing), "{file}: {missing}");
        let before = source.snapshot();
        db.notices();
        let report = db.migrate(
            &source,
            "embeddings => 'stored', entity_target => NULL, default_user_id => '1'",
        );
        let kept = 300 - missing;
        assert_eq!(report.outcome(), (300, kept, 0, missing), "{file}");
        let told: Vec<String> = db
            .notices()
            .iter()
            .filter(|notice| notice.severity == "WARNING")
            .map(|notice| notice.text.clone())
            .collect();
        let told = told.join("\n");
        assert!(
            (told.contains(file) || told.contains("has no files"))
                && told.contains("content_library"),
            "{file}: {told}"
        );
        let counted = format!("no vector for {missing} of 300 records");
        assert!(told.contains(&counted), "{file}: {told}");
        assert_eq!(
            db.line("SELECT missing, exact + restored, failed FROM vector_migrate.runs"),
            format!("{missing}|{kept}|{missing}"),
            "{file}"
        );
        assert_eq!(
            db.line("SELECT count(*), count(*) FILTER (WHERE reason = 'no_vector') FROM vector_migrate.run_errors"),
            format!("{missing}|{missing}"),
            "{file}"
        );
        assert_eq!(source.snapshot(), before, "{file}");
    }
}

#[test]
fn a_model_fills_the_gaps() {
    let db = Db::new();
    let (source, missing) = damaged(&db, "data_level0.bin", cut);
    let first = db.migrate(
        &source,
        "embeddings => 'stored', entity_target => NULL, orphans => 'keep'",
    );
    assert_eq!(first.outcome(), (300, 300 - missing, 0, missing));
    let second = db.migrate(&source, "entity_target => NULL, orphans => 'keep'");
    assert_eq!(second.outcome(), (300, missing, 300 - missing, 0));
    assert_eq!(second.total().embedded, missing);
    assert_eq!(
        db.line("SELECT missing, embedded, reused FROM vector_migrate.runs WHERE run_id = 2"),
        format!("{missing}|{missing}|0")
    );
    assert_eq!(db.count("content_vectors"), 300);
}

#[test]
fn strict_refuses_any_damage_and_writes_nothing() {
    for (file, damage) in KINDS {
        let db = Db::new();
        let (source, _) = damaged(&db, file, damage);
        for more in ["", ", dry_run => true", ", embeddings => 'generate'"] {
            let failure = db.refused(
                &format!(
                    "SELECT * FROM migrate_chroma({}, strict => true{more})",
                    source.sql()
                ),
                "XX001",
            );
            assert!(
                failure.text().contains("content_library"),
                "{file}: {failure:#?}"
            );
        }
        assert_eq!(
            db.line("SELECT to_regclass('content_vectors') IS NULL"),
            "t"
        );
        assert_eq!(db.count("vector_migrate.runs"), 0);
    }
}

/// Also where nothing of what is damaged would be needed.
#[test]
fn strict_refuses_damage_to_records_that_are_skipped() {
    let (db, source) = (Db::new(), demo_store());
    let arguments = "entity_target => NULL, orphans => 'keep'";
    db.migrate(&source, arguments);
    cut(&segment(&source).join("data_level0.bin"));
    let again = db.migrate(&source, arguments);
    assert_eq!(again.outcome(), (300, 0, 300, 0));
    db.refused(
        &format!(
            "SELECT * FROM migrate_chroma({}, {arguments}, strict => true)",
            source.sql()
        ),
        "XX001",
    );
}

#[test]
fn strict_takes_a_whole_store() {
    let (db, source) = (Db::new(), demo_store());
    let report = db.migrate(
        &source,
        "strict => true, entity_target => NULL, orphans => 'keep'",
    );
    assert_eq!(report.outcome(), (300, 300, 0, 0));
}

#[test]
fn folders_that_belong_to_nothing_are_counted_and_no_damage() {
    let (db, source) = (Db::new(), demo_store());
    let orphan = source.path().join("0b3ee2b4-6a35-4f0e-8d3f-3c9b3d2a1f00");
    fs::create_dir(&orphan).expect("creates");
    fs::write(orphan.join("data_level0.bin"), [0; 1000]).expect("writes");
    assert_eq!(
        db.line(&format!(
            "SELECT orphan_segments, orphan_bytes, warnings FROM chroma_store({})",
            source.sql()
        )),
        "1|1000|{}"
    );
    let report = db.migrate(
        &source,
        "strict => true, entity_target => NULL, orphans => 'keep'",
    );
    assert_eq!(report.outcome(), (300, 300, 0, 0));
}

/// The queue of 0.4 keeps every write: an index that holds another vector than the last one written is wrong.
#[test]
fn a_vector_that_the_queue_proves_old_is_marked() {
    let (db, source) = (Db::new(), store("chroma-0.4.24"));
    let own = source.texts(
        "SELECT s.id FROM segments s JOIN collections c ON c.id = s.collection \
         WHERE c.name = 'l2_history' AND s.scope = 'VECTOR'",
    );
    let folder = source.path().join(&own[0]);
    let header = fs::read(folder.join("header.bin")).expect("reads");
    let (count, stride, vector) = (field(&header, 20), field(&header, 28), field(&header, 44));
    let file = fs::File::options()
        .write(true)
        .open(folder.join("data_level0.bin"))
        .expect("opens");
    for slot in 0..count {
        file.write_all_at(&99.5_f32.to_le_bytes(), slot * stride + vector)
            .expect("writes");
    }
    let arguments = "collection => 'l2_history', entity_target => NULL, orphans => 'keep'";
    db.notices();
    let report = db.migrate(&source, arguments);
    assert_eq!(report.outcome(), (48, 48, 0, 0));
    let stale: i64 = db
        .line("SELECT stale FROM vector_migrate.runs")
        .parse()
        .expect("a number");
    assert!((1..=48).contains(&stale), "{stale}");
    assert_eq!(
        db.line(
            "SELECT count(*), count(*) FILTER (WHERE (c.embedding::real[])[1] = 99.5) FROM vector_migrate.run_errors e \
             JOIN content_vectors c ON c.id = e.record_id WHERE e.reason = 'stale'"
        ),
        format!("{stale}|{stale}")
    );
    assert_eq!(
        db.line(&format!(
            "SELECT stale FROM chroma_collections({}) WHERE collection = 'l2_history'",
            source.sql()
        )),
        stale.to_string()
    );
    let wanted = format!("vectors of {stale} of 48 records may be older");
    let notices = db.notices();
    assert!(
        notices.iter().any(|notice| notice.text.contains(&wanted)),
        "{notices:#?}"
    );
    db.run("DROP TABLE content_vectors");
    db.refused(
        &format!(
            "SELECT * FROM migrate_chroma({}, {arguments}, strict => true)",
            source.sql()
        ),
        "XX001",
    );
}

/// A page of `embedding_metadata` that cannot be read: its records fail, each by its name, the others are whole.
#[test]
fn an_unreadable_page_loses_the_records_on_it() {
    let (db, source) = (Db::new(), demo_store());
    let texts = source.texts(
        "SELECT string_value FROM embedding_metadata WHERE key = 'chroma:document' ORDER BY id LIMIT 1 OFFSET 150",
    );
    let text = texts[0].as_bytes();
    let path = source.path().join("chroma.sqlite3");
    let mut bytes = fs::read(&path).expect("reads");
    let pages: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, part)| *part == text)
        .map(|(at, _)| at / 4096 * 4096)
        .collect();
    assert!(!pages.is_empty());
    for at in pages {
        bytes[at..at + 4096].fill(0xff);
    }
    fs::write(&path, bytes).expect("writes");
    let before = source.snapshot();
    let arguments = "entity_target => NULL, orphans => 'keep'";
    let failure = db.refused(
        &format!(
            "SELECT * FROM migrate_chroma({}, {arguments}, strict => true)",
            source.sql()
        ),
        "XX001",
    );
    assert!(
        failure.text().contains("embedding_metadata"),
        "{failure:#?}"
    );
    db.notices();
    let report = db.migrate(&source, arguments);
    let failed = report.total().failed;
    assert!((1..60).contains(&failed), "{failed}");
    assert_eq!(report.outcome(), (300, 300 - failed, 0, failed));
    assert_eq!(
        db.line("SELECT count(*), count(DISTINCT record_id) FROM vector_migrate.run_errors WHERE reason = 'damaged'"),
        format!("{failed}|{failed}")
    );
    let told = format!("{failed} of 300 records");
    let notices = db.notices();
    assert!(
        notices.iter().any(|notice| notice.severity == "WARNING"
            && notice.text.contains("chroma.sqlite3")
            && notice.text.contains("embedding_metadata")
            && notice.text.contains(&told)),
        "{notices:#?}"
    );
    assert_eq!(source.snapshot(), before);

    // With the store repaired, a second run brings the rest.
    let whole = demo_store();
    let report = db.migrate(&whole, arguments);
    assert_eq!(report.outcome(), (300, failed, 300 - failed, 0));
}

#[test]
fn index_files_under_another_name_are_told_with_what_brings_them_back() {
    let (db, source) = (Db::new(), demo_store());
    let whole = segment(&source);
    let name = format!("{}.drift-20260531's", whole.display());
    fs::rename(&whole, &name).expect("renames");
    let warnings = || {
        db.lines(&format!(
            "SELECT unnest(warnings) FROM chroma_store({})",
            source.sql()
        ))
    };
    let told = warnings();
    let command = told
        .iter()
        .find_map(|it| it.split_once("brings them back: "));
    let (_, command) = command.expect("a command");
    assert!(
        told.len() == 2 && told[0].contains("has no files"),
        "{told:?}"
    );
    let arguments = "embeddings => 'stored', entity_target => NULL, dry_run => true";
    let session = db.session();
    let lost = session.migrate(&source, arguments).total();
    assert!(lost.failed > 200, "{lost:?}");
    let warned = session.notices();
    assert!(
        warned
            .iter()
            .any(|it| it.severity == "WARNING" && it.text.contains(command))
    );
    let done = std::process::Command::new("sh")
        .args(["-c", command])
        .status();
    assert!(done.expect("a shell").success());
    assert_eq!(warnings(), [""; 0]);
    assert_eq!(db.migrate(&source, arguments).total().failed, 0);
    // An old copy beside it costs nothing; a folder of something else is not spoken of.
    let backup = format!("{}_backup_1", whole.display());
    fs::create_dir(&backup).expect("creates");
    assert_eq!(warnings(), [""; 0]);
    fs::copy(
        whole.join("header.bin"),
        Path::new(&backup).join("header.bin"),
    )
    .expect("copies");
    let told = warnings();
    assert!(
        told.len() == 1 && told[0].contains("was moved away"),
        "{told:?}"
    );
    let strict = format!("{arguments}, strict => true");
    assert_eq!(db.migrate(&source, &strict).total().failed, 0);
}
