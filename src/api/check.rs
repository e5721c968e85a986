//! `check_model`: whether a store's vectors are those of this server's model.

use std::ops::ControlFlow;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vector_migrate_core::record::Record;
use vector_migrate_core::sample::{Pair, Sampling};
use vector_migrate_core::source::{Consumer, Source};

use crate::error::Error;
use crate::{access, model, reader, run};

/// The most records of one collection that are compared: the sample is held in memory.
const MOST: i32 = 10_000;

/// Takes the sample of one collection, and of no other record the vector.
struct Sample {
    sampling: Sampling,
    pairs: Vec<Pair>,
}

impl Consumer for Sample {
    fn wants_vector(&mut self, record: &Record) -> bool {
        self.sampling.wants(record, true)
    }

    fn take(&mut self, record: Record) -> ControlFlow<()> {
        self.pairs.extend(self.sampling.take(&record));
        ControlFlow::Continue(())
    }
}

/// Embeds again a sample of the documents of the Chroma persist directory at `path`, and compares with the stored
/// vectors: one row a collection. `collection`: only this one; `sample`: records of each, 1 to 10000.
///
/// `sampled`: records compared, spread over the collection, always the same ones. `verdict`: `same model` (median
/// at least 0.999 and minimum at least 0.99), `similar` (median at least 0.9), `different`, or `not comparable`: no
/// documents, no usable vectors, or of another dimension than the model's; then the cosines are NULL.
#[pg_extern(volatile, parallel_unsafe)]
fn check_model(
    path: Option<&str>,
    collection: default!(Option<&str>, "NULL"),
    sample: default!(Option<i32>, "64"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(collection, String),
            name!(sampled, i32),
            name!(cosine_min, Option<f64>),
            name!(cosine_median, Option<f64>),
            name!(verdict, String),
        ),
    >,
    ErrorReport,
> {
    let place = access::check(path)?;
    let sample = sample.ok_or(Error::NullArgument("sample"))?;
    if !(1..=MOST).contains(&sample) {
        return Err(Error::BadArgument {
            argument: "sample",
            value: sample.to_string(),
            hint: format!("Give a number of records from 1 to {MOST}."),
        }
        .into());
    }
    // Loaded before the store is open, as a writer's commit would wait for it; what is wrong with the store is told first.
    let model = model::describe(run::WHY);
    let reader::Opened { store, stop, .. } = reader::open(place)?;
    let shown = store.directory().display().to_string();
    let chosen = run::choose(&shown, store.collections(), collection)?;
    let (_, dimension) = model?;
    let names: Vec<String> = chosen.iter().map(|one| one.qualified_name()).collect();
    let mut samples = reader::start(stop, move |sender| {
        for collection in &chosen {
            let sample = u64::try_from(sample).unwrap_or(1);
            let mut taken = Sample {
                sampling: Sampling::new(store.count(collection)?, sample, dimension),
                pairs: Vec::new(),
            };
            if collection
                .dimension
                .is_none_or(|stored| stored == dimension)
            {
                store.feed(collection, &mut taken)?;
            }
            sender.send(taken.pairs);
        }
        Ok(())
    })?;
    let mut rows = Vec::with_capacity(names.len());
    let mut names = names.into_iter();
    while let Some(pairs) = reader::next(&mut samples)? {
        let compared = run::compare(&pairs)?;
        rows.push((
            names.next().unwrap_or_default(),
            i32::try_from(compared.sampled).unwrap_or(i32::MAX),
            compared.min,
            compared.median,
            compared.verdict.to_string(),
        ));
    }
    Ok(TableIterator::new(rows))
}
