//! What is decided of a run's tables: where their rows go, and which way.
//!
//! Promise: decided once, before a record is read.

use std::rc::Rc;

use pgrx::pg_sys;

use super::writes::{Asked, NewTable, RowsGo, Writes, dimension_without_vectors};
use crate::error::Error;
use crate::load::{self, Destination, LeftOut, LoadColumn, Way};
use crate::message::{Level, send};
use crate::sink::{Described, Destinations};
use crate::tables::{self, Pgvector, Target};
use crate::{guc, lock, spi};

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
    /// Finds and describes the tables of a route, or creates them, which is added to `created`. Locks them, and keeps other runs
    /// out.
    ///
    /// # Errors
    /// What is wrong with an existing table; [`Error::TargetBusy`]; the server's own.
    pub fn decide(
        writes: Writes,
        asked: Asked<'_>,
        pgvector: &Pgvector,
        created: &mut Vec<NewTable>,
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
            let new = || (name.clone(), dimension);
            created.extend(is_new.then(new));
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

    /// Whether rows go into the tables themselves, to stay or to be taken back.
    pub fn rows_go_into_tables(&self) -> bool {
        self.rows_go == RowsGo::IntoTables
    }

    /// Whether content rows go directly into the table itself, to stay.
    pub fn loads_directly(&self) -> bool {
        self.stays && self.way == Some(Way::Direct)
    }

    /// Where rows go; `None`: nowhere. `late`: indexes of the content table that get their entries after the load.
    ///
    /// # Errors
    /// The server's own.
    pub fn destinations(&self, late: LeftOut) -> Result<Option<Destinations>, Error> {
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
                Some(Rc::new(destination(
                    entity,
                    oid,
                    way,
                    dry,
                    LeftOut::default(),
                )?))
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

/// The way of the target's rows into the table `oid`; `dry`: sequences are left alone.
fn way(target: &Target, oid: pg_sys::Oid, dry: bool) -> Way {
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

fn destination(
    target: &Target,
    oid: pg_sys::Oid,
    way: Way,
    dry: bool,
    late: LeftOut,
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
        target.sequence.is_some(),
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
