//! `runs` and `run_targets`: one row for each committed run, and for each of its tables.

use pgrx::JsonB;
use pgrx::prelude::*;
use vector_migrate_core::report::Counts;

use super::owner::as_owner;
use super::{MadeParent, mark, parents};
use crate::error::Error;
use crate::index::Made;
use crate::spi;
use crate::tables::Roles;

/// What `runs` keeps of a run.
#[derive(Debug)]
pub struct RunSummary {
    /// Its number.
    pub run_id: i64,
    /// The store, resolved.
    pub path: String,
    /// The call's arguments.
    pub options: serde_json::Value,
    /// When it began.
    pub started_at: TimestampWithTimeZone,
    /// Its counts.
    pub counts: Counts,
    /// The model, if it was used.
    pub model: Option<String>,
    /// Texts that were embedded and longer than the model takes.
    pub truncated: u64,
    /// Whether the store's vectors are the installed model's; `None`: not compared.
    pub model_verdict: Option<String>,
    /// What the store was like.
    pub fingerprint: serde_json::Value,
    /// Its tables, in the order in which they were filled; the first one is the run's own row, too.
    pub targets: Vec<TargetSummary>,
}

/// What `run_targets` keeps of a table.
#[derive(Debug)]
pub struct TargetSummary {
    /// The content table.
    pub content: pg_sys::Oid,
    /// The entity table.
    pub entity: Option<pg_sys::Oid>,
    /// The run made the content table.
    pub created: bool,
    /// The preset whose table it is; `None`: the caller described it.
    pub preset: Option<&'static str>,
    /// What columns of the content table may tell its rows apart.
    pub roles: Roles,
    /// What went into each column, as a JSON object of words.
    pub columns: String,
    /// The distance that all its collections have.
    pub space: Option<&'static str>,
    /// The content table's name, qualified.
    pub content_name: String,
    /// Chroma's ids of the collections that were to go into it.
    pub sources: Vec<String>,
    /// Rows that the run made in the table that it refers to.
    pub parents: Vec<MadeParent>,
    /// Content rows that it got.
    pub migrated: u64,
    /// Entity rows that came with them.
    pub entities: u64,
    /// How the content table's vector index came; `None`: the run made none.
    pub index: Option<Made>,
}

/// A number for a new run.
///
/// # Errors
/// The server's own.
pub fn next_run_id() -> Result<i64, Error> {
    let id = as_owner(|| {
        spi::write_returning(
            "SELECT pg_catalog.nextval('vector_migrate.runs_run_id_seq'::pg_catalog.regclass)",
            &[],
            |row| row.get::<i64>(1),
        )
    })?;
    id.into_iter()
        .flatten()
        .next()
        .ok_or_else(|| Error::Bug("no run number".into()))
}

/// Writes the run down.
///
/// # Errors
/// The server's own.
pub fn finish(run: RunSummary) -> Result<(), Error> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let role = spi::read_one("SELECT CURRENT_USER::pg_catalog.text", &[], |row| {
        row.get::<String>(1)
    })?;
    let counts = run.counts;
    let Some(first) = run.targets.first() else {
        return Err(Error::Bug("a run without tables".into()));
    };
    let index = first.index.as_ref();
    as_owner(|| {
        spi::write(
            "INSERT INTO vector_migrate.runs \
               (run_id, path, options, status, started_at, finished_at, found, migrated, skipped, \
                failed, reused, exact, restored, missing, stale, embedded, entities, model, source_fingerprint, role, \
                content_target, entity_target, truncated, model_verdict, \
                index_way, index_reason, index_seconds, index_recall, nul_changed) \
             OVERRIDING SYSTEM VALUE VALUES \
               ($1, $2, $3, 'completed', $4, pg_catalog.clock_timestamp(), $5, $6, $7, $8, $9, $10, \
                $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)",
            &[
                run.run_id.into(),
                run.path.into(),
                JsonB(run.options).into(),
                run.started_at.into(),
                count(counts.found()).into(),
                count(counts.migrated).into(),
                count(counts.skipped).into(),
                count(counts.failed).into(),
                count(counts.reused).into(),
                count(counts.exact()).into(),
                count(counts.restored).into(),
                count(counts.missing).into(),
                count(counts.stale).into(),
                count(counts.embedded).into(),
                count(counts.entities).into(),
                run.model.into(),
                JsonB(run.fingerprint).into(),
                role.flatten().into(),
                first.content.into(),
                first.entity.into(),
                count(run.truncated).into(),
                run.model_verdict.into(),
                index.map(|made| made.way.word()).into(),
                index.map(|made| made.reason.as_str()).into(),
                index.map(|made| made.seconds).into(),
                index.and_then(|made| made.recall).into(),
                count(counts.nul).into(),
            ],
        )?;
        for (target, number) in run.targets.iter().zip(0_i32..) {
            let index = target.index.as_ref();
            spi::write(
                "INSERT INTO vector_migrate.run_targets \
                   (run_id, target_no, content_target, entity_target, created, migrated, entities, \
                    index_way, index_reason, index_seconds, index_recall, \
                    preset, id_columns, collection_columns, user_columns, columns, space, content_name, sources) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16::pg_catalog.json, $17, $18, $19)",
                &[
                    run.run_id.into(),
                    number.into(),
                    target.content.into(),
                    target.entity.into(),
                    target.created.into(),
                    count(target.migrated).into(),
                    count(target.entities).into(),
                    index.map(|made| made.way.word()).into(),
                    index.map(|made| made.reason.as_str()).into(),
                    index.map(|made| made.seconds).into(),
                    index.and_then(|made| made.recall).into(),
                    target.preset.into(),
                    target.roles.id.clone().into(),
                    target.roles.collection.clone().into(),
                    target.roles.user.clone().into(),
                    target.columns.clone().into(),
                    target.space.into(),
                    target.content_name.clone().into(),
                    target.sources.clone().into(),
                ],
            )?;
            parents::write(run.run_id, target.content, &target.parents)?;
            mark::write(run.run_id, target.content)?;
        }
        Ok(())
    })
}

/// Whether a run has filled the content table.
///
/// # Errors
/// The server's own.
pub fn has_filled(content: pg_sys::Oid) -> Result<bool, Error> {
    let found = as_owner(|| {
        spi::read_one(
            "SELECT true FROM vector_migrate.run_targets WHERE content_target OPERATOR(pg_catalog.=) $1 LIMIT 1",
            &[content.into()],
            |row| row.get::<bool>(1),
        )
    })?;
    Ok(found.is_some())
}
