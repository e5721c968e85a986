//! From options and store to plans: which tables, which dimensions, which vectors.

use std::collections::HashSet;
use std::rc::Rc;

use pgrx::pg_sys;
use vector_migrate_core::encode::{ColumnType, ContentColumn, canonical_key};
use vector_migrate_core::pipeline::{Budget, EmbeddingMode, Plan, PlannedCollection, Pool};
use vector_migrate_core::record::{Collection, Space};
use vector_migrate_core::seen::RowKeys;

use super::decisions::{Asked, Decisions, Writes};
use super::indexes::Indexes;
use super::options::{Options, Orphans};
use super::planned_reader::GraphWish;
use super::routes::Route;
use super::verdict;
use crate::error::Error;
use crate::ledger::{self, Journal, RunCollection};
use crate::message::notice;
use crate::reader::Size;
use crate::sink::{BulkLimit, Recorder, Rules, Sink, Tally, known_keys};
use crate::tables::{KeyPart, Pgvector, Target, check_update_privilege};
use crate::{guc, model};

/// A collection of the run.
#[derive(Debug, Clone)]
pub struct Member {
    /// The collection.
    pub collection: Collection,
    /// Its place in the store.
    pub place: usize,
    /// How much there is to read of it.
    pub size: Size,
    /// A record of it names an owner.
    pub owned: bool,
}

/// What is settled of a call before its tables are looked at.
pub struct Call<'a> {
    /// The arguments.
    pub options: &'a Options,
    /// What may be written.
    pub writes: Writes,
    /// pgvector in this database.
    pub pgvector: Pgvector,
    /// The type of the column `user_id` of tables that are created.
    pub user_type: &'static str,
}

/// What all tables of a run have in common.
pub struct Run<'a> {
    /// The call.
    pub call: Call<'a>,
    /// The run's number in the ledger; `None`: a dry run.
    pub id: Option<i64>,
    /// The run's collections as it writes them down, in the order of its tables.
    pub collections: Rc<[RunCollection]>,
    /// The ids of all collections of the store.
    pub store: HashSet<String>,
}

/// A table of the run, before it is filled.
pub struct Part {
    /// Its collections.
    pub members: Vec<Member>,
    /// The number of the first of them in the run.
    pub first: usize,
    /// What is decided of its tables.
    pub tables: Decisions,
    /// Dimensions of the vectors that come; `None`: none does, or they differ.
    dimension: Option<u32>,
    /// Only this user's records, as the table's column spells it.
    user: Option<String>,
    budget: Budget,
}

impl Part {
    /// What its collections come to.
    pub fn size(&self) -> Size {
        total(&self.members)
    }

    /// Whether its records without an owner are kept, of this collection.
    pub fn keeps_orphans(&self, options: &Options, member: &Member) -> bool {
        match options.orphans {
            Orphans::Skip => false,
            Orphans::Keep => true,
            Orphans::Auto => !member.owned && !self.tables.described.content.user_required,
        }
    }
}

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

/// Describes or creates all tables of the run.
///
/// # Errors
/// Everything that can be wrong with tables, dimensions and arguments, before a record is read.
pub fn decide(
    call: &Call<'_>,
    routes: &[Route],
    members: Vec<Vec<Member>>,
) -> Result<Vec<Part>, Error> {
    let (mut parts, mut created, mut first) = (Vec::new(), Vec::new(), 0);
    for ((route, members), number) in routes.iter().zip(members).zip(1..) {
        let count = members.len();
        parts.push(part(call, (route, number), members, first, &mut created)?);
        first += count;
    }
    call.writes.tell_created(&created);
    check_dimensions(call.options, &parts)?;
    Ok(parts)
}

fn part(
    call: &Call<'_>,
    (route, number): (&Route, usize),
    members: Vec<Member>,
    first: usize,
    created: &mut Vec<String>,
) -> Result<Part, Error> {
    let options = call.options;
    let budget = budget(total(&members))?;
    let dimension = dimension(options, &members)?;
    let asked = Asked {
        route,
        number,
        dimension,
        user_type: call.user_type,
        mode: options.mode,
    };
    let tables = Decisions::decide(call.writes, asked, &call.pgvector, created)?;
    let content = &tables.described.content;
    let user = match &options.user_id {
        Some(user) => Some(held(content, "user_id", user)?),
        None => None,
    };
    if let Some(user) = &options.default_user_id {
        held(content, "default_user_id", user)?;
    }
    if let Some(source) = &options.source_name
        && !content.key.contains(&KeyPart::Collection)
    {
        return Err(Error::BadArgument {
            argument: "source_name",
            value: source.clone(),
            hint: format!(
                "The key of {} has no chroma_collection, before which it would stand: give the store a target of its own.",
                content.name
            ),
        });
    }
    if options.on_conflict.overwrites() {
        check_overwritable(&tables)?;
    }
    Ok(Part {
        members,
        first,
        tables,
        dimension,
        user,
        budget,
    })
}

fn total(members: &[Member]) -> Size {
    members.iter().fold(Size::default(), |sum, it| Size {
        records: sum.records.saturating_add(it.size.records),
        queued: sum.queued.saturating_add(it.size.queued),
    })
}

/// Dimensions of the vectors that the collections' records come with, or that are made; `None`: there are none, or they differ.
fn dimension(options: &Options, members: &[Member]) -> Result<Option<u32>, Error> {
    if options.mode == EmbeddingMode::Generate {
        let (_, dimension) = model::describe("embeddings => 'generate' makes every vector anew")?;
        return Ok(Some(dimension));
    }
    let with_records = members.iter().filter(|it| it.size.records > 0);
    let of = |it: &Member| it.collection.dimension;
    let mut known: Vec<u32> = with_records.filter_map(of).collect();
    if known.is_empty() {
        known = members.iter().filter_map(of).collect();
    }
    known.sort_unstable();
    known.dedup();
    Ok(match known.as_slice() {
        [one] => Some(*one),
        _ => None,
    })
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
    let (indexes, graph) = Indexes::plan(
        options,
        &tables,
        space,
        largest,
        size.records,
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

/// The tables that are there have to take overwritten rows.
fn check_overwritable(tables: &Decisions) -> Result<(), Error> {
    let (content, entity) = (&tables.described.content, tables.described.entity.as_ref());
    if content.created {
        return Ok(());
    }
    let all = [Some((&content.name, content.overwritable))]
        .into_iter()
        .chain([entity.map(|it| (&it.name, it.overwritable))]);
    if let Some((name, _)) = all.flatten().find(|(_, overwritable)| !overwritable) {
        return Err(Error::NotOverwritable(name.clone()));
    }
    check_update_privilege(content, "UPDATE")?;
    match entity.filter(|entity| !entity.created) {
        Some(entity) => check_update_privilege(entity, "DELETE"),
        None => Ok(()),
    }
}

/// How a run over collections of this size uses the memory that it may.
fn budget(size: Size) -> Result<Budget, Error> {
    let Size { records, queued } = size;
    let most = guc::max_memory_bytes();
    Budget::divide(records, queued, most, guc::batch_bytes()).map_err(|needed| {
        let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
        Error::TooManyRecords {
            records,
            queued,
            needs: megabytes(needed),
            has: megabytes(most),
        }
    })
}

/// Made vectors have to have the columns' dimensions, and of the collections with vectors one at least: the records of others
/// are failures, each told.
fn check_dimensions(options: &Options, parts: &[Part]) -> Result<(), Error> {
    let mut misfit = None;
    for part in parts {
        let content = &part.tables.described.content;
        let Some(wants) = content.vector.dimension else {
            return Ok(());
        };
        if options.mode == EmbeddingMode::Generate {
            match part.dimension {
                Some(has) if has != wants => {
                    misfit.get_or_insert(("the embedding model".to_owned(), has, wants, content));
                }
                _ => {}
            }
            continue;
        }
        for member in &part.members {
            match member.collection.dimension {
                Some(has) if has == wants => return Ok(()),
                Some(has) => {
                    let name = format!("collection \"{}\"", member.collection.qualified_name());
                    misfit.get_or_insert((name, has, wants, content));
                }
                None => {}
            }
        }
    }
    let Some((what, has, wants, content)) = misfit else {
        return Ok(());
    };
    Err(Error::WrongDimension {
        what,
        has,
        target: content.name.clone(),
        wants,
        hint: "Name another table with target (\"{dimension}\" in its name stands for each collection's), or embed the texts anew \
               with embeddings => 'generate' and a model of the column's dimensions."
            .into(),
    })
}

/// An argument's user as the target's column spells it.
fn held(
    content: &Target<ContentColumn>,
    argument: &'static str,
    user: &str,
) -> Result<String, Error> {
    let at = content
        .columns
        .iter()
        .position(|it| it.column == ContentColumn::UserId);
    let ty = at
        .and_then(|at| content.columns.get(at))
        .map_or(ColumnType::Text, |it| it.ty);
    let limit = at.and_then(|at| content.lengths.get(at).copied().flatten());
    let fits = match canonical_key(ty, user) {
        Ok(key) if limit.is_some_and(|limit| key.chars().count() > limit) => {
            Err("it is too long".to_owned())
        }
        other => other.map(std::borrow::Cow::into_owned),
    };
    fits.map_err(|why| Error::BadArgument {
        argument,
        value: user.to_owned(),
        hint: format!(
            "Column \"user_id\" of {} is of type {}: {why}.",
            content.name,
            content.sql_type(ContentColumn::UserId).unwrap_or_default()
        ),
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

/// The content tables.
pub fn contents(parts: &[Part]) -> impl Iterator<Item = pg_sys::Oid> {
    parts.iter().map(|it| it.tables.described.content.oid)
}
