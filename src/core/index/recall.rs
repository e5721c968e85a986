//! How good an index's answers are: recall of sampled queries, and whether links lead to near elements.
//!
//! Promise: distances are those of the values in the index (normalised ones in cosine spaces), in f32; equal distances
//! count as equally good answers, so that many equal vectors are no fault of the index. Imports `threads`, and `record` for the space.

use std::collections::HashMap;

use half::f16;

use super::{Tid, threads};
use crate::record::Space;

/// Answers that are asked for: recall@10.
pub const ANSWERS: usize = 10;

/// Sums that are kept apart, so that the compiler can add several components at once.
const LANES: usize = 16;

/// The distance of two values of an index: squared for `l2`, negative inner product else.
pub fn distance(space: Space, left: &[f32], right: &[f32]) -> f32 {
    match space {
        Space::L2 => summed(left, right, |a, b| (a - b) * (a - b)),
        Space::Cosine | Space::Ip => -summed(left, right, |a, b| a * b),
    }
}

#[inline(always)]
fn summed(left: &[f32], right: &[f32], each: impl Fn(f32, f32) -> f32) -> f32 {
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (left, right) in left.iter().zip(right) {
        for ((sum, a), b) in sums.iter_mut().zip(left).zip(right) {
            *sum += each(*a, *b);
        }
    }
    let rest = left_rest.iter().zip(right_rest).map(|(a, b)| each(*a, *b));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

/// Elements with their rows, some at a time.
#[derive(Debug, Default)]
pub struct Batch {
    /// The components of all values, one after the other.
    values: Vec<f32>,
    /// The rows of all elements, one after the other.
    rows: Vec<Tid>,
    /// Where the components and the rows of each element end.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    /// Adds an element: its value, `vector` or `halfvec` with its headers (8 bytes), and its rows.
    pub fn add(&mut self, value: &[u8], half: bool, rows: impl Iterator<Item = Tid>) {
        append(value, half, &mut self.values);
        self.rows.extend(rows);
        self.ends.push((self.values.len(), self.rows.len()));
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.values.clear();
        self.rows.clear();
        self.ends.clear();
    }

    /// Each element's components and rows.
    fn each(&self) -> impl Iterator<Item = (&[f32], &[Tid])> {
        let starts = std::iter::once(&(0, 0)).chain(&self.ends);
        starts.zip(&self.ends).map(|(from, to)| {
            (
                self.values.get(from.0..to.0).unwrap_or_default(),
                self.rows.get(from.1..to.1).unwrap_or_default(),
            )
        })
    }
}

/// The components of an index's value.
pub fn components(value: &[u8], half: bool) -> Vec<f32> {
    let mut components = Vec::new();
    append(value, half, &mut components);
    components
}

fn append(value: &[u8], half: bool, into: &mut Vec<f32>) {
    let bytes = value.get(8..).unwrap_or_default();
    if half {
        let (halves, _) = bytes.as_chunks::<2>();
        into.extend(halves.iter().map(|half| f16::from_ne_bytes(*half).to_f32()));
    } else {
        let (singles, _) = bytes.as_chunks::<4>();
        into.extend(singles.iter().map(|single| f32::from_ne_bytes(*single)));
    }
}

/// A query and what the index answered.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The query, as the index has values.
    pub vector: Vec<f32>,
    /// The rows that the index gave, at most [`ANSWERS`].
    pub given: Vec<Tid>,
}

/// Compares answers with the rows that are really nearest, as all elements pass.
#[derive(Debug)]
pub struct Recall {
    space: Space,
    queries: Vec<Query>,
    /// Which queries were answered with a row.
    given: HashMap<Tid, Vec<usize>>,
}

#[derive(Debug)]
struct Query {
    vector: Vec<f32>,
    /// Distances of the nearest rows so far, ascending, at most [`ANSWERS`].
    nearest: Vec<f32>,
    /// Distances of the rows that the index gave, as far as they have passed.
    given: Vec<f32>,
}

impl Query {
    /// An element at this distance, with so many rows.
    fn meet(&mut self, distance: f32, rows: usize) {
        let full = self.nearest.len() >= ANSWERS;
        if full && self.nearest.last().is_some_and(|last| distance >= *last) {
            return;
        }
        let at = self.nearest.partition_point(|near| *near <= distance);
        for _ in 0..rows.min(ANSWERS) {
            self.nearest.insert(at, distance);
        }
        self.nearest.truncate(ANSWERS);
    }
}

impl Recall {
    /// Of these queries.
    pub fn new(space: Space, asked: Vec<Asked>) -> Recall {
        let mut given: HashMap<Tid, Vec<usize>> = HashMap::new();
        let mut queries = Vec::with_capacity(asked.len());
        for (number, asked) in asked.into_iter().enumerate() {
            for tid in asked.given.into_iter().take(ANSWERS) {
                given.entry(tid).or_default().push(number);
            }
            queries.push(Query {
                vector: asked.vector,
                nearest: Vec::with_capacity(ANSWERS + 1),
                given: Vec::with_capacity(ANSWERS),
            });
        }
        Recall {
            space,
            queries,
            given,
        }
    }

    /// Takes note of some elements with their rows; each element has to come once.
    pub fn take(&mut self, batch: &Batch, threads: usize, quietly: &dyn Fn(&mut dyn FnMut())) {
        let Recall {
            space,
            queries,
            given,
        } = self;
        let space = *space;
        let a_part = queries.len().div_ceil(threads.max(1)).max(1);
        threads::each(
            queries.chunks_mut(a_part).collect(),
            quietly,
            |part: &mut [Query]| {
                for (value, rows) in batch.each() {
                    for query in &mut *part {
                        query.meet(distance(space, &query.vector, value), rows.len());
                    }
                }
            },
        );
        for (value, rows) in batch.each() {
            for number in rows.iter().filter_map(|tid| given.get(tid)).flatten() {
                if let Some(query) = queries.get_mut(*number) {
                    query.given.push(distance(space, &query.vector, value));
                }
            }
        }
    }

    /// The share of the nearest rows that the index gave, over all queries; `None` without queries or rows.
    pub fn share(&self) -> Option<f64> {
        let (mut wanted, mut found) = (0_u32, 0_u32);
        for query in &self.queries {
            let Some(last) = query.nearest.last() else {
                continue;
            };
            // The same components may be added in another order elsewhere.
            let limit = last + last.abs() * 1e-6;
            let count = |number: usize| u32::try_from(number).unwrap_or(0);
            let good = query.given.iter().filter(|given| **given <= limit).count();
            wanted = wanted.saturating_add(count(query.nearest.len()));
            found = found.saturating_add(count(good.min(query.nearest.len())));
        }
        (wanted > 0).then(|| f64::from(found) / f64::from(wanted))
    }
}

/// How many of the elements that `from` is linked to are nearer than the median of the elements in `others`, and how many
/// there are: links of a graph lead to near elements, links that were mixed up lead anywhere.
pub fn near_links(
    space: Space,
    from: &[f32],
    linked: &[Vec<f32>],
    others: &[Vec<f32>],
) -> (usize, usize) {
    let mut far: Vec<f32> = others
        .iter()
        .map(|other| distance(space, from, other))
        .collect();
    far.sort_by(f32::total_cmp);
    let Some(median) = far.get(far.len() / 2) else {
        return (0, 0);
    };
    let near = linked
        .iter()
        .filter(|to| distance(space, from, to) <= *median)
        .count();
    (near, linked.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tid(block: u32) -> Tid {
        Tid { block, offset: 1 }
    }

    fn take(recall: &mut Recall, value: &[f32], rows: &[Tid]) {
        let mut image = vec![0; 8];
        image.extend(value.iter().flat_map(|value| value.to_ne_bytes()));
        let mut batch = Batch::default();
        batch.add(&image, false, rows.iter().copied());
        recall.take(&batch, 2, &|start| start());
    }

    #[test]
    fn distances_are_those_of_their_space() {
        let left: Vec<f32> = (0..37).map(|n| n as f32).collect();
        let right: Vec<f32> = (0..37).map(|n| 1.0 + n as f32).collect();
        assert_eq!(distance(Space::L2, &left, &right), 37.0);
        let dot: f32 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
        assert_eq!(distance(Space::Ip, &left, &right), -dot);
        assert_eq!(distance(Space::Cosine, &left, &right), -dot);
    }

    #[test]
    fn recall_is_the_share_of_the_nearest_rows() {
        let asked = Asked {
            vector: vec![0.0],
            given: (0..5).chain(50..55).map(tid).collect(),
        };
        let mut recall = Recall::new(Space::L2, vec![asked]);
        for number in (0..100).rev() {
            take(&mut recall, &[number as f32], &[tid(number)]);
        }
        assert_eq!(recall.share(), Some(0.5));
    }

    #[test]
    fn equal_vectors_are_equally_good_answers() {
        let asked = Asked {
            vector: vec![0.0],
            given: (500..510).map(tid).collect(),
        };
        let mut recall = Recall::new(Space::L2, vec![asked]);
        for block in 0..100 {
            let rows: Vec<Tid> = (0..10).map(|row| tid(block * 10 + row)).collect();
            take(&mut recall, &[1.0], &rows);
        }
        assert_eq!(recall.share(), Some(1.0));
    }

    #[test]
    fn few_rows_are_all_there_is_to_find() {
        let asked = Asked {
            vector: vec![0.0],
            given: vec![tid(1), tid(2)],
        };
        let mut recall = Recall::new(Space::Ip, vec![asked]);
        for block in 0..4 {
            take(&mut recall, &[block as f32], &[tid(block)]);
        }
        assert_eq!(recall.share(), Some(0.5));
        assert_eq!(Recall::new(Space::Ip, Vec::new()).share(), None);
    }

    #[test]
    fn links_that_lead_anywhere_are_told_from_near_ones() {
        let spot = |x: f32| vec![x];
        let others: Vec<_> = (0..64).map(|n| spot(n as f32)).collect();
        let near: Vec<_> = (30..34).map(|n| spot(n as f32)).collect();
        assert_eq!(near_links(Space::L2, &[32.0], &near, &others), (4, 4));
        let any: Vec<_> = (0..64).step_by(4).map(|n| spot(n as f32)).collect();
        let (near, all) = near_links(Space::L2, &[32.0], &any, &others);
        assert!(near < all * 2 / 3, "{near} of {all}");
        assert_eq!(near_links(Space::L2, &[32.0], &any, &[]), (0, 0));
    }
}
