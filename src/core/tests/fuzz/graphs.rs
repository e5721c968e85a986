//! Graphs of damaged index files, made into indexes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::Path;

use fastrand::Rng;
use vector_migrate_core::index::graph::Form;
use vector_migrate_core::index::links::Means;
use vector_migrate_core::index::matching::Matcher;
use vector_migrate_core::source::{Source, SourceError};

use crate::bytes;
use crate::common::graphs::{check, tid};
use crate::common::try_open;

/// Memory that graphs may take: far more than any of these has.
const ALLOWED: u64 = 2 << 20;

/// Makes an index of every graph that can be read, which must be sound; the number of its elements.
pub fn read(directory: &Path) -> Result<u64, SourceError> {
    let store = try_open(directory)?;
    let mut elements = 0;
    for collection in store.collections() {
        let shape = store.graph_shape(collection)?;
        let Ok(graph) = store.graph(collection, Form::Single, ALLOWED)? else {
            continue;
        };
        assert_eq!(
            shape.map(|shape| shape.count as usize).ok(),
            Some(graph.count())
        );
        let mut matcher = Matcher::new(graph);
        let mut offered = BTreeSet::new();
        store.read(collection, &mut |record| {
            if let Some(vector) = record.vector {
                let place = tid(offered.len() as u32);
                let row: Vec<u8> = vector
                    .values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                matcher.offer(place, &row);
                offered.insert(place);
            }
            ControlFlow::Continue(())
        })?;
        let linked = matcher.link(&mut Means::alone(&mut || {}));
        check(&linked, &offered);
        elements += u64::from(linked.len());
    }
    Ok(elements)
}

/// Changes a file of a graph: a header as headers are, links to numbers that are nearly right, anything.
pub fn change(rng: &mut Rng, path: &Path, original: &[u8]) -> Vec<u8> {
    if path.file_name() == Some(OsStr::new("header.bin")) {
        return bytes::header(rng, original);
    }
    if rng.bool() || original.len() < 4 {
        return bytes::changed(rng, original);
    }
    // Words that are links or lengths, or look like them.
    let mut bytes = original.to_vec();
    for _ in 0..rng.usize(1..30) {
        let at = rng.usize(..bytes.len() / 4) * 4;
        let word = if rng.bool() {
            rng.u32(..64)
        } else {
            bytes::number(rng) as u32
        };
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
