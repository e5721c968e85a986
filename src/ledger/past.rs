//! A run as it was written down, for those who look at it again.

use pgrx::pg_sys;

use super::owner::as_owner;
use crate::error::Error;
use crate::spi;

/// A run.
#[derive(Debug)]
pub struct PastRun {
    /// Its number.
    pub run: i64,
    /// The store that it read.
    pub path: String,
    /// Its arguments.
    pub options: serde_json::Value,
    /// Sequence number of the last write that the store had then; `None`: it had none.
    pub last_sequence: Option<i64>,
    /// Its tables, in their order.
    pub targets: Vec<PastTarget>,
}

/// A table of a run.
#[derive(Debug, Clone)]
pub struct PastTarget {
    /// The content table.
    pub content: pg_sys::Oid,
    /// Its name then, qualified.
    pub name: String,
    /// Its preset; `None`: the caller described it.
    pub preset: Option<String>,
    /// What went into each column: a JSON object of words.
    pub columns: String,
    /// Chroma's ids of the collections that were to go into it.
    pub sources: Vec<String>,
}

/// `run`, or the newest one of the calling role that is not rolled back. Read as the caller, who sees the runs of roles that it
/// is a member of.
///
/// # Errors
/// [`Error::NoRun`], [`Error::UnknownRun`], [`Error::RolledBack`].
pub fn past_run(run: Option<i64>) -> Result<PastRun, Error> {
    let found = spi::read_one(
        "SELECT run_id, path, options::pg_catalog.text, source_fingerprint::pg_catalog.text, \
                status OPERATOR(pg_catalog.=) 'rolled back' \
           FROM vector_migrate.runs \
          WHERE run_id OPERATOR(pg_catalog.=) $1 \
             OR $1 IS NULL AND status OPERATOR(pg_catalog.=) 'completed' \
                AND role OPERATOR(pg_catalog.=) CURRENT_USER \
          ORDER BY run_id DESC LIMIT 1",
        &[run.into()],
        |row| {
            let json = |at| {
                let text = row.get::<String>(at)?;
                let value = text.and_then(|it| serde_json::from_str(&it).ok());
                Ok::<serde_json::Value, pgrx::spi::SpiError>(value.unwrap_or_default())
            };
            let undone = row.get::<bool>(5)? == Some(true);
            let past = PastRun {
                run: row.get(1)?.unwrap_or_default(),
                path: row.get(2)?.unwrap_or_default(),
                options: json(3)?,
                last_sequence: json(4)?.get("last_seq_id").and_then(|it| it.as_i64()),
                targets: Vec::new(),
            };
            Ok((past, undone))
        },
    )?;
    let past = match (found, run) {
        (Some((past, true)), _) => return Err(Error::RolledBack(past.run)),
        (Some((past, false)), _) => past,
        (None, Some(given)) => return Err(Error::UnknownRun(given)),
        (None, None) => return Err(Error::NoRun),
    };
    let targets = as_owner(|| {
        spi::read(
            "SELECT content_target::pg_catalog.oid, content_name, preset, columns::pg_catalog.text, sources \
               FROM vector_migrate.run_targets WHERE run_id OPERATOR(pg_catalog.=) $1 ORDER BY target_no",
            &[past.run.into()],
            |row| {
                Ok(PastTarget {
                    content: row.get(1)?.unwrap_or(pg_sys::InvalidOid),
                    name: row.get(2)?.unwrap_or_default(),
                    preset: row.get(3)?,
                    columns: row.get(4)?.unwrap_or_default(),
                    sources: row.get(5)?.unwrap_or_default(),
                })
            },
        )
    })?;
    Ok(PastRun { targets, ..past })
}
