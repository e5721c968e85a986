//! What a call may write: the tables of a run, or of a dry run, found and described or created.

use pgrx::pg_sys;
use vector_migrate_core::encode::Column;
use vector_migrate_core::mapping::Word;
use vector_migrate_core::pipeline::EmbeddingMode;

use super::layouts;
use super::parts::NAMED;
use super::routes::{Route, USUAL_DIMENSION};
use crate::error::Error;
use crate::message::notice;
use crate::sink::Described;
use crate::tables::create::{self, Life};
use crate::tables::{self, Pgvector, Place, Target, application};
use crate::{lock, model, pg};

/// What a call may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// A run: everything.
    Permanent,
    /// A dry run: what is taken back.
    Temporary,
    /// A dry run in a read-only transaction: nothing.
    Nothing,
}

/// A table that the run makes: its name, and the dimensions of its vectors; `None`: any.
pub type NewTable = (String, Option<u32>);

/// What is asked of a route's tables.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Their names.
    pub route: &'a Route,
    /// Which route of the run it is.
    pub number: usize,
    /// Dimensions of a content table that is created; `None`: no vector tells.
    pub dimension: Option<u32>,
    /// The type of the column `user_id` of a content table that is created.
    pub user_type: &'static str,
    /// Where vectors come from.
    pub mode: EmbeddingMode,
}

/// Where the rows of a call go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsGo {
    /// Into the tables themselves.
    IntoTables,
    /// Into temporary tables: a content and an entity table, copies of those that are there.
    IntoCopies(pg_sys::Oid, Option<pg_sys::Oid>),
    /// Nowhere.
    Nowhere,
}

/// Without a vector anywhere there is nothing to take dimensions from but the model.
///
/// # Errors
/// The model's.
pub fn dimension_without_vectors() -> Result<u32, Error> {
    match model::installed() {
        Ok(()) => Ok(model::describe("")?.1),
        Err(_) => Ok(USUAL_DIMENSION),
    }
}

impl Writes {
    /// What a call may write: a dry run in a read-only transaction nothing at all.
    pub fn of(dry_run: bool) -> Writes {
        match (dry_run, pg::can_write()) {
            (false, _) => Writes::Permanent,
            (true, true) => Writes::Temporary,
            (true, false) => Writes::Nothing,
        }
    }

    /// How the tables are locked while they are described: a dry run that puts nothing into them leaves others alone.
    pub fn locks(self) -> lock::Mode {
        match self {
            Writes::Permanent => lock::Mode::Write,
            Writes::Temporary | Writes::Nothing => lock::Mode::Read,
        }
    }

    fn life(self, number: usize) -> Life {
        match self {
            Writes::Permanent => Life::Permanent,
            Writes::Temporary | Writes::Nothing => Life::Temporary(number),
        }
    }

    /// Says which tables the run has made.
    pub fn tell_created(self, tables: &[NewTable]) {
        let verb = match self {
            Writes::Permanent => "was created",
            Writes::Temporary | Writes::Nothing => "would be created",
        };
        for (name, dimension) in tables.iter().take(NAMED) {
            let dimensions = dimension.map_or_else(|| "any".to_owned(), |it| it.to_string());
            notice!("table {name} {verb}, for vectors of {dimensions} dimensions");
        }
        if let Some(more @ 1..) = tables.len().checked_sub(NAMED) {
            notice!("and {more} more tables");
        }
    }

    /// The content table at `place`, made for vectors of `dimension` if it is missing.
    ///
    /// # Errors
    /// As [`tables::describe_content`]; [`Error::TooManyDimensions`]; the server's own.
    pub fn content(
        self,
        place: &Place,
        dimension: u32,
        asked: Asked<'_>,
        pgvector: &Pgvector,
    ) -> Result<Target, Error> {
        let layout = &asked.route.layout;
        if let Some(oid) = place.oid {
            return tables::describe(place, oid, layout, pgvector);
        }
        let preset = layout.preset;
        let preset = preset.ok_or_else(|| Error::NothingToDescribe(place.qualified()))?;
        let user_type = asked.user_type;
        let application = preset.table.as_ref().map(|made| (preset, made));
        let dimension = match application.and_then(|(_, made)| made.dimension) {
            Some(usual) => dimension.max(usual),
            None => dimension,
        };
        let life = self.life(asked.number);
        let made = match (self, application) {
            (Writes::Nothing, _) => tables::planned(layout, dimension, user_type),
            (Writes::Permanent, Some(application)) => {
                let oid = application::create(place, life, application, dimension, pgvector)?;
                tables::describe(place, oid, layout, pgvector)?
            }
            (Writes::Temporary, Some(application)) => {
                let oid = application::create(place, life, application, dimension, pgvector)?;
                // It refers to nothing.
                tables::describe(place, oid, &layout.clone().without_parents(), pgvector)?
            }
            (_, None) => {
                let oid = create::content(place, life, dimension, user_type, pgvector)?;
                let made = tables::describe(place, oid, layout, pgvector)?;
                // A temporary one has no primary key.
                let key = match made.key.collection {
                    Some(_) => made.key,
                    None => return Err(Error::Bug(format!("{} has no key", made.name))),
                };
                Target { key, ..made }
            }
        };
        Ok(Target {
            name: place.qualified(),
            created: true,
            ..made
        })
    }

    /// The entity table; `None` if no entities are wanted or none can be put in.
    ///
    /// # Errors
    /// As [`tables::describe_entity`]; [`Error::TooManyDimensions`], [`Error::NoModel`]; the server's own.
    pub fn entity(
        self,
        content_dimension: u32,
        asked: Asked<'_>,
        content: &Target,
        pgvector: &Pgvector,
    ) -> Result<Option<Target>, Error> {
        let Some(name) = &asked.route.entity_target else {
            return Ok(None);
        };
        let place = tables::find_locked(name, self.locks())?;
        // What will be embedded later, by a run or by hand, is embedded with the model that is installed.
        let dimension = match (place.oid, model::installed(), asked.mode) {
            (None, Ok(()), EmbeddingMode::Stored) => {
                model::describe("").map_or(content_dimension, |it| it.1)
            }
            (None, Ok(()), EmbeddingMode::Auto | EmbeddingMode::Generate) => model::describe("")?.1,
            _ => content_dimension,
        };
        let entity = match place.oid {
            Some(oid) => tables::describe(&place, oid, &layouts::entity_layout()?, pgvector)?,
            None => self.new_entity(&place, dimension, asked, content, pgvector)?,
        };
        if entity.vector_required && asked.mode == EmbeddingMode::Stored {
            notice!(
                "no entities are migrated: embeddings => 'stored' gives them no vectors, and column \
                 \"embedding\" of {} is not null",
                entity.name
            );
            return Ok(None);
        }
        Ok(Some(entity))
    }

    fn new_entity(
        self,
        place: &Place,
        dimension: u32,
        asked: Asked<'_>,
        content: &Target,
        pgvector: &Pgvector,
    ) -> Result<Target, Error> {
        let made = match self {
            Writes::Nothing => planned_entity(dimension, content)?,
            _ => {
                let life = self.life(asked.number);
                let refers = !asked.route.shares_entities;
                let oid = create::entity(place, life, dimension, content, refers, pgvector)?;
                tables::describe(place, oid, &layouts::entity_layout()?, pgvector)?
            }
        };
        Ok(Target {
            name: place.qualified(),
            created: true,
            ..made
        })
    }

    /// Where rows go. A dry run's go into temporary copies of the tables, with their types and checks, so that it meets what a
    /// run would meet; or, where a table has rules that a copy would not show, into the tables themselves, from which the
    /// subtransaction's end takes them back.
    ///
    /// # Errors
    /// The server's own.
    pub fn rows_go(self, described: &Described, number: usize) -> Result<RowsGo, Error> {
        let Described { content, entity } = described;
        match self {
            Writes::Permanent => return Ok(RowsGo::IntoTables),
            Writes::Temporary => {}
            Writes::Nothing => {
                notice!(
                    "dry run in a read-only transaction: the tables' constraints are not tried"
                );
                return Ok(RowsGo::Nowhere);
            }
        }
        let entity = entity.as_ref();
        let copyable = content.copyable && entity.is_none_or(|it| it.copyable);
        // Sequences are not undone.
        let draws_numbers = content.draws_numbers || entity.is_some_and(|it| it.draws_numbers);
        if !copyable && !draws_numbers && !content.created {
            notice!(
                "{} has triggers, partitions or constraints of its own: the dry run tries rows in the table \
                 itself and takes them back",
                content.name
            );
            lock::hold(content.oid, lock::Mode::Write);
            if let Some(entity) = entity.filter(|entity| !entity.created) {
                lock::hold(entity.oid, lock::Mode::Write);
            }
            return Ok(RowsGo::IntoTables);
        }
        let content = match content.created {
            true => content.oid,
            false => create::shadow(content, "content", number)?,
        };
        let entity = match entity {
            Some(entity) if entity.created => Some(entity.oid),
            Some(entity) => Some(create::shadow(entity, "entity", number)?),
            None => None,
        };
        Ok(RowsGo::IntoCopies(content, entity))
    }
}

/// The entity table that would be made for `content`.
fn planned_entity(dimension: u32, content: &Target) -> Result<Target, Error> {
    let made = tables::planned(&layouts::entity_layout()?, dimension, "pg_catalog.int8");
    let ty = |column: &Column| {
        let same = content.column(&column.word);
        same.map_or(column.ty, |it| match column.word {
            Word::Owner | Word::Id => it.ty,
            _ => column.ty,
        })
    };
    let columns = made.columns.iter().map(|column| Column {
        ty: ty(column),
        ..column.clone()
    });
    Ok(Target {
        columns: columns.collect(),
        ..made
    })
}

impl RowsGo {
    /// Whether rows are tried in the tables themselves.
    pub fn dry(self, stays: bool) -> bool {
        self == RowsGo::IntoTables && !stays
    }
}
