//! How a store's database is opened: in its place, or as a private copy; and how long changing files are waited for.
//!
//! Stage: source. May import `snapshot`, `catalog`, `damage`, `sqlite` and `files`.

use std::path::Path;
use std::time::Duration;

use crate::source::chroma::catalog::schema::Schema;
use crate::source::chroma::damage::truncated::Truncated;
use crate::source::chroma::files::file_stat::FileStat;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{DATABASE, JOURNAL, LOG, SegmentFiles};
use crate::source::chroma::snapshot::options::Options;
use crate::source::chroma::snapshot::unlocked::{UnlockedCopy, hot_journal};
use crate::source::chroma::sqlite::columns::text;
use crate::source::chroma::sqlite::database::{Database, Location};
use crate::source::chroma::sqlite::database_file::DatabaseFile;
use crate::source::chroma::sqlite::errors::unless_corrupt;
use crate::source::chroma::sqlite::system_calls::Alias;
use crate::source::error::SourceError;

/// How long a change is waited for before it is looked for again.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
/// Damaged index files that are younger may be half written.
pub(crate) const HALF_WRITTEN: Duration = Duration::from_millis(500);

/// Opens the database in its place, or a private copy if it cannot be read there. `failing`: the disk cannot read all of it.
pub(crate) fn open_database(
    directory: &Folder,
    options: &Options,
    failing: bool,
) -> Result<(Database, Option<UnlockedCopy>), SourceError> {
    let file = DatabaseFile::open(directory, DATABASE)?;
    // SQLite reads a log also beside a database that is not in write-ahead mode, and would make an index for it.
    let logged = directory.look(LOG)?.is_some_and(|log| log.bytes > 0);
    if !failing && !logged && can_be_read_in_place(&file)? {
        let stat = file.stat;
        let location = Location::InPlace(Alias::new(directory, file.id())?);
        let path = directory.at(DATABASE);
        match Database::open(location, file, &path, stat, options.stop.clone()) {
            Err(SourceError::Busy { .. }) if hot_journal(directory) => {}
            Err(error) => return Err(replaced(directory, stat).unwrap_or(error)),
            Ok(database) => return Ok((database, None)),
        }
    }
    let file = DatabaseFile::open(directory, DATABASE)?;
    let (database, copy) = UnlockedCopy::make(directory, file, options)?;
    Ok((database, Some(copy)))
}

/// Whether the database is not in write-ahead mode, and whole: SQLite itself would take the missing half of a page for zeros.
fn can_be_read_in_place(file: &DatabaseFile) -> Result<bool, SourceError> {
    let header = file.header()?;
    Ok(!header.write_ahead() && Truncated::of(&header, file.stat.bytes).is_none())
}

/// What has taken the place of the database or its journal since the look at `opened`, if anything has: SQLite only
/// says that it cannot open it.
fn replaced(directory: &Folder, opened: FileStat) -> Option<SourceError> {
    let look = |name| directory.look(name);
    match look(JOURNAL).and(look(LOG)).and(look(DATABASE)) {
        Err(error) => Some(error),
        Ok(Some(now)) if now.inode == opened.inode => None,
        Ok(_) => Some(SourceError::busy(
            &directory.at(DATABASE),
            "it was replaced while it was opened",
        )),
    }
}

/// Whether Chroma removes rows from the queue that both segments hold (`automatically_purge`). Before 0.5.6 it did not.
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
        |row| row.get_ref(0).map(text),
    );
    let Some(rows) = unless_corrupt(rows)? else {
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
pub(crate) fn is_read_error(error: &SourceError, database: &Path) -> bool {
    matches!(error, SourceError::Io { path, .. } if path == database)
}

/// Waits until `files` are older than `age`, and so old that a change would show.
pub(crate) fn wait_for_age(
    database: &Database,
    files: &SegmentFiles,
    age: Duration,
) -> Result<(), SourceError> {
    while !files.shows_changes() || files.age().is_some_and(|now| now < age) {
        database.check_stop()?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
