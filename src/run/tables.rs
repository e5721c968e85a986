//! The run's tables: found and described, or made; locked against a second run; shadowed in a dry run.

use vector_migrate_core::encode::{ContentColumn, EntityColumn, Form};

use crate::error::Error;
use crate::message::{self, notice};
use crate::sink::{self, OnConflict, Sink};
use crate::tables::create::{self, Life};
use crate::tables::imagined;
use crate::tables::{self, Pgvector, Place, Target, Via};
use crate::{guc, lock, pg, spi};

/// Whether a table that is missing is made for good, for the length of a dry run, or only imagined, where
/// nothing can be made: in a read-only transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// A run.
    Real,
    /// A dry run.
    Temporary,
    /// A dry run that cannot write.
    Imagined,
}

impl Making {
    /// What a run of this kind does.
    pub fn of(dry_run: bool) -> Making {
        match (dry_run, pg::can_write()) {
            (false, _) => Making::Real,
            (true, true) => Making::Temporary,
            (true, false) => Making::Imagined,
        }
    }

    /// How the tables are locked while they are described: a dry run that puts nothing into them leaves others alone.
    pub fn locks(self) -> lock::Mode {
        match self {
            Making::Real => lock::Mode::Write,
            Making::Temporary | Making::Imagined => lock::Mode::Read,
        }
    }

    fn life(self) -> Life {
        match self {
            Making::Real => Life::Permanent,
            Making::Temporary | Making::Imagined => Life::Temporary,
        }
    }
}

/// The content table at `place`, made for vectors of `dimension` if it is missing.
///
/// # Errors
/// What is wrong with an existing table; the server's own.
pub fn content(
    place: &Place,
    making: Making,
    dimension: u32,
    user_id_type: &str,
    pgvector: &Pgvector,
) -> Result<Target<ContentColumn>, Error> {
    if let Some(oid) = place.oid {
        return tables::describe_content(place, oid, pgvector);
    }
    tell_missing(place, making, dimension);
    let mut made = match making {
        Making::Imagined => imagined::content(dimension, user_id_type),
        _ => {
            let oid = create::content(place, making.life(), dimension, user_id_type, pgvector)?;
            tables::describe_content(place, oid, pgvector)?
        }
    };
    made.name = place.qualified();
    made.created = true;
    made.key = vec![tables::KeyPart::Collection, tables::KeyPart::Id];
    Ok(made)
}

/// Whether a table of this name is there and has room for rows already.
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

/// The entity table at `place`, made for vectors of `dimension` if it is missing.
///
/// # Errors
/// As [`content`].
pub fn entity(
    place: &Place,
    making: Making,
    dimension: u32,
    content: &Target<ContentColumn>,
    pgvector: &Pgvector,
) -> Result<Target<EntityColumn>, Error> {
    if let Some(oid) = place.oid {
        return tables::describe_entity(place, oid, pgvector);
    }
    tell_missing(place, making, dimension);
    let mut made = match making {
        Making::Imagined => imagined::entity(dimension, content),
        _ => {
            let oid = create::entity(place, making.life(), dimension, content, pgvector)?;
            tables::describe_entity(place, oid, pgvector)?
        }
    };
    made.name = place.qualified();
    made.created = true;
    Ok(made)
}

fn tell_missing(place: &Place, making: Making, dimension: u32) {
    let verb = match making {
        Making::Real => "is created",
        Making::Temporary | Making::Imagined => "would be created",
    };
    notice!(
        "table {} {verb}, for vectors of {dimension} dimensions",
        place.qualified()
    );
}

/// Where a dry run puts its rows, so that it meets what a run would meet: temporary copies of the tables,
/// with their types and checks; or, where a table has rules that a copy would not show, the tables
/// themselves, from which the subtransaction's end takes the rows back.
///
/// # Errors
/// The server's own.
pub fn shade(sink: &mut Sink, making: Making) -> Result<(), Error> {
    match making {
        Making::Real => return Ok(()),
        Making::Temporary => {}
        Making::Imagined => {
            notice!("dry run in a read-only transaction: the tables' constraints are not tried");
            sink.into_content = None;
            sink.into_entity = None;
            return Ok(());
        }
    }
    let own_rules = sink.content.peculiar || sink.entity.as_ref().is_some_and(|it| it.peculiar);
    // Sequences are not undone.
    let spends = sink.content.spends || sink.entity.as_ref().is_some_and(|it| it.spends);
    if own_rules && !spends && !sink.content.created {
        notice!(
            "{} has triggers, partitions or constraints of its own: the dry run tries rows in the table \
             itself and takes them back",
            sink.content.name
        );
        lock::hold(sink.content.oid, lock::Mode::Write);
        if let Some(entity) = sink.entity.as_ref().filter(|entity| !entity.created) {
            lock::hold(entity.oid, lock::Mode::Write);
        }
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

/// Lets content rows go straight into their table where that comes to the same as COPY; the form that their tuples
/// have to be in.
pub fn shorten(sink: &mut Sink) -> Form {
    // Overwriting takes the rows by SQL.
    let inserts = sink.on_conflict != OnConflict::Update;
    let Some(content) = sink.into_content.as_mut() else {
        return Form::Copy;
    };
    // A dry run in the table itself leaves sequences alone.
    let spends = sink.dry_in_place && !content.fillers.is_empty();
    let may = guc::direct_load() && inserts && !spends;
    if may && content.via == Via::Copy && sink::takes(content) {
        message::send(
            message::Level::Debug,
            &format!("rows go into {} without COPY", content.name),
        );
        content.via = Via::Heap;
    }
    content.via.form()
}
