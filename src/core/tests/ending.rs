//! The end of a process that drops nothing: its private copies are removed, also one that is being made. A test program of
//! its own, as no copy can be made afterwards.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::{copy, open};
use vector_migrate_core::source::SourceError;
use vector_migrate_core::source::chroma::{
    ChromaStore, Options, PersistDir, Snapshot, remove_copies,
};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn nothing_stays_when_a_process_ends() {
    let copy = copy("chroma-1.5.9");
    copy.sql(
        "CREATE TABLE filler (x); WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 120) \
         INSERT INTO filler SELECT zeroblob(1000000) FROM n",
    );
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("copies");
    let stop = Arc::new(AtomicBool::new(false));
    let options = Options {
        scratch: folder.clone(),
        prefix: "p".to_owned(),
        snapshot: Snapshot::Always,
        ..Options::new(stop.clone())
    };
    let place = PersistDir::open(&copy.directory).unwrap();
    // One that is there, of a store that nobody drops; and one in the making.
    std::mem::forget(ChromaStore::open_with(place.clone(), options.clone()).unwrap());
    assert_eq!(names(&folder).len(), 1);
    let (its_place, its_options) = (place.clone(), options.clone());
    let making =
        std::thread::spawn(move || ChromaStore::open_with(its_place, its_options).map(|_| ()));
    while names(&folder).len() < 2 {
        assert!(!making.is_finished());
    }
    remove_copies();
    assert_eq!(names(&folder), Vec::<String>::new());
    assert!(making.join().unwrap().is_err());
    let later = Options {
        stop: Arc::new(AtomicBool::new(false)),
        ..options
    };
    let refused = ChromaStore::open_with(place, later).map(|_| ());
    assert!(
        matches!(refused, Err(SourceError::Interrupted)),
        "{refused:?}"
    );
    assert_eq!(names(&folder), Vec::<String>::new());
    // A store that is read where it lies needs none.
    open(&copy.directory).summary().unwrap();
}
