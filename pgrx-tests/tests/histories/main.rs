//! Random histories of runs, rollbacks and an application's own writes, each step against a model of what the tables must hold.
//!
//! `HISTORIES=1000` tries so many; `HISTORY=17` only that one, and tells its steps.

mod dice;
mod model;
mod shapes;
mod world;

use vector_migrate_tests::{Db, Record, Store, store_of};

use dice::Dice;

/// Histories that `make test` tries.
const FEW: u64 = 24;

/// Steps of one history.
const STEPS: usize = 14;

/// A store and the records in it, in its order.
struct Version {
    store: Store,
    records: Vec<Record>,
}

/// Versions of the same two collections with different contents: ids that both have, owners that differ, entities.
fn versions() -> Vec<Version> {
    let mut dice = Dice::new(1);
    (0..5)
        .map(|version| {
            let mut records = Vec::new();
            for collection in ["library_a", "library_b"] {
                for id in 0..6 {
                    if dice.percent(25) {
                        continue;
                    }
                    let title = format!("{version} of {collection}, x-{id}");
                    records.push(Record {
                        collection,
                        id: format!("x-{id}"),
                        user: 1 + dice.below(3) as i64,
                        entities: (0..dice.below(3))
                            .map(|n| format!("{title}: {n}"))
                            .collect(),
                        vector: std::array::from_fn(|_| dice.below(100) as f32),
                        title,
                    });
                }
            }
            Version {
                store: store_of(&records),
                records,
            }
        })
        .collect()
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

/// Every `of`-th history, from `first` on.
fn try_histories(first: u64, of: u64) {
    let (db, versions) = (Db::new(), versions());
    db.run("SET client_min_messages = warning");
    if let Some(only) = number("HISTORY") {
        if only % of == first {
            world::try_history(&db, &versions, only, STEPS, true);
        }
        return;
    }
    for seed in (first..number("HISTORIES").unwrap_or(FEW)).step_by(of as usize) {
        let told = std::panic::AssertUnwindSafe(|| {
            world::try_history(&db, &versions, seed, STEPS, false);
        });
        if let Err(panic) = std::panic::catch_unwind(told) {
            eprintln!("HISTORY={seed} is where it differs");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn even_histories_leave_what_the_model_says() {
    try_histories(0, 2);
}

#[test]
fn odd_histories_leave_what_the_model_says() {
    try_histories(1, 2);
}
