//! A store summed up, with what it would be in PostgreSQL: what `chroma_store` shows.
//!
//! Stage: beside the pipeline. Promise: nothing is written, one record is in memory at a time, and no vector is
//! read; a store whose records cannot all be read is still described. May import `record`, `source`, `map` and
//! `encode`.

mod owners;
mod ratios;
mod size;

use std::ops::ControlFlow;

pub use owners::{OwnerKind, Ownership, ownership};
pub use size::{CONTENT_TOAST_TARGET, Estimator, Size};

use crate::source::chroma::{ChromaStore, StoreSummary};
use crate::source::{Source, SourceError};

/// A store in one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// What the store says of itself.
    pub store: StoreSummary,
    /// What its records come to; `None` if they cannot all be read, which a warning then says.
    pub size: Option<Size>,
}

/// Sums `store` up, and measures its records.
///
/// # Errors
/// What [`SourceError`] lists; damage that only the records show is a warning of the answer instead.
pub fn survey(store: &ChromaStore) -> Result<Survey, SourceError> {
    let mut summary = store.summary()?;
    let size = match measure(store) {
        Ok(size) => Some(size),
        Err(error @ (SourceError::Damaged { .. } | SourceError::TooLarge { .. })) => {
            summary.warnings.push(format!(
                "characters and sizes are not known, as not every record can be read: {error}"
            ));
            None
        }
        Err(error) => return Err(error),
    };
    summary.warnings.extend(store.take_notices());
    Ok(Survey {
        store: summary,
        size,
    })
}

fn measure(store: &ChromaStore) -> Result<Size, SourceError> {
    let mut estimator = Estimator::default();
    let collections = store.collections();
    let kept = |text: &str| text.to_owned();
    let ownership = ownership(store, collections, "user_id", &kept, false)?;
    for (collection, owned) in collections.iter().zip(ownership.owned) {
        store.read_without_vectors(collection, &mut |record| {
            estimator.add(collection, owned, &record);
            ControlFlow::Continue(())
        })?;
    }
    Ok(estimator.size())
}
