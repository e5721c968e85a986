//! The run's vector indexes: which get their entries after the load, whose graph is read, and the making of them.

use pgrx::pg_sys;
use vector_migrate_core::index::cost::import_pays;
use vector_migrate_core::index::graph::{Form, Graph};
use vector_migrate_core::pipeline::EmbeddingMode;
use vector_migrate_core::record::{Collection, Space};

use super::decisions::Decisions;
use super::options::Options;
use super::planned_reader::{GraphFound, GraphWish};
use crate::error::Error;
use crate::index::{self, Job, Made, Subject, VectorIndex, Wish};
use crate::message::{Level, notice};
use crate::sink::Described;
use crate::tables::{self, Pgvector, Target};
use crate::{guc, spi};

/// What will be done after the load.
#[derive(Debug)]
pub struct Indexes {
    /// What was asked for.
    wish: Wish,
    /// The space of a new index on the content table.
    space: Space,
    /// The content table gets a new one.
    new: bool,
    /// The content table's own indexes that its rows have no entries in yet.
    late: Vec<VectorIndex>,
    /// The space that the graph was made for, or why none is read.
    graph: Result<Space, String>,
}

/// A collection and its records.
pub type Largest = Option<(Collection, u64)>;

impl Indexes {
    /// Decides before anything is read. An empty table's vector indexes are left out of the load where rows go straight into
    /// it. `largest` is the collection with most records, of `records` in all.
    ///
    /// # Errors
    /// [`Error::NoImport`]; the server's own.
    pub fn plan(
        options: &Options,
        run: &Decisions,
        space: Space,
        largest: Largest,
        records: u64,
        pgvector: &Pgvector,
    ) -> Result<(Indexes, Option<GraphWish>), Error> {
        let wish = options.index;
        let content = run.described.content.as_ref();
        let late = match wish {
            Wish::None => Vec::new(),
            _ if run.loads_directly() => late(content, pgvector)?,
            _ => Vec::new(),
        };
        // On a table that was there, a new index is made only where one is asked for by name.
        let real = run.stays;
        let asked = matches!(wish, Wish::Import | Wish::Build);
        let has_none = asked && real && !content.created && has_no_index(content, pgvector)?;
        let new = real && wish != Wish::None && (content.created || has_none);
        let makes_one = new || !late.is_empty();
        if wish == Wish::Import && real && !makes_one {
            return Err(Error::NoImport(format!(
                "{} has a vector index, and rows, or takes its rows through triggers or a view",
                content.name
            )));
        }
        let graph = match (options.mode, &largest) {
            (EmbeddingMode::Generate, _) => {
                Err("embeddings => 'generate' makes other vectors".to_owned())
            }
            (_, None) => Err("the store has no vectors".to_owned()),
            (_, Some((collection, most)))
                if !import_pays(records, records.saturating_sub(*most)) =>
            {
                Err(format!(
                    "the largest collection, \"{}\", has only {most} of {records} records",
                    collection.qualified_name()
                ))
            }
            (_, Some((collection, _))) => Ok(collection.space),
        };
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
            late,
            graph,
        };
        Ok((indexes, wish_of))
    }

    /// The content table's own indexes that its rows get no entries in while they are loaded.
    pub fn late(&self) -> Vec<pg_sys::Oid> {
        self.late.iter().map(|index| index.oid).collect()
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
        let mut late = self.late;
        // The first one gets the graph: one for its distances, if there is one.
        if let Ok((_, space)) = &graph {
            late.sort_by_key(|index| index.space != *space);
        }
        for index in late {
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
                rows,
                level,
                pgvector,
            })?;
            first = first.or(made);
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
            first = new(content, wanted, pgvector)?;
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
    let statement = index::statement(name, target.vector, space, m, pgvector);
    let made = match (wish, statement) {
        (Wish::None, _) => None,
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
                level,
                pgvector,
            })?
        }
    };
    spi::write(&format!("ANALYZE {name}"), &[])?;
    Ok(made)
}

/// Whether the content table is an ordinary one without any vector index.
fn has_no_index(content: &Target, pgvector: &Pgvector) -> Result<bool, Error> {
    Ok(content.copyable && index::indexes(content.oid, pgvector)?.is_empty())
}

/// The vector indexes of an empty table into which rows go straight. One on a cast stays in the load, as it may refuse a row; and
/// a trigger of the table's own may search while rows come.
fn late(content: &Target, pgvector: &Pgvector) -> Result<Vec<VectorIndex>, Error> {
    if content.created || tables::has_triggers(content.oid)? {
        return Ok(Vec::new());
    }
    let mut indexes = index::indexes(content.oid, pgvector)?;
    indexes.retain(|index| !index.is_cast());
    if indexes.is_empty() || !tables::is_empty(content.oid, &content.name)? {
        return Ok(Vec::new());
    }
    Ok(indexes)
}
