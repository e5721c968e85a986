//! A private copy of a store whose database cannot be read in its place.
//!
//! Stage: source. Promise: of one moment, or there is none; the store itself is only read. May import this folder, `catalog`,
//! `damage`, `sqlite` and `files`.
//!
//! For a hot journal, write-ahead mode, a file cut short, bad sectors. The files are copied as files, then compared with what
//! they were before, and SQLite rolls back or checkpoints the copy. The index files are copied too, so that nothing is read
//! from the store afterwards.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::index_files::{copy_index_files, index_bytes};
use super::options::Options;
use super::private_folder::PrivateFolder;
use super::state::{StoreState, check_index_files};
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::damage::bad_sectors::read_around;
use crate::source::chroma::damage::truncated::Truncated;
use crate::source::chroma::files::file_stat::FileStat;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{DATABASE, JOURNAL, LOG, LOG_INDEX};
use crate::source::chroma::sqlite::connection::recover;
use crate::source::chroma::sqlite::database::{Database, Location};
use crate::source::chroma::sqlite::database_file::{DatabaseFile, wal_writer_inside};
use crate::source::error::SourceError;

/// What a journal begins with, and one that names a super-journal ends with.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Files beside the database that belong to its content.
const COMPANIONS: [&str; 2] = [JOURNAL, LOG];
/// The most bytes that a page of SQLite can have.
const LARGEST_PAGE: usize = 65536;

/// A copy of a database's files, made without a lock.
pub(crate) struct UnlockedCopy {
    store: Folder,
    original: DatabaseFile,
    copy: PrivateFolder,
    before: Vec<(&'static str, Option<FileStat>)>,
    /// What the copy lacks, as sentences.
    pub warnings: Vec<String>,
}

impl UnlockedCopy {
    /// Copies the database in `directory`, which `original` is, and the journal and log beside it; opens the copy.
    pub fn make(
        directory: &Folder,
        original: DatabaseFile,
        options: &Options,
    ) -> Result<(Database, UnlockedCopy), SourceError> {
        let path = &directory.at(DATABASE);
        let copy = PrivateFolder::new(options)?;
        let mut before = vec![(DATABASE, directory.look(DATABASE)?)];
        for name in COMPANIONS {
            before.push((name, directory.look(name)?));
        }
        check_unchanged(directory, &original, &before)?;
        let bytes = before.iter().filter_map(|(_, stat)| *stat);
        let bytes = bytes.fold(0_u64, |sum, stat| sum.saturating_add(stat.bytes));
        copy.check_room(bytes)?;
        let file = copy.folder.at(DATABASE);
        let mut warnings = Vec::new();
        let lost = copy_database(&copy, path, &original, &file)?;
        if lost > 0 {
            warnings.push(format!(
                "{path:?}: the operating system cannot read {lost} of its pages"
            ));
        }
        for (name, stat) in before.iter().skip(1) {
            if stat.is_some() {
                copy.copy_file(directory, name, &copy.folder.at(name))?;
            }
        }
        refuse_super_journal(directory, &copy)?;
        // Before SQLite looks at it: a torn copy must not pass as damage.
        check_unchanged(directory, &original, &before)?;
        // A journal or write-ahead log may have what the file lacks.
        let alone = before.iter().skip(1).all(|(_, stat)| stat.is_none());
        let bytes = before.first().and_then(|(_, stat)| *stat);
        let header = original.header().ok();
        let truncated = header
            .zip(bytes)
            .and_then(|(header, stat)| Truncated::of(&header, stat.bytes));
        if let Some(truncated) = truncated.filter(|_| alone) {
            truncated.mend(&file)?;
            warnings.push(truncated.warning(path));
        }
        recover(&file, path, &options.stop)?;
        // A log may have pages beyond the end of the file.
        let now = copy.folder.look(DATABASE)?;
        let more = now.map_or(0, |now| now.bytes.saturating_sub(original.stat.bytes));
        copy.count(more)?;
        let database = Database::open(
            Location::Copy(file),
            DatabaseFile::open(&copy.folder, DATABASE)?,
            path,
            original.stat,
            options.stop.clone(),
        )?;
        let made = UnlockedCopy {
            store: directory.clone(),
            original,
            copy,
            before,
            warnings,
        };
        Ok((database, made))
    }

    /// Copies the index files; then everything must still be what it was before the copying.
    pub fn finish(
        self,
        database: Database,
        entries: Vec<CatalogEntry>,
        directory: &Folder,
    ) -> Result<StoreState, SourceError> {
        self.copy.check_room(index_bytes(&entries))?;
        for entry in &entries {
            copy_index_files(directory, &self.copy, entry)?;
        }
        for entry in &entries {
            check_index_files(directory, entry)?;
        }
        check_unchanged(&self.store, &self.original, &self.before)?;
        Ok(StoreState {
            database,
            entries,
            folder: self.copy.folder.clone(),
            private: Some(self.copy),
        })
    }
}

/// Copies the bytes of the database file `original`, which is at `path`, to `to`; gives the number of pages that the disk
/// cannot read.
fn copy_database(
    copy: &PrivateFolder,
    path: &Path,
    original: &DatabaseFile,
    to: &Path,
) -> Result<u64, SourceError> {
    let header = original.header().ok();
    let page_size = header.and_then(|header| header.page_size());
    let page_size = page_size.and_then(|bytes| usize::try_from(bytes).ok());
    let page_size = page_size.unwrap_or(LARGEST_PAGE);
    let mut lost = 0_u64;
    let read = |into: &mut [u8], at: u64| {
        let read = |into: &mut [u8], at: u64| original.read_at(into, at);
        let (got, more) = read_around(read, page_size, into, at)?;
        lost = lost.saturating_add(more);
        Ok(got)
    };
    copy.copy(path, read, to)?;
    Ok(lost)
}

/// Fails if a file of `store` is another than `before`, or too young to show a change, or if another process is inside a write
/// transaction.
fn check_unchanged(
    store: &Folder,
    original: &DatabaseFile,
    before: &[(&'static str, Option<FileStat>)],
) -> Result<(), SourceError> {
    let inside = original.writer_inside() || wal_writer_inside(store, LOG_INDEX)?;
    for (name, before) in before {
        let now = store.look(name)?;
        if inside || now != *before || !now.as_ref().is_none_or(FileStat::shows_changes) {
            return Err(SourceError::busy(
                &store.at(name),
                "another process is writing to it",
            ));
        }
    }
    Ok(())
}

/// Refuses a journal that names a super-journal, as SQLite writes it for a transaction over several databases: it would look
/// for that file wherever the name leads. Chroma has one database.
fn refuse_super_journal(directory: &Folder, copy: &PrivateFolder) -> Result<(), SourceError> {
    let (file, metadata) = match copy.folder.open_file(JOURNAL) {
        Err(SourceError::NotFound { .. }) => return Ok(()),
        other => other?,
    };
    let mut end = [0; 8];
    let at = metadata.len().saturating_sub(8);
    if file.read_exact_at(&mut end, at).is_ok() && end == JOURNAL_MAGIC && at > 8 {
        return Err(SourceError::damaged(
            &directory.at(JOURNAL),
            Some(at),
            "it names another journal, which no release of Chroma writes",
        ));
    }
    Ok(())
}

/// Whether a killed process left a journal beside the database in `directory` that has to be rolled back.
pub(crate) fn hot_journal(directory: &Folder) -> bool {
    let mut first = [0];
    let begun = directory
        .open_file(JOURNAL)
        .is_ok_and(|(file, _)| file.read_exact_at(&mut first, 0).is_ok() && first != [0]);
    begun && DatabaseFile::open(directory, DATABASE).is_ok_and(|claim| !claim.writer_inside())
}
