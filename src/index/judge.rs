//! Whether a graph can be an index's, and whether the index that came of it can stay.

use vector_migrate_core::index::graph::Graph;
use vector_migrate_core::record::Space;

use super::import::Imported;
use super::proof::Proof;
use super::which::VectorIndex;

/// The least share of links that lead to elements nearer than the median; and the elements, in neighbours of one, from which
/// it is asked for: in a small index everything is linked to everything.
const LEAST_NEAR: f64 = 0.75;
const ENOUGH_FOR_NEAR: u64 = 40;

/// Why the graph cannot be this index's.
pub fn unlike(graph: &Graph, space: Space, index: &VectorIndex) -> Option<String> {
    if space != index.space {
        return Some(format!(
            "Chroma's graph is for the space {space}, the index for {}",
            index.space
        ));
    }
    if graph.m() != index.m {
        return Some(format!(
            "M of Chroma's graph is {}, m of the index {}",
            graph.m(),
            index.m
        ));
    }
    (graph.dimension() != index.dimensions).then(|| {
        format!(
            "vectors of Chroma's graph have {} dimensions, those of the index {}",
            graph.dimension(),
            index.dimensions
        )
    })
}

/// Why the index that was written cannot stay.
pub fn unsound(imported: &Imported, proof: &Proof, index: &VectorIndex) -> Option<String> {
    let summary = &proof.summary;
    if let Some(finding) = summary.findings.sentences().first() {
        return Some(format!(
            "the walk through the imported index found: {finding}"
        ));
    }
    if summary.heap != imported.sum || summary.emptied > 0 {
        return Some(format!(
            "the imported index has {} rows of the table's {}, or others",
            summary.heap.count, imported.sum.count
        ));
    }
    let enough = summary.elements >= ENOUGH_FOR_NEAR.saturating_mul(u64::from(index.m));
    proof
        .near
        .filter(|near| enough && *near < LEAST_NEAR)
        .map(|near| {
            format!(
                "links of Chroma's graph do not lead to near vectors: only {:.0} of 100 are nearer than the median",
                near * 100.0
            )
        })
}
