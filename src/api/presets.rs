//! `chroma_presets`: the tables of applications that a run can fill.

use pgrx::JsonB;
use pgrx::prelude::*;
use vector_migrate_core::mapping::presets;

/// The presets of this version: the application, the releases that each was tested with, its table's usual name (perhaps with
/// placeholders; NULL: the caller names it), what goes into which column, and what records must have.
#[pg_extern(immutable, parallel_safe)]
fn chroma_presets() -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(application, String),
        name!(versions, String),
        name!(target, Option<String>),
        name!(columns, JsonB),
        name!(requires, String),
    ),
> {
    let rows = presets().iter().map(|preset| {
        let columns: serde_json::Map<String, serde_json::Value> = (preset.columns.0.iter())
            .map(|(column, word)| (column.clone(), word.to_string().into()))
            .collect();
        (
            preset.name.clone(),
            preset.application.clone(),
            preset.versions.clone(),
            preset.target.clone(),
            JsonB(columns.into()),
            preset.requires.clone(),
        )
    });
    TableIterator::new(rows)
}
