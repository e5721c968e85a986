//! `check_model`: whether a store's vectors are those of this server's model.

use std::ops::ControlFlow;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use vector_migrate_core::compare::{Comparison, Spread, cosine, usable};
use vector_migrate_core::record::Record;
use vector_migrate_core::source::{Consumer, Source};

use crate::error::Error;
use crate::{access, model, reader, run};

/// What the error says if there is no model.
const WHY: &str = "stored vectors are to be compared with the model's";

/// The most records of one collection that are compared: the sample is held in memory.
const MOST: i32 = 10_000;

/// Texts with their stored vectors.
type Pairs = Vec<(String, Vec<f32>)>;

/// Takes the sample of one collection, and of no other record the vector.
struct Sampling {
    spread: Spread,
    dimension: usize,
    wanted: bool,
    pairs: Pairs,
}

impl Consumer for Sampling {
    fn knows(&mut self, _: &str) -> bool {
        false
    }

    fn wants_vector(&mut self, record: &Record) -> bool {
        let text = record.document.as_ref();
        self.wanted = self.spread.due() && text.is_some_and(|text| !text.is_empty());
        self.wanted
    }

    fn take(&mut self, record: Record) -> ControlFlow<()> {
        let wanted = std::mem::take(&mut self.wanted);
        // Of a stale record the vector may be that of an older text.
        if !wanted || record.stale || record.damage.is_some() {
            return ControlFlow::Continue(());
        }
        if let (Some(text), Some(vector)) = (record.document, record.vector)
            && vector.values.len() == self.dimension
            && usable(&vector.values)
        {
            self.spread.take();
            self.pairs.push((text, vector.values));
        }
        ControlFlow::Continue(())
    }

    fn ready(&mut self) -> bool {
        true
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
    let path = access::check(path)?;
    let sample = sample.ok_or(Error::NullArgument("sample"))?;
    if !(1..=MOST).contains(&sample) {
        return Err(Error::BadArgument {
            argument: "sample",
            value: sample.to_string(),
            hint: format!("Give a number of records from 1 to {MOST}."),
        }
        .into());
    }
    let (_, dimension) = model::describe(WHY)?;
    let reader::Opened { store, stop, .. } = reader::open(path)?;
    let shown = store.directory().display().to_string();
    let chosen = run::choose(&shown, store.collections(), collection)?;
    let names: Vec<String> = chosen.iter().map(|one| one.qualified_name()).collect();
    let mut samples = reader::start(stop, move |sender| {
        for collection in &chosen {
            let mut sampling = Sampling {
                spread: Spread::new(store.count(collection)?, u64::try_from(sample).unwrap_or(1)),
                dimension: usize::try_from(dimension).unwrap_or(usize::MAX),
                wanted: false,
                pairs: Pairs::new(),
            };
            if collection
                .dimension
                .is_none_or(|stored| stored == dimension)
            {
                store.feed(collection, &mut sampling)?;
            }
            sender.send(sampling.pairs);
        }
        Ok(())
    })?;
    let mut rows = Vec::with_capacity(names.len());
    let mut names = names.into_iter();
    while let Some(pairs) = reader::next(&mut samples)? {
        let compared = compare(&pairs)?;
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

/// Compares stored vectors with the model's.
fn compare(pairs: &[(String, Vec<f32>)]) -> Result<Comparison, Error> {
    let texts: Vec<&str> = pairs.iter().map(|(text, _)| text.as_str()).collect();
    let vectors = model::embed(WHY, &texts)?;
    let both = pairs.iter().zip(&vectors);
    let cosines = both.filter_map(|((_, stored), made)| cosine(stored, made));
    Ok(Comparison::of(cosines.collect()))
}
