//! Indexes that pgvector built, for the tests of this folder (`pgrx-tests/fixtures/hnsw`).

use std::path::Path;

use super::page::{PAGE, Page};

/// The freshly built ones.
pub(super) const BUILT: [&str; 7] = [
    "dim3-m4", "dim3-m2", "dim384", "dim2000", "half100", "cosine", "empty",
];

/// After a vacuum, with new elements in the places of deleted ones, with all deleted.
pub(super) const VACUUMED: [&str; 3] = ["vacuumed", "reused", "all-deleted"];

/// The pages of a fixture.
pub(super) fn pages(name: &str) -> Vec<Page> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pgrx-tests/fixtures/hnsw");
    let bytes = std::fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes.len() % PAGE, 0);
    bytes.as_chunks::<PAGE>().0.to_vec()
}
