//! Random damage to index headers, index data, pickles, rows of the queue and graphs: an error or records (of a graph: a
//! reason or a sound index), never a panic, and memory that the size of the files bounds.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `FUZZ_SECONDS` | how long each of the five goes on; without it, some hundred cases |
//! | `FUZZ_SEED` | another row of cases; a failure prints it |
//! | `FUZZ_CASE` | only this case, as a failure prints it |

mod bytes;
#[path = "../common/mod.rs"]
mod common;
mod graphs;
mod memory;
mod pickles;
mod rows;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use common::{Copy, copy, try_open};
use fastrand::Rng;
use vector_migrate_core::source::{Source, SourceError};

/// Written by Python up to 0.6.3 and by Rust since; whole queues and cleaned ones.
const STORES: [&str; 3] = ["chroma-0.4.24", "chroma-0.6.3", "chroma-1.5.9"];
const CASES: u64 = 60;
/// Blocks of files and SQLite's rows, whatever the size of the files.
const FIXED_MEMORY: u64 = 4 << 20;
/// Bytes in memory for each byte of the store: ids, texts and places, and a moment of an old and a new buffer.
const MEMORY_PER_BYTE: u64 = 8;
/// When a case is reported as hanging. Nothing fails for being slow.
const LONG: Duration = Duration::from_secs(60);

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    text.parse().ok()
}

/// Which ids may have any vector.
enum Touched {
    /// None.
    Nothing,
    /// These, or all of them.
    Ids(Option<BTreeSet<String>>),
}

/// Runs cases: `damage` does one to a store, `heal` takes it back.
fn fuzz(what: &str, mut damage: impl FnMut(&mut Rng, &Copy) -> Touched, heal: impl FnMut(&Copy)) {
    fuzz_reading(what, read, &mut damage, heal);
}

/// Runs cases that are read by `read`, which gives a number that is told at the end.
fn fuzz_reading(
    what: &str,
    read: impl Fn(&Path, &Touched) -> Result<u64, SourceError>,
    mut damage: impl FnMut(&mut Rng, &Copy) -> Touched,
    mut heal: impl FnMut(&Copy),
) {
    let seed = setting("FUZZ_SEED").unwrap_or(1_u64);
    let only: Option<u64> = setting("FUZZ_CASE");
    let seconds = setting("FUZZ_SECONDS").map(Duration::from_secs);
    let stores = STORES.map(copy);
    for store in &stores {
        age(&store.directory);
    }
    let (tell, told) = channel();
    let name = what.to_owned();
    let watchdog = std::thread::spawn(move || {
        let mut last = 0;
        loop {
            match told.recv_timeout(LONG) {
                Ok(case) => last = case,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("{name}: FUZZ_SEED={seed} FUZZ_CASE={last} still runs");
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    let since = Instant::now();
    let (mut case, mut refused, mut given, mut most) = (only.unwrap_or(0), 0_u64, 0_u64, 0_usize);
    loop {
        let _ = tell.send(case);
        // Each case has dice of its own, so that it comes again alone.
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9).wrapping_add(case));
        let store = &stores[rng.usize(..stores.len())];
        let touched = damage(&mut rng, store);
        let room = FIXED_MEMORY + MEMORY_PER_BYTE * size(&store.directory);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let (result, peak) = memory::peak(|| read(&store.directory, &touched));
            assert!(
                peak as u64 <= room,
                "{peak} bytes of memory, {room} allowed"
            );
            most = most.max(peak);
            result
        }));
        match result {
            Ok(Ok(records)) => given += records,
            Ok(Err(_)) => refused += 1,
            Err(panic) => {
                eprintln!("{what} failed: FUZZ_SEED={seed} FUZZ_CASE={case}");
                resume_unwind(panic);
            }
        }
        heal(store);
        case += 1;
        let on = match seconds {
            Some(seconds) => since.elapsed() < seconds,
            None => case < CASES,
        };
        if only.is_some() || !on {
            break;
        }
    }
    drop(tell);
    watchdog.join().unwrap();
    println!(
        "{what}: {case} cases, {refused} refused, {given} records given, {} KiB of memory at most, FUZZ_SEED={seed}",
        most / 1024
    );
}

/// Reads everything; the number of records. What was not damaged must have a vector that fits, or none.
fn read(directory: &Path, touched: &Touched) -> Result<u64, SourceError> {
    let store = try_open(directory)?;
    let mut given = 0;
    for collection in store.collections() {
        let inventory = store.inventory(collection)?;
        let mut count = 0;
        store.read(collection, &mut |record| {
            count += 1;
            let damaged = match touched {
                Touched::Nothing => false,
                Touched::Ids(ids) => ids.as_ref().is_none_or(|ids| ids.contains(&record.id)),
            };
            if let Some(vector) = record.vector.filter(|_| !damaged) {
                let size = u32::try_from(vector.values.len()).ok();
                assert_eq!(size, collection.dimension, "record {:?}", record.id);
            }
            ControlFlow::Continue(())
        })?;
        assert_eq!(
            inventory.records, count,
            "the inventory of {:?}",
            collection.name
        );
        given += count;
    }
    store.summary()?;
    Ok(given)
}

/// Gives every file a time that lies back: young files are waited for.
fn age(directory: &Path) {
    common::age_all(directory);
    for entry in fs::read_dir(directory).unwrap() {
        common::age_all(&entry.unwrap().path());
    }
}

fn size(directory: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        bytes += if metadata.is_dir() {
            size(&entry.path())
        } else {
            metadata.len()
        };
    }
    bytes
}

/// Damages one of the files of an index.
fn fuzz_file(what: &str, files: &[&str], change: impl Fn(&mut Rng, &[u8]) -> Vec<u8>) {
    fuzz_file_reading(what, read, files, |rng, _, bytes| change(rng, bytes));
}

/// Damages one of the files of an index, which `read` reads; `change` is told the file's name.
fn fuzz_file_reading(
    what: &str,
    read: impl Fn(&Path, &Touched) -> Result<u64, SourceError>,
    files: &[&str],
    change: impl Fn(&mut Rng, &Path, &[u8]) -> Vec<u8>,
) {
    let undo = std::cell::RefCell::new(None::<(PathBuf, Vec<u8>)>);
    fuzz_reading(
        what,
        read,
        |rng, store| {
            let mut found = Vec::new();
            for entry in fs::read_dir(&store.directory).unwrap() {
                let folder = entry.unwrap().path();
                found.extend(
                    files
                        .iter()
                        .map(|file| folder.join(file))
                        .filter(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)),
                );
            }
            // The order of a folder is nobody's promise.
            found.sort();
            let path = rng.choice(&found).unwrap();
            let original = fs::read(path).unwrap();
            fs::write(path, change(rng, path, &original)).unwrap();
            common::age(path);
            undo.replace(Some((path.clone(), original)));
            Touched::Nothing
        },
        |_| {
            if let Some((path, original)) = undo.take() {
                fs::write(&path, original).unwrap();
                common::age(&path);
            }
        },
    );
}

#[test]
fn header() {
    fuzz_file("header", &["header.bin"], bytes::header);
}

#[test]
fn level_0() {
    fuzz_file(
        "level 0",
        &["data_level0.bin", "length.bin"],
        bytes::changed,
    );
}

#[test]
fn graph() {
    let files = [
        "header.bin",
        "data_level0.bin",
        "link_lists.bin",
        "length.bin",
    ];
    fuzz_file_reading(
        "graph",
        |directory, _| graphs::read(directory),
        &files,
        graphs::change,
    );
}

#[test]
fn pickle() {
    fuzz_file("pickle", &["index_metadata.pickle"], pickles::changed);
}

#[test]
fn queue_rows() {
    let undo = std::cell::RefCell::new(Vec::new());
    fuzz(
        "queue rows",
        |rng, store| {
            undo.replace(fs::read(store.database()).unwrap());
            let database = store.sqlite();
            database.execute_batch("PRAGMA synchronous = OFF").unwrap();
            Touched::Ids(rows::change(rng, &database))
        },
        |store| fs::write(store.database(), undo.take()).unwrap(),
    );
}
