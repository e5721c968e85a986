//! The run's vector indexes: which get their entries after the load, whose graph is read, and the making of them.

use vector_migrate_core::index::cost::import_pays;
use vector_migrate_core::index::graph::{Form, Graph};
use vector_migrate_core::pipeline::EmbeddingMode;
use vector_migrate_core::record::{Collection, Space};

use super::decisions::Decisions;
use super::options::Options;
use super::planned_reader::{GraphFound, GraphWish};
use super::there::There;
use crate::error::Error;
use crate::index::{self, Job, ListJob, Made, Subject, Wish};
use crate::load::{LeftOut, Loads};
use crate::message::{Level, notice};
use crate::sink::Described;
use crate::tables::{Pgvector, Target};
use crate::{guc, spi};

/// Whose vector indexes a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexPolicy {
    /// Ours: a table that the run creates gets one.
    Own,
    /// The application's: those of its own definitions of the table, and a new one only where one is asked for by name and there is
    /// none.
    Application,
    /// The application makes its own when it starts, and refuses others: never a new one.
    Never,
}

/// What comes into a table.
#[derive(Debug)]
pub struct Coming {
    /// The space of a new index.
    pub space: Space,
    /// The collection with most records.
    pub largest: Largest,
    /// Records in all.
    pub records: u64,
    /// How much this table matters to the caller: one of many is a detail.
    pub level: Level,
}

/// What will be done after the load.
#[derive(Debug)]
pub struct Indexes {
    /// What was asked for.
    wish: Wish,
    /// The space of a new index on the content table.
    space: Space,
    /// The content table gets a new one.
    new: bool,
    /// The content table's own.
    there: There,
    /// A created table gets statistics with a new index, or without one.
    analyze: bool,
    /// The space that the graph was made for, or why none is read.
    graph: Result<Space, String>,
}

/// A collection and its records.
pub type Largest = Option<(Collection, u64)>;

impl Indexes {
    /// Decides before anything is read. Vector indexes of a table that is empty, or has few rows, are left out of the load where
    /// rows go straight into it.
    ///
    /// # Errors
    /// [`Error::NoImport`]; the server's own.
    pub fn plan(
        options: &Options,
        run: &Decisions,
        policy: IndexPolicy,
        coming: Coming,
        pgvector: &Pgvector,
    ) -> Result<(Indexes, Option<GraphWish>), Error> {
        let (wish, real) = (options.index, run.stays);
        let Coming {
            space,
            largest,
            records,
            level,
        } = coming;
        let content = run.described.content.as_ref();
        let ours = content.created && policy == IndexPolicy::Own;
        let there = match ours {
            true => There::default(),
            false => There::plan(run, wish, (records, level), pgvector)?,
        };
        // On a table that was there, a new index is made only where one is asked for by name.
        let asked = matches!(wish, Wish::Import | Wish::Build);
        let has_none = asked && real && !ours && has_no_index(content, wish, pgvector)?;
        let new = match policy {
            IndexPolicy::Own => real && wish != Wish::None && (content.created || has_none),
            IndexPolicy::Application => has_none,
            IndexPolicy::Never => false,
        };
        let makes_one = new || !there.hnsw.is_empty();
        let never = has_none && policy == IndexPolicy::Never;
        match wish {
            Wish::Import if never => {
                return Err(Error::NoImport(format!(
                    "the application makes the index of {} itself",
                    content.name
                )));
            }
            Wish::Import if real && !makes_one => {
                return Err(Error::NoImport(format!(
                    "{} has a vector index, and rows, or takes its rows through triggers or a view",
                    content.name
                )));
            }
            Wish::Build if never => notice!(
                "{} gets no vector index: the application makes its own",
                content.name
            ),
            _ => {}
        }
        let graph = graph_for(options, content, &there, &largest, records);
        let form = match content.vector.half {
            true => Form::Half,
            false => Form::Single,
        };
        let wish_of = largest
            .filter(|_| makes_one)
            .map(|(collection, _)| GraphWish {
                collection,
                form: (wish.wants_graph() && graph.is_ok()).then_some(form),
                allowed: guc::max_memory_bytes() / 2,
            });
        let indexes = Indexes {
            wish,
            space,
            new,
            there,
            analyze: content.created && real && wish != Wish::None && !new,
            graph,
        };
        Ok((indexes, wish_of))
    }

    /// The content table's own indexes that its rows get no entries in while they are loaded.
    pub fn late(&self) -> LeftOut {
        self.there.left_out.clone()
    }

    /// Makes them for a table that got so many content and entity rows, and says what came of it at `level`; how the content table's came. Entity vectors are the model's own, of length 1, and no graph is there for
    /// them.
    ///
    /// # Errors
    /// Those of [`index::make`].
    pub fn make(
        self,
        described: &Described,
        (rows, entities): (u64, u64),
        found: Option<GraphFound>,
        level: Level,
        pgvector: &Pgvector,
    ) -> Result<Option<Made>, Error> {
        let content = described.content.as_ref();
        let m = found.as_ref().and_then(|found| found.m).map(u32::from);
        let effort = found.as_ref().and_then(|found| found.effort);
        let found = found.map_or_else(
            || Err("the graph was not read".to_owned()),
            |found| found.graph,
        );
        // A graph that was made with less effort than pgvector's finds less than pgvector's.
        let found = match effort {
            Some(effort) if effort < index::EFFORT && self.wish == Wish::Auto => Err(format!(
                "Chroma made its graph with ef_construction {effort}, pgvector makes one with {}",
                index::EFFORT
            )),
            _ => found,
        };
        let mut graph = match self.graph {
            Ok(space) => found.map(|graph| (graph, space)),
            Err(why) => Err(why),
        };
        let mut first = None;
        let There {
            mut hnsw,
            lists,
            rows: before,
            left_out,
        } = self.there;
        let loads = Loads {
            rows: left_out.loads().rows.min(rows),
            ..left_out.loads()
        };
        if loads.rows == 0 && self.wish != Wish::Import {
            // Nothing has been left out.
            hnsw.clear();
        }
        // The first one gets the graph: one for its distances, if there is one.
        if let Ok((_, space)) = &graph {
            hnsw.sort_by_key(|index| index.space != *space);
        }
        for index in hnsw {
            let spare = Err("another index of the table has taken the graph".to_owned());
            let made = index::make(Job {
                table: content.oid,
                name: &content.name,
                wish: if first.is_none() {
                    self.wish
                } else {
                    Wish::Auto
                },
                graph: std::mem::replace(&mut graph, spare),
                subject: Subject::There(index),
                rows: before + loads.rows,
                loads: loads.clone(),
                level,
                pgvector,
            })?;
            first = first.or(made);
        }
        for index in lists.into_iter().filter(|_| loads.rows > 0) {
            let made = index::make_lists(&ListJob {
                index,
                rows: before + loads.rows,
                loads: &loads,
                level,
            })?;
            first = first.or(Some(made));
        }
        if self.new {
            let wanted = New {
                wish: self.wish,
                space: self.space,
                m,
                graph,
                rows,
                level,
            };
            first = new(content, wanted, pgvector)?.or(first);
        }
        if self.analyze {
            spi::write(&format!("ANALYZE {}", content.name), &[])?;
        }
        if let Some(entity) = described.entity.as_ref().filter(|entity| entity.created) {
            let wish = match self.wish {
                Wish::None => Wish::None,
                _ => Wish::Build,
            };
            let wanted = New {
                wish,
                space: Space::Cosine,
                m: None,
                graph: Err(String::new()),
                rows: entities,
                level,
            };
            new(entity, wanted, pgvector)?;
        }
        Ok(first)
    }
}

/// A new index, before its table is known.
struct New {
    wish: Wish,
    space: Space,
    m: Option<u32>,
    graph: Result<(Graph, Space), String>,
    rows: u64,
    level: Level,
}

/// A new index, and statistics for the table.
fn new(target: &Target, wanted: New, pgvector: &Pgvector) -> Result<Option<Made>, Error> {
    let New {
        wish,
        space,
        m,
        graph,
        rows,
        level,
    } = wanted;
    let name = &target.name;
    let column = (target.vector_column.as_str(), target.vector);
    let statement = index::statement(name, column, space, m, pgvector);
    let made = match (wish, statement) {
        (Wish::None, _) => None,
        (_, None) if target.vector.dimension.is_none() => {
            notice!(
                "{name} gets no vector index: column {} takes vectors of any dimensions, and an index wants to know how many",
                target.vector_column
            );
            None
        }
        (_, None) => {
            notice!("{name} gets no vector index: its vectors have too many dimensions for one");
            None
        }
        (wish, Some(sql)) => {
            if sql.contains("halfvec(") {
                notice!(
                    "{name} gets its index through halfvec: its vectors have too many dimensions for vector"
                );
            }
            index::make(Job {
                table: target.oid,
                name,
                subject: Subject::New(sql),
                wish,
                graph,
                rows,
                loads: Loads::default(),
                level,
                pgvector,
            })?
        }
    };
    spi::write(&format!("ANALYZE {name}"), &[])?;
    Ok(made)
}

/// The space that Chroma's graph was made for, if it can be an index's; else why not. `there`: what the table has before.
fn graph_for(
    options: &Options,
    content: &Target,
    there: &There,
    largest: &Largest,
    records: u64,
) -> Result<Space, String> {
    if options.mode == EmbeddingMode::Generate {
        return Err("embeddings => 'generate' makes other vectors".to_owned());
    }
    let Some((collection, most)) = largest else {
        return Err("the store has no vectors".to_owned());
    };
    if !import_pays(records, records.saturating_sub(*most)) {
        return Err(format!(
            "the largest collection, \"{}\", has only {most} of {records} records",
            collection.qualified_name()
        ));
    }
    if there.rows > 0 {
        return Err("the table had rows before".to_owned());
    }
    match (collection.dimension, content.vector.dimension) {
        (Some(has), Some(wants)) if has != wants => Err(format!(
            "vectors of Chroma's graph have {has} dimensions, those of the column {wants}"
        )),
        _ => match there.hnsw.first() {
            // It need not be read.
            Some(index) if there.hnsw.iter().all(|it| it.space != collection.space) => {
                Err(format!(
                    "Chroma's graph is for the space {}, the index for {}",
                    collection.space, index.space
                ))
            }
            _ => Ok(collection.space),
        },
    }
}

/// Whether the content table is an ordinary one without a vector index: without one for a graph, where one is to be imported.
fn has_no_index(content: &Target, wish: Wish, pgvector: &Pgvector) -> Result<bool, Error> {
    let (table, column) = (content.oid, &content.vector_column);
    let ordinary = spi::look_up_one(
        "SELECT c.relkind OPERATOR(pg_catalog.=) 'r' FROM pg_catalog.pg_class c \
          WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[table.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(ordinary.flatten() == Some(true)
        && !content.distributed
        && index::indexes(table, column, pgvector)?.is_empty()
        && (wish == Wish::Import || index::list_indexes(table, column, pgvector)?.is_empty()))
}
