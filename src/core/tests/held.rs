//! A persist directory is found once: what becomes of its path, or takes the place of a part of it, changes nothing or
//! is an error.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::{Copy, copy, copy_tree, named, open, records, refused, try_open};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use vector_migrate_core::source::chroma::{ChromaStore, Options, PersistDir};
use vector_migrate_core::source::{Source, SourceError};

const FIXTURE: &str = "chroma-1.5.9";
const SEGMENT: &str = "l2_history";

fn options() -> Options {
    Options::new(Arc::new(AtomicBool::new(false)))
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// Fails if `work` takes as long as a call that waits for a pipe, which is for ever.
fn at_once<T>(work: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let result = work();
    assert!(since.elapsed() < Duration::from_secs(15));
    result
}

/// The store of `copy` with other names of its collections, in the place of the store.
fn replace(copy: &Copy) {
    let away = copy.directory.with_extension("away");
    fs::rename(&copy.directory, &away).unwrap();
    copy_tree(&away, &copy.directory);
    copy.sql("UPDATE collections SET name = name || '_of_another'");
}

#[test]
fn what_takes_the_place_of_the_directory_is_not_read() {
    let copy = copy(FIXTURE);
    let before = open(&copy.directory);
    let wanted = records(&before, named(&before, SEGMENT));
    drop(before);
    let place = PersistDir::open(&copy.directory).unwrap();
    replace(&copy);
    let store = ChromaStore::open_with(place, options()).unwrap();
    assert_eq!(records(&store, named(&store, SEGMENT)), wanted);
    // Index files are looked for when they are wanted, also in a private copy.
    store.copy_and_unlock().unwrap();
    assert_eq!(records(&store, named(&store, SEGMENT)), wanted);
    store.summary().unwrap();
}

#[test]
fn a_store_that_is_open_is_read_to_its_end_where_it_is() {
    let copy = copy(FIXTURE);
    let store = open(&copy.directory);
    replace(&copy);
    let vectors = records(&store, named(&store, SEGMENT));
    assert!(vectors.iter().any(|record| record.vector.is_some()));
    assert!(store.take_notices().is_empty());
}

#[test]
fn a_segment_that_became_a_link_is_an_error() {
    let (copy, other) = (copy(FIXTURE), copy(FIXTURE));
    let store = open(&copy.directory);
    let segment = copy.segment(SEGMENT);
    fs::rename(&segment, copy.directory.join("away")).unwrap();
    symlink(other.segment(SEGMENT), &segment).unwrap();
    let read = store.read(named(&store, SEGMENT), &mut |_| {
        std::ops::ControlFlow::Continue(())
    });
    let is_link = |error: &SourceError| matches!(error, SourceError::NotAFile { path, what: "a symbolic link" } if *path == segment);
    assert!(is_link(&read.unwrap_err()));
    assert!(is_link(&refused(&copy.directory)));
}

#[test]
fn a_pipe_in_the_place_of_any_file_is_named_at_once() {
    for name in [
        "chroma.sqlite3",
        "chroma.sqlite3-journal",
        "chroma.sqlite3-wal",
    ] {
        let copy = copy(FIXTURE);
        let pipe = copy.directory.join(name);
        let _ = fs::remove_file(&pipe);
        fifo(&pipe);
        let error = at_once(|| refused(&copy.directory));
        assert!(
            matches!(&error, SourceError::NotAFile { path, what: "a pipe" } if *path == pipe),
            "{name}: {error:?}"
        );
    }
}

#[test]
fn a_log_beside_a_database_in_rollback_mode_makes_no_index_beside_it() {
    let copy = copy(FIXTURE);
    fs::write(copy.directory.join("chroma.sqlite3-wal"), [7; 4096]).unwrap();
    let names = || {
        let entries = fs::read_dir(&copy.directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let store = try_open(&copy.directory).unwrap();
    assert!(!records(&store, named(&store, SEGMENT)).is_empty());
    drop(store);
    assert_eq!(names(), before);
}

/// A hot journal of `copy` that names `other`, as SQLite writes it for a transaction over several databases.
fn journal_that_names(copy: &Copy, other: &Path) -> std::path::PathBuf {
    let writer = copy.sqlite();
    writer
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN; UPDATE embeddings_queue SET topic = topic || 'x'",
        )
        .unwrap();
    let killed = copy.directory.with_extension("killed");
    copy_tree(&copy.directory, &killed);
    drop(writer);
    let path = killed.join("chroma.sqlite3-journal");
    let mut journal = fs::read(&path).unwrap();
    let magic = journal[..8].to_vec();
    let name = other.to_str().unwrap().as_bytes();
    let sum: u32 = name.iter().map(|byte| u32::from(*byte)).sum();
    // The page beyond which nothing is played back, then the name with its length and sum.
    journal.extend(u32::MAX.to_be_bytes());
    journal.extend(name);
    journal.extend((name.len() as u32).to_be_bytes());
    journal.extend(sum.to_be_bytes());
    journal.extend(magic);
    fs::write(&path, journal).unwrap();
    killed
}

#[test]
fn a_journal_leads_to_no_other_file() {
    let copy = copy(FIXTURE);
    // SQLite takes names of this form only.
    let pipe = copy.directory.with_file_name("x-mjABCDEF9AB");
    fifo(&pipe);
    let killed = journal_that_names(&copy, &pipe);
    common::age_all(&killed);
    let stop = Arc::new(AtomicBool::new(false));
    let (told, done) = std::sync::mpsc::channel();
    let directory = killed.clone();
    // On the old code the thread never ends.
    std::thread::spawn(move || told.send(ChromaStore::open(&directory, stop).map(|_| ())));
    let opened = done
        .recv_timeout(Duration::from_secs(20))
        .expect("it waits for a pipe");
    let journal = killed.join("chroma.sqlite3-journal");
    assert!(
        matches!(&opened, Err(SourceError::Damaged { path, .. }) if *path == journal),
        "{opened:?}"
    );
}

#[test]
fn a_path_names_the_directory_or_its_database_through_links_too() {
    let copy = copy(FIXTURE);
    let above = copy.directory.parent().unwrap();
    let (to_folder, to_file) = (above.join("to_folder"), above.join("to_file"));
    symlink(&copy.directory, &to_folder).unwrap();
    symlink(copy.database(), &to_file).unwrap();
    for path in [&copy.directory, &copy.database(), &to_folder, &to_file] {
        assert_eq!(PersistDir::open(path).unwrap().path(), copy.directory);
    }
    let pipe = above.join("pipe");
    fifo(&pipe);
    let error = at_once(|| PersistDir::open(&pipe).unwrap_err());
    assert!(matches!(
        error,
        SourceError::NotAFile { what: "a pipe", .. }
    ));
    let file = copy.segment(SEGMENT).join("header.bin");
    let error = PersistDir::open(&file).unwrap_err();
    assert!(matches!(error, SourceError::NotADirectory { path } if path == file));
}
