//! Graphs of real stores, whole and damaged: an index that is one, or a reason why there is none; never an error.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::graphs::{check, tid};
use common::{Copy, age_all, copy, fixtures, named, open, records};
use fastrand::Rng;
use half::f16;
use vector_migrate_core::index::graph::{Form, Graph, NoGraph};
use vector_migrate_core::index::linked::Linked;
use vector_migrate_core::index::links::Means;
use vector_migrate_core::index::matching::Matcher;
use vector_migrate_core::record::{Collection, Record};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Source, SourceError};

const NEW: &str = "chroma-1.5.9";
const ALLOWED: u64 = 1 << 30;

fn graph(store: &ChromaStore, collection: &Collection, form: Form) -> Result<Graph, NoGraph> {
    store.graph(collection, form, ALLOWED).unwrap()
}

fn row(record: &Record, form: Form) -> Option<Vec<u8>> {
    let values = &record.vector.as_ref()?.values;
    Some(match form {
        Form::Single => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        Form::Half => values
            .iter()
            .flat_map(|value| f16::from_f32(*value).to_le_bytes())
            .collect(),
    })
}

/// The index of a graph with the rows of the collection.
fn linked(graph: Graph, records: &[Record], form: Form) -> Linked {
    let mut matcher = Matcher::new(graph);
    let mut offered = BTreeSet::new();
    for (number, record) in (0..).zip(records) {
        if let Some(vector) = row(record, form) {
            matcher.offer(tid(number), &vector);
            offered.insert(tid(number));
        }
    }
    let linked = matcher.link(&mut Means::alone(&mut || {}));
    check(&linked, &offered);
    linked
}

#[test]
fn every_release_wrote_graphs_that_are_whole() {
    for folder in fs::read_dir(fixtures()).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        if !name.starts_with("chroma-") {
            continue;
        }
        let copy = copy(&name);
        let store = open(&copy.directory);
        let mut graphs = 0;
        for collection in store.collections() {
            let records = records(&store, collection);
            for form in [Form::Single, Form::Half] {
                let graph = match graph(&store, collection, form) {
                    Ok(graph) => graph,
                    Err(NoGraph::NoFiles) => {
                        assert_eq!(
                            store.graph_shape(collection).unwrap(),
                            Err(NoGraph::NoFiles)
                        );
                        continue;
                    }
                    Err(reason) => panic!("{name}, {:?}: {reason}", collection.name),
                };
                graphs += 1;
                let shape = store.graph_shape(collection).unwrap().unwrap();
                assert_eq!((graph.m(), graph.damaged_links()), (shape.m, 0));
                assert_eq!(graph.count(), shape.count as usize);
                assert_eq!(Some(shape.dimension), collection.dimension);
                let live = graph.live();
                let linked = linked(graph, &records, form);
                let counts = linked.counts().matched;
                println!(
                    "{name} {} {form:?}: {live} live, {counts:?}",
                    collection.name
                );
                if form == Form::Single {
                    // What the queue has is newer.
                    let found = counts.placed + counts.joined;
                    assert!(found * 4 >= live as u64 * 3, "{name}: {counts:?}");
                    let whole = collection.name == "ip_persisted";
                    assert!(
                        !whole || (found == live as u64 && counts.rest == 0),
                        "{counts:?}"
                    );
                }
            }
        }
        assert!(graphs > 0, "{name}");
    }
}

/// A store with one collection to be damaged, and what must be true of it after each change.
struct Patient {
    copy: Copy,
    records: Vec<Record>,
}

impl Patient {
    const COLLECTION: &str = "l2_history";

    fn new() -> Patient {
        let copy = copy(NEW);
        age_all(&copy.directory);
        let store = open(&copy.directory);
        let records = records(&store, named(&store, Patient::COLLECTION));
        Patient { copy, records }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.copy.segment(Patient::COLLECTION).join(name)
    }

    /// The graph after `name` was changed to `bytes`, with an index of it that was looked at; heals the file.
    fn with(&self, name: &str, bytes: &[u8]) -> Result<Linked, NoGraph> {
        let path = self.file(name);
        let original = fs::read(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let found = self.found();
        fs::write(&path, original).unwrap();
        age_all(path.parent().unwrap());
        found
    }

    fn found(&self) -> Result<Linked, NoGraph> {
        age_all(&self.copy.segment(Patient::COLLECTION));
        let store = open(&self.copy.directory);
        let graph = graph(&store, named(&store, Patient::COLLECTION), Form::Single);
        graph.map(|graph| linked(graph, &self.records, Form::Single))
    }

    /// The file `name` with `word` at `at`.
    fn patched(&self, name: &str, at: usize, word: &[u8]) -> Vec<u8> {
        let mut bytes = fs::read(self.file(name)).unwrap();
        bytes[at..at + word.len()].copy_from_slice(word);
        bytes
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_no_graph() {
    let patient = Patient::new();
    let whole = patient.found().ok().unwrap();
    assert!(!whole.is_empty());
    let header = fs::read(patient.file("header.bin")).unwrap();
    let field = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
    let elements = usize::try_from(field(20) * field(28)).unwrap();
    for (name, least) in [
        ("header.bin", 100),
        ("link_lists.bin", usize::MAX),
        ("data_level0.bin", elements),
    ] {
        let bytes = fs::read(patient.file(name)).unwrap();
        let least = least.min(bytes.len());
        for length in (0..least).step_by((least / 60).max(1)).chain([least - 1]) {
            let reason = patient.with(name, &bytes[..length]).err();
            let reason = reason.unwrap_or_else(|| panic!("{name} of {length} bytes"));
            assert!(reason.to_string().contains(name), "{reason}");
        }
        let mut longer = bytes.clone();
        // As many as five lists of an M of 2 take.
        longer.extend([0; 60]);
        assert_eq!(
            patient.with(name, &longer).is_ok(),
            name == "data_level0.bin",
            "{name}"
        );
    }
}

#[test]
fn a_missing_file_is_no_graph() {
    for name in ["header.bin", "link_lists.bin", "data_level0.bin"] {
        let patient = Patient::new();
        fs::remove_file(patient.file(name)).unwrap();
        assert_eq!(patient.found().err(), Some(NoGraph::Missing { file: name }));
    }
}

#[test]
fn lengths_are_needed_in_cosine_spaces_only() {
    let copy = copy(NEW);
    let all = open(&copy.directory);
    let (mut with, mut without) = (0, 0);
    for collection in all.collections() {
        if graph(&all, collection, Form::Single).is_err() {
            continue;
        }
        let path = copy.segment(&collection.name).join("length.bin");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..7]).unwrap();
        age_all(path.parent().unwrap());
        let store = open(&copy.directory);
        match graph(&store, named(&store, &collection.name), Form::Single).err() {
            None => without += 1,
            Some(NoGraph::EndsEarly {
                file: "length.bin",
                bytes: 7,
                ..
            }) => with += 1,
            Some(other) => panic!("{other}"),
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(with > 0 && without > 0, "{with} {without}");
}

#[test]
fn a_header_that_does_not_fit_is_no_graph() {
    let patient = Patient::new();
    let header = fs::read(patient.file("header.bin")).unwrap();
    let count = u64::from_le_bytes(header[20..28].try_into().unwrap());
    let m = u64::from_le_bytes(header[76..84].try_into().unwrap());
    for (at, value) in [
        (20, 0),
        (20, count + 1_000_000),
        (60, m + 1),
        (68, 2 * m + 1),
        (76, m + 1),
        (76, 0),
        (76, u64::MAX),
        (28, 7),
        (36, 7),
        (44, 7),
    ] {
        let bytes = patient.patched("header.bin", at, &u64::to_le_bytes(value));
        let reason = patient.with("header.bin", &bytes).err();
        println!(
            "{at} {value}: {}",
            reason.unwrap_or_else(|| panic!("{value} at {at}"))
        );
    }
    // More elements than there are in any file.
    let mut bytes = header.clone();
    bytes[12..20].copy_from_slice(&4_000_000_000_u64.to_le_bytes());
    bytes[20..28].copy_from_slice(&4_000_000_000_u64.to_le_bytes());
    let reason = patient.with("header.bin", &bytes).err().unwrap();
    assert!(
        matches!(
            reason,
            NoGraph::EndsEarly {
                elements: 4_000_000_000,
                ..
            }
        ),
        "{reason}"
    );
    // Fewer elements than the other files have.
    let bytes = patient.patched("header.bin", 20, &u64::to_le_bytes(count - 1));
    let reason = patient.with("header.bin", &bytes).err().unwrap();
    assert!(reason.to_string().contains("link_lists.bin"), "{reason}");
    // Neither is believed: the highest element is found.
    for entry in [0_u32, 7, u32::MAX] {
        let bytes = patient.patched("header.bin", 56, &entry.to_le_bytes());
        assert!(patient.with("header.bin", &bytes).is_ok());
    }
}

#[test]
fn all_elements_may_be_deleted() {
    let patient = Patient::new();
    let header = fs::read(patient.file("header.bin")).unwrap();
    let stride = usize::try_from(u64::from_le_bytes(header[28..36].try_into().unwrap())).unwrap();
    let mut bytes = fs::read(patient.file("data_level0.bin")).unwrap();
    bytes
        .iter_mut()
        .skip(2)
        .step_by(stride)
        .for_each(|flags| *flags |= 1);
    let linked = patient.with("data_level0.bin", &bytes).ok().unwrap();
    assert!(linked.is_empty() && linked.entry().is_none());
    assert_eq!(linked.rest().len(), patient.records.len());
}

#[test]
fn random_bytes_anywhere_give_an_index_or_a_reason() {
    let patient = Patient::new();
    let mut rng = Rng::with_seed(1);
    let (mut whole, mut none) = (0, 0);
    for _ in 0..250 {
        let name = rng
            .choice(["header.bin", "link_lists.bin", "data_level0.bin"])
            .unwrap();
        let mut bytes = fs::read(patient.file(name)).unwrap();
        for _ in 0..rng.usize(1..40) {
            // A header of another version is not opened at all.
            let at = rng.usize(4..bytes.len());
            bytes[at] = rng.u8(..);
        }
        match patient.with(name, &bytes) {
            Ok(_) => whole += 1,
            Err(_) => none += 1,
        }
    }
    assert!(whole > 20 && none > 20, "{whole} {none}");
}

#[test]
fn memory_is_asked_for_before_it_is_taken() {
    let copy = copy(NEW);
    let store = open(&copy.directory);
    let collection = named(&store, Patient::COLLECTION);
    let shape = store.graph_shape(collection).unwrap().unwrap();
    let needed = Graph::bytes_needed(shape.count.into(), shape.m);
    assert!(
        store
            .graph(collection, Form::Single, needed * 2)
            .unwrap()
            .is_ok()
    );
    let refused = store
        .graph(collection, Form::Single, needed / 2)
        .unwrap()
        .err();
    assert!(matches!(refused, Some(NoGraph::Memory { .. })));
}

#[test]
fn a_private_copy_has_the_same_graph() {
    let copy = copy(NEW);
    let store = open(&copy.directory);
    let collection = named(&store, Patient::COLLECTION);
    let records = records(&store, collection);
    let links = |store: &ChromaStore| {
        let linked = linked(
            graph(store, collection, Form::Single).ok().unwrap(),
            &records,
            Form::Single,
        );
        let links = (0..linked.len()).map(|at| linked.links(at, 0).collect::<Vec<_>>());
        links.collect::<Vec<_>>()
    };
    let before = links(&store);
    store.copy_and_unlock().unwrap();
    damage(&copy.segment(Patient::COLLECTION));
    assert_eq!(links(&store), before);
}

fn damage(folder: &Path) {
    for name in ["link_lists.bin", "data_level0.bin"] {
        fs::write(folder.join(name), b"").unwrap();
    }
}

#[test]
fn a_graph_that_changes_after_the_opening_is_not_read() {
    let copy = copy(NEW);
    age_all(&copy.directory);
    let store = open(&copy.directory);
    let collection = named(&store, Patient::COLLECTION);
    fs::write(
        copy.segment(Patient::COLLECTION).join("link_lists.bin"),
        b"",
    )
    .unwrap();
    // As this has come to rest and nobody is inside a transaction, a private copy has it; else it is in use.
    match store.graph(collection, Form::Single, ALLOWED) {
        Ok(Err(NoGraph::EndsEarly {
            file: "link_lists.bin",
            ..
        }))
        | Err(SourceError::Busy { .. }) => {}
        Ok(Err(other)) => panic!("{other}"),
        Ok(Ok(_)) => panic!("a graph of a file that is gone"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_graph_of_changed_files_is_read_in_a_private_copy() {
    let copy = copy(NEW);
    age_all(&copy.directory);
    let store = open(&copy.directory);
    let collection = named(&store, Patient::COLLECTION);
    let folder = copy.segment(Patient::COLLECTION);
    let links = folder.join("link_lists.bin");
    fs::write(&links, fs::read(&links).unwrap()).unwrap();
    assert!(graph(&store, collection, Form::Single).is_ok());
    // Now it is not read where it lies any more.
    damage(&folder);
    assert!(graph(&store, collection, Form::Single).is_ok());
}

#[test]
fn reading_a_graph_can_be_interrupted() {
    let copy = copy(NEW);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let store = ChromaStore::open(&copy.directory, stop.clone()).unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let result = store.graph(named(&store, Patient::COLLECTION), Form::Single, ALLOWED);
    assert!(matches!(result, Err(SourceError::Interrupted)));
}
