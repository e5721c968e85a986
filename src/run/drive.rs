//! A run: its tables one after the other, each filled from the reader's batches, an interrupt check between two; the report.

use vector_migrate_core::pipeline::{Batch, EmbeddingMode};
use vector_migrate_core::reason::Reason;
use vector_migrate_core::report::{Counts, Report};
use vector_migrate_core::sample::Pair;
use vector_migrate_core::source::Source as _;
use vector_migrate_core::source::chroma::PersistDir;

use super::alone::Alone;
use super::decisions::{self, Decisions};
use super::hints::{self, FilledTable};
use super::indexes::Indexes;
use super::members::{self, Chosen};
use super::notes::{self, Notes};
use super::notices::{self, Progress};
use super::options::Options;
use super::parts::{self, Call, Part, Run};
use super::plan::{self, Prepared};
use super::planned_reader::{GraphFound, PlannedReader};
use super::writes::Writes;
use super::{collections, routes, verdict};
use crate::error::Error;
use crate::ledger::{self, MadeParent, RunSummary, TargetSummary};
use crate::message::{Level, warning};
use crate::reader::{self, Opened};
use crate::sink::{Described, Sink, Tally};
use crate::tables::Pgvector;
use crate::{model, pg, subxact};

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
    /// What there is to say about the row.
    pub note: Option<String>,
}

/// Migrates the store in `place`, which has passed the access check.
///
/// # Errors
/// Everything in [`Error`]; then nothing is written.
pub fn migrate(place: PersistDir, options: &Options) -> Result<Vec<ResultRow>, Error> {
    let started_at = pgrx::datum::clock_timestamp();
    let Opened { store, stop, sizes } = reader::open(place)?;
    let shown = store.directory().display().to_string();
    let all = store.collections();
    let wanted = options.collections.as_deref();
    let chosen = collections::choose_several(&shown, all, wanted, options.dimension)?;
    if let Some(damage) = store.damage().first().filter(|_| options.strict) {
        return Err(Error::Damage(damage.clone()));
    }
    for warning in store.warnings() {
        warning!("{warning}");
    }
    let counted: Vec<routes::Counted<'_>> =
        all.iter().zip(sizes.iter().map(|it| it.records)).collect();
    let routes = routes::routes(options, &counted, &chosen)?;
    let _alone = Alone::begin(&routes)?;
    let writes = Writes::of(options.dry_run);
    if writes == Writes::Permanent && !pg::can_write() {
        return Err(Error::ReadOnly("migrate_chroma"));
    }
    let (store, Chosen { members, user_type }) =
        members::members((store, &stop), options, &routes, &sizes)?;
    let call = Call {
        options,
        writes,
        pgvector: Pgvector::find()?,
        user_type,
    };
    let ids = store.collections().iter().map(|it| it.id.clone()).collect();
    let fingerprint = store.fingerprint();
    let source = Source {
        directory: shown,
        bytes: fingerprint.bytes(),
    };
    // A run that finds its records in the target needs no vectors.
    let first = routes.first().map(|it| it.target.as_str());
    let filled = first.map_or(Ok(false), decisions::is_filled)?;
    let vectors = options.mode != EmbeddingMode::Generate && !filled;
    let first = members.iter().flatten().next();
    let first = first.map(|it| it.collection.clone());
    let run = move || {
        let reading = PlannedReader::begin(store, stop, first, vectors, routes.len())?;
        let parts = parts::decide(&call, &routes, members)?;
        let collections = parts::written(&parts);
        let run = Run {
            id: match writes {
                Writes::Permanent => Some(ledger::next_run_id()?),
                Writes::Temporary | Writes::Nothing => None,
            },
            call,
            collections,
            store: ids,
            level: match parts.len() {
                0..=parts::NAMED => Level::Notice,
                _ => Level::Debug,
            },
        };
        let filled = fill(&run, parts, reading, &source)?;
        if let Some(run_id) = run.id {
            let verdict = match filled.report.total().reused {
                0 => None,
                _ => verdict::tell(&filled.samples, &source.directory),
            };
            ledger::finish(RunSummary {
                run_id,
                path: source.directory,
                options: options.json.clone(),
                started_at,
                counts: filled.report.total(),
                model: filled.model,
                truncated: filled.truncated,
                model_verdict: verdict.map(|it| it.to_string()),
                fingerprint: fingerprint.to_json(),
                targets: filled.targets,
            })?;
        }
        notices::close(&filled.report, &filled.progress, run.id);
        filled.notes.tell(filled.report.count_of(Reason::NoUserId));
        filled.notes.warn();
        hints::tell(&filled.applications)?;
        notices::truncated(filled.truncated, model::max_tokens());
        Ok(rows(&run, &filled.report, &filled.notes))
    };
    match writes {
        Writes::Temporary => without_trace(run),
        Writes::Permanent | Writes::Nothing => run(),
    }
}

/// Runs a whole dry run in a subtransaction that is taken back.
fn without_trace<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    match subxact::run(|_| false, work) {
        Ok(result) => result,
        Err(refused) => {
            let report = pgrx::pg_sys::panic::ErrorReport::new(
                refused.code,
                refused.message,
                "vector_migrate",
            );
            report.report(pgrx::PgLogLevel::ERROR);
            unreachable!("an ERROR does not return")
        }
    }
}

/// What is read, for people.
struct Source {
    directory: String,
    /// Bytes of its files.
    bytes: u64,
}

/// A run whose rows are in its tables.
struct Filled {
    report: Report,
    targets: Vec<TargetSummary>,
    applications: Vec<FilledTable>,
    notes: Notes,
    progress: Progress,
    /// Texts with stored vectors, to be compared with the model's.
    samples: Vec<Pair>,
    /// The model's name, if vectors were made.
    model: Option<String>,
    /// Texts that were embedded and longer than the model takes.
    truncated: u64,
}

/// Fills the tables, one after the other.
fn fill(
    run: &Run<'_>,
    parts: Vec<Part>,
    mut reading: PlannedReader,
    source: &Source,
) -> Result<Filled, Error> {
    notices::begin(&source.directory, &parts);
    let members = notes::members(run.call.options, &parts);
    let records = parts.iter().map(|it| it.size().records).sum();
    let mut progress = Progress::start(parts::contents(&parts).next(), records, source.bytes);
    let truncated_before = model::truncated();
    let (mut tally, mut targets) = (Tally::default(), Vec::new());
    let mut applications = Vec::new();
    let (mut samples, mut remarks) = (Vec::new(), Vec::new());
    for part in parts {
        let before = tally.report.total();
        let prepared = plan::prepare(run, part, tally, samples.is_empty())?;
        let mut take = |batch: &mut Batch| {
            // There is something to compare: the model is loaded while the run goes on.
            if samples.is_empty() && !batch.samples.is_empty() {
                model::expect();
            }
            samples.append(&mut batch.samples);
            remarks.append(&mut batch.remarks);
        };
        let loaded = load(prepared, &mut reading, &mut progress, &mut take)?;
        let content = loaded.tables.described.content.clone();
        let (summary, now) = close(run, loaded, before)?;
        applications.extend(FilledTable::of(&content, summary.migrated));
        targets.push(summary);
        tally = now;
    }
    reading.end()?;
    if run.level == Level::Debug {
        notices::indexes(&targets);
    }
    let truncated = model::truncated().saturating_sub(truncated_before);
    let counts = tally.report.total();
    let embeds_entities = run.call.options.mode != EmbeddingMode::Stored;
    let made = counts.embedded > 0 || (counts.entities > 0 && embeds_entities);
    let model = match made {
        true => Some(model::describe("vectors were made")?.0),
        false => None,
    };
    Ok(Filled {
        report: tally.report,
        targets,
        applications,
        notes: Notes::new(run.call.options, members, &remarks),
        progress,
        samples,
        model,
        truncated,
    })
}

/// A table whose rows are in it.
struct Loaded {
    sink: Sink,
    tables: Decisions,
    indexes: Indexes,
    /// What there is of the graph that was wished for.
    graph: Option<GraphFound>,
    /// Rows that the run made in the table that it refers to.
    parents: Vec<MadeParent>,
    /// The distance that all its collections have.
    space: Option<&'static str>,
    /// Chroma's ids of its collections.
    sources: Vec<String>,
}

/// Reads and loads what belongs into one table.
fn load(
    prepared: Prepared,
    reading: &mut PlannedReader,
    progress: &mut Progress,
    take: &mut dyn FnMut(&mut Batch),
) -> Result<Loaded, Error> {
    let Prepared {
        plan,
        mut sink,
        tables,
        indexes,
        graph,
        parents,
        space,
        sources,
    } = prepared;
    progress.go_on_with(tables.described.content.oid);
    reading.follow(plan, graph);
    let mut batches = || {
        let mut batch = reading.next()?;
        if let Some(batch) = &mut batch {
            take(batch);
        }
        Ok(batch)
    };
    while sink.advance(&mut batches, &mut |now| progress.tick(now))? {}
    crate::progress::end();
    Ok(Loaded {
        sink,
        tables,
        indexes,
        graph: reading.graph(),
        parents,
        space,
        sources,
    })
}

/// Makes the indexes of a table that is filled, which had `before` when the run came to it; a dry run makes none.
fn close(run: &Run<'_>, loaded: Loaded, before: Counts) -> Result<(TargetSummary, Tally), Error> {
    let Loaded {
        sink,
        tables,
        indexes,
        graph,
        parents,
        space,
        sources,
    } = loaded;
    let tally = sink.close()?;
    let now = tally.report.total();
    let (migrated, entities) = (
        now.migrated - before.migrated,
        now.entities - before.entities,
    );
    let index = match run.id {
        Some(_) => indexes.make(
            &tables.described,
            (migrated, entities),
            graph,
            run.level,
            &run.call.pgvector,
        )?,
        None => None,
    };
    let Described { content, entity } = &tables.described;
    let summary = TargetSummary {
        content: content.oid,
        entity: entity.as_ref().map(|entity| entity.oid),
        created: content.created,
        preset: content.preset.map(|it| it.name.as_str()),
        roles: content.roles(),
        columns: content.words(),
        space,
        content_name: content.name.clone(),
        sources,
        parents,
        migrated,
        entities,
        index,
    };
    Ok((summary, tally))
}

/// The rows of the result, in the store's order.
fn rows(run: &Run<'_>, report: &Report, notes: &Notes) -> Vec<ResultRow> {
    let mut lines: Vec<_> = report.lines().collect();
    // Stable: the users of a collection stay in their order.
    lines.sort_by_key(|(collection, ..)| notes.place(*collection));
    let rows = lines.into_iter().map(|(collection, user, line)| ResultRow {
        run_id: run.id,
        collection: (run.collections.get(collection))
            .map_or_else(String::new, |it| it.name.clone()),
        user: user.map(str::to_owned),
        counts: line.counts,
        note: notes.of_line(collection, user, line),
    });
    rows.collect()
}
