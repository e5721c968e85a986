//! A private copy of a store whose database this process has locked.
//!
//! Stage: source. Promise: of one moment, or there is none. May import this folder, `catalog`, `sqlite` and `files`.
//!
//! This process holds SQLite's SHARED lock, so the database cannot change, and SQLite's backup writes what the held
//! transaction sees. Index files are under no lock, and may be newer than the locked database:
//!
//! * chromadb 1.x writes them outside of transactions, from rows of the queue that are committed, and moves
//!   `max_seq_id` afterwards, which the lock holds up. All those rows are in the locked queue after the old number,
//!   and replaying rows that the index has already changes nothing.
//! * chromadb 0.x writes them inside the transaction that adds the rows. While such a transaction is open, changed
//!   index files hold vectors of no committed row, and are not taken.
//!
//! So files that changed since the lock was taken are used only if no transaction is open or 1.x wrote them, if they
//! have not changed for a while, and if they can be read without any loss.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::index_files::{changing, copy_index_files, index_bytes};
use super::options::Options;
use super::private_folder::PrivateFolder;
use super::state::StoreState;
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{DATABASE, PICKLE, SegmentFiles};
use crate::source::chroma::sqlite::database::{Database, Location};
use crate::source::chroma::sqlite::database_file::DatabaseFile;
use crate::source::error::SourceError;
use crate::source::stop::check_stop;

/// How long changing index files are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// How long ago changed index files must have been written last.
const REST: Duration = Duration::from_millis(200);

/// Copies the store in `directory`, whose database is locked by `state`, and reads the copy from now on; the lock
/// is released. `readable` says whether the index of an entry can be read in a folder without any loss.
pub(crate) fn copy_under_lock(
    state: &mut StoreState,
    directory: &Folder,
    options: &Options,
    mut readable: impl FnMut(&StoreState, &CatalogEntry, &Folder) -> Result<bool, SourceError>,
) -> Result<(), SourceError> {
    if state.private.is_some() {
        return Ok(());
    }
    let copy = PrivateFolder::new(options)?;
    let first: Vec<SegmentFiles> = state
        .entries
        .iter()
        .map(|entry| entry.files.clone())
        .collect();
    let since = Instant::now();
    loop {
        let result = copy_indexes(state, &first, directory, &copy, &mut readable);
        match result {
            Err(SourceError::Busy { .. }) if since.elapsed() < PATIENCE => {
                check_stop(&options.stop)?;
                std::thread::sleep(PAUSE);
            }
            Ok(true) => break,
            other => {
                for (entry, files) in state.entries.iter_mut().zip(first) {
                    entry.files = files;
                }
                return Err(other.err().unwrap_or_else(|| changing(directory)));
            }
        }
    }
    let path = copy.folder.at(DATABASE);
    state.database.copy_to(&path, |bytes| copy.count(bytes))?;
    let database = Database::open(
        Location::Copy(path),
        DatabaseFile::open(&copy.folder, DATABASE)?,
        &state.database.path,
        state.database.stat,
        options.stop.clone(),
    )?;
    *state = StoreState {
        database,
        entries: std::mem::take(&mut state.entries),
        folder: copy.folder.clone(),
        private: Some(copy),
    };
    Ok(())
}

/// Copies the index files of all entries once. `false`: no further try can help, since the transaction that
/// changed them waits for the lock.
fn copy_indexes(
    state: &mut StoreState,
    first: &[SegmentFiles],
    directory: &Folder,
    copy: &PrivateFolder,
    readable: &mut impl FnMut(&StoreState, &CatalogEntry, &Folder) -> Result<bool, SourceError>,
) -> Result<bool, SourceError> {
    for entry in &mut state.entries {
        if let Some(segment) = &entry.vector_segment {
            entry.files = SegmentFiles::look(directory, segment)?;
        }
    }
    // Asked after the look: what was there by then is committed if nobody is inside.
    let inside = state.database.writer_inside();
    for (entry, first) in state.entries.iter().zip(first) {
        let rested = entry.files.age().is_none_or(|age| age > REST);
        if entry.files != *first && !(rested && entry.files.shows_changes()) {
            return Err(changing(directory));
        }
    }
    copy.forget_bytes();
    copy.check_room(
        state
            .database
            .bytes()?
            .saturating_add(index_bytes(&state.entries)),
    )?;
    for entry in &state.entries {
        copy_index_files(directory, copy, entry)?;
    }
    state.check_index_files(directory)?;
    for (entry, first) in state.entries.iter().zip(first) {
        let Some(segment) = entry
            .vector_segment
            .as_ref()
            .filter(|_| entry.files != *first)
        else {
            continue;
        };
        if inside && !outside_of_transactions(&copy.folder, segment) {
            return Ok(false);
        }
        if !readable(state, entry, &copy.folder)? {
            return Err(changing(directory));
        }
    }
    Ok(true)
}

/// Whether the index of `segment` in `folder` was written by chromadb 1.x, whose pickles are of protocol 3.
fn outside_of_transactions(folder: &Folder, segment: &str) -> bool {
    let mut head = [0; 2];
    let Ok(Some(folder)) = folder.folder(segment) else {
        return false;
    };
    folder
        .open_file(PICKLE)
        .is_ok_and(|(file, _)| file.read_exact_at(&mut head, 0).is_ok() && head == [0x80, 3])
}
