//! Private copies of a store.
//!
//! Stage: source. Promise: a copy is of one moment, or there is none; the store itself is only read. May import
//! this folder.
//!
//! Two kinds. [`under_lock`]: this process holds SQLite's SHARED lock, so the database cannot change, and SQLite's
//! backup writes what the held transaction sees. [`Loose`]: the database cannot be read where it lies (a hot
//! journal, write-ahead mode, a file cut short, bad sectors), so its files are copied as files, then compared with what they were before, and
//! SQLite brings the copy into order. In both cases the index files are copied too, so that nothing is read from
//! the store afterwards.
//!
//! Index files are under no lock, and may be newer than the locked database:
//!
//! * chromadb 1.x writes them outside of transactions, from rows of the queue that are committed, and moves
//!   `max_seq_id` afterwards, which the lock holds up. All those rows are in the locked queue after the old mark,
//!   and replaying rows that the index has already changes nothing.
//! * chromadb 0.x writes them inside the transaction that adds the rows. While such a transaction is open, changed
//!   index files hold vectors of no committed row, and are not taken.
//!
//! So files that changed since the lock was taken are used only if no transaction is open or 1.x wrote them, if they
//! have come to rest, and if they can be read without any loss.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::options::Options;
use super::private_folder::Scratch;
use crate::source::chroma::catalog::collections::Entry;
use crate::source::chroma::damage::bad_sectors::read_around;
use crate::source::chroma::files::folder::Folder;
use crate::source::chroma::files::layout::{
    DATABASE, FileStat, JOURNAL, LINKS, LOG, LOG_INDEX, PICKLE, SegmentFiles,
};
use crate::source::chroma::sqlite::database::{Database, Lies, busy, check_stop, recover};
use crate::source::chroma::sqlite::database_file::{Claim, wal_writer_inside};
use crate::source::error::SourceError;

/// How long changing index files are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// How long changed index files must have rested.
const REST: Duration = Duration::from_millis(200);
/// What a journal begins with, and one that names another one ends with.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Files beside the database that belong to its content.
const COMPANIONS: [&str; 2] = [JOURNAL, LOG];

/// Where a store is read.
pub(crate) struct State {
    /// The database, or its copy.
    pub database: Database,
    /// The collections; `files` are always those of the store itself.
    pub entries: Vec<Entry>,
    /// Where the index files are read.
    pub folder: Folder,
    /// Where the copies are. After `database`: closed before it is removed.
    pub scratch: Option<Scratch>,
}

impl State {
    /// Fails if index files in `directory` are not the ones that were looked at.
    pub fn unmoved(&self, directory: &Folder) -> Result<(), SourceError> {
        if self.scratch.is_some() {
            return Ok(());
        }
        for entry in &self.entries {
            unmoved(directory, entry)?;
        }
        Ok(())
    }
}

/// Fails if the index files of `entry` in `directory` are not the ones that were looked at.
pub(crate) fn unmoved(directory: &Folder, entry: &Entry) -> Result<(), SourceError> {
    let Some(segment) = &entry.vector_segment else {
        return Ok(());
    };
    if SegmentFiles::look(directory, segment)? == entry.files {
        return Ok(());
    }
    Err(busy(
        &directory.at(segment),
        "another process changed the index files while they were read",
    ))
}

/// Copies the store in `directory`, whose database is locked by `state`, and reads the copy from now on; the lock
/// is given back. `readable` says whether the index of an entry can be read in a folder without any loss.
pub(crate) fn under_lock(
    state: &mut State,
    directory: &Folder,
    options: &Options,
    mut readable: impl FnMut(&State, &Entry, &Folder) -> Result<bool, SourceError>,
) -> Result<(), SourceError> {
    if state.scratch.is_some() {
        return Ok(());
    }
    let scratch = Scratch::new(options)?;
    let first: Vec<SegmentFiles> = state
        .entries
        .iter()
        .map(|entry| entry.files.clone())
        .collect();
    let since = Instant::now();
    loop {
        let result = copy_indexes(state, &first, directory, &scratch, &mut readable);
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
    let file = scratch.folder.at(DATABASE);
    state
        .database
        .copy_to(&file, |bytes| scratch.count(bytes))?;
    let path = state.database.path.clone();
    let claim = Claim::new(&scratch.folder, DATABASE)?;
    let mut database = Database::open(Lies::Copied(file), &path, claim, options.stop.clone())?;
    database.stat = state.database.stat;
    state.database = database;
    state.folder = scratch.folder.clone();
    state.scratch = Some(scratch);
    Ok(())
}

/// Copies the index files of all entries once. `false`: no further try can help, since the transaction that
/// changed them waits for the lock.
fn copy_indexes(
    state: &mut State,
    first: &[SegmentFiles],
    directory: &Folder,
    scratch: &Scratch,
    readable: &mut impl FnMut(&State, &Entry, &Folder) -> Result<bool, SourceError>,
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
        if entry.files != *first && !(rested && entry.files.tells()) {
            return Err(changing(directory));
        }
    }
    scratch.restart();
    scratch.ask(
        state
            .database
            .bytes()?
            .saturating_add(index_bytes(&state.entries)),
    )?;
    for entry in &state.entries {
        copy_index(directory, scratch, entry)?;
    }
    state.unmoved(directory)?;
    for (entry, first) in state.entries.iter().zip(first) {
        let Some(segment) = entry
            .vector_segment
            .as_ref()
            .filter(|_| entry.files != *first)
        else {
            continue;
        };
        if inside && !outside_of_transactions(&scratch.folder, segment) {
            return Ok(false);
        }
        if !readable(state, entry, &scratch.folder)? {
            return Err(changing(directory));
        }
    }
    Ok(true)
}

fn changing(directory: &Folder) -> SourceError {
    busy(
        directory.path(),
        "another process keeps changing the index files",
    )
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

/// Bytes of the index files.
fn index_bytes(entries: &[Entry]) -> u64 {
    let files = entries.iter().map(|entry| entry.files.bytes());
    files.fold(0, u64::saturating_add)
}

/// Copies the index files of `entry`.
fn copy_index(directory: &Folder, scratch: &Scratch, entry: &Entry) -> Result<(), SourceError> {
    let Some(segment) = entry
        .vector_segment
        .as_ref()
        .filter(|_| !entry.files.files.is_empty())
    else {
        return Ok(());
    };
    let Some(from) = directory.folder(segment)? else {
        return Err(changing(directory));
    };
    let to = scratch.folder(segment)?;
    for name in entry.files.files.keys() {
        match scratch.copy_file(&from, name, &to.join(name)) {
            // No record depends on it: whoever wants the graph finds it too short, or missing.
            Err(SourceError::Io { path, .. } | SourceError::PermissionDenied { path })
                if *name == LINKS && path == from.at(name) => {}
            // There a moment ago.
            Err(SourceError::NotFound { .. }) => return Err(changing(directory)),
            other => other?,
        }
    }
    Ok(())
}

/// A copy of a database's files, made without a lock.
pub(crate) struct Loose {
    store: Folder,
    claim: Claim,
    scratch: Scratch,
    before: Vec<(&'static str, Option<FileStat>)>,
    /// What the copy lacks, as sentences.
    pub warnings: Vec<String>,
}

impl Loose {
    /// Copies the database in `directory` and what lies beside it; opens the copy.
    pub fn copy(
        directory: &Folder,
        claim: Claim,
        options: &Options,
    ) -> Result<(Database, Loose), SourceError> {
        let path = &directory.at(DATABASE);
        let scratch = Scratch::new(options)?;
        let mut before = vec![(DATABASE, directory.look(DATABASE)?)];
        for name in COMPANIONS {
            before.push((name, directory.look(name)?));
        }
        let mut loose = Loose {
            store: directory.clone(),
            claim,
            scratch,
            before,
            warnings: Vec::new(),
        };
        loose.at_rest()?;
        let bytes = loose.before.iter().filter_map(|(_, stat)| *stat);
        let bytes = bytes.fold(0_u64, |sum, stat| sum.saturating_add(stat.bytes));
        loose.scratch.ask(bytes)?;
        let file = loose.scratch.folder.at(DATABASE);
        let claim = &loose.claim;
        let (page, mut lost) = (claim.page(), 0_u64);
        let read = |into: &mut [u8], at: u64| {
            let read = |into: &mut [u8], at: u64| claim.read_at(into, at);
            let (got, more) = read_around(read, page, into, at)?;
            lost = lost.saturating_add(more);
            Ok(got)
        };
        loose.scratch.copy(path, read, &file)?;
        if lost > 0 {
            loose.warnings.push(format!(
                "{path:?}: the operating system cannot read {lost} of its pages"
            ));
        }
        for (name, stat) in loose.before.iter().skip(1) {
            if stat.is_some() {
                let to = loose.scratch.folder.at(name);
                loose.scratch.copy_file(directory, name, &to)?;
            }
        }
        alone_in_transaction(directory, &loose.scratch)?;
        // Before SQLite looks at it: a torn copy must not pass as damage.
        loose.at_rest()?;
        // A journal or write-ahead log may have what the file lacks.
        let alone = loose.before.iter().skip(1).all(|(_, stat)| stat.is_none());
        let bytes = loose.before.first().and_then(|(_, stat)| *stat);
        let cut = bytes.and_then(|stat| loose.claim.cut(stat.bytes));
        if let Some(cut) = cut.filter(|_| alone) {
            cut.mend(&file)?;
            loose.warnings.push(cut.warning(path));
        }
        recover(&file, path, &options.stop)?;
        // A log may have pages beyond the end of the file.
        let now = loose.scratch.folder.look(DATABASE)?;
        let more = now.map_or(0, |now| now.bytes.saturating_sub(loose.claim.stat.bytes));
        loose.scratch.count(more)?;
        let claim = Claim::new(&loose.scratch.folder, DATABASE)?;
        let mut database = Database::open(Lies::Copied(file), path, claim, options.stop.clone())?;
        database.stat = loose.claim.stat;
        Ok((database, loose))
    }

    /// Copies the index files; then everything must still be what it was before the copying.
    pub fn finish(
        self,
        database: Database,
        entries: Vec<Entry>,
        directory: &Folder,
    ) -> Result<State, SourceError> {
        self.scratch.ask(index_bytes(&entries))?;
        for entry in &entries {
            copy_index(directory, &self.scratch, entry)?;
        }
        for entry in &entries {
            unmoved(directory, entry)?;
        }
        self.at_rest()?;
        Ok(State {
            database,
            entries,
            folder: self.scratch.folder.clone(),
            scratch: Some(self.scratch),
        })
    }

    /// Fails if a file is another than before, may be without showing it, or somebody is inside a transaction.
    fn at_rest(&self) -> Result<(), SourceError> {
        let inside = self.claim.writer_inside() || wal_writer_inside(&self.store, LOG_INDEX)?;
        for (name, before) in &self.before {
            let now = self.store.look(name)?;
            if inside || now != *before || !now.as_ref().is_none_or(FileStat::tells) {
                return Err(busy(
                    &self.store.at(name),
                    "another process is writing to it",
                ));
            }
        }
        Ok(())
    }
}

/// Refuses a journal that names another one, as SQLite writes it for a transaction over several databases: it would look
/// for that file wherever the name leads. Chroma has one database.
fn alone_in_transaction(directory: &Folder, scratch: &Scratch) -> Result<(), SourceError> {
    let (file, metadata) = match scratch.folder.open_file(JOURNAL) {
        Err(SourceError::NotFound { .. }) => return Ok(()),
        other => other?,
    };
    let mut end = [0; 8];
    let at = metadata.len().saturating_sub(8);
    if file.read_exact_at(&mut end, at).is_ok() && end == JOURNAL_MAGIC && at > 8 {
        return Err(SourceError::Damaged {
            path: directory.at(JOURNAL),
            what: "it names another journal, which no release of Chroma writes".to_owned(),
            offset: Some(at),
        });
    }
    Ok(())
}

/// Whether a killed process left a journal beside the database in `directory` that has to be rolled back.
pub(crate) fn hot_journal(directory: &Folder) -> bool {
    let mut first = [0];
    let begun = directory
        .open_file(JOURNAL)
        .is_ok_and(|(file, _)| file.read_exact_at(&mut first, 0).is_ok() && first != [0]);
    begun && Claim::new(directory, DATABASE).is_ok_and(|claim| !claim.writer_inside())
}
