//! How a store is opened: where it lies, or in a copy; once what it lies in has come to rest.
//!
//! Stage: source. May import this folder.

use std::path::Path;
use std::time::Duration;

use crate::source::chroma::catalog::schema::Schema;
use crate::source::chroma::damage::scan::readable;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{DATABASE, FileStat, JOURNAL, LOG, SegmentFiles};
use crate::source::chroma::snapshot::options::Options;
use crate::source::chroma::snapshot::unlocked::{Loose, hot_journal};
use crate::source::chroma::sqlite::database::{Database, Lies, busy};
use crate::source::chroma::sqlite::database_file::Claim;
use crate::source::chroma::sqlite::system_calls::Alias;
use crate::source::error::SourceError;

/// How long a change is waited for before it is looked for again.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// Opens the database where it lies, or a copy if it cannot be read there.
pub(crate) fn open_database(
    directory: &Folder,
    options: &Options,
    failing: bool,
) -> Result<(Database, Option<Loose>), SourceError> {
    let claim = Claim::new(directory, DATABASE)?;
    // SQLite reads a log also beside a database that is not in write-ahead mode, and would make an index for it.
    let logged = directory.look(LOG)?.is_some_and(|log| log.bytes > 0);
    // SQLite itself would take the missing half of a page for zeros.
    if !failing && !logged && !claim.write_ahead()? && claim.cut(claim.stat.bytes).is_none() {
        let stat = claim.stat;
        let lies = Lies::There(Alias::new(directory, claim.key())?);
        match Database::open(lies, &directory.at(DATABASE), claim, options.stop.clone()) {
            Err(SourceError::Busy { .. }) if hot_journal(directory) => {}
            Err(error) => return Err(replaced(directory, stat).unwrap_or(error)),
            Ok(database) => return Ok((database, None)),
        }
    }
    let claim = Claim::new(directory, DATABASE)?;
    let (database, loose) = Loose::copy(directory, claim, options)?;
    Ok((database, Some(loose)))
}

/// What has taken the place of the database or its journal since the look at `claimed`, if anything has: SQLite only
/// says that it cannot open it.
fn replaced(directory: &Folder, claimed: FileStat) -> Option<SourceError> {
    let look = |name| directory.look(name);
    match look(JOURNAL).and(look(LOG)).and(look(DATABASE)) {
        Err(error) => Some(error),
        Ok(Some(now)) if now.inode == claimed.inode => None,
        Ok(_) => Some(busy(
            &directory.at(DATABASE),
            "it was replaced while it was opened",
        )),
    }
}

/// Whether the queue removes rows that both segments hold. Directories of releases before 0.5.6 do not.
pub(crate) fn purges(
    database: &Database,
    schema: &Schema,
    warnings: &mut Vec<String>,
) -> Result<bool, SourceError> {
    if !schema.queue_config {
        return Ok(false);
    }
    let rows = database.try_rows(
        "SELECT config_json_str FROM embeddings_queue_config",
        |row| {
            row.get_ref(0)
                .map(crate::source::chroma::sqlite::database::text)
        },
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
pub(crate) fn unreadable(error: &SourceError, database: &Path) -> bool {
    matches!(error, SourceError::Io { path, .. } if path == database)
}

/// Waits until a change of `files` would show, and they are older than `age`.
pub(crate) fn rest(
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
