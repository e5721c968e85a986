//! From a run's table to the plan that the reader follows, and the sink that takes what it gives.

use vector_migrate_core::pipeline::{EmbeddingMode, Plan, PlannedCollection, Pool};
use vector_migrate_core::record::Space;
use vector_migrate_core::seen::RowKeys;

use super::decisions::Decisions;
use super::indexes::{Coming, IndexPolicy, Indexes};
use super::parts::{Member, Part, Run};
use super::planned_reader::GraphWish;
use super::verdict;
use crate::error::Error;
use crate::ledger::{self, Journal};
use crate::message::notice;
use crate::model;
use crate::sink::{BulkLimit, Recorder, Rules, Sink, Tally, known_keys};
use crate::tables::KeyPart;

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
        .zip(run.collections.iter().skip(part.first))
        .map(|(member, written)| PlannedCollection {
            collection: member.collection.clone(),
            name: written.name.clone(),
            keeps_orphans: part.keeps_orphans(options, member),
        })
        .collect();
    let Part {
        members,
        first,
        tables,
        dimension,
        user,
        budget,
    } = part;
    let content = &tables.described.content;
    let written = run.collections.get(first..first + members.len());
    let written = written.unwrap_or_default();
    let names: Vec<String> = written.iter().map(|it| it.name.clone()).collect();
    let pool = Pool::default();
    let (per_collection, per_user) = (
        content.key.contains(&KeyPart::Collection),
        content.key.contains(&KeyPart::User),
    );
    let row_keys = RowKeys::new(per_collection, per_user);
    let origins = match content.created {
        true => ledger::Origins::default(),
        false => ledger::origins(
            content.oid,
            ledger::Names {
                collections: written,
                first,
                keys: &row_keys,
                per_collection,
                store: &run.store,
            },
        )?,
    };
    let space = common_space(&members, &content.name, content.created);
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
        IndexPolicy::Own,
        coming,
        &run.call.pgvector,
    )?;
    let plan = Plan {
        content: content.columns.clone(),
        entity: (tables.described.entity.as_ref()).map_or_else(Vec::new, |it| it.columns.clone()),
        vector: content.vector,
        mode: options.mode,
        has_model: model::installed().is_ok(),
        user,
        default_user: options.default_user_id.clone(),
        owner_key: options.owner_key.clone(),
        text_key: options.text_key.clone(),
        nul: options.nul,
        filter: options.parsed_filter()?,
        row_keys,
        known: known_keys(content, &names, size.records)?,
        overwrites: options.on_conflict.overwrites(),
        strict: options.strict,
        sampling: match samples {
            true => verdict::sampling(options, dimension, size.records),
            false => None,
        },
        batch_bytes: budget.batch,
        pool: pool.clone(),
        first,
        read: tally.read,
        collections,
    };
    let journal = run.id.map(|id| {
        let of = (id, tally.blocks);
        Journal::new(of, content.oid, per_user, per_collection, content.versioned)
    });
    let recorder = Recorder::new(tally, journal, run.collections.clone());
    let rules = Rules {
        on_conflict: options.on_conflict,
        strict: options.strict,
        embeds_entities: options.mode != EmbeddingMode::Stored,
        records: size.records,
        origins,
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
    })
}

/// The space that all collections share; cosine where they differ.
fn common_space(members: &[Member], table: &str, created: bool) -> Space {
    let with_vectors: Vec<Space> = (members.iter().map(|it| &it.collection))
        .filter(|c| c.dimension.is_some())
        .map(|c| c.space)
        .collect();
    match with_vectors.split_first() {
        None => Space::Cosine,
        Some((first, rest)) if rest.iter().all(|space| space == first) => *first,
        Some(_) => {
            if created {
                notice!(
                    "the collections have different distance spaces: the index on {table} is for cosine"
                );
            }
            Space::Cosine
        }
    }
}
