//! From a run's table to the plan that the reader follows, and the sink that takes what it gives.

use vector_migrate_core::encode::ColumnType;
use vector_migrate_core::mapping::Preset;
use vector_migrate_core::mapping::preset::IndexMaker;
use vector_migrate_core::pipeline::{EmbeddingMode, Identity, Plan, PlannedCollection, Pool};
use vector_migrate_core::record::Space;
use vector_migrate_core::seen::{KnownKeys, RowKeys};
use vector_migrate_core::share::Share;

use super::decisions::Decisions;
use super::indexes::{Coming, IndexPolicy, Indexes};
use super::options::Options;
use super::parts::{Member, Part, Run};
use super::planned_reader::GraphWish;
use super::verdict;
use crate::error::Error;
use crate::ledger::{self, Journal, MadeParent};
use crate::message::notice;
use crate::model;
use crate::sink::{BulkLimit, Recorder, Rules, Sink, Tally, known_keys};
use crate::tables::Target;

/// What is needed to fill a table.
pub struct Prepared {
    /// For the reader's thread.
    pub plan: Plan,
    /// For the backend.
    pub sink: Sink,
    /// What is decided of the tables.
    pub tables: Decisions,
    /// What is done about vector indexes after the load.
    pub indexes: Indexes,
    /// What the reader finds out for that.
    pub graph: Option<GraphWish>,
    /// Rows that the run made in the table that it refers to.
    pub parents: Vec<MadeParent>,
    /// The distance that all its collections have.
    pub space: Option<&'static str>,
    /// Chroma's ids of its collections.
    pub sources: Vec<String>,
}

/// Fits the plan to the tables of `part`, and makes the sink; `tally`: what the run has counted so far; `samples`: vectors are to be
/// compared with the model's.
///
/// # Errors
/// [`Error::NoImport`]; the server's own.
pub fn prepare(run: &Run<'_>, part: Part, tally: Tally, samples: bool) -> Result<Prepared, Error> {
    let options = run.call.options;
    let size = part.size();
    let collections: Vec<PlannedCollection> = (part.members.iter())
        .zip(
            part.fields
                .iter()
                .zip(run.collections.iter().skip(part.first)),
        )
        .map(|(member, (fields, written))| PlannedCollection {
            collection: member.collection.clone(),
            fields: fields.clone(),
            key: written.key.clone(),
            keeps_orphans: part.keeps_orphans(options, member),
            picked: Share::NONE,
        })
        .collect();
    let Part {
        members,
        parents,
        first,
        tables,
        dimension,
        user,
        budget,
        ..
    } = part;
    let content = &tables.described.content;
    let written = run.collections.get(first..first + members.len());
    let written = written.unwrap_or_default();
    let pool = Pool::default();
    let row_keys = RowKeys::new(content.per_collection(), content.key.user.is_some());
    let known = known_keys(content, written, size.records)?;
    let origins = match content.created || content.identity != Identity::Record {
        true => ledger::Origins::default(),
        false => ledger::origins(
            content.oid,
            ledger::Names {
                collections: written,
                first,
                keys: &row_keys,
                per_collection: content.per_collection(),
                store: &run.store,
            },
        )?,
    };
    let same = same_space(&members);
    let distance = content.preset.and_then(|it| it.distance.as_ref());
    let space = match distance {
        Some(distance) => distance.asks,
        None => index_space(&members, same, &content.name, content.created),
    };
    let largest = members
        .iter()
        .filter(|it| it.collection.dimension.is_some())
        .max_by_key(|it| it.size.records)
        .map(|it| (it.collection.clone(), it.size.records));
    let coming = Coming {
        space,
        largest,
        records: size.records,
        level: run.level,
    };
    let (indexes, graph) = Indexes::plan(
        options,
        &tables,
        policy(content.preset),
        coming,
        &run.call.pgvector,
    )?;
    let entity = tables.described.entity.as_deref();
    let plan = Plan {
        has_model: model::installed().is_ok(),
        user,
        row_keys,
        known: known.keys,
        overwrites: options.on_conflict.overwrites(),
        strict: options.strict,
        sampling: match samples {
            true => verdict::sampling(options, dimension, size.records),
            false => None,
        },
        pool: pool.clone(),
        first,
        read: tally.read,
        ..of_tables(options, content, entity, collections, budget.batch)?
    };
    let journal = run.id.map(|id| {
        let of = (id, tally.blocks);
        Journal::new(of, content)
    });
    let recorder = Recorder::new(tally, journal, run.collections.clone());
    let rules = Rules {
        on_conflict: options.on_conflict,
        strict: options.strict,
        embeds_entities: options.mode != EmbeddingMode::Stored,
        records: size.records,
        origins,
        of_collections: known.of_collections,
        dry_run: run.id.is_none(),
    };
    let into = tables.destinations(indexes.late())?;
    let limit = BulkLimit::new(budget.load, budget.longest);
    let sink = Sink::new(&tables.described, into, recorder, rules, limit, pool);
    Ok(Prepared {
        plan,
        sink,
        tables,
        indexes,
        graph,
        parents,
        space: same.map(Space::as_str),
        sources: members.into_iter().map(|it| it.collection.id).collect(),
    })
}

/// The plan of what a call with these options makes of the records of `collections`, for rows of these tables, whoever owns
/// them and whatever the tables have already.
///
/// # Errors
/// None any more: [`Options::check`] has parsed the filter.
pub fn of_tables(
    options: &Options,
    content: &Target,
    entity: Option<&Target>,
    collections: Vec<PlannedCollection>,
    batch_bytes: usize,
) -> Result<Plan, Error> {
    let preset = content.preset;
    Ok(Plan {
        content: content.columns.clone(),
        entity: entity.map_or_else(Vec::new, |it| it.columns.clone()),
        vector: content.vector,
        key: (content.columns.iter())
            .find(|it| it.name == content.key.id.name)
            .map_or(ColumnType::Text, |it| it.ty),
        identity: content.identity,
        id_hint: preset.and_then(|it| it.id_hint.clone()),
        has_owner: content.has_owner(),
        needs_document: preset.and_then(|it| it.needs_document.clone()),
        asks: preset.and_then(|it| it.distance.as_ref()).map(|it| it.asks),
        mode: options.mode,
        has_model: true,
        user: None,
        default_user: options.default_user_id.clone(),
        owner_key: options.owner_key.clone(),
        text_key: (options.text_key.clone()).or_else(|| preset.and_then(|it| it.text_key.clone())),
        nul: options.nul,
        filter: options.parsed_filter()?,
        row_keys: RowKeys::new(content.per_collection(), content.key.user.is_some()),
        known: None,
        picked: KnownKeys::default(),
        overwrites: true,
        strict: false,
        sampling: None,
        batch_bytes,
        pool: Pool::default(),
        first: 0,
        read: 0,
        collections,
    })
}

/// Whose vector indexes a table of this preset has.
fn policy(preset: Option<&Preset>) -> IndexPolicy {
    match preset.map(|it| it.index) {
        None | Some(IndexMaker::Ours) => IndexPolicy::Own,
        Some(IndexMaker::Application) => IndexPolicy::Application,
        Some(IndexMaker::Never) => IndexPolicy::Never,
    }
}

/// The space that all collections with vectors share.
fn same_space(members: &[Member]) -> Option<Space> {
    let mut spaces = members
        .iter()
        .filter(|it| it.collection.dimension.is_some())
        .map(|it| it.collection.space);
    let first = spaces.next()?;
    spaces.all(|space| space == first).then_some(first)
}

/// The space of a new index: the one that all collections share; cosine where they differ.
fn index_space(members: &[Member], same: Option<Space>, table: &str, created: bool) -> Space {
    let vectors = members.iter().any(|it| it.collection.dimension.is_some());
    if same.is_none() && vectors && created {
        notice!(
            "the collections have different distance spaces: the index on {table} is for cosine"
        );
    }
    same.unwrap_or(Space::Cosine)
}
