//! Times the stages of a migration that need no server: `bench_stages DIRECTORY SQLITE_DIRECTORY`.
//!
//! Each stage is a pass of its own that does what the pass before it does and one thing more, so that the difference
//! of two passes is the price of that one thing. `SQLITE_DIRECTORY` has the store's `chroma.sqlite3` and no index
//! folders: reading there is the reading of SQLite alone, as there are no vectors to be had. Prints seconds as one
//! line of JSON, for `make bench`.

#![allow(
    clippy::expect_used,
    reason = "a program to be started by hand: what fails ends it"
)]

use std::env;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::json;
use vector_migrate_core::encode::{Column, ColumnType};
use vector_migrate_core::map::{Shape, map_record};
use vector_migrate_core::mapping::{Layout, presets};
use vector_migrate_core::nul::NulCharacters;
use vector_migrate_core::pipeline::{self, Item, Next, Plan, Pool, Worker};
use vector_migrate_core::record::Record;
use vector_migrate_core::source::Source;
use vector_migrate_core::source::chroma::ChromaStore;

/// The default of the setting `vector_migrate.batch_bytes`.
const BATCH_BYTES: usize = 2 << 20;

fn open(path: &Path) -> ChromaStore {
    ChromaStore::open(path, Arc::new(AtomicBool::new(false))).expect("the store")
}

/// Seconds for opening the store and giving every record to `each`.
fn read(path: &Path, mut each: impl FnMut(usize, &ChromaStore, Record)) -> f64 {
    let began = Instant::now();
    let store = open(path);
    for (index, collection) in store.collections().iter().enumerate() {
        store
            .read(collection, &mut |record| {
                each(index, &store, record);
                ControlFlow::Continue(())
            })
            .expect("the records");
    }
    began.elapsed().as_secs_f64()
}

fn read_and_map(path: &Path) -> f64 {
    let shape = Shape {
        has_metadata: true,
        wants_entities: false,
        text_key: None,
        nul: NulCharacters::Error,
    };
    read(path, |index, store, record| {
        let collection = store.collections().get(index).expect("the collection");
        let name = collection.qualified_name();
        let row = map_record(&name, &record, shape).expect("a record that fits");
        black_box(row);
    })
}

/// The columns as `init_content_tables` makes them.
fn columns() -> Vec<Column> {
    let content = presets().iter().find(|it| it.is_content_library());
    let layout = Layout::of_preset(content.expect("the content library's preset"));
    layout.made(ColumnType::Int8)
}

/// Seconds for all of a run's producer: batches are taken and dropped. Also the rows that came.
fn read_map_and_encode(path: &Path) -> (f64, usize) {
    let began = Instant::now();
    let store = open(path);
    let pool = Pool::default();
    let plan = Plan {
        pool: pool.clone(),
        ..Plan::stored(store.collections().to_vec(), columns(), BATCH_BYTES)
    };
    let rows = |batch: &[Item]| batch.iter().filter(|it| matches!(it, Item::Row(_))).count();
    let mut found = 0;
    let mut worker = Worker::spawn(Arc::new(AtomicBool::new(false)), move |sender| {
        let last = pipeline::run(&store, &plan, &sender)?;
        sender.send(last);
        Ok::<(), vector_migrate_core::source::SourceError>(())
    })
    .expect("a thread");
    loop {
        match worker.next(Duration::from_secs(1)) {
            Next::Batch(batch) => {
                found += rows(&batch.items);
                pool.give(batch.tuples);
            }
            Next::Waiting => {}
            Next::Done(result) => break result.expect("the records"),
            Next::Panicked => unreachable!("the producer panicked"),
        }
    }
    (began.elapsed().as_secs_f64(), found)
}

fn main() {
    let mut paths = env::args_os().skip(1).map(PathBuf::from);
    let (Some(path), Some(sqlite)) = (paths.next(), paths.next()) else {
        eprintln!("usage: bench_stages DIRECTORY SQLITE_DIRECTORY");
        std::process::exit(2);
    };
    let sqlite = read(&sqlite, |_, _, record| drop(black_box(record)));
    let vectors = read(&path, |_, _, record| drop(black_box(record)));
    let mapped = read_and_map(&path);
    let (encoded, rows) = read_map_and_encode(&path);
    println!(
        "{}",
        json!({ "sqlite": sqlite, "vectors": vectors, "mapped": mapped, "encoded": encoded, "rows": rows })
    );
}
