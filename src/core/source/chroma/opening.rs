//! How a store is opened: where it lies, or in a copy; once what it lies in has come to rest.
//!
//! Stage: source. May import this folder.

use std::path::Path;
use std::time::Duration;

use super::database::Database;
use super::error::SourceError;
use super::layout::{Location, SegmentFiles};
use super::locks::Claim;
use super::options::Options;
use super::salvage::readable;
use super::schema::Schema;
use super::snapshot::{Loose, hot_journal};

/// How long a change is waited for before it is looked for again.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// Opens the database where it lies, or a copy if it cannot be read there.
pub(super) fn open_database(
    location: &Location,
    options: &Options,
    failing: bool,
) -> Result<(Database, Option<Loose>), SourceError> {
    let path = &location.database;
    let claim = Claim::new(path)?;
    // SQLite itself would take the missing half of a page for zeros.
    if !failing && !claim.write_ahead()? && claim.cut(claim.stat.bytes).is_none() {
        match Database::open(path, path, claim, options.stop.clone()) {
            Err(SourceError::Busy { .. }) if hot_journal(path) => {}
            other => return other.map(|database| (database, None)),
        }
    }
    let (database, loose) = Loose::copy(location, Claim::new(path)?, options)?;
    Ok((database, Some(loose)))
}

/// Whether the queue removes rows that both segments hold. Directories of releases before 0.5.6 do not.
pub(super) fn purges(
    database: &Database,
    schema: &Schema,
    warnings: &mut Vec<String>,
) -> Result<bool, SourceError> {
    if !schema.queue_config {
        return Ok(false);
    }
    let rows = database.try_rows(
        "SELECT config_json_str FROM embeddings_queue_config",
        |row| row.get_ref(0).map(super::database::text),
    );
    let Some(rows) = readable(rows)? else {
        warnings.push(format!(
            "{:?}: table embeddings_queue_config cannot be read: the queue is taken for one that is cleaned up",
            database.path
        ));
        return Ok(true);
    };
    Ok(rows.into_iter().flatten().any(|text| {
        serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|json| json.get("automatically_purge")?.as_bool())
            // A configuration that cannot be read promises nothing.
            .unwrap_or(true)
    }))
}

/// Whether `error` says that the disk cannot read the database.
pub(super) fn unreadable(error: &SourceError, database: &Path) -> bool {
    matches!(error, SourceError::Io { path, .. } if path == database)
}

/// Waits until a change of `files` would show, and they are older than `age`.
pub(super) fn rest(
    database: &Database,
    files: &SegmentFiles,
    age: Duration,
) -> Result<(), SourceError> {
    while !files.tells() || files.age().is_some_and(|now| now < age) {
        database.check_stop()?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
