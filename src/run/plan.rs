//! From options and store to a plan: which tables, which dimensions, which vectors.

use vector_migrate_core::encode::{ColumnType, ContentColumn, canonical_key};
use vector_migrate_core::pipeline::{Mode, Plan};
use vector_migrate_core::record::{Collection, Space};

use super::options::Options;
use crate::error::Error;
use crate::sink::{OnConflict, Sink};
use crate::target::create::{self, Life};
use crate::target::{self, Pgvector, Place, Via};
use crate::{guc, ledger, model, pg, spi, subxact};

/// Everything that a run needs.
pub struct Prepared {
    /// For the reader's thread.
    pub plan: Plan,
    /// For the backend.
    pub sink: Sink,
    /// The distance space for a created content table's index.
    pub space: Space,
    /// The model's name, if vectors are made.
    pub model: Option<String>,
    /// pgvector in this database.
    pub pgvector: Pgvector,
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

/// Describes or creates the tables and fits the plan to them.
///
/// # Errors
/// Everything that can be wrong with tables, dimensions and arguments, before a record is read.
pub fn prepare(
    options: &Options,
    path: &str,
    collections: Vec<Collection>,
) -> Result<Prepared, Error> {
    let pgvector = Pgvector::find()?;
    let dimension = dimensions(options, path, &collections)?;
    let has_model = model::installed().is_ok();
    let place = target::find(&options.target)?;
    let life = if options.dry_run {
        Life::Temporary
    } else {
        Life::Permanent
    };
    // Without a vector anywhere there is nothing to take dimensions from but the model.
    let create_dimension = match dimension {
        Some(dimension) => dimension,
        None if place.oid.is_none() && has_model => model::describe("")?.1,
        None => 384,
    };
    let mut content = match place.oid {
        Some(oid) => target::describe_content(&place, oid, &pgvector)?,
        None => {
            let oid = create::content(
                &place,
                life,
                create_dimension,
                options.user_id_type,
                &pgvector,
            )?;
            tell_created(&place, options.dry_run, create_dimension);
            let mut created = target::describe_content(&place, oid, &pgvector)?;
            created.created = true;
            created.key = vec![target::KeyPart::Collection, target::KeyPart::Id];
            created
        }
    };
    if let (Some(has), Some(wants)) = (dimension, content.vector.dimension)
        && has != wants
    {
        let what = match options.mode {
            Mode::Generate => "the embedding model".to_owned(),
            _ => collections
                .iter()
                .find(|c| c.dimension == Some(has))
                .map_or_else(String::new, |c| {
                    format!("collection \"{}\"", c.qualified_name())
                }),
        };
        return Err(Error::WrongDimension {
            what,
            has,
            target: content.name,
            wants,
            hint: "Name another table with target, or embed the texts anew with \
                   embeddings => 'generate' and a model of the column's dimensions."
                .into(),
        });
    }
    let user = options
        .user_id
        .as_deref()
        .map(|user| held(&content, "user_id", user))
        .transpose()?;
    if let Some(default) = &options.default_user_id {
        held(&content, "default_user_id", default)?;
    }
    let makes_vectors = options.mode != Mode::Stored;
    let mut entity = None;
    if let Some(name) = &options.entity_target {
        let place = target::find(name)?;
        let mut described = match place.oid {
            Some(oid) => target::describe_entity(&place, oid, &pgvector)?,
            None => {
                // What will be embedded later, by a run or by hand, is embedded with this model.
                let dimension = match (has_model, makes_vectors) {
                    (true, true) => model::describe("")?.1,
                    (true, false) => model::describe("").map_or(create_dimension, |it| it.1),
                    (false, _) => create_dimension,
                };
                let oid = create::entity(&place, life, dimension, &content, &pgvector)?;
                tell_created(&place, options.dry_run, dimension);
                let mut created = target::describe_entity(&place, oid, &pgvector)?;
                created.created = true;
                created
            }
        };
        if options.dry_run && described.created {
            described.name = place.qualified();
        }
        if described.vector_required && !makes_vectors {
            pgrx::notice!(
                "no entities are migrated: embeddings => 'stored' gives them no vectors, and column \
                 \"embedding\" of {} is not null",
                described.name
            );
        } else {
            entity = Some(described);
        }
    }
    if options.dry_run && content.created {
        content.name = place.qualified();
    }
    if options.on_conflict == OnConflict::Update && !content.created {
        target::check_update_privilege(&content, "UPDATE")?;
        if let Some(entity) = entity.as_ref().filter(|entity| !entity.created) {
            target::check_update_privilege(entity, "DELETE")?;
        }
    }
    let run = match options.dry_run {
        true => None,
        false => Some(ledger::next_run_id()?),
    };
    let names: Vec<String> = collections.iter().map(Collection::qualified_name).collect();
    let plan = Plan {
        content: content.columns.clone(),
        entity: entity
            .as_ref()
            .map_or_else(Vec::new, |entity| entity.columns.clone()),
        vector: content.vector,
        mode: options.mode,
        has_model,
        user,
        default_user: options.default_user_id.clone(),
        keep_orphans: options.keep_orphans,
        filter: options.parsed_filter()?,
        batch_bytes: guc::batch_bytes(),
        collections,
    };
    let space = common_space(&plan.collections, &content.name, content.created);
    let mut sink = Sink::new(
        content,
        entity,
        run,
        options.on_conflict,
        makes_vectors,
        names,
    );
    sink.strict = options.strict;
    if options.dry_run {
        shade(&mut sink)?;
    }
    Ok(Prepared {
        plan,
        sink,
        space,
        model: None,
        pgvector,
    })
}

/// An argument's user as the target's column spells it.
fn held(
    content: &target::Target<ContentColumn>,
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
        other => other,
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

fn tell_created(place: &Place, dry_run: bool, dimension: u32) {
    let verb = if dry_run {
        "would be created"
    } else {
        "is created"
    };
    pgrx::notice!(
        "table {} {verb}, for vectors of {dimension} dimensions",
        place.qualified()
    );
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
                pgrx::notice!(
                    "the collections have different distance spaces: the index on {table} is for cosine"
                );
            }
            Space::Cosine
        }
    }
}

/// Where a dry run puts its rows, so that it meets what a run would meet: temporary copies of the tables,
/// with their types and checks; or, where a table has rules that a copy would not show, the tables
/// themselves, from which the subtransaction's end takes the rows back.
fn shade(sink: &mut Sink) -> Result<(), Error> {
    if !pg::can_write() {
        pgrx::notice!("dry run in a read-only transaction: the tables' constraints are not tried");
        sink.into_content = None;
        sink.into_entity = None;
        return Ok(());
    }
    let own_rules = sink.content.peculiar || sink.entity.as_ref().is_some_and(|it| it.peculiar);
    // INSERT has no way around a sequence.
    let own_rules = own_rules && (sink.content.via == Via::Copy || sink.content.fillers.is_empty());
    if own_rules && !sink.content.created {
        pgrx::notice!(
            "{} has triggers, partitions or constraints of its own: the dry run tries rows in the table \
             itself and takes them back",
            sink.content.name
        );
        sink.dry_in_place = true;
        return Ok(());
    }
    if let Some(target) = sink.into_content.as_mut().filter(|target| !target.created) {
        target.oid = create::shadow(target, "content")?;
        target.via = Via::Copy;
    }
    if let Some(target) = sink.into_entity.as_mut().filter(|target| !target.created) {
        target.oid = create::shadow(target, "entity")?;
        target.via = Via::Copy;
    }
    Ok(())
}

/// Takes the lock that keeps a second run out of the same table until this transaction ends.
///
/// # Errors
/// [`Error::TargetBusy`].
pub fn lock(sink: &Sink) -> Result<(), Error> {
    // The advisory lock's key: a word of ours and the table's OID, reinterpreted as it is.
    const OURS: i32 = i32::from_be_bytes(*b"vmig");
    let oid = i32::from_ne_bytes(u32::from(sink.content.oid).to_ne_bytes());
    let free = spi::read_one(
        "SELECT pg_catalog.pg_try_advisory_xact_lock($1, $2)",
        &[OURS.into(), oid.into()],
        |row| row.get::<bool>(1),
    )?;
    match free.flatten() {
        Some(true) => Ok(()),
        _ => Err(Error::TargetBusy(sink.content.name.clone())),
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
