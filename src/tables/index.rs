//! The vector index of a table that a run created, built after the load.

use vector_migrate_core::record::Space;

use super::{Pgvector, Target};
use crate::error::Error;
use crate::message::notice;
use crate::spi;

/// Most dimensions that an HNSW index takes as `vector`, and as `halfvec` (pgvector's README).
const MAX_VECTOR: u32 = 2_000;
const MAX_HALFVEC: u32 = 4_000;

/// Builds the HNSW index on `embedding` for distances in `space`, and gathers statistics.
///
/// # Errors
/// The server's own.
pub fn build<C>(target: &Target<C>, space: Space, pgvector: &Pgvector) -> Result<(), Error> {
    let schema = &pgvector.schema;
    let name = &target.name;
    let suffix = match space {
        Space::L2 => "l2_ops",
        Space::Cosine => "cosine_ops",
        Space::Ip => "ip_ops",
    };
    match target.vector.dimension {
        Some(n) if n <= MAX_VECTOR => {
            spi::write(
                &format!("CREATE INDEX ON {name} USING hnsw (embedding {schema}.vector_{suffix})"),
                &[],
            )?;
        }
        Some(n) if n <= MAX_HALFVEC && pgvector.halfvec.is_some() => {
            notice!(
                "{name} gets its index through halfvec: {n} dimensions are too many for vector"
            );
            spi::write(
                &format!(
                    "CREATE INDEX ON {name} USING hnsw \
                     ((embedding::{schema}.halfvec({n})) {schema}.halfvec_{suffix})"
                ),
                &[],
            )?;
        }
        _ => notice!("{name} gets no vector index: its vectors have too many dimensions for one"),
    }
    spi::write(&format!("ANALYZE {name}"), &[])?;
    Ok(())
}
