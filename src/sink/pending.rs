//! Rows that have their vectors, and wait for the load that takes them.

use super::embed::EmbeddedRow;

/// What a row takes in memory beside its tuple, vectors and texts.
const ROW_BYTES: usize = 400;

/// Rows of the next load.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The rows, in order.
    pub rows: Vec<EmbeddedRow>,
    /// About what they take in memory.
    pub bytes: usize,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn extend(&mut self, rows: Vec<EmbeddedRow>) {
        self.bytes += rows.iter().map(weight).sum::<usize>();
        self.rows.extend(rows);
    }
}

/// About what a row takes in memory.
fn weight(embedded: &EmbeddedRow) -> usize {
    let tuples = embedded
        .row
        .entities
        .iter()
        .map(|it| it.tuple.len() + it.text.len());
    let vectors = embedded.entity_vectors.iter().map(Vec::len);
    ROW_BYTES
        + embedded.tuple.len()
        + embedded.vector.len()
        + embedded.row.text.len()
        + tuples.sum::<usize>()
        + vectors.sum::<usize>()
}
