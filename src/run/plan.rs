//! From options and store to a plan: which tables, which dimensions, which vectors.

use vector_migrate_core::encode::{ColumnType, ContentColumn, canonical_key};
use vector_migrate_core::nul::NulCharacters;
use vector_migrate_core::pipeline::{Budget, EmbeddingMode, Plan, PlannedCollection, Pool};
use vector_migrate_core::record::{Collection, Space};
use vector_migrate_core::seen::RowKeys;

use super::decisions::Decisions;
use super::indexes::{Indexes, Largest};
use super::options::Options;
use super::planned_reader::GraphWish;
use super::verdict;
use crate::error::Error;
use crate::ledger::Journal;
use crate::message::notice;
use crate::reader::Size;
use crate::sink::{BulkLimit, OnConflict, Recorder, Rules, Sink, known_keys};
use crate::tables::{KeyPart, Pgvector, Target, check_update_privilege};
use crate::{guc, model, subxact};

/// Everything that a run needs.
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
    if options.mode == EmbeddingMode::Generate {
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
    let dimension = dimensions(options, path, &collections)?;
    let mut user = None;
    let tables = Decisions::decide(options, dimension, &pgvector, |content| {
        check_dimension(options, &collections, dimension, content)?;
        let wanted = options.user_id.as_deref();
        user = wanted
            .map(|user| held(content, "user_id", user))
            .transpose()?;
        let default = options.default_user_id.as_deref();
        default.map_or(Ok(()), |user| {
            held(content, "default_user_id", user).map(drop)
        })
    })?;
    if options.on_conflict == OnConflict::Update {
        check_overwritable(&tables)?;
    }
    let content = &tables.described.content;
    let names: Vec<String> = collections.iter().map(Collection::qualified_name).collect();
    let pool = Pool::default();
    let (per_collection, per_user) = (
        content.key.contains(&KeyPart::Collection),
        content.key.contains(&KeyPart::User),
    );
    let space = common_space(&collections, &content.name, content.created);
    let (indexes, graph) =
        Indexes::plan(options, &tables, space, largest, size.records, &pgvector)?;
    let plan = Plan {
        content: content.columns.clone(),
        entity: (tables.described.entity.as_ref()).map_or_else(Vec::new, |it| it.columns.clone()),
        vector: content.vector,
        mode: options.mode,
        has_model: model::installed().is_ok(),
        user,
        default_user: options.default_user_id.clone(),
        owner_key: "user_id".to_owned(),
        text_key: None,
        nul: NulCharacters::Error,
        filter: options.parsed_filter()?,
        row_keys: RowKeys::new(per_collection, per_user),
        known: known_keys(content, &names, size.records)?,
        overwrites: options.on_conflict == OnConflict::Update,
        strict: options.strict,
        sampling: verdict::sampling(options, dimension, size.records),
        batch_bytes: budget.batch,
        pool: pool.clone(),
        collections: collections
            .into_iter()
            .map(|it| PlannedCollection::qualified(it, options.keep_orphans))
            .collect(),
        first: 0,
        read: 0,
    };
    let recorder = match tables.run {
        Some(run) => Recorder::of_run(
            Journal::new(
                run,
                content.oid,
                per_user,
                per_collection,
                content.versioned,
            ),
            names,
        ),
        None => Recorder::of_dry_run(names),
    };
    let rules = Rules {
        on_conflict: options.on_conflict,
        strict: options.strict,
        embeds_entities: options.mode != EmbeddingMode::Stored,
        records: size.records,
    };
    let into = tables.destinations(indexes.late())?;
    let limit = BulkLimit::new(budget.load, budget.longest);
    let sink = Sink::new(&tables.described, into, recorder, &rules, limit, pool);
    Ok(Prepared {
        plan,
        sink,
        tables,
        indexes,
        graph,
        pgvector,
        records: size.records,
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
        (EmbeddingMode::Auto | EmbeddingMode::Stored, Some(c)) => {
            format!("collection \"{}\"", c.qualified_name())
        }
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
