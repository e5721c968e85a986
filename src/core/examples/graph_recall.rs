//! How well a search in the index made of Chroma's graph finds what is near: `graph_recall DIRECTORY [PERCENT ...]`.
//!
//! For the largest collection of the store, and for each share of its rows left out at random: seconds for reading,
//! matching and linking, how the links came about, and recall@10 of 500 searches as pgvector does them (ef_search 40 and
//! 100) against all distances. The first line is of the graph as the files have it, all of its elements.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a program to be started by hand: what fails ends it"
)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use vector_migrate_core::index::Tid;
use vector_migrate_core::index::graph::{Form, Graph};
use vector_migrate_core::index::linked::Linked;
use vector_migrate_core::index::links::Means;
use vector_migrate_core::index::matching::Matcher;
use vector_migrate_core::record::{Collection, Space};
use vector_migrate_core::source::Source;
use vector_migrate_core::source::chroma::ChromaStore;

const QUERIES: usize = 500;
const NEAREST: usize = 10;

/// Numbers that look random, the same ones each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.share() as f32).sum::<f32>() - 6.0
    }
}

fn distance(left: &[f32], right: &[f32], space: Space) -> f32 {
    let pairs = left.chunks_exact(8).zip(right.chunks_exact(8));
    let rest = left
        .chunks_exact(8)
        .remainder()
        .iter()
        .zip(right.chunks_exact(8).remainder());
    let mut sums = [0.0_f32; 8];
    if space == Space::L2 {
        for (left, right) in pairs {
            for at in 0..8 {
                sums[at] += (left[at] - right[at]) * (left[at] - right[at]);
            }
        }
        return sums.iter().sum::<f32>() + rest.map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    }
    for (left, right) in pairs {
        for at in 0..8 {
            sums[at] += left[at] * right[at];
        }
    }
    -(sums.iter().sum::<f32>() + rest.map(|(a, b)| a * b).sum::<f32>())
}

#[derive(PartialEq)]
struct Far(f32, u32);

impl Eq for Far {}

impl PartialOrd for Far {
    fn partial_cmp(&self, other: &Far) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Far {
    fn cmp(&self, other: &Far) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

/// Elements with their values, and who is linked to whom.
trait Searched {
    fn links(&self, element: u32, layer: u8) -> Vec<u32>;
    fn entry(&self) -> (u32, u8);
}

impl Searched for Linked {
    fn links(&self, element: u32, layer: u8) -> Vec<u32> {
        Linked::links(self, element, layer).collect()
    }

    fn entry(&self) -> (u32, u8) {
        Linked::entry(self).unwrap_or((0, 0))
    }
}

/// The `breadth` nearest that a search of pgvector's finds, and how many distances it takes.
fn search(
    graph: &impl Searched,
    values: &[Vec<f32>],
    space: Space,
    query: &[f32],
    breadth: usize,
) -> (Vec<u32>, usize) {
    let (mut entry, level) = graph.entry();
    let mut looked = 0;
    for layer in (0..=level).rev() {
        let ef = if layer == 0 { breadth } else { 1 };
        let mut seen = vec![false; values.len()];
        let mut candidates = BinaryHeap::new();
        let mut found = BinaryHeap::new();
        let first = distance(query, &values[entry as usize], space);
        seen[entry as usize] = true;
        candidates.push(Reverse(Far(first, entry)));
        found.push(Far(first, entry));
        while let Some(Reverse(Far(near, element))) = candidates.pop() {
            if near > found.peek().map_or(f32::MAX, |far: &Far| far.0) {
                break;
            }
            for link in graph.links(element, layer) {
                if std::mem::replace(&mut seen[link as usize], true) {
                    continue;
                }
                looked += 1;
                let here = distance(query, &values[link as usize], space);
                if found.len() < ef || here < found.peek().map_or(f32::MAX, |far| far.0) {
                    candidates.push(Reverse(Far(here, link)));
                    found.push(Far(here, link));
                    if found.len() > ef {
                        found.pop();
                    }
                }
            }
        }
        let found = found.into_sorted_vec();
        if layer == 0 {
            return (found.iter().map(|far| far.1).collect(), looked);
        }
        entry = found.first().map_or(entry, |far| far.1);
    }
    (Vec::new(), looked)
}

/// Recall@10 and distances of a search: an element counts for each of its rows.
fn recall(
    graph: &impl Searched,
    values: &[Vec<f32>],
    rows: &[usize],
    queries: &[Vec<f32>],
    space: Space,
) -> String {
    let mut text = String::new();
    let mut worst = Vec::new();
    for query in queries {
        let mut all: Vec<(f32, usize)> = values
            .iter()
            .enumerate()
            .map(|(at, value)| (distance(query, value, space), rows[at]))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut left = NEAREST;
        let limit = all.iter().find(|(_, rows)| {
            left = left.saturating_sub(*rows);
            left == 0
        });
        worst.push(limit.map_or(f32::MAX, |found| found.0));
    }
    for breadth in [40, 100] {
        let (mut hits, mut looked) = (0, 0);
        for (query, limit) in queries.iter().zip(&worst) {
            let (found, steps) = search(graph, values, space, query, breadth);
            looked += steps;
            let mut here = 0;
            for element in found {
                if distance(query, &values[element as usize], space) <= *limit {
                    here += rows[element as usize];
                }
            }
            hits += here.min(NEAREST);
        }
        let recall = hits as f64 / (queries.len() * NEAREST) as f64;
        text += &format!(
            " ef{breadth} {recall:.4} ({} distances)",
            looked / queries.len()
        );
    }
    text
}

/// The files as they are.
struct Raw {
    near: Vec<Vec<u32>>,
    far: Vec<Vec<Vec<u32>>>,
    entry: u32,
}

impl Searched for Raw {
    fn links(&self, element: u32, layer: u8) -> Vec<u32> {
        match layer.checked_sub(1) {
            None => self.near[element as usize].clone(),
            Some(above) => self.far[element as usize][above as usize].clone(),
        }
    }

    fn entry(&self) -> (u32, u8) {
        (self.entry, self.far[self.entry as usize].len() as u8)
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word))
        .collect()
}

/// Reads the files of the folder without any check; also the vectors.
fn raw(folder: &Path) -> (Raw, Vec<Vec<f32>>) {
    let header = fs::read(folder.join("header.bin")).expect("the header");
    let field =
        |at: usize| u64::from_le_bytes(*header[at..].first_chunk().expect("a field")) as usize;
    let (count, stride, label, vector, m) = (field(20), field(28), field(36), field(44), field(76));
    let elements = fs::read(folder.join("data_level0.bin")).expect("the elements");
    let lists = fs::read(folder.join("link_lists.bin")).expect("the lists");
    let (mut near, mut far, mut values, mut at) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for element in elements.chunks_exact(stride).take(count) {
        let length = usize::from(element[0]) + (usize::from(element[1]) << 8);
        near.push(words(&element[4..4 + 4 * length]));
        let vector = words(&element[vector..label]);
        values.push(vector.into_iter().map(f32::from_bits).collect());
        let bytes = words(&lists[at..at + 4])[0] as usize;
        at += 4;
        let mut upper = Vec::new();
        for list in lists[at..at + bytes].chunks_exact(4 + 4 * m) {
            upper.push(words(&list[4..4 + 4 * usize::from(list[0])]));
        }
        at += bytes;
        far.push(upper);
    }
    let entry = u32::from_le_bytes(*header[56..].first_chunk().expect("the entry"));
    (Raw { near, far, entry }, values)
}

fn unit(vector: &[f32], space: Space) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let cosine = space == Space::Cosine && length > 0.0;
    let factor = if cosine { 1.0 / length } else { 1.0 };
    vector.iter().map(|value| value * factor).collect()
}

fn vectors(store: &ChromaStore, collection: &Collection) -> Vec<Vec<f32>> {
    let mut vectors = Vec::new();
    let take = &mut |record: vector_migrate_core::record::Record| {
        vectors.extend(record.vector.map(|vector| vector.values));
        ControlFlow::Continue(())
    };
    store.read(collection, take).expect("the records");
    vectors
}

fn graph(store: &ChromaStore, collection: &Collection) -> Graph {
    let graph = store
        .graph(collection, Form::Single, u64::MAX)
        .expect("a store that can be read");
    graph.expect("a graph")
}

fn main() {
    let mut arguments = env::args_os().skip(1);
    let path = arguments
        .next()
        .map(PathBuf::from)
        .expect("usage: graph_recall DIRECTORY [PERCENT ...]");
    let shares: Vec<f64> = arguments
        .filter_map(|share| share.to_str().and_then(|share| share.parse().ok()))
        .collect();
    let store = ChromaStore::open(&path, Arc::new(AtomicBool::new(false))).expect("the store");
    let shape = |collection: &&Collection| {
        let shape = store
            .graph_shape(collection)
            .expect("a store that can be read");
        shape.map_or(0, |shape| shape.count)
    };
    let collection = store
        .collections()
        .iter()
        .max_by_key(shape)
        .expect("a collection");
    let space = collection.space;
    let rows = vectors(&store, collection);
    let mut dice = Dice(1);
    let deviation = {
        let values = rows.iter().flatten().map(|value| f64::from(*value));
        let (mut sum, mut square, mut number) = (0.0, 0.0, 0.0);
        for value in values {
            (sum, square, number) = (sum + value, square + value * value, number + 1.0);
        }
        (square / number - (sum / number) * (sum / number)).sqrt() as f32
    };
    let queries: Vec<Vec<f32>> = (0..QUERIES)
        .map(|_| {
            let near = &rows[dice.next() as usize % rows.len()];
            let moved: Vec<f32> = near
                .iter()
                .map(|value| value + 0.5 * deviation * dice.normal())
                .collect();
            unit(&moved, space)
        })
        .collect();
    println!(
        "{}: {} rows, {:?}",
        collection.name,
        rows.len(),
        store.graph_shape(collection)
    );
    let folder = fs::read_dir(&path)
        .expect("the directory")
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let size = |folder: &PathBuf| {
        fs::metadata(folder.join("data_level0.bin")).map_or(0, |file| file.len())
    };
    let folder = folder
        .filter(|folder| folder.is_dir())
        .max_by_key(size)
        .expect("index files");
    let (own, values) = raw(&folder);
    let values: Vec<Vec<f32>> = values.iter().map(|value| unit(value, space)).collect();
    println!(
        "files:{}",
        recall(&own, &values, &vec![1; values.len()], &queries, space)
    );
    for share in if shares.is_empty() { vec![0.0] } else { shares } {
        let began = Instant::now();
        let graph = graph(&store, collection);
        let read = began.elapsed().as_secs_f64();
        let mut dice = Dice(share as u64 + 17);
        let kept: Vec<&Vec<f32>> = rows
            .iter()
            .filter(|_| dice.share() * 100.0 >= share)
            .collect();
        let mut by_tid = HashMap::new();
        let mut bytes = Vec::new();
        let mut seconds = 0.0;
        let began = Instant::now();
        let mut matcher = Matcher::new(graph);
        seconds += began.elapsed().as_secs_f64();
        for (number, vector) in (0_u32..).zip(&kept) {
            let tid = Tid {
                block: number / 100,
                offset: (number % 100) as u16 + 1,
            };
            by_tid.insert(tid, *vector);
            bytes.clear();
            bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
            let began = Instant::now();
            matcher.offer(tid, &bytes);
            seconds += began.elapsed().as_secs_f64();
        }
        let began = Instant::now();
        let linked = matcher.link(&mut Means::alone(&mut || {}));
        let links = began.elapsed().as_secs_f64();
        let elements: Vec<_> = (0..linked.len())
            .filter_map(|at| linked.element(at))
            .collect();
        let values: Vec<Vec<f32>> = elements
            .iter()
            .map(|element| unit(by_tid[&element.tids()[0]], space))
            .collect();
        let numbers: Vec<usize> = elements
            .iter()
            .map(|element| element.tids().len())
            .collect();
        println!(
            "{share} % out: read {read:.2} s, match {seconds:.2} s, link {links:.2} s, rest {};{}\n    {:?}",
            linked.rest().len(),
            recall(&linked, &values, &numbers, &queries, space),
            linked.counts()
        );
    }
}
