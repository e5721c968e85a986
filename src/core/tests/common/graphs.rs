//! Graphs made for tests, and what must hold of every index that is made of one.

use std::collections::BTreeSet;

use fastrand::Rng;
use vector_migrate_core::index::Tid;
use vector_migrate_core::index::graph::{Building, Form, Graph, GraphShape, Kind, NoGraph};
use vector_migrate_core::index::linked::Linked;
use vector_migrate_core::index::links::Means;
use vector_migrate_core::index::matching::Matcher;

/// A graph as a test makes it.
pub struct Made {
    pub m: u16,
    pub cosine: bool,
    pub form: Form,
    /// By element.
    pub vectors: Vec<Vec<u8>>,
    pub deleted: Vec<bool>,
    /// Links by element and layer.
    pub links: Vec<Vec<Vec<u32>>>,
    pub entry: u32,
}

/// The number as a vector of two components.
pub fn vector(number: u32) -> Vec<u8> {
    let values = [number as f32, 1.0];
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Where row `number` lies: a hundred on a page.
pub fn tid(number: u32) -> Tid {
    Tid {
        block: 70_000 + number / 100,
        offset: u16::try_from(number % 100 + 1).unwrap(),
    }
}

impl Made {
    /// Elements with vectors of their own and the links that are given, by element and layer.
    pub fn new(m: u16, links: Vec<Vec<Vec<u32>>>) -> Made {
        let count = u32::try_from(links.len()).unwrap();
        Made {
            m,
            cosine: false,
            form: Form::Single,
            vectors: (0..count).map(vector).collect(),
            deleted: vec![false; links.len()],
            links,
            entry: 0,
        }
    }

    /// Elements on a line, each linked with some of its neighbours; a quarter of each layer is on the next.
    pub fn line(count: u32, m: u16, rng: &mut Rng) -> Made {
        let mut levels: Vec<u8> = (0..count)
            .map(|_| (0..5).take_while(|_| rng.u8(..4) == 0).count() as u8)
            .collect();
        if let Some(first) = levels.first_mut() {
            *first = 6;
        }
        let of = |element: u32, layer: u8| {
            let on = |other: &u32| levels[*other as usize] >= layer;
            let before = (0..element).rev().filter(on).take(usize::from(m) / 2);
            let behind = (element + 1..count).filter(on).take(usize::from(m) / 2);
            before.chain(behind).collect::<Vec<u32>>()
        };
        let links = (0..count).map(|element| {
            (0..=levels[element as usize])
                .map(|layer| of(element, layer))
                .collect()
        });
        Made::new(m, links.collect())
    }

    /// What the graph is called to be.
    pub fn kind(&self) -> Kind {
        let upper: usize = self.links.iter().map(|layers| layers.len() - 1).sum();
        Kind {
            shape: GraphShape {
                m: self.m,
                count: self.links.len() as u32,
                ef_construction: 100,
                dimension: 2,
            },
            form: self.form,
            cosine: self.cosine,
            upper: upper as u64,
            allowed: 1 << 30,
        }
    }

    /// Reads it.
    pub fn read(&self) -> Result<Graph, NoGraph> {
        let mut building = Building::new(self.kind())?;
        let words = |links: &Vec<u32>| -> Vec<u8> {
            links.iter().flat_map(|link| link.to_le_bytes()).collect()
        };
        for layers in &self.links {
            building.level(layers.len() as u64 - 1)?;
            for (layer, links) in (1..).zip(&layers[1..]) {
                building.upper(layer, links.len() as u16, &words(links));
            }
        }
        for ((layers, vector), deleted) in self.links.iter().zip(&self.vectors).zip(&self.deleted) {
            building.element(*deleted, layers[0].len() as u16, &words(&layers[0]), vector);
        }
        building.finish(self.entry)
    }

    /// Its rows found: a matcher that was offered these vectors, at [`tid`]s from 0 on.
    pub fn matched<'a>(&self, rows: impl IntoIterator<Item = &'a Vec<u8>>) -> Matcher {
        let mut matcher = Matcher::new(self.read().unwrap());
        for (number, row) in (0..).zip(rows) {
            matcher.offer(tid(number), row);
        }
        matcher
    }

    /// The index of its own vectors.
    pub fn linked(&self) -> Linked {
        let linked = self
            .matched(&self.vectors)
            .link(&mut Means::alone(&mut || {}));
        check(&linked, &(0..self.vectors.len() as u32).map(tid).collect());
        linked
    }
}

/// The links of the element whose number in the graph is `slot`, as numbers in the graph.
pub fn slots(linked: &Linked, slot: u32, layer: u8) -> BTreeSet<u32> {
    let elements: Vec<_> = (0..linked.len())
        .map(|at| linked.element(at).unwrap())
        .collect();
    let own = elements
        .iter()
        .find(|element| element.slot == slot)
        .unwrap();
    let links = linked.links(own.ordinal, layer);
    links.map(|link| elements[link as usize].slot).collect()
}

/// What must hold of every index: of its structure, and that the `offered` rows are in it or left over, once each.
pub fn check(linked: &Linked, offered: &BTreeSet<Tid>) {
    let mut rows = BTreeSet::new();
    let mut last_rest = None;
    for tid in linked.rest() {
        assert!(
            last_rest < Some(tid),
            "the rest is not in the order of the table"
        );
        last_rest = Some(tid);
        rows.insert(tid);
    }
    let mut number = linked.rest().len();
    let m = usize::from(linked.m());
    let (entry, top) = linked.entry().unwrap_or((0, 0));
    assert_eq!(linked.entry().is_none(), linked.is_empty());
    let mut cursor = linked.cursor();
    let mut short = 0;
    for ordinal in 0..linked.len() {
        let element = linked.element(ordinal).unwrap();
        assert_eq!(element.ordinal, ordinal);
        assert!((1..=10).contains(&element.tids().len()));
        number += element.tids().len();
        rows.extend(element.tids());
        assert_eq!(
            cursor.next(Tid {
                block: 0,
                offset: 1
            }),
            None
        );
        assert!(!cursor.done());
        assert_eq!(cursor.next(element.tids()[0]), Some(element));
        assert!(element.level <= top, "the entry is not of the top level");
        for layer in 0..=element.level {
            let links: Vec<u32> = linked.links(ordinal, layer).collect();
            let different: BTreeSet<u32> = links.iter().copied().collect();
            assert_eq!(
                links.len(),
                different.len(),
                "a link is there twice: {links:?}"
            );
            assert!(
                !different.contains(&ordinal),
                "a link of an element to itself"
            );
            assert!(links.len() <= if layer == 0 { 2 * m } else { m });
            for link in links {
                let other = linked.element(link).expect("a link to an element");
                assert!(other.level >= layer, "a link to an element below its layer");
            }
        }
        short += usize::from(linked.links(ordinal, 0).len() < 2 * m);
        assert_eq!(linked.links(ordinal, element.level + 1).len(), 0);
    }
    assert!(cursor.done());
    assert_eq!(linked.element(linked.len()), None);
    assert_eq!(number, rows.len(), "a row is there twice");
    assert_eq!(&rows, offered);
    assert_eq!(linked.counts().not_full, short as u64);
    if linked.len() as usize > 2 * m {
        assert_eq!(short, 0, "lists are not full");
    }
    if !linked.is_empty() {
        assert_eq!(linked.element(entry).unwrap().level, top);
        assert_eq!(reached(linked, entry, top).len(), linked.len() as usize);
    }
}

/// What a search from the entry can reach.
fn reached(linked: &Linked, entry: u32, top: u8) -> BTreeSet<u32> {
    let mut seen = BTreeSet::from([entry]);
    for layer in (0..=top).rev() {
        let mut queue: Vec<u32> = seen.iter().copied().collect();
        while let Some(element) = queue.pop() {
            for link in linked.links(element, layer) {
                if seen.insert(link) {
                    queue.push(link);
                }
            }
        }
    }
    seen
}
