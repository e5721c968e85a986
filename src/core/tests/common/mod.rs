//! Copies of the fixtures, opened and changed by tests.

#![allow(dead_code, reason = "every test program uses a part")]

pub mod graphs;
pub mod pages;
pub mod pickles;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vector_migrate_core::record::{Collection, Record};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Source, SourceError};

/// The folder of the fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../pgrx-tests/fixtures")
        .canonicalize()
        .unwrap()
}

/// Opens a store that must open.
pub fn open(directory: &Path) -> ChromaStore {
    try_open(directory).unwrap()
}

/// Opens a store.
pub fn try_open(directory: &Path) -> Result<ChromaStore, SourceError> {
    ChromaStore::open(directory, Arc::new(AtomicBool::new(false)))
}

/// The error of a store that must not open.
pub fn refused(directory: &Path) -> SourceError {
    match try_open(directory) {
        Ok(_) => panic!("{} was opened", directory.display()),
        Err(error) => error,
    }
}

/// The collection of this name.
pub fn named<'a>(store: &'a ChromaStore, name: &str) -> &'a Collection {
    store
        .collections()
        .iter()
        .find(|collection| collection.name == name)
        .unwrap()
}

/// Every record of a collection.
pub fn records(store: &ChromaStore, collection: &Collection) -> Vec<Record> {
    let mut records = Vec::new();
    store
        .read(collection, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })
        .unwrap();
    records
}

/// Reads and counts every collection; the number of records.
pub fn read_all(store: &ChromaStore) -> Result<u64, SourceError> {
    let mut records = 0;
    for collection in store.collections() {
        store.read(collection, &mut |_| {
            records += 1;
            ControlFlow::Continue(())
        })?;
        store.inventory(collection)?;
    }
    Ok(records)
}

/// A private copy of a fixture.
pub struct Copy {
    _root: tempfile::TempDir,
    /// The persist directory.
    pub directory: PathBuf,
}

/// Copies the fixture `name`.
pub fn copy(name: &str) -> Copy {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().canonicalize().unwrap().join("store");
    copy_tree(&fixtures().join(name), &directory);
    Copy {
        _root: root,
        directory,
    }
}

impl Copy {
    /// Its `chroma.sqlite3`.
    pub fn database(&self) -> PathBuf {
        self.directory.join("chroma.sqlite3")
    }

    /// A connection that may write.
    pub fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database()).unwrap()
    }

    /// Runs statements on the copy.
    pub fn sql(&self, sql: &str) {
        self.sqlite().execute_batch(sql).unwrap();
    }

    /// The folder of a collection's index files.
    pub fn segment(&self, collection: &str) -> PathBuf {
        let id: String = self
            .sqlite()
            .query_row(
                "SELECT s.id FROM segments s JOIN collections c ON c.id = s.collection \
                 WHERE c.name = ?1 AND s.scope = 'VECTOR'",
                [collection],
                |row| row.get(0),
            )
            .unwrap();
        self.directory.join(id)
    }
}

/// Copies a folder with what is in it.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Gives a file a time that lies back, as a fresh file that is damaged may be half written.
pub fn age(path: &Path) {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    if let Ok(file) = fs::File::open(path) {
        file.set_modified(then).unwrap();
    }
}

/// Ages every file of a folder.
pub fn age_all(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        age(&entry.unwrap().path());
    }
}

/// The most memory that this process ever had, in bytes.
pub fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap() * 1024
}
