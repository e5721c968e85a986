//! An index filled from Chroma's graph: two passes over the table, one over the graph between them, each page written once.
//!
//! Promise: every row that pgvector would index is in the index once, with the value that pgvector would store; the graph
//! decides only which elements are linked. What does not fit is found before the first page is written, and left to
//! pgvector's build.
//!
//! ```text
//! table -> matching (which row is which element) -> links (completed, reachable) -> placement
//! table -> values -> writer -> pages -> log          rows without an element -> pgvector's insert
//! ```

use vector_migrate_core::index::cost::import_pays;
use vector_migrate_core::index::graph::Graph;
use vector_migrate_core::index::linked::Linked;
use vector_migrate_core::index::links::Means;
use vector_migrate_core::index::matching::Matcher;
use vector_migrate_core::index::page::{Page, PageError};
use vector_migrate_core::index::placement::Placement;
use vector_migrate_core::index::tuple::Shape;
use vector_migrate_core::index::walk::TidSum;
use vector_migrate_core::index::writer::Writer;

use super::buffers;
use super::fill::{self, Origin, Rows};
use super::opened::Opened;
use super::scan::{Scan, Want};
use super::values::Normalizer;
use super::which::VectorIndex;
use crate::error::Error;
use crate::tables::Pgvector;
use crate::{interrupt, pg};

/// Of a graph's elements, deleted ones included, so many hundredths have to be rows of the table.
const LEAST_PLACED: u64 = 80;
/// Of the elements, so many hundredths may be out of a search's reach; of the rows, as many may have a vector that nine or
/// more others have: hnswlib links equal vectors with each other only.
const MOST_LOST: u64 = 1;
/// Of the elements, so many hundredths may be reached only by what fills the lists. Of 100,000 vectors without any structure these
/// are six; of a graph that has fallen into halves, half.
const MOST_APART: u64 = 20;

/// Elements between two looks at pg_stat_progress_create_index.
const SHOWN: u32 = 1024;

/// What was imported.
#[derive(Debug, Clone, Copy)]
pub struct Imported {
    /// Rows in the index.
    pub rows: u64,
    /// Rows that pgvector inserted, as the graph does not have them.
    pub inserted: u64,
    /// The TIDs of all rows.
    pub sum: TidSum,
}

/// Why an import did not come about.
#[derive(Debug)]
enum Stop {
    /// The graph does not fit the table.
    Unfit(String),
    /// A bug, or a table that changed under its lock.
    Page(PageError),
}

impl From<PageError> for Stop {
    fn from(error: PageError) -> Stop {
        Stop::Page(error)
    }
}

/// Fills the empty index from `graph`; the reason where the graph does not fit, and then the index has no page.
///
/// # Errors
/// The server's own.
pub fn import(
    opened: &Opened,
    origin: Origin,
    described: &VectorIndex,
    graph: Graph,
    pgvector: &Pgvector,
) -> Result<Result<Imported, String>, Error> {
    let normalizer = Normalizer::of(opened, pgvector)?;
    let mut graph = Some(graph);
    let mut outcome = None;
    fill::fill(opened, origin, &mut |filling| {
        let scan = Scan {
            filling,
            described,
            normalizer: normalizer.as_ref(),
        };
        let Some(graph) = graph.take() else {
            return Rows { table: 0, index: 0 };
        };
        let (rows, filled) = write(&scan, graph);
        let index = filled.as_ref().map_or(0, |filled| filled.rows);
        outcome = Some(filled);
        Rows { table: rows, index }
    });
    match outcome {
        Some(Ok(imported)) => Ok(Ok(imported)),
        Some(Err(Stop::Unfit(why))) => Ok(Err(why)),
        Some(Err(Stop::Page(error))) => Ok(Err(error.to_string())),
        None => Err(Error::Bug("the index was not filled".into())),
    }
}

/// Writes the index; the number of the table's rows, and what came of it.
fn write(scan: &Scan<'_>, graph: Graph) -> (u64, Result<Imported, Stop>) {
    let all = u64::try_from(graph.count()).unwrap_or(u64::MAX);
    let mut matcher = Matcher::new(graph);
    let mut sum = TidSum::default();
    let rows = scan.rows(Want::Components, true, &mut |tid, components| {
        matcher.offer(tid, components);
        sum.add(tid);
    });
    let matched = matcher.counts();
    let unfit = |why: String| (rows, Err(Stop::Unfit(why)));
    // First, since such rows also leave elements without one.
    if matched.in_large_groups.saturating_mul(100) > matched.offered.saturating_mul(MOST_LOST) {
        return unfit(format!(
            "{} of {} rows share their vector with nine others or more, for which Chroma's graph is no good",
            matched.in_large_groups, matched.offered
        ));
    }
    if matched.placed.saturating_mul(100) < all.saturating_mul(LEAST_PLACED) {
        return unfit(format!(
            "only {} of the {all} elements of Chroma's graph are rows of the table",
            matched.placed
        ));
    }
    if !import_pays(matched.offered, matched.rest) {
        return unfit(format!(
            "{} of {} rows are not in Chroma's graph",
            matched.rest, matched.offered
        ));
    }
    let linked = matcher.link(&mut Means {
        tick: &mut interrupt::check,
        threads: pg::index_threads(),
        quietly: &|start| interrupt::without_signals(start),
    });
    let counts = linked.counts();
    for (lost, most) in [(counts.unreached, MOST_LOST), (counts.apart, MOST_APART)] {
        if lost.saturating_mul(100) > matched.placed.saturating_mul(most) {
            return unfit(format!(
                "a search in Chroma's graph cannot come to {lost} of {} elements",
                matched.placed
            ));
        }
    }
    let written = pages(scan, &linked);
    let inserted = written.map(|()| {
        let rest: Vec<_> = linked.rest().collect();
        drop(linked);
        match rest.as_slice() {
            [] => 0,
            rest => scan.insert(&mut |tid| rest.binary_search(&tid).is_ok()),
        }
    });
    let imported = inserted.map(|inserted| Imported {
        rows: sum.count,
        inserted,
        sum,
    });
    (rows, imported)
}

/// Writes and logs the pages of all elements.
fn pages(scan: &Scan<'_>, linked: &Linked) -> Result<(), Stop> {
    let Scan {
        filling, described, ..
    } = scan;
    let shape = Shape {
        m: described.m,
        ef_construction: described.ef_construction,
        dimensions: described.dimensions,
        value_bytes: usize::try_from(described.value_bytes()).unwrap_or(usize::MAX),
    };
    shape.check()?;
    let levels = (0..linked.len()).filter_map(|ordinal| Some(linked.element(ordinal)?.level));
    let placement = Placement::of(shape, levels)?;
    let at = |ordinal: u32| usize::try_from(ordinal).unwrap_or(usize::MAX);
    let entry = linked.entry().map(|(ordinal, _)| at(ordinal));
    let mut writer = Writer::begin(&placement, entry, |block, page: &Page| {
        interrupt::check();
        match buffers::append(filling, page) {
            got if got == block => Ok(()),
            _ => Err(Stop::Page(PageError::Placement(0))),
        }
    })?;
    let mut cursor = linked.cursor();
    let mut failed = None;
    let total = u64::from(linked.len());
    filling.show(0, total);
    scan.rows(Want::Value, false, &mut |tid, value| {
        let Some(element) = cursor.next(tid).filter(|_| failed.is_none()) else {
            return;
        };
        if element.ordinal.is_multiple_of(SHOWN) {
            filling.show(element.ordinal.into(), total);
        }
        let mut links = |layer, list: &mut Vec<_>| {
            let ordinals = linked.links(element.ordinal, layer);
            list.extend(ordinals.filter_map(|ordinal| placement.element(at(ordinal))));
        };
        failed = writer
            .element(element.level, element.tids(), value, &mut links)
            .err();
    });
    if let Some(failed) = failed {
        return Err(failed);
    }
    writer.finish()?;
    buffers::log(filling);
    Ok(())
}
