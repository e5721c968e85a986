//! The tables of a run, each with its collections: described or created before a record is read.

use std::collections::HashSet;
use std::rc::Rc;

use pgrx::pg_sys;
use vector_migrate_core::map::CollectionFields;
use vector_migrate_core::mapping::Word;
use vector_migrate_core::pipeline::{Budget, EmbeddingMode};
use vector_migrate_core::record::Collection;

use super::checks::{check_dimensions, check_table};
use super::decisions::Decisions;
use super::options::{Options, Orphans};
use super::parents;
use super::routes::Route;
use super::writes::{Asked, NewTable, Writes};
use crate::error::Error;
use crate::ledger::{MadeParent, RunCollection};
use crate::message::Level;
use crate::reader::Size;
use crate::tables::Pgvector;
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
    /// How much what is said of a single table matters.
    pub level: Level,
}

/// Tables of a run that are spoken of one by one; of more, in sum.
pub const NAMED: usize = 10;

/// A table of the run, before it is filled.
pub struct Part {
    /// Its collections.
    pub members: Vec<Member>,
    /// What the rows of each have in common.
    pub fields: Vec<CollectionFields>,
    /// Rows that the run made in the table that it refers to.
    pub parents: Vec<MadeParent>,
    /// The number of the first of them in the run.
    pub first: usize,
    /// What is decided of its tables.
    pub tables: Decisions,
    /// Dimensions of the vectors that come; `None`: none does, or they differ.
    pub dimension: Option<u32>,
    /// Only this user's records, as the table's column spells it.
    pub user: Option<String>,
    /// How the run uses its memory while it fills the table.
    pub budget: Budget,
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
    created: &mut Vec<NewTable>,
) -> Result<Part, Error> {
    let options = call.options;
    let budget = budget(total(&members))?;
    let dimension = dimension(options, &members)?;
    let most = members
        .iter()
        .filter_map(|it| it.collection.dimension)
        .max();
    let asked = Asked {
        route,
        number,
        dimension: dimension.or(most.filter(|_| route.layout.has(is_padded))),
        user_type: call.user_type,
        mode: options.mode,
    };
    let tables = Decisions::decide(call.writes, asked, &call.pgvector, created)?;
    let user = check_table(options, &tables)?;
    let (fields, parents) = parents::fields(call, &tables, &members)?;
    Ok(Part {
        members,
        fields,
        parents,
        first,
        tables,
        dimension,
        user,
        budget,
    })
}

fn is_padded(word: &Word) -> bool {
    *word == Word::Vector { padded: true }
}

/// The run's collections as it writes them down, in the order of its tables.
pub fn written(parts: &[Part]) -> Rc<[RunCollection]> {
    let of_part = |part: &Part| -> Vec<RunCollection> {
        let content = &part.tables.described.content;
        let written = part.fields.iter().map(|fields| RunCollection {
            name: fields.qualified.clone(),
            source: fields.uuid.clone(),
            key: content.collection_key(fields),
        });
        written.collect()
    };
    parts.iter().flat_map(of_part).collect()
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

/// The content tables.
pub fn contents(parts: &[Part]) -> impl Iterator<Item = pg_sys::Oid> {
    parts.iter().map(|it| it.tables.described.content.oid)
}
