//! What the reader refuses, what it reads in spite of damage, and that neither ends in a panic.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{copy, fixtures, named, open, records, refused, try_open};
use vector_migrate_core::record::{Grade, Record};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Source, SourceError};

const NEW: &str = "chroma-1.5.9";

fn is_send<T: Send>(_: &T) {}

#[test]
fn a_store_can_move_to_another_thread() {
    let store = open(&fixtures().join(NEW));
    is_send(&store);
    let count = std::thread::spawn(move || store.collections().len())
        .join()
        .unwrap();
    assert_eq!(count, 16);
}

#[test]
fn the_directory_and_its_database_are_the_same_store() {
    let directory = fixtures().join(NEW);
    let store = open(&directory.join("chroma.sqlite3"));
    assert_eq!(store.directory(), directory);
    let two = open(&directory);
    assert_eq!(store.fingerprint(), two.fingerprint());
    let json = two.fingerprint().to_json();
    assert_eq!(
        json["sqlite"]["bytes"],
        fs::metadata(directory.join("chroma.sqlite3"))
            .unwrap()
            .len()
    );
    assert!(json["last_seq_id"].as_i64().unwrap() > 0);
}

#[test]
fn a_path_that_is_no_store_is_named() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let missing = root.join("a/b");
    assert!(matches!(refused(&missing), SourceError::NotFound { path } if path == missing));
    assert!(matches!(
        refused(Path::new("chroma")),
        SourceError::NotAbsolute { .. }
    ));
    assert!(
        matches!(refused(&root), SourceError::NoChromaDatabase { directory } if directory == root)
    );
    fs::write(root.join("file"), b"x").unwrap();
    assert!(matches!(
        refused(&root.join("file")),
        SourceError::NotADirectory { .. }
    ));
    assert!(
        matches!(refused(&root.join("file/x")), SourceError::NotADirectory { path } if path == root.join("file"))
    );
    assert!(matches!(
        refused(Path::new("/dev/null")),
        SourceError::NotAFile {
            what: "a device",
            ..
        }
    ));
    fs::create_dir(root.join("chroma.sqlite3")).unwrap();
    assert!(matches!(refused(&root), SourceError::IsADirectory { .. }));
}

#[test]
fn a_file_that_is_not_sqlite_is_not_opened() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().canonicalize().unwrap();
    for content in [&b""[..], b"hello", &[0; 4096], b"SQLite format 3\0"] {
        fs::write(path.join("chroma.sqlite3"), content).unwrap();
        assert!(
            matches!(refused(&path), SourceError::NotSqlite { .. }),
            "{content:.20?}"
        );
    }
}

#[test]
fn a_database_of_which_only_the_first_page_is_lost_is_said_to_be_one() {
    for (from, to) in [(0, 4096), (5, 4096), (16, 100)] {
        let copy = copy(NEW);
        let path = copy.directory.join("chroma.sqlite3");
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in bytes[from..to].iter_mut().enumerate() {
            *byte = (at * 31 % 251) as u8;
        }
        fs::write(&path, bytes).unwrap();
        common::age(&path);
        match refused(&copy.directory) {
            SourceError::Damaged { what, .. } => assert!(what.contains("first page"), "{what}"),
            other => panic!("{from}: {other:?}"),
        }
    }
}

#[test]
fn links_are_not_followed() {
    let copy = copy(NEW);
    let segment = copy.segment("l2_history");
    let elements = segment.join("data_level0.bin");
    fs::rename(&elements, copy.directory.join("elsewhere")).unwrap();
    symlink(copy.directory.join("elsewhere"), &elements).unwrap();
    assert!(matches!(
        refused(&copy.directory),
        SourceError::NotAFile {
            what: "a symbolic link",
            ..
        }
    ));
    fs::remove_file(&elements).unwrap();
    fs::rename(copy.directory.join("elsewhere"), &elements).unwrap();
    open(&copy.directory);
    fs::rename(&segment, copy.directory.join("folder")).unwrap();
    symlink(copy.directory.join("folder"), &segment).unwrap();
    assert!(matches!(
        refused(&copy.directory),
        SourceError::NotAFile { .. }
    ));
    fs::remove_file(&segment).unwrap();
    fs::rename(copy.database(), copy.directory.join("real")).unwrap();
    symlink(copy.directory.join("real"), copy.database()).unwrap();
    assert!(matches!(
        refused(&copy.directory),
        SourceError::NotAFile { .. }
    ));
}

#[test]
fn a_segment_name_never_leaves_the_directory() {
    let copy = copy(NEW);
    copy.sql(
        "UPDATE segments SET id = '../../../../../../../../../../../etc/' || rowid WHERE scope = 'VECTOR'",
    );
    assert!(matches!(
        refused(&copy.directory),
        SourceError::Damaged { .. }
    ));
}

#[test]
fn the_layout_before_0_4_is_told_from_the_new_one() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().canonicalize().unwrap();
    fs::write(path.join("chroma-embeddings.parquet"), b"PAR1").unwrap();
    assert!(matches!(refused(&path), SourceError::OldLayout { .. }));
    let copy = copy(NEW);
    fs::write(copy.directory.join("chroma-embeddings.parquet"), b"PAR1").unwrap();
    assert!(
        open(&copy.directory)
            .warnings()
            .iter()
            .any(|warning| warning.contains("before 0.4"))
    );
}

#[test]
fn an_unknown_schema_is_refused_with_its_reason() {
    for (sql, reason) in [
        (
            "INSERT INTO migrations VALUES ('sysdb', 11, 'x', 'x', 'x')",
            "sysdb 11",
        ),
        (
            "INSERT INTO migrations VALUES ('metadb', 7, 'x', 'x', 'x')",
            "metadb 7",
        ),
        (
            "INSERT INTO migrations VALUES ('vectordb', 1, 'x', 'x', 'x')",
            "vectordb",
        ),
        ("DROP TABLE migrations", "migrations"),
        ("DROP TABLE max_seq_id", "max_seq_id"),
        (
            "ALTER TABLE embeddings RENAME COLUMN embedding_id TO user",
            "embedding_id",
        ),
        (
            "UPDATE segments SET type = 'urn:chroma:segment/vector/spann' WHERE scope = 'VECTOR'",
            "spann",
        ),
        (
            "ALTER TABLE segments RENAME TO s; CREATE VIEW segments AS SELECT * FROM s",
            "view",
        ),
        (
            "DROP TABLE segment_metadata; CREATE VIRTUAL TABLE segment_metadata USING fts5(segment_id)",
            "segment_metadata",
        ),
    ] {
        let copy = copy(NEW);
        copy.sql(sql);
        match refused(&copy.directory) {
            SourceError::UnknownLayout { what, .. } => assert!(what.contains(reason), "{what}"),
            other => panic!("{sql}: {other}"),
        }
    }
}

#[test]
fn an_unknown_version_of_the_index_is_refused() {
    let copy = copy(NEW);
    let header = copy.segment("l2_history").join("header.bin");
    let mut bytes = fs::read(&header).unwrap();
    bytes[0] = 2;
    fs::write(&header, bytes).unwrap();
    assert!(
        matches!(refused(&copy.directory), SourceError::UnknownLayout { path, .. } if path == header)
    );
}

#[test]
fn a_write_lock_is_waited_for_and_then_told() {
    let copy = copy(NEW);
    let writer = copy.sqlite();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let since = Instant::now();
    assert!(matches!(refused(&copy.directory), SourceError::Busy { .. }));
    assert!(since.elapsed() >= Duration::from_secs(4));
    let directory = copy.directory.clone();
    let reader =
        std::thread::spawn(move || try_open(&directory).map(|store| store.collections().len()));
    std::thread::sleep(Duration::from_millis(200));
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 16);
}

#[test]
fn the_stop_flag_ends_the_wait_for_a_lock() {
    let copy = copy(NEW);
    let writer = copy.sqlite();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (directory, flag) = (copy.directory.clone(), Arc::clone(&stop));
    let reader = std::thread::spawn(move || ChromaStore::open(&directory, flag).map(|_| ()));
    std::thread::sleep(Duration::from_millis(200));
    let since = Instant::now();
    stop.store(true, Ordering::Relaxed);
    assert!(matches!(
        reader.join().unwrap(),
        Err(SourceError::Interrupted)
    ));
    assert!(since.elapsed() < Duration::from_secs(1));
}

#[test]
fn the_stop_flag_ends_reading_and_counting() {
    let stop = Arc::new(AtomicBool::new(false));
    let store = ChromaStore::open(&fixtures().join(NEW), Arc::clone(&stop)).unwrap();
    let collection = named(&store, "l2_history").clone();
    let mut seen = 0;
    let result = store.read(&collection, &mut |_| {
        seen += 1;
        stop.store(true, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert!(matches!(result, Err(SourceError::Interrupted)));
    assert_eq!(seen, 1);
    assert!(matches!(
        store.inventory(&collection),
        Err(SourceError::Interrupted)
    ));
    assert!(matches!(store.summary(), Err(SourceError::Interrupted)));
}

#[test]
fn reading_stops_where_it_is_told_to() {
    let store = open(&fixtures().join(NEW));
    let mut seen = 0;
    let each = &mut |_| {
        seen += 1;
        if seen == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    store.read(named(&store, "l2_history"), each).unwrap();
    assert_eq!(seen, 3);
}

#[test]
fn a_journal_that_is_not_hot_is_no_hindrance() {
    let copy = copy(NEW);
    fs::write(copy.directory.join("chroma.sqlite3-journal"), [0; 512]).unwrap();
    open(&copy.directory);
    assert!(copy.directory.join("chroma.sqlite3-journal").exists());
}

#[test]
fn one_store_closing_leaves_the_locks_of_another() {
    let copy = copy(NEW);
    let first = open(&copy.directory);
    drop(open(&copy.directory));
    // Another process must still find the lock of `first`.
    let script = "import sqlite3, sys\n\
                  c = sqlite3.connect(sys.argv[1], timeout=0)\n\
                  try:\n c.execute('DELETE FROM embeddings_queue'); c.commit(); print('written')\n\
                  except sqlite3.OperationalError as e: print(e)";
    let Ok(output) = std::process::Command::new("python3")
        .arg("-c")
        .arg(script)
        .arg(copy.database())
        .output()
    else {
        return; // no Python here
    };
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "database is locked"
    );
    drop(first);
}

#[test]
fn index_files_that_change_while_they_are_read_are_noticed() {
    let copy = copy(NEW);
    let store = open(&copy.directory);
    let pickle = copy.segment("l2_history").join("index_metadata.pickle");
    fs::OpenOptions::new()
        .append(true)
        .open(pickle)
        .unwrap()
        .set_len(5000)
        .unwrap();
    let result = store.read(named(&store, "l2_history"), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(
        matches!(result, Err(SourceError::Busy { .. })),
        "{result:?}"
    );
}

/// Damages one file of a segment and reads: records stay, vectors of the queue stay, somebody is told.
fn damaged(file: &str, change: impl Fn(&Path)) -> (usize, String) {
    let copy = copy(NEW);
    change(&copy.segment("cosine_history").join(file));
    common::age_all(&copy.segment("cosine_history"));
    let store = open(&copy.directory);
    let collection = named(&store, "cosine_history");
    let found = records(&store, collection);
    let intact = open(&fixtures().join(NEW));
    let wanted = records(&intact, named(&intact, "cosine_history"));
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        let same_vector = found.vector.is_none() || found.vector == wanted.vector;
        assert!(same_vector, "{}", found.id);
        let without = |record: &Record| Record {
            vector: None,
            missing: false,
            ..record.clone()
        };
        assert_eq!(without(found), without(wanted));
    }
    let with_vector = found
        .iter()
        .filter(|record| record.vector.is_some())
        .count();
    assert_eq!(
        store.inventory(collection).unwrap().vectors,
        with_vector as u64
    );
    let told: Vec<String> = store
        .warnings()
        .iter()
        .cloned()
        .chain(store.take_notices())
        .collect();
    (with_vector, told.join("\n"))
}

#[test]
fn a_broken_index_leaves_the_records_and_the_queue() {
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let empty = |path: &Path| fs::write(path, b"").unwrap();
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    for file in ["header.bin", "index_metadata.pickle", "data_level0.bin"] {
        for change in [&remove as &dyn Fn(&Path), &empty, &cut] {
            let (with_vector, told) = damaged(file, change);
            assert!((1..53).contains(&with_vector), "{file}: {with_vector}");
            assert!(told.contains("cosine_history"), "{file}: {told:?}");
        }
    }
    let (with_vector, told) = damaged("length.bin", remove);
    assert!(with_vector < 53 && told.contains("length.bin"), "{told}");
    let (_, told) = damaged("index_metadata.pickle", |path| {
        fs::write(path, b"cos\nsystem\n.").unwrap()
    });
    assert!(told.contains("0x63 is not allowed"), "{told}");
}

#[test]
fn a_missing_folder_is_told() {
    let (with_vector, told) = damaged("header.bin", |path| {
        fs::remove_dir_all(path.parent().unwrap()).unwrap()
    });
    assert!(with_vector < 53);
    assert!(told.contains("is missing"), "{told}");
}

#[test]
fn a_flipped_byte_never_panics() {
    let copy = copy(NEW);
    let segment = copy.segment("cosine_history");
    let header = fs::read(segment.join("header.bin")).unwrap();
    common::age_all(&segment);
    for at in 0..header.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = header.clone();
            bytes[at] ^= change;
            fs::write(segment.join("header.bin"), &bytes).unwrap();
            common::age(&segment.join("header.bin"));
            if let Ok(store) = try_open(&copy.directory) {
                let _ = store.read(named(&store, "cosine_history"), &mut |_| {
                    ControlFlow::Continue(())
                });
            }
        }
    }
}

#[test]
fn a_damaged_database_is_an_error_and_not_a_panic() {
    let original = fs::read(fixtures().join(NEW).join("chroma.sqlite3")).unwrap();
    let copy = copy(NEW);
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut refusals = 0;
    for round in 0..150 {
        let mut bytes = original.clone();
        if round % 3 == 0 {
            bytes.truncate(100 + random(original.len() - 100));
        }
        for _ in 0..=random(40) {
            let at = random(bytes.len());
            bytes[at] = u8::try_from(random(256)).unwrap();
        }
        fs::write(copy.database(), &bytes).unwrap();
        let result = try_open(&copy.directory).and_then(|store| {
            for collection in store.collections() {
                store.read(collection, &mut |_| ControlFlow::Continue(()))?;
                store.inventory(collection)?;
            }
            store.summary()
        });
        refusals += u32::from(result.is_err());
    }
    assert!(refusals > 20, "{refusals}");
}

#[test]
fn a_disagreement_about_the_space_names_both_words() {
    let copy = copy("chroma-0.5.23");
    let folder: PathBuf = copy.segment("cosine_history");
    let id = folder.file_name().unwrap().to_str().unwrap();
    copy.sql(&format!(
        "ALTER TABLE collections ADD COLUMN schema_str TEXT; UPDATE collections SET schema_str = \
         '{{\"defaults\":{{\"float_list\":{{\"vector_index\":{{\"config\":{{\"space\":\"l2\"}}}}}}}}}}' WHERE id = \
         (SELECT collection FROM segments WHERE id = '{id}')"
    ));
    let store = open(&copy.directory);
    let warning = store
        .warnings()
        .iter()
        .find(|warning| warning.contains("cosine_history"))
        .unwrap();
    assert!(
        warning.contains("space cosine") && warning.contains("says l2"),
        "{warning}"
    );
    let plain = open(&fixtures().join("chroma-0.5.23"));
    let left = records(&store, named(&store, "cosine_history"));
    let right = records(&plain, named(&plain, "cosine_history"));
    assert_eq!(left, right);
    assert!(left.iter().any(|record| {
        record
            .vector
            .as_ref()
            .is_some_and(|vector| vector.grade == Grade::Restored)
    }));
}
