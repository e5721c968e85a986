//! Stores that are live, were killed, or are in write-ahead mode: one moment of the store or an error, and nothing
//! changed in its directory.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::{Copy, copy, copy_tree, fixtures, named, open, records};
use vector_migrate_core::record::{Collection, Record};
use vector_migrate_core::source::chroma::{ChromaStore, Options, PersistDir, Snapshot};
use vector_migrate_core::source::{Source, SourceError};

const NEW: &str = "chroma-1.5.9";

/// A folder for private copies.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Scratch {
        Scratch(tempfile::tempdir().unwrap())
    }

    fn options(&self, snapshot: Snapshot) -> Options {
        Options {
            scratch: self.0.path().join("copies"),
            prefix: "pgsql_tmp".to_owned(),
            snapshot,
            ..Options::new(Arc::new(AtomicBool::new(false)))
        }
    }

    fn open(&self, directory: &Path) -> Result<ChromaStore, SourceError> {
        ChromaStore::open_with(
            PersistDir::open(directory)?,
            self.options(Snapshot::WhenNeeded),
        )
    }

    /// The private folders.
    fn folders(&self) -> Vec<PathBuf> {
        match fs::read_dir(self.0.path().join("copies")) {
            Ok(found) => found.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        }
    }
}

/// Every file below a folder: its bytes, and its time of change.
fn everything(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::metadata(&path).unwrap();
        let bytes = if metadata.is_dir() {
            found.extend(everything(&path));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(path, (bytes, metadata.mtime(), metadata.mtime_nsec()));
    }
    found
}

/// Every record of every collection.
fn all(store: &ChromaStore) -> Vec<(String, Vec<Record>)> {
    let collections = store.collections().iter();
    collections
        .map(|collection| (collection.qualified_name(), records(store, collection)))
        .collect()
}

/// The store as a process that dies now leaves it.
fn killed(copy: &Copy) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().canonicalize().unwrap().join("store");
    copy_tree(&copy.directory, &directory);
    (root, directory)
}

#[test]
fn a_hot_journal_is_rolled_back_in_a_copy() {
    let copy = copy(NEW);
    let writer = copy.sqlite();
    writer
        .execute_batch(
            "PRAGMA foreign_keys = 0; PRAGMA cache_size = 1; BEGIN; UPDATE embeddings_queue SET topic = topic || 'x'; \
             DELETE FROM embeddings; \
             CREATE TABLE filler AS SELECT randomblob(9000) FROM embeddings_queue",
        )
        .unwrap();
    let (_root, directory) = killed(&copy);
    drop(writer);
    let journal = fs::read(directory.join("chroma.sqlite3-journal")).unwrap();
    assert_ne!(journal.first(), Some(&0));
    let before = everything(&directory);

    let scratch = Scratch::new();
    let store = scratch.open(&directory).unwrap();
    let folders = scratch.folders();
    assert_eq!(folders.len(), 1);
    assert_eq!(
        folders[0].metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(store.directory(), directory);
    assert_eq!(all(&store), all(&open(&fixtures().join(NEW))));
    store.summary().unwrap();
    drop(store);
    assert!(scratch.folders().is_empty());
    assert_eq!(everything(&directory), before);
}

#[test]
fn a_write_ahead_log_is_read_in_a_copy() {
    let copy = copy(NEW);
    copy.sql("PRAGMA journal_mode = wal");
    let wanted = all(&open(&fixtures().join(NEW)));
    let scratch = Scratch::new();
    // Without a log beside it.
    let before = everything(&copy.directory);
    assert_eq!(all(&scratch.open(&copy.directory).unwrap()), wanted);
    assert_eq!(everything(&copy.directory), before);
    // With committed rows that are only in the log, of a process that lives or was killed.
    let writer = copy.sqlite();
    writer
        .execute_batch(
            "PRAGMA wal_autocheckpoint = 0; UPDATE collections SET name = 'renamed' WHERE name = 'l2_history'",
        )
        .unwrap();
    let (_root, directory) = killed(&copy);
    fs::remove_file(directory.join("chroma.sqlite3-shm")).unwrap();
    for directory in [&copy.directory, &directory] {
        let before = everything(directory);
        assert!(before[&directory.join("chroma.sqlite3-wal")].0.len() > 32);
        let store = scratch.open(directory).unwrap();
        assert_eq!(records(&store, named(&store, "renamed")).len(), 48);
        drop(store);
        assert_eq!(everything(directory), before);
        assert!(scratch.folders().is_empty());
    }
}

#[test]
fn nothing_is_copied_for_a_store_that_nobody_writes() {
    let scratch = Scratch::new();
    let store = scratch.open(&fixtures().join(NEW)).unwrap();
    all(&store);
    store.summary().unwrap();
    assert!(!scratch.0.path().join("copies").exists());
}

#[test]
fn a_copy_is_the_same_store_and_holds_no_lock() {
    let copy = copy(NEW);
    let scratch = Scratch::new();
    let plain = open(&copy.directory);
    let (wanted, print, summary) = (all(&plain), plain.fingerprint(), plain.summary().unwrap());
    drop(plain);
    let store = ChromaStore::open_with(
        PersistDir::open(&copy.directory).unwrap(),
        scratch.options(Snapshot::Always),
    )
    .unwrap();
    copy.sql("PRAGMA foreign_keys = 0; DELETE FROM embeddings; DELETE FROM embeddings_queue");
    fs::remove_dir_all(copy.segment("l2_history")).unwrap();
    assert_eq!(all(&store), wanted);
    assert_eq!(store.fingerprint(), print);
    assert_eq!(store.summary().unwrap(), summary);
    drop(store);
    assert!(scratch.folders().is_empty());
}

#[test]
fn a_copy_that_fails_leaves_nothing() {
    let copy = copy(NEW);
    copy.sql("PRAGMA journal_mode = wal");
    let scratch = Scratch::new();
    let mut bytes = fs::read(copy.database()).unwrap();
    bytes[100..4000].fill(0xff);
    fs::write(copy.database(), bytes).unwrap();
    match scratch.open(&copy.directory).err().unwrap() {
        SourceError::Damaged { path, .. } => assert_eq!(path, copy.database()),
        other => panic!("{other}"),
    }
    assert!(scratch.folders().is_empty());
    // No room for copies.
    fs::remove_dir(scratch.0.path().join("copies")).unwrap();
    fs::write(scratch.0.path().join("copies"), b"").unwrap();
    assert!(matches!(
        scratch.open(&copy.directory),
        Err(SourceError::Io { .. })
    ));
}

#[test]
fn files_that_keep_changing_are_busy() {
    let copy = copy(NEW);
    copy.sql("PRAGMA journal_mode = wal");
    let scratch = Scratch::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let header = copy.segment("l2_history").join("header.bin");
            let bytes = fs::read(&header).unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                fs::write(&header, &bytes).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // The clock's step: the file is always too young.
        std::thread::sleep(Duration::from_millis(50));
        let attempt = || {
            let options = scratch.options(Snapshot::WhenNeeded);
            let stop = options.stop.clone();
            scope.spawn(move || {
                std::thread::sleep(Duration::from_secs(2));
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            ChromaStore::open_with(PersistDir::open(&copy.directory).unwrap(), options).map(|_| ())
        };
        // On a busy machine the writer may get no turn for as long as a look at the files takes: then they rest.
        let mut results = (0..20).map(|_| attempt());
        let result = results.find(Result::is_err).unwrap_or(Ok(()));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(
            matches!(
                result,
                Err(SourceError::Busy { .. } | SourceError::Interrupted)
            ),
            "{result:?}"
        );
    });
    assert!(scratch.folders().is_empty());
}

/// A Python process that obeys statements, one a line, and answers each with a line.
struct Writer {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Writer {
    fn start(database: &Path) -> Option<Writer> {
        let script = "import sqlite3, sys\n\
                      c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n\
                      for line in sys.stdin:\n\
                      \x20   try:\n\
                      \x20       c.execute(line); print('done', flush=True)\n\
                      \x20   except Exception as e:\n\
                      \x20       print(e, flush=True)";
        let mut child = Command::new("python3")
            .args(["-u", "-c", script])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let answers = BufReader::new(child.stdout.take().unwrap());
        Some(Writer { child, answers })
    }

    fn tell(&mut self, sql: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{sql}").unwrap();
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn run(&mut self, sql: &str) {
        self.tell(sql);
        assert_eq!(self.answer(), "done", "{sql}");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store, a process that may write to it, and a reader's folder for private copies.
struct Scene {
    copy: Copy,
    writer: Writer,
    scratch: Scratch,
    /// What its collection `cosine_history` holds at first.
    wanted: Vec<Record>,
}

impl Scene {
    fn new() -> Option<Scene> {
        let copy = copy(NEW);
        let writer = Writer::start(&copy.database())?;
        let plain = open(&fixtures().join(NEW));
        let wanted = records(&plain, named(&plain, "cosine_history"));
        Some(Scene {
            copy,
            writer,
            scratch: Scratch::new(),
            wanted,
        })
    }

    fn open(&self) -> (ChromaStore, Collection) {
        let store = self.scratch.open(&self.copy.directory).unwrap();
        let collection = named(&store, "cosine_history").clone();
        (store, collection)
    }
}

#[test]
fn owners_are_given_once_where_a_commit_comes_between() {
    let Some(mut scene) = Scene::new() else {
        return; // no Python here
    };
    let (store, collection) = scene.open();
    scene.writer.run("BEGIN IMMEDIATE");
    scene
        .writer
        .run("UPDATE embedding_metadata SET string_value = NULL, int_value = NULL");
    scene.writer.tell("COMMIT");
    let mut found = Vec::new();
    store
        .read_owners(&collection, "group", &mut |value| {
            found.push(value.cloned());
            std::thread::sleep(Duration::from_millis(2));
            ControlFlow::Continue(())
        })
        .unwrap();
    let group = |record: &Record| record.metadata.get("group").cloned();
    assert_eq!(found, scene.wanted.iter().map(group).collect::<Vec<_>>());
    assert_eq!(scene.writer.answer(), "done");
    assert_eq!(scene.scratch.folders().len(), 1);
}

#[test]
fn a_commit_in_the_middle_of_a_read_goes_through() {
    let Some(mut scene) = Scene::new() else {
        return; // no Python here
    };
    let (store, collection) = scene.open();
    scene.writer.run("BEGIN IMMEDIATE");
    scene
        .writer
        .run("UPDATE embedding_metadata SET string_value = 'new'");
    scene.writer.run("DELETE FROM embeddings_queue");
    scene.writer.tell("COMMIT");
    let mut found = Vec::new();
    store
        .read(&collection, &mut |record| {
            found.push(record);
            std::thread::sleep(Duration::from_millis(2));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(found, scene.wanted);
    assert_eq!(scene.writer.answer(), "done");
    assert_eq!(scene.scratch.folders().len(), 1);
    assert_eq!(store.inventory(&collection).unwrap().records, 53);
    drop(store);
    let (now, collection) = scene.open();
    assert_ne!(records(&now, &collection), scene.wanted);
    drop(now);
    assert!(scene.scratch.folders().is_empty());
}

#[test]
fn a_commit_goes_through_while_the_records_are_not_asked_for_yet() {
    let Some(mut scene) = Scene::new() else {
        return; // no Python here
    };
    let (store, collection) = scene.open();
    store.unlock_for_writer().unwrap();
    assert!(scene.scratch.folders().is_empty());
    store.warm(&collection).unwrap();
    scene.writer.run("BEGIN IMMEDIATE");
    scene
        .writer
        .run("UPDATE embedding_metadata SET string_value = 'new'");
    scene.writer.run("DELETE FROM embeddings");
    scene.writer.tell("COMMIT");
    store.unlock_for_writer().unwrap();
    assert_eq!(scene.writer.answer(), "done");
    assert_eq!(scene.scratch.folders().len(), 1);
    assert_eq!(records(&store, &collection), scene.wanted);
}

#[test]
fn an_open_transaction_is_waited_for() {
    let copy = copy(NEW);
    let Some(mut writer) = Writer::start(&copy.database()) else {
        return; // no Python here
    };
    let scratch = Scratch::new();
    writer.run("BEGIN IMMEDIATE");
    writer.run("UPDATE collections SET name = 'renamed' WHERE name = 'l2_history'");
    let store = std::thread::scope(|scope| {
        let reader = scope.spawn(|| scratch.open(&copy.directory));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!reader.is_finished());
        writer.run("COMMIT");
        reader.join().unwrap().unwrap()
    });
    assert_eq!(records(&store, named(&store, "renamed")).len(), 48);
    // Somebody writes: the lock is not kept.
    writer.run("DELETE FROM embeddings_queue");
    // A transaction that does not end.
    writer.run("BEGIN IMMEDIATE");
    let since = Instant::now();
    assert!(matches!(
        scratch.open(&copy.directory),
        Err(SourceError::Busy { .. })
    ));
    assert!(since.elapsed() < Duration::from_secs(12));
}

#[test]
fn index_files_that_change_during_a_read_never_mix() {
    let copy = copy(NEW);
    let scratch = Scratch::new();
    let wanted = open(&fixtures().join(NEW));
    let wanted = records(&wanted, named(&wanted, "cosine_history"));
    for file in ["data_level0.bin", "length.bin", "index_metadata.pickle"] {
        let store = scratch.open(&copy.directory).unwrap();
        let collection = named(&store, "cosine_history").clone();
        let path = copy.segment("cosine_history").join(file);
        let bytes = fs::read(&path).unwrap();
        let mut found = Vec::new();
        let result = store.read(&collection, &mut |record| {
            if found.is_empty() {
                let garbage: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x55).collect();
                fs::write(&path, garbage).unwrap();
            }
            found.push(record);
            ControlFlow::Continue(())
        });
        assert!(
            result.is_ok() || matches!(result, Err(SourceError::Busy { .. })),
            "{result:?}"
        );
        assert_eq!(found, wanted[..found.len()]);
        drop(store);
        fs::write(&path, &bytes).unwrap();
        assert!(scratch.folders().is_empty());
    }
}
