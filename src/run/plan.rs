//! From options and store to a plan: which tables, which dimensions, which vectors.

use vector_migrate_core::encode::{ColumnType, ContentColumn, EntityColumn, Form, canonical_key};
use vector_migrate_core::pipeline::{Budget, Mode, Plan, Pool};
use vector_migrate_core::record::{Collection, Space};
use vector_migrate_core::sample::Pair;
use vector_migrate_core::seen::RowKeys;

use super::indexes::{Indexes, Largest};
use super::options::Options;
use super::reading::GraphWish;
use super::tables::{self, Making};
use super::verdict;
use crate::error::Error;
use crate::message::notice;
use crate::reader::Size;
use crate::sink::{OnConflict, Reach, Sink, known_keys};
use crate::tables::{KeyPart, Pgvector, Target};
use crate::{guc, ledger, lock, model, subxact};

/// Everything that a run needs.
pub struct Prepared {
    /// For the reader's thread.
    pub plan: Plan,
    /// For the backend.
    pub sink: Sink,
    /// What is done about vector indexes after the load.
    pub indexes: Option<Indexes>,
    /// What the reader finds out for that.
    pub graph: Option<GraphWish>,
    /// The model's name, if vectors are made.
    pub model: Option<String>,
    /// Texts that were embedded and longer than the model takes.
    pub truncated: u64,
    /// Texts with stored vectors, to be compared with the model's.
    pub samples: Vec<Pair>,
    /// pgvector in this database.
    pub pgvector: Pgvector,
    /// Records to read, those that are not asked for included.
    pub records: u64,
}

/// Dimensions of the vectors that the run will write.
fn dimensions(
    options: &Options,
    path: &str,
    collections: &[Collection],
) -> Result<Option<u32>, Error> {
    if options.mode == Mode::Generate {
        let (_, dimension) = model::describe("embeddings => 'generate' makes every vector anew")?;
        return Ok(Some(dimension));
    }
    let mut known: Vec<u32> = collections.iter().filter_map(|c| c.dimension).collect();
    known.sort_unstable();
    known.dedup();
    match known.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => {
            let with = |c: &Collection| Some((c.qualified_name(), c.dimension?));
            let all: Vec<(String, u32)> = collections.iter().filter_map(with).collect();
            Err(Error::MixedDimensions {
                lines: all.iter().map(|(name, n)| format!("\"{name}\": {n} dimensions.")).collect(),
                calls: all
                    .iter()
                    .map(|(name, n)| {
                        format!(
                            "SELECT * FROM migrate_chroma({}, collection => {}, \
                             target => 'content_vectors_{n}', entity_target => 'entity_vectors_{n}');",
                            quote(path),
                            quote(name)
                        )
                    })
                    .collect(),
            })
        }
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Describes or creates the tables and fits the plan to them; `size` is that of the collections, the largest of which is
/// `largest`.
///
/// # Errors
/// Everything that can be wrong with tables, dimensions and arguments, before a record is read.
pub fn prepare(
    options: &Options,
    path: &str,
    collections: Vec<Collection>,
    size: Size,
    largest: Largest,
) -> Result<Prepared, Error> {
    let budget = budget(size)?;
    let pgvector = Pgvector::find()?;
    let making = Making::of(options.dry_run);
    let dimension = dimensions(options, path, &collections)?;
    let has_model = model::installed().is_ok();
    if making == Making::Real {
        lock::keep_runs_out(&crate::tables::find(&options.target)?.qualified())?;
    }
    let place = crate::tables::find_locked(&options.target, making.locks())?;
    // Without a vector anywhere there is nothing to take dimensions from but the model.
    let new_dimension = match dimension {
        Some(dimension) => dimension,
        None if place.oid.is_none() && has_model => model::describe("")?.1,
        None => 384,
    };
    let content = tables::content(
        &place,
        making,
        new_dimension,
        options.user_id_type,
        &pgvector,
    )?;
    check_dimension(options, &collections, dimension, &content)?;
    let user = options
        .user_id
        .as_deref()
        .map(|user| held(&content, "user_id", user))
        .transpose()?;
    if let Some(default) = &options.default_user_id {
        held(&content, "default_user_id", default)?;
    }
    let entity = entity_table(options, making, new_dimension, &content, &pgvector)?;
    if options.on_conflict == OnConflict::Update && !content.created {
        let all = [Some((&content.name, content.overwritable))]
            .into_iter()
            .chain([entity.as_ref().map(|it| (&it.name, it.overwritable))]);
        if let Some((name, _)) = all.flatten().find(|(_, overwritable)| !overwritable) {
            return Err(Error::NotOverwritable(name.clone()));
        }
        crate::tables::check_update_privilege(&content, "UPDATE")?;
        if let Some(entity) = entity.as_ref().filter(|entity| !entity.created) {
            crate::tables::check_update_privilege(entity, "DELETE")?;
        }
    }
    let run = match making {
        Making::Real => Some(ledger::next_run_id()?),
        Making::Temporary | Making::Imagined => None,
    };
    let names: Vec<String> = collections.iter().map(Collection::qualified_name).collect();
    let mut plan = Plan {
        content: content.columns.clone(),
        entity: entity
            .as_ref()
            .map_or_else(Vec::new, |entity| entity.columns.clone()),
        form: Form::Copy,
        vector: content.vector,
        mode: options.mode,
        has_model,
        user,
        default_user: options.default_user_id.clone(),
        keep_orphans: options.keep_orphans,
        filter: options.parsed_filter()?,
        row_keys: RowKeys::new(
            content.key.contains(&KeyPart::Collection),
            content.key.contains(&KeyPart::User),
        ),
        known: known_keys(&content, &names, size.records)?,
        overwrites: options.on_conflict == OnConflict::Update,
        strict: options.strict,
        sampling: verdict::sampling(options, dimension, size.records),
        batch_bytes: budget.batch,
        pool: Pool::default(),
        collections,
    };
    let space = common_space(&plan.collections, &content.name, content.created);
    let embeds = options.mode != Mode::Stored;
    let mut sink = Sink::new(content, entity, run, options.on_conflict, embeds, names);
    sink.strict = options.strict;
    sink.pool = plan.pool.clone();
    sink.reach = Reach::new(budget.load, budget.longest);
    sink.expect(size.records);
    tables::shade(&mut sink, making)?;
    plan.form = tables::shorten(&mut sink);
    let (indexes, graph) =
        Indexes::plan(options, &mut sink, space, largest, size.records, &pgvector)?;
    Ok(Prepared {
        plan,
        sink,
        indexes: Some(indexes),
        graph,
        model: None,
        truncated: 0,
        samples: Vec::new(),
        pgvector,
        records: size.records,
    })
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

/// The vectors' dimensions have to be the column's.
fn check_dimension(
    options: &Options,
    collections: &[Collection],
    dimension: Option<u32>,
    content: &Target<ContentColumn>,
) -> Result<(), Error> {
    let (Some(has), Some(wants)) = (dimension, content.vector.dimension) else {
        return Ok(());
    };
    if has == wants {
        return Ok(());
    }
    let named = collections.iter().find(|c| c.dimension == Some(has));
    let what = match (options.mode, named) {
        (Mode::Auto | Mode::Stored, Some(c)) => format!("collection \"{}\"", c.qualified_name()),
        _ => "the embedding model".to_owned(),
    };
    Err(Error::WrongDimension {
        what,
        has,
        target: content.name.clone(),
        wants,
        hint: "Name another table with target, or embed the texts anew with \
               embeddings => 'generate' and a model of the column's dimensions."
            .into(),
    })
}

/// The entity table; `None` if no entities are wanted or none can be put in.
fn entity_table(
    options: &Options,
    making: Making,
    content_dimension: u32,
    content: &Target<ContentColumn>,
    pgvector: &Pgvector,
) -> Result<Option<Target<EntityColumn>>, Error> {
    let Some(name) = &options.entity_target else {
        return Ok(None);
    };
    let place = crate::tables::find_locked(name, making.locks())?;
    // What will be embedded later, by a run or by hand, is embedded with the model that is installed.
    let dimension = match (place.oid, model::installed(), options.mode) {
        (None, Ok(()), Mode::Stored) => model::describe("").map_or(content_dimension, |it| it.1),
        (None, Ok(()), Mode::Auto | Mode::Generate) => model::describe("")?.1,
        _ => content_dimension,
    };
    let entity = tables::entity(&place, making, dimension, content, pgvector)?;
    if entity.vector_required && options.mode == Mode::Stored {
        notice!(
            "no entities are migrated: embeddings => 'stored' gives them no vectors, and column \
             \"embedding\" of {} is not null",
            entity.name
        );
        return Ok(None);
    }
    Ok(Some(entity))
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
fn common_space(collections: &[Collection], table: &str, created: bool) -> Space {
    let with_vectors: Vec<Space> = collections
        .iter()
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

/// Runs a whole dry run in a subtransaction that is taken back.
///
/// # Errors
/// What `work` gives; what the server refuses is raised.
pub fn without_trace<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
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
