//! The graph of a collection, for an index of pgvector's.
//!
//! Stage: source. Promise: of the same moment of the store as its records. May import `index::graph`, this folder and those
//! below it.

use super::chroma_store::ChromaStore;
use super::opening::{HALF_WRITTEN, wait_for_age};
use crate::index::graph::{Form, Graph, GraphShape, NoGraph};
use crate::record::Collection;
use crate::source::chroma::hnsw::graph::{GraphError, GraphFiles};
use crate::source::chroma::snapshot::state::{StoreState, check_index_files};
use crate::source::error::SourceError;

impl ChromaStore {
    /// What the graph of `collection` says it is, from the header of its index files alone; or why there is none.
    ///
    /// # Errors
    /// [`SourceError::Busy`], [`SourceError::Interrupted`].
    pub fn graph_shape(
        &self,
        collection: &Collection,
    ) -> Result<Result<GraphShape, NoGraph>, SourceError> {
        self.with_graph_files(collection, |_, files| Ok(files.shape))
    }

    /// The graph of `collection`, with hashes of its vectors as a column of `form` holds them; or why there is none.
    /// `allowed`: bytes of memory, see [`Graph::bytes_needed`].
    ///
    /// # Errors
    /// [`SourceError::Busy`], [`SourceError::Interrupted`], and those of making a private copy.
    pub fn graph(
        &self,
        collection: &Collection,
        form: Form,
        allowed: u64,
    ) -> Result<Result<Graph, NoGraph>, SourceError> {
        self.with_graph_files(collection, |state, files| {
            files.read(form, allowed, state.database.stop())
        })
    }

    /// What `work` makes of the index files of `collection`.
    fn with_graph_files<T>(
        &self,
        collection: &Collection,
        mut work: impl FnMut(&StoreState, &GraphFiles<'_>) -> Result<T, GraphError>,
    ) -> Result<Result<T, NoGraph>, SourceError> {
        self.retried_in_copy(|state| {
            let entry = state.entry(collection)?;
            let files = GraphFiles::open(&state.folder, entry);
            let result = match files.and_then(|files| work(state, &files)) {
                Ok(found) => Ok(found),
                Err(error) => Err(error.reason()?),
            };
            if state.private.is_none() {
                if result.is_err() {
                    wait_for_age(&state.database, &entry.files, HALF_WRITTEN)?;
                }
                check_index_files(self.folder(), entry)?;
            }
            Ok(result)
        })
    }
}
