//! The proof after an index was filled: a walk over its pages, and recall of sampled queries.
//!
//! Promise: nothing but the index's own pages is read, so that neither privileges nor the rows' visibility play a part.
//! Recall is that of [`ANSWERS`] rows for each of [`QUERIES`] elements as queries, at pgvector's default `hnsw.ef_search`
//! of 40, against all elements of the index. Low recall alone is no fault of the index: vectors without any structure
//! have it with either way. What shows a graph that does not belong to the vectors is that its links lead anywhere:
//! then few of them are nearer than half of all elements.

use vector_migrate_core::index::Tid;
use vector_migrate_core::index::page::{PAGE, Page, View};
use vector_migrate_core::index::recall::{ANSWERS, Asked, Batch, Recall, components, near_links};
use vector_migrate_core::index::tuple::{Element, Neighbours};
use vector_migrate_core::index::walk::{Summary, Walk};

use super::opened::Opened;
use super::which::VectorIndex;
use super::{buffers, search};
use crate::error::Error;
use crate::{interrupt, pg, settings};

/// Elements that are asked for.
const QUERIES: usize = 64;
/// Elements that are compared with the queries at once.
const BATCH: usize = 512;
/// recall@10 below which wider searches are tried, too.
pub const LOW_RECALL: f64 = 0.9;

/// Whether the walk finds out how much of the index a search can reach, for which it keeps all links in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It does.
    Walked,
    /// It is known already.
    Known,
}

/// What was found.
#[derive(Debug)]
pub struct Proof {
    /// The walk.
    pub summary: Summary,
    /// recall@10 by `hnsw.ef_search`: at 40, and at 100 and 200 where that is low. Empty for an index without rows, and
    /// for one that [`Reach::Walked`] has found damaged.
    pub recalls: Vec<(u32, f64)>,
    /// Of the links of the sampled elements, the share that leads to elements nearer than the median of all; `None` without
    /// links.
    pub near: Option<f64>,
}

impl Proof {
    /// recall@10 at `hnsw.ef_search` 40.
    pub fn recall(&self) -> Option<f64> {
        self.recalls.first().map(|(_, recall)| *recall)
    }
}

/// A sampled element.
struct Sample {
    value: Vec<u8>,
    links: Tid,
    level: u8,
}

/// Walks through the index and asks it.
///
/// # Errors
/// [`Error::DamagedIndex`] if its meta page cannot be read; the server's own.
pub fn prove(opened: &Opened, index: &VectorIndex, reach: Reach) -> Result<Proof, Error> {
    let pages = Pages::of(opened);
    let unreadable =
        |error: vector_migrate_core::index::page::PageError| Error::DamagedIndex(error.to_string());
    let mut page = [0; PAGE];
    pages.read(0, &mut page);
    let mut walk = Walk::new(&page, reach == Reach::Walked).map_err(unreadable)?;
    let mut sampling = Sampling::default();
    pages.each(&mut |page| {
        walk.page(page);
        elements(page, &mut |element| sampling.take(element));
    });
    let mut walk = Some(walk.second_pass());
    // What others may have damaged is asked only after all of it was seen: a search trusts what it reads.
    let mut summary = None;
    if reach == Reach::Walked
        && let Some(mut walk) = walk.take()
    {
        pages.each(&mut |page| walk.page(page));
        let found = walk.done();
        if found.findings.count() > 0 {
            return Ok(Proof {
                summary: found,
                recalls: Vec::new(),
                near: None,
            });
        }
        summary = Some(found);
    }
    let samples = sampling.samples;
    let vectors: Vec<Vec<f32>> = samples
        .iter()
        .map(|sample| components(&sample.value, index.half))
        .collect();
    let ask = |breadth| asked(opened, &samples, &vectors, breadth);
    let mut recall = Recall::new(index.space, ask(Breadth::Default));
    let threads = pg::index_threads();
    let compare = |recalls: &mut [&mut Recall], walk: &mut dyn FnMut(&Page)| {
        let mut batch = Batch::default();
        let mut flush = |batch: &mut Batch| {
            for recall in &mut *recalls {
                recall.take(batch, threads, &|start| interrupt::without_signals(start));
            }
            batch.clear();
        };
        pages.each(&mut |page| {
            walk(page);
            elements(page, &mut |element| {
                batch.add(element.value, index.half, element.heap());
            });
            if batch.len() >= BATCH {
                flush(&mut batch);
            }
        });
        flush(&mut batch);
    };
    compare(&mut [&mut recall], &mut |page| {
        if let Some(walk) = &mut walk {
            walk.page(page);
        }
    });
    let mut recalls = Vec::from_iter(recall.share().map(|share| (40, share)));
    if recalls
        .first()
        .is_some_and(|(_, share)| *share < LOW_RECALL)
    {
        let mut wider = Recall::new(index.space, ask(Breadth::Wider));
        let mut widest = Recall::new(index.space, ask(Breadth::Widest));
        compare(&mut [&mut wider, &mut widest], &mut |_| {});
        recalls.extend(wider.share().map(|share| (100, share)));
        recalls.extend(widest.share().map(|share| (200, share)));
    }
    let summary = summary.or_else(|| Some(walk?.done()));
    Ok(Proof {
        summary: summary.ok_or_else(|| Error::Bug("the walk gave no summary".into()))?,
        recalls,
        near: near(&pages, index, &samples, &vectors),
    })
}

/// How hard the index is searched.
#[derive(Debug, Clone, Copy)]
enum Breadth {
    /// `hnsw.ef_search` 40, pgvector's default.
    Default,
    /// 100.
    Wider,
    /// 200.
    Widest,
}

/// The samples as queries, with the index's answers.
fn asked(
    opened: &Opened,
    samples: &[Sample],
    vectors: &[Vec<f32>],
    breadth: Breadth,
) -> Vec<Asked> {
    let breadth = match breadth {
        Breadth::Default => c"40",
        Breadth::Wider => c"100",
        Breadth::Widest => c"200",
    };
    let search = [
        (c"hnsw.ef_search", breadth),
        (c"hnsw.iterative_scan", c"off"),
    ];
    pg::under_snapshot(pg::Snapshot::Latest, || {
        settings::with(&search, || {
            let each = samples.iter().zip(vectors).map(|(sample, vector)| {
                interrupt::check();
                Asked {
                    vector: vector.clone(),
                    given: search::nearest(opened, &sample.value, ANSWERS),
                }
            });
            each.collect()
        })
    })
}

/// The share of the samples' links that lead to near elements.
fn near(
    pages: &Pages<'_>,
    index: &VectorIndex,
    samples: &[Sample],
    vectors: &[Vec<f32>],
) -> Option<f64> {
    let (mut near, mut all) = (0_usize, 0_usize);
    for (sample, vector) in samples.iter().zip(vectors) {
        let linked: Vec<_> = pages
            .links(sample, index.m)
            .into_iter()
            .filter_map(|tid| pages.value(tid))
            .map(|value| components(&value, index.half))
            .collect();
        let (ours, of) = near_links(index.space, vector, &linked, vectors);
        near += ours;
        all += of;
    }
    (all > 0).then(|| near as f64 / all as f64)
}

/// Elements, each with the same chance.
#[derive(Default)]
struct Sampling {
    samples: Vec<Sample>,
    seen: u64,
    /// A linear congruential generator (Knuth's MMIX): the same index gives the same sample.
    state: u64,
}

impl Sampling {
    fn take(&mut self, element: &Element<'_>) {
        self.seen += 1;
        let at = if self.samples.len() < QUERIES {
            self.samples.len()
        } else {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((self.state >> 33) % self.seen).unwrap_or(usize::MAX)
        };
        let sample = || Sample {
            value: element.value.to_vec(),
            links: element.neighbours,
            level: element.level,
        };
        match self.samples.get_mut(at) {
            Some(place) => *place = sample(),
            None if at < QUERIES => self.samples.push(sample()),
            None => {}
        }
    }
}

/// The elements of a page that have rows.
fn elements(page: &Page, each: &mut dyn FnMut(&Element<'_>)) {
    // What cannot be read is the walk's to report.
    let Ok(view) = View::of(page) else { return };
    for offset in 1..=view.count() {
        if let Ok(Some(tuple)) = view.tuple(offset)
            && let Ok(element) = Element::read(tuple)
            && !element.deleted
            && element.heap().next().is_some()
        {
            each(&element);
        }
    }
}

/// The pages of an open index.
struct Pages<'a> {
    opened: &'a Opened,
    count: u32,
}

impl<'a> Pages<'a> {
    fn of(opened: &'a Opened) -> Pages<'a> {
        Pages {
            opened,
            count: buffers::blocks(opened),
        }
    }

    fn read(&self, block: u32, into: &mut Page) {
        buffers::read(self.opened, block, into);
    }

    /// All but the meta page, in order.
    fn each(&self, each: &mut dyn FnMut(&Page)) {
        let mut page = [0; PAGE];
        for block in 1..self.count {
            interrupt::check();
            self.read(block, &mut page);
            each(&page);
        }
    }

    /// Looks at the tuple at `tid`.
    fn tuple<R>(&self, tid: Tid, look: impl FnOnce(&[u8]) -> Option<R>) -> Option<R> {
        let mut page = [0; PAGE];
        if tid.block >= self.count {
            return None;
        }
        self.read(tid.block, &mut page);
        let view = View::of(&page).ok()?;
        look(view.tuple(tid.offset).ok()??)
    }

    fn links(&self, sample: &Sample, m: u16) -> Vec<Tid> {
        let links = self.tuple(sample.links, |tuple| {
            let neighbours = Neighbours::read(tuple).ok()?;
            let ours = neighbours.belong_to(sample.level, m);
            ours.then(|| neighbours.links(0, sample.level, m).collect())
        });
        links.unwrap_or_default()
    }

    fn value(&self, tid: Tid) -> Option<Vec<u8>> {
        self.tuple(tid, |tuple| Some(Element::read(tuple).ok()?.value.to_vec()))
    }
}
