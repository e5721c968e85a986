//! The loop: batches from the reader's thread into the sink, an interrupt check between two, the report.

use std::collections::HashSet;

use vector_migrate_core::pipeline::EmbeddingMode;
use vector_migrate_core::report::Counts;
use vector_migrate_core::sample::Pair;
use vector_migrate_core::source::Source as _;
use vector_migrate_core::source::chroma::PersistDir;

use super::alone::Alone;
use super::decisions::Decisions;
use super::indexes::Indexes;
use super::notices::{self, Progress};
use super::options::Options;
use super::plan::{self, Prepared};
use super::planned_reader::{GraphFound, PlannedReader};
use super::{collections, decisions, plan::without_trace, verdict};
use crate::error::Error;
use crate::ledger::{self, RunSummary};
use crate::message::{notice, warning};
use crate::reader::{self, Opened, Size};
use crate::sink::{Described, Sink};
use crate::tables::Pgvector;
use crate::{model, pg};

/// One row of the result.
#[derive(Debug)]
pub struct ResultRow {
    /// The run; `None` in a dry run.
    pub run_id: Option<i64>,
    /// The collection.
    pub collection: String,
    /// The user.
    pub user: Option<String>,
    /// The counts.
    pub counts: Counts,
}

/// Migrates the store in `place`, which has passed the access check.
///
/// # Errors
/// Everything in [`Error`]; then nothing is written.
pub fn migrate(place: PersistDir, options: &Options) -> Result<Vec<ResultRow>, Error> {
    let started_at = pgrx::datum::clock_timestamp();
    let _alone = Alone::begin(crate::tables::find(&options.target)?.qualified())?;
    let Opened { store, stop, sizes } = reader::open(place)?;
    let shown = store.directory().display().to_string();
    let chosen = collections::choose(&shown, store.collections(), options.collection.as_deref())?;
    if let Some(damage) = store.damage().first().filter(|_| options.strict) {
        return Err(Error::Damage(damage.clone()));
    }
    for warning in store.warnings() {
        warning!("{warning}");
    }
    let ids: HashSet<&str> = chosen.iter().map(|it| it.id.as_str()).collect();
    let sizes: Vec<_> = store
        .collections()
        .iter()
        .zip(sizes)
        .filter(|(collection, _)| ids.contains(collection.id.as_str()))
        .collect();
    let size = sizes.iter().fold(Size::default(), |sum, (_, size)| Size {
        records: sum.records.saturating_add(size.records),
        queued: sum.queued.saturating_add(size.queued),
    });
    let largest = sizes
        .into_iter()
        .filter(|(collection, _)| collection.dimension.is_some())
        .max_by_key(|(_, size)| size.records)
        .map(|(collection, size)| (collection.clone(), size.records));
    let fingerprint = store.fingerprint();
    let source = Source {
        directory: shown.clone(),
        bytes: fingerprint.bytes(),
    };
    // A run that finds its records in the target needs no vectors.
    let wanted = options.mode != EmbeddingMode::Generate && !decisions::is_filled(&options.target)?;
    let first = chosen.first().cloned();
    let begin = move || PlannedReader::begin(store, stop, first, wanted);
    if options.dry_run {
        return without_trace_or_writing(|| {
            let reading = begin()?;
            let prepared = plan::prepare(options, &shown, chosen, size, largest)?;
            load(reading, source, prepared, |_| Ok(()))
        });
    }
    if !pg::can_write() {
        return Err(Error::ReadOnly("migrate_chroma"));
    }
    let reading = begin()?;
    let prepared = plan::prepare(options, &shown, chosen, size, largest)?;
    let fingerprint = fingerprint.to_json();
    load(reading, source, prepared, |loaded| {
        let Loaded {
            sink,
            tables,
            indexes,
            pgvector,
            counts,
            graph,
            samples,
            model,
            truncated,
        } = loaded;
        sink.close()?;
        let index = indexes.make(&tables.described, counts, graph, &pgvector)?;
        let verdict = match counts.reused {
            0 => None,
            _ => verdict::tell(&samples, &shown),
        };
        let Described { content, entity } = &tables.described;
        let run_id = tables
            .run
            .ok_or_else(|| Error::Bug("a run without number".into()))?;
        ledger::finish(RunSummary {
            run_id,
            path: shown.clone(),
            options: options.json.clone(),
            started_at,
            counts,
            model,
            truncated,
            model_verdict: verdict.map(|it| it.to_string()),
            fingerprint,
            index,
            content: content.oid,
            entity: entity.as_ref().map(|entity| entity.oid),
        })
    })
}

/// A dry run: in a subtransaction that is taken back, or bare where nothing could be written anyway.
fn without_trace_or_writing<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    if pg::can_write() {
        without_trace(work)
    } else {
        work()
    }
}

/// What is read, for people.
struct Source {
    directory: String,
    /// Bytes of its files.
    bytes: u64,
}

/// A run whose rows are in the tables.
struct Loaded<'s> {
    sink: &'s mut Sink,
    tables: Decisions,
    indexes: Indexes,
    pgvector: Pgvector,
    counts: Counts,
    /// What there is of the graph that was wished for.
    graph: Option<GraphFound>,
    /// Texts with stored vectors, to be compared with the model's.
    samples: Vec<Pair>,
    /// The model's name, if vectors were made.
    model: Option<String>,
    /// Texts that were embedded and longer than the model takes.
    truncated: u64,
}

/// Reads, loads, reports.
fn load(
    mut reading: PlannedReader,
    source: Source,
    prepared: Prepared,
    finish: impl FnOnce(Loaded<'_>) -> Result<(), Error>,
) -> Result<Vec<ResultRow>, Error> {
    let Prepared {
        plan,
        mut sink,
        tables,
        indexes,
        graph,
        pgvector,
        records,
    } = prepared;
    let content = &tables.described.content;
    notice!(
        "reading \"{}\": {} collection{} into {}",
        source.directory,
        plan.collections.len(),
        if plan.collections.len() == 1 { "" } else { "s" },
        content.name
    );
    let mut progress = Progress::start(content.oid, records, source.bytes);
    let truncated_before = model::truncated();
    reading.follow(plan, graph);
    let mut samples = Vec::new();
    let mut batches = || {
        let mut batch = reading.next()?;
        if let Some(batch) = &mut batch {
            // There is something to compare: the model is loaded while the run goes on.
            if samples.is_empty() && !batch.samples.is_empty() {
                model::expect();
            }
            samples.append(&mut batch.samples);
        }
        Ok(batch)
    };
    while sink.advance(&mut batches, &mut |now| progress.tick(now))? {}
    crate::progress::end();
    let graph = reading.graph();
    drop(reading);
    let truncated = model::truncated().saturating_sub(truncated_before);
    let counts = sink.recorder().report().total();
    let made = counts.embedded > 0 || (counts.entities > 0 && sink.embeds_entities());
    let model = match made {
        true => Some(model::describe("vectors were made")?.0),
        false => None,
    };
    finish(Loaded {
        sink: &mut sink,
        tables,
        indexes,
        pgvector,
        counts,
        graph,
        samples,
        model,
        truncated,
    })?;
    let recorder = sink.recorder();
    notices::close(recorder.report(), &progress, recorder.run());
    notices::truncated(truncated, model::max_tokens());
    let lines = recorder.report().lines();
    Ok(lines
        .map(|(collection, user, line)| ResultRow {
            run_id: recorder.run(),
            collection: recorder.name(collection).to_owned(),
            user: user.map(str::to_owned),
            counts: line.counts,
        })
        .collect())
}
