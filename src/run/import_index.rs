//! `import_index`: the index of a table that is filled, from a collection's graph.

use vector_migrate_core::index::graph::Form;
use vector_migrate_core::record::Collection;
use vector_migrate_core::source::Source as _;
use vector_migrate_core::source::chroma::PersistDir;

use super::collections;
use super::planned_reader::{self, GraphWish};
use crate::error::Error;
use crate::index::{self, Job, Subject, Wish};
use crate::load::Loads;
use crate::message::Level;
use crate::reader::{self, Opened};
use crate::tables::{self, Pgvector};
use crate::{guc, lock, pg, spi};

/// What was made.
#[derive(Debug)]
pub struct ImportedIndex {
    /// The index's name.
    pub index: String,
    /// Rows in it.
    pub rows: u64,
    /// Rows of them that pgvector inserted.
    pub inserted: u64,
    /// Seconds that it took, without reading the graph.
    pub seconds: f64,
    /// recall@10 of sampled queries at `hnsw.ef_search` 40.
    pub recall: Option<f64>,
}

/// Imports the graph of `collection`, or of the one with most records, of the store in `place`, which has passed the access
/// check, into the vector index of the table `target`.
///
/// # Errors
/// [`Error::NoImport`]; everything that can be wrong with store and table. Then the index is as it was.
pub fn import_index(
    place: PersistDir,
    target: &str,
    collection: Option<&str>,
) -> Result<ImportedIndex, Error> {
    if !pg::can_write() {
        return Err(Error::ReadOnly("import_index"));
    }
    let pgvector = Pgvector::find()?;
    let table = tables::find(target)?;
    let (name, oid) = (table.qualified(), table.oid);
    let oid = oid.ok_or_else(|| Error::NoTable(name.clone()))?;
    let owned = spi::look_up_one(
        "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE'), c.relkind OPERATOR(pg_catalog.=) 'r' \
           FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
        &[oid.into()],
        |row| Ok((row.get::<bool>(1)?, row.get::<bool>(2)?)),
    )?;
    match owned {
        Some((Some(true), Some(true))) => {}
        Some((Some(true), _)) => {
            return Err(Error::NotATable {
                target: name,
                detail: "An index can be imported into an ordinary table.".to_owned(),
            });
        }
        _ => return Err(Error::NotOwner(name)),
    }
    let Opened { store, stop, sizes } = reader::open(place)?;
    let shown = store.directory().display().to_string();
    let chosen = collections::choose(&shown, store.collections(), collection)?;
    let records = |wanted: &Collection| {
        let sizes = store.collections().iter().zip(&sizes);
        let mut sizes = sizes.filter(|(one, _)| one.id == wanted.id);
        sizes.next().map_or(0, |(_, size)| size.records)
    };
    let largest = chosen
        .into_iter()
        .filter(|one| one.dimension.is_some())
        .max_by_key(records)
        .ok_or_else(|| Error::NoImport("the store has no vectors".to_owned()))?;
    lock::hold(oid, lock::Mode::Read);
    let columns = tables::attributes(oid)?;
    let (column, vector) = tables::vector_column(&columns, &name, &pgvector)?;
    let wish = GraphWish {
        collection: largest,
        form: Some(match vector.half {
            true => Form::Half,
            false => Form::Single,
        }),
        allowed: guc::max_memory_bytes() / 2,
    };
    let space = wish.collection.space;
    let mut found = reader::start(stop, move |sender| {
        let found = planned_reader::look(&store, &wish)?;
        drop(store);
        sender.send(found);
        Ok(())
    })?;
    let graph = reader::next(&mut found)?
        .ok_or_else(|| Error::Bug("the reader's thread gave no graph".into()))?;
    reader::end(found);
    let there = index::indexes(oid, &column.name, &pgvector)?;
    let subject = match there.iter().find(|index| index.space == space) {
        Some(index) => Subject::There(*index),
        None => {
            let m = graph.m.map(u32::from);
            let sql = index::statement(&name, (&column.name, vector), space, m, &pgvector);
            Subject::New(sql.ok_or_else(|| {
                Error::NoImport("its vectors have too many dimensions for an index".to_owned())
            })?)
        }
    };
    let made = index::make(Job {
        table: oid,
        name: &name,
        subject,
        wish: Wish::Import,
        graph: graph.graph.map(|graph| (graph, space)),
        rows: 0,
        loads: Loads::default(),
        level: Level::Notice,
        pgvector: &pgvector,
    })?;
    let made = made.ok_or_else(|| Error::Bug("no index came of the import".into()))?;
    Ok(ImportedIndex {
        index: made.name,
        rows: made.rows,
        inserted: made.inserted,
        seconds: made.seconds,
        recall: made.recall,
    })
}
