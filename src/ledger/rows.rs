//! What the ledger says of single rows and records.

use std::collections::HashMap;
use std::ops::ControlFlow;

use pgrx::pg_sys;

use super::mark;
use super::owner::as_owner;
use crate::error::Error;
use crate::rows::{self, Texts};
use crate::{settings, spi};

/// A row that is asked about.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// Chroma's id of its collection.
    pub source: String,
    /// Its key.
    pub key: String,
    /// Its owner, if the table's key has it.
    pub user: Option<String>,
    /// Its `xmin`; `None`: it is not there, or the table has none.
    pub xmin: Option<String>,
}

/// What the ledger says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// No run has written it.
    None,
    /// A run has written it, and it is as the run left it, or the server cannot tell.
    Unchanged {
        /// Sequence number of the last write that the run's store had then.
        last: Option<i64>,
    },
    /// A run has written it, and it has changed since.
    Changed {
        /// The same.
        last: Option<i64>,
    },
}

/// What the ledger says of each of these rows of the table `target`, which `run` has filled.
///
/// # Errors
/// The server's own.
pub fn entries(run: i64, target: pg_sys::Oid, suspects: &[Suspect]) -> Result<Vec<Entry>, Error> {
    let mut found = vec![Entry::None; suspects.len()];
    if suspects.is_empty() {
        return Ok(found);
    }
    let texts = |of: fn(&Suspect) -> String| suspects.iter().map(of).collect::<Vec<_>>();
    let users: Vec<Option<String>> = suspects.iter().map(|it| it.user.clone()).collect();
    let xmins: Vec<Option<String>> = suspects.iter().map(|it| it.xmin.clone()).collect();
    let args = [
        target.into(),
        texts(|it| it.source.clone()).into(),
        texts(|it| it.key.clone()).into(),
        users.into(),
        xmins.into(),
    ];
    // Both sides may be long: whatever the planner takes the ledger's size for, a hash join is right.
    let hashed = &[(c"enable_nestloop", c"off")];
    let (known, holds) = as_owner(|| {
        let known = settings::with(hashed, || {
            spi::read(ENTRIES, &args, |row| {
                Ok((row.get::<i64>(1)?, row.get::<bool>(2)?, row.get::<i64>(3)?))
            })
        })?;
        Ok((known, mark::holds(run, target)?))
    })?;
    for (number, same, last) in known {
        let at = number.and_then(|it| usize::try_from(it - 1).ok());
        if let Some(entry) = at.and_then(|at| found.get_mut(at)) {
            *entry = match same {
                Some(false) if holds => Entry::Changed { last },
                _ => Entry::Unchanged { last },
            };
        }
    }
    Ok(found)
}

const ENTRIES: &str = "\
    SELECT s.n, pg_catalog.bool_or(e.xid OPERATOR(pg_catalog.=) s.xmin::pg_catalog.xid), pg_catalog.max(e.last) \
      FROM unnest($2, $3, $4, $5) WITH ORDINALITY AS s(source, key, user_id, xmin, n) \
      JOIN (SELECT b.source, u.key, u.user_id, u.xid, \
                   (o.source_fingerprint OPERATOR(pg_catalog.->>) 'last_seq_id')::pg_catalog.int8 AS last \
              FROM vector_migrate.run_rows b \
              JOIN vector_migrate.runs o ON o.run_id OPERATOR(pg_catalog.=) b.run_id, \
                   unnest(b.keys, b.users, b.xids) AS u(key, user_id, xid) \
             WHERE b.target OPERATOR(pg_catalog.=) $1 AND b.source OPERATOR(pg_catalog.=) ANY ($2)) e \
        ON e.key OPERATOR(pg_catalog.=) s.key AND e.source OPERATOR(pg_catalog.=) s.source \
       AND (e.user_id OPERATOR(pg_catalog.=) s.user_id OR e.user_id IS NULL OR s.user_id IS NULL) \
     GROUP BY s.n";

/// The reason for which `run` left out each of these records, if it did: collection and record id.
///
/// # Errors
/// The server's own.
pub fn left_out(
    run: i64,
    records: &[(String, String)],
) -> Result<HashMap<(String, String), String>, Error> {
    if records.is_empty() {
        return Ok(HashMap::new());
    }
    let (collections, ids): (Vec<String>, Vec<String>) = records.iter().cloned().unzip();
    let hashed = &[(c"enable_nestloop", c"off")];
    let found = as_owner(|| {
        settings::with(hashed, || {
            spi::read(
                "SELECT e.collection, e.record_id, pg_catalog.min(e.reason) \
                   FROM vector_migrate.run_errors e \
                   JOIN unnest($2, $3) AS s(collection, record_id) \
                     ON s.record_id OPERATOR(pg_catalog.=) e.record_id \
                    AND s.collection OPERATOR(pg_catalog.=) e.collection \
                  WHERE e.run_id OPERATOR(pg_catalog.=) $1 AND e.reason OPERATOR(pg_catalog.<>) 'stale' \
                  GROUP BY e.collection, e.record_id",
                &[run.into(), collections.into(), ids.into()],
                |row| {
                    let text = |at| Ok::<_, pgrx::spi::SpiError>(row.get(at)?.unwrap_or_default());
                    Ok(((text(1)?, text(2)?), text(3)?))
                },
            )
        })
    })?;
    Ok(found.into_iter().collect())
}

/// The key of each record's row in a table without a column for the record's id, by Chroma's id of its collection.
///
/// # Errors
/// The server's own.
pub fn keys_of_records(
    target: pg_sys::Oid,
    sources: &[String],
) -> Result<HashMap<(String, String), String>, Error> {
    let mut parameter = vec![u32::from(target).to_string()];
    parameter.extend(sources.iter().cloned());
    let mut keys = HashMap::new();
    let mut take = |row: &Texts<'_>| {
        let text = |at| row.get(at).unwrap_or_default().to_owned();
        keys.insert((text(0), text(1)), text(2));
        ControlFlow::Continue(())
    };
    let sql = "SELECT b.source, u.record, u.key \
                 FROM vector_migrate.run_rows b, unnest(b.records, b.keys) WITH ORDINALITY AS u(record, key, n) \
                WHERE b.target OPERATOR(pg_catalog.=) ($1)[1]::pg_catalog.oid \
                  AND b.source OPERATOR(pg_catalog.=) ANY (($1)[2:]) AND u.record IS NOT NULL \
                ORDER BY b.run_id, b.block_no, u.n";
    as_owner(|| rows::each_text(sql, &parameter, &mut take))?;
    Ok(keys)
}
