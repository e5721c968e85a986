//! A store that a real chromadb release writes all the time: every result is one moment of it.
//!
//! The writer logs each call before and after it. What a read gives must be the store after one of the calls between
//! the last that was done before the read and the last that had begun when it ended.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::named;
use serde_json::Value as Json;
use vector_migrate_core::record::{Record, Value};
use vector_migrate_core::source::chroma::{ChromaStore, Options, PersistDir};
use vector_migrate_core::source::{Source, SourceError};

/// Records by number: the calls that gave the vector, and that changed the record last.
type Moment = BTreeMap<u64, (u64, u64)>;

/// What `live_writer.py` gives the record `number`.
fn vector(number: u64, version: u64) -> Vec<f32> {
    let (number, version) = (number as f32, version as f32);
    vec![number, version, number * 0.5 + version, 1.0]
}

/// The writer's process and its log.
struct Writer {
    child: Child,
    log: PathBuf,
    /// The store after each call; the first is empty.
    moments: Vec<Moment>,
    /// The last call that was done.
    done: usize,
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Writer {
    fn start(directory: &Path, log: PathBuf) -> Writer {
        let python = std::env::var_os("LIVE_PYTHON").expect("LIVE_PYTHON");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live_writer.py");
        let child = Command::new(python)
            .args([script.as_os_str(), directory.as_os_str(), log.as_os_str()])
            .spawn()
            .unwrap();
        Writer {
            child,
            log,
            moments: vec![Moment::new()],
            done: 0,
        }
    }

    /// Reads the log anew; fails if the writer met an error.
    fn look(&mut self) {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        self.done = 0;
        // The last line may be half written.
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            let line: Json = serde_json::from_str(line).unwrap();
            assert!(line.get("error").is_none(), "the writer: {line}");
            if let Some(call) = line["call"].as_u64() {
                if call == self.moments.len() as u64 {
                    let next = after(self.moments.last().unwrap(), call, &line);
                    self.moments.push(next);
                }
            } else {
                self.done = usize::try_from(line["done"].as_u64().unwrap()).unwrap();
            }
        }
    }
}

/// The store after one more call.
fn after(before: &Moment, call: u64, line: &Json) -> Moment {
    let mut moment = before.clone();
    for number in line["numbers"].as_array().unwrap() {
        let number = number.as_u64().unwrap();
        match line["what"].as_str().unwrap() {
            "delete" => {
                moment.remove(&number);
            }
            "mark" => {
                moment.entry(number).and_modify(|(_, last)| *last = call);
            }
            _ => {
                moment.insert(number, (call, call));
            }
        }
    }
    moment
}

/// Reads the store. `cut`: the call in which the writer was killed. Releases before 1.0 write the index inside the
/// transaction, so its files may hold vectors of a call that SQLite rolls back; the release returns those too.
fn read(
    scratch: &Path,
    directory: &Path,
    slow: bool,
    cut: Option<u64>,
) -> Result<Moment, SourceError> {
    let options = Options {
        scratch: scratch.to_owned(),
        ..Options::new(Arc::new(AtomicBool::new(false)))
    };
    let store = ChromaStore::open_with(PersistDir::open(directory)?, options)?;
    let mut found = Vec::new();
    store.read(named(&store, "live"), &mut |record| {
        found.push(record);
        if slow && found.len() < 30 {
            std::thread::sleep(Duration::from_millis(3));
        }
        ControlFlow::Continue(())
    })?;
    let told: Vec<String> = store
        .warnings()
        .iter()
        .cloned()
        .chain(store.take_notices())
        .collect();
    assert!(told.is_empty() || cut.is_some(), "{told:?}");
    let moment: Moment = found.iter().map(|record| understood(record, cut)).collect();
    assert_eq!(moment.len(), found.len(), "an id comes twice");
    Ok(moment)
}

/// A record's number with its two calls; its vector must be the one of its document.
fn understood(record: &Record, cut: Option<u64>) -> (u64, (u64, u64)) {
    let number = record.id.parse().unwrap();
    let document = record.document.as_deref().unwrap();
    let version: u64 = document.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(document, format!("document {number} version {version}"));
    let values = record.vector.as_ref().map(|vector| &vector.values);
    let may_be = [Some(version), cut].into_iter().flatten();
    assert!(
        may_be
            .map(|call| vector(number, call))
            .any(|one| values == Some(&one)),
        "record {document:?}: {values:?}"
    );
    let Some(Value::Int(last)) = record.metadata.get("call") else {
        panic!("{document}: {:?}", record.metadata);
    };
    (number, (version, u64::try_from(*last).unwrap()))
}

/// Which calls a result may be of, and whether it is.
fn is_a_moment(found: &Moment, writer: &Writer, first: usize) -> bool {
    writer.moments[first..].contains(found)
}

/// `make live` runs it for several releases: `LIVE_PYTHON=<python with chromadb> LIVE_ROUNDS=50`.
#[test]
#[ignore = "needs a Python with chromadb, named by LIVE_PYTHON"]
fn every_result_is_one_moment_of_a_live_store() {
    let rounds = std::env::var("LIVE_ROUNDS").map_or(50, |rounds| rounds.parse().unwrap());
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let directory = root.join("store");
    let mut writer = Writer::start(&directory, root.join("log"));
    while writer.done < 40 {
        writer.look();
        assert!(
            writer.child.try_wait().unwrap().is_none(),
            "the writer ended"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let (mut equal, mut busy, mut between) = (0, 0, 0);
    let (begun, mut slowest) = (writer.moments.len(), Duration::ZERO);
    for round in 0..rounds {
        let scratch = root.join(format!("copies-{round}"));
        writer.look();
        let first = writer.done;
        let since = Instant::now();
        // Every other consumer is slow, so that the writer comes in between.
        let result = read(&scratch, &directory, round % 2 == 1, None);
        slowest = slowest.max(since.elapsed());
        writer.look();
        match result {
            Ok(found) => {
                assert!(
                    is_a_moment(&found, &writer, first),
                    "round {round}: {} records that are none of the moments {first} to {}",
                    found.len(),
                    writer.moments.len() - 1
                );
                equal += 1;
                between += usize::from(writer.done > first);
            }
            Err(SourceError::Busy { what, .. }) => {
                println!("round {round} is refused: {what}");
                busy += 1;
            }
            Err(other) => panic!("{other}"),
        }
        let left = fs::read_dir(&scratch).map_or(0, Iterator::count);
        assert_eq!(left, 0, "copies are left");
        assert!(
            writer.child.try_wait().unwrap().is_none(),
            "the writer ended"
        );
    }
    let calls = writer.moments.len() - begun;
    // Killed in the middle of whatever it does.
    writer.child.kill().unwrap();
    writer.child.wait().unwrap();
    writer.look();
    let cut = Some(writer.moments.len() as u64 - 1);
    let found = read(&root.join("copies"), &directory, false, cut).unwrap();
    assert!(is_a_moment(&found, &writer, writer.done), "after the kill");
    println!(
        "live: {rounds} rounds, {equal} equal to one moment, {busy} refused as changing; the writer made {calls} calls \
         meanwhile, some during {between} of the reads; slowest read {} ms",
        slowest.as_millis()
    );
    assert!(calls > rounds, "hardly a live writer");
    assert!(equal * 10 >= rounds * 9, "too many refusals");
}
