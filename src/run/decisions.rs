//! The run's tables: found and described, or created, and what is done with the rows that go into them.
//!
//! Promise: decided once, before a record is read.

use std::rc::Rc;

use pgrx::pg_sys;
use vector_migrate_core::encode::{ContentColumn, EntityColumn, TableColumn};
use vector_migrate_core::pipeline::EmbeddingMode;

use super::routes::Route;
use crate::error::Error;
use crate::load::{self, Destination, LoadColumn, Way};
use crate::message::{Level, notice, send};
use crate::sink::{Described, Destinations};
use crate::tables::create::{self, Life};
use crate::tables::{self, Pgvector, Place, Target, planned};
use crate::{guc, lock, model, pg, spi};

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

/// Where the rows of a call go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowsGo {
    /// Into the tables themselves.
    IntoTables,
    /// Into temporary tables: a content and an entity table, copies of those that are there.
    IntoCopies(pg_sys::Oid, Option<pg_sys::Oid>),
    /// Nowhere.
    Nowhere,
}

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

/// What is decided of the tables of a route.
#[derive(Debug)]
pub struct Decisions {
    /// The tables, as they are described.
    pub described: Described,
    /// Rows stay where they are put: it is no dry run.
    pub stays: bool,
    rows_go: RowsGo,
    /// The way of content rows, where they go anywhere.
    way: Option<Way>,
}

impl Decisions {
    /// Finds and describes the tables of a route, or creates them. Locks them, and keeps other runs out.
    ///
    /// # Errors
    /// What is wrong with an existing table; [`Error::TargetBusy`]; the server's own.
    pub fn decide(
        writes: Writes,
        asked: Asked<'_>,
        pgvector: &Pgvector,
        created: &mut Vec<String>,
    ) -> Result<Decisions, Error> {
        let target = &asked.route.target;
        if writes == Writes::Permanent {
            lock::keep_runs_out(&tables::find(target)?.qualified())?;
        }
        let place = tables::find_locked(target, writes.locks())?;
        let dimension = asked.dimension.map_or_else(dimension_without_vectors, Ok)?;
        let content = writes.content(&place, dimension, asked, pgvector)?;
        let entity = writes.entity(dimension, asked, &content, pgvector)?;
        let made = [
            Some((content.created, &content.name, content.vector.dimension)),
            entity
                .as_ref()
                .map(|it| (it.created, &it.name, it.vector.dimension)),
        ];
        for (is_new, name, dimension) in made.into_iter().flatten() {
            let line = || {
                format!(
                    "{name}, for vectors of {} dimensions",
                    dimension.unwrap_or(0)
                )
            };
            created.extend(is_new.then(line));
        }
        let described = Described {
            content: Rc::new(content),
            entity: entity.map(Rc::new),
        };
        let rows_go = writes.rows_go(&described, asked.number)?;
        let stays = writes == Writes::Permanent;
        let way = match rows_go {
            RowsGo::Nowhere => None,
            RowsGo::IntoTables => Some(way(
                &described.content,
                described.content.oid,
                rows_go.dry(stays),
            )),
            RowsGo::IntoCopies(content, _) => Some(way(&described.content, content, false)),
        };
        Ok(Decisions {
            described,
            stays,
            rows_go,
            way,
        })
    }

    /// Whether content rows go directly into the table itself, to stay.
    pub fn loads_directly(&self) -> bool {
        self.stays && self.way == Some(Way::Direct)
    }

    /// Where rows go; `None`: nowhere. `late`: indexes of the content table that get their entries after the load.
    ///
    /// # Errors
    /// The server's own.
    pub fn destinations(&self, late: Vec<pg_sys::Oid>) -> Result<Option<Destinations>, Error> {
        let Described { content, entity } = &self.described;
        let (oid, entity_oid) = match self.rows_go {
            RowsGo::Nowhere => return Ok(None),
            RowsGo::IntoTables => (content.oid, entity.as_ref().map(|entity| entity.oid)),
            RowsGo::IntoCopies(content, entity) => (content, entity),
        };
        let Some(content_way) = self.way else {
            return Ok(None);
        };
        let dry = self.rows_go.dry(self.stays);
        let entity = match entity.as_ref().zip(entity_oid) {
            Some((entity, oid)) => {
                let way = way(entity, oid, dry);
                Some(Rc::new(destination(entity, oid, way, dry, Vec::new())?))
            }
            None => None,
        };
        let content = destination(content, oid, content_way, dry, late)?;
        Ok(Some(Destinations {
            content: Rc::new(content),
            entity,
            in_place: self.rows_go == RowsGo::IntoTables,
            stays: self.stays,
        }))
    }
}

/// Without a vector anywhere there is nothing to take dimensions from but the model.
fn dimension_without_vectors() -> Result<u32, Error> {
    match model::installed() {
        Ok(()) => Ok(model::describe("")?.1),
        Err(_) => Ok(384),
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
    fn locks(self) -> lock::Mode {
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
    pub fn tell_created(self, tables: &[String]) {
        /// So many are named.
        const NAMED: usize = 10;
        let verb = match self {
            Writes::Permanent => "was created",
            Writes::Temporary | Writes::Nothing => "would be created",
        };
        for line in tables.iter().take(NAMED) {
            let (name, rest) = line.split_once(',').unwrap_or((line, ""));
            notice!("table {name} {verb},{rest}");
        }
        if let Some(more @ 1..) = tables.len().checked_sub(NAMED) {
            notice!("and {more} more tables");
        }
    }

    /// The content table at `place`, made for vectors of `dimension` if it is missing.
    fn content(
        self,
        place: &Place,
        dimension: u32,
        asked: Asked<'_>,
        pgvector: &Pgvector,
    ) -> Result<Target<ContentColumn>, Error> {
        if let Some(oid) = place.oid {
            return tables::describe_content(place, oid, pgvector);
        }
        let user_type = asked.user_type;
        let made = match self {
            Writes::Nothing => planned::content(dimension, user_type),
            _ => {
                let life = self.life(asked.number);
                let oid = create::content(place, life, dimension, user_type, pgvector)?;
                tables::describe_content(place, oid, pgvector)?
            }
        };
        Ok(Target {
            name: place.qualified(),
            created: true,
            key: vec![tables::KeyPart::Collection, tables::KeyPart::Id],
            ..made
        })
    }

    /// The entity table; `None` if no entities are wanted or none can be put in.
    fn entity(
        self,
        content_dimension: u32,
        asked: Asked<'_>,
        content: &Target<ContentColumn>,
        pgvector: &Pgvector,
    ) -> Result<Option<Target<EntityColumn>>, Error> {
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
            Some(oid) => tables::describe_entity(&place, oid, pgvector)?,
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
        content: &Target<ContentColumn>,
        pgvector: &Pgvector,
    ) -> Result<Target<EntityColumn>, Error> {
        let made = match self {
            Writes::Nothing => planned::entity(dimension, content),
            _ => {
                let life = self.life(asked.number);
                let refers = !asked.route.shares_entities;
                let oid = create::entity(place, life, dimension, content, refers, pgvector)?;
                tables::describe_entity(place, oid, pgvector)?
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
    fn rows_go(self, described: &Described, number: usize) -> Result<RowsGo, Error> {
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

impl RowsGo {
    /// Whether rows are tried in the tables themselves.
    fn dry(self, stays: bool) -> bool {
        self == RowsGo::IntoTables && !stays
    }
}

/// The way of the target's rows into the table `oid`; `dry`: sequences are left alone.
fn way<C: TableColumn>(target: &Target<C>, oid: pg_sys::Oid, dry: bool) -> Way {
    let columns: Vec<LoadColumn> = target.columns.iter().map(LoadColumn::from).collect();
    let substitutes = match dry {
        true => target.substitutes.as_slice(),
        false => &[],
    };
    let names: Vec<&str> = substitutes.iter().map(|it| it.name()).collect();
    let distributed = target.distributed && oid == target.oid;
    let way = load::choose(oid, &columns, &names, distributed, guc::direct_load());
    let how = match way {
        Way::Direct => "directly".to_owned(),
        Way::Executor(cause) => format!("by INSERT: {cause}"),
    };
    send(Level::Debug, &format!("rows go into {} {how}", target.name));
    way
}

fn destination<C: TableColumn>(
    target: &Target<C>,
    oid: pg_sys::Oid,
    way: Way,
    dry: bool,
    late: Vec<pg_sys::Oid>,
) -> Result<Destination, Error> {
    let name = tables::named(oid)?.ok_or_else(|| Error::NoTable(target.name.clone()))?;
    let columns = target.columns.iter().map(LoadColumn::from).collect();
    let substitutes = match dry {
        true => target.substitutes.clone(),
        false => Vec::new(),
    };
    Ok(Destination::new(
        (oid, name),
        columns,
        way,
        substitutes,
        late,
    ))
}

/// Whether a table of this name is there and has pages of rows already.
///
/// # Errors
/// As [`tables::find_locked`].
pub fn is_filled(name: &str) -> Result<bool, Error> {
    let place = tables::find(name)?;
    let Some(oid) = place.oid else {
        return Ok(false);
    };
    // The table's size is read under a lock.
    tables::check_may_insert(oid, &place.qualified())?;
    let filled = spi::read_one(
        "SELECT pg_catalog.pg_relation_size($1) OPERATOR(pg_catalog.>) 0",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(filled.flatten().unwrap_or(false))
}
