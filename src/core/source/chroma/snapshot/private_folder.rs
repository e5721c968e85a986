//! A private folder for copies.
//!
//! Stage: source. Promise: no other user can enter it, and it is removed when it is dropped, or as `registry` says; its size
//! stays below the limit, and some space of the file system stays free. May import `options`, `registry` and `files`.
//!
//! A twentieth of the file system stays free, at most 1 GiB: the server writes its own files there. This is asked
//! before the first byte of a copy, and again while the copy is made, as others write too.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::options::Options;
use super::registry;
use crate::source::chroma::files::folder::Folder;
use crate::source::error::SourceError;
use crate::source::stop::check_stop;

/// Bytes that are copied between two looks at the stop flag.
const CHUNK: usize = 1 << 20;
/// Names that are tried.
const NAMES: u32 = 1000;
/// The largest part of a file system that is left free: one of so many.
const KEPT_PART: u64 = 20;
/// The most bytes that are left free.
const KEPT_MOST: u64 = 1 << 30;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A folder that goes away with its value.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    /// The folder.
    pub folder: Folder,
    path: PathBuf,
    limit: Option<u64>,
    stop: Arc<AtomicBool>,
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        registry::remove(&self.path);
    }
}

impl PrivateFolder {
    /// Makes a folder as `options` say, and removes those that dead processes left beside it.
    pub fn new(options: &Options) -> Result<PrivateFolder, SourceError> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        match builder.create(&options.scratch) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => {
                return Err(failed(&options.scratch, source));
            }
            _ => {}
        }
        remove_left_folders(options)?;
        let mut tries = 0;
        let path = registry::add(&options.stop, || {
            loop {
                let number = COUNTER.fetch_add(1, Ordering::Relaxed);
                let name = format!("{}.{}.{number}", options.prefix, registry::own_name());
                let path = options.scratch.join(name);
                match builder.create(&path) {
                    Ok(()) => return Ok(path),
                    Err(source) if source.kind() == ErrorKind::AlreadyExists && tries < NAMES => {
                        tries += 1;
                    }
                    Err(source) => return Err(failed(&path, source)),
                }
            }
        })?;
        let path = path.ok_or(SourceError::Interrupted)?;
        let opened = Folder::open(&path).map_err(|source| failed(&path, source));
        let Ok(folder) = opened else {
            registry::remove(&path);
            return Err(opened.err().unwrap_or(SourceError::Interrupted));
        };
        Ok(PrivateFolder {
            folder,
            path,
            limit: options.limit,
            stop: options.stop.clone(),
        })
    }

    /// Makes the folder `name` in it, or empties it.
    pub fn folder(&self, name: &str) -> Result<PathBuf, SourceError> {
        let path = self.path.join(name);
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(failed(&path, source));
            }
            _ => {}
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| failed(&path, source))?;
        Ok(path)
    }

    /// Counts what is in it from nothing again, as all of it will be written again.
    pub fn forget_bytes(&self) {
        registry::forget_bytes(&self.path);
    }

    /// Asks whether there is room for `bytes` more, before they are copied.
    pub fn check_room(&self, bytes: u64) -> Result<(), SourceError> {
        self.check_limit(registry::count(&self.path, 0).saturating_add(bytes))?;
        self.check_free_space(Some(bytes))
    }

    /// Counts `bytes` that are in the folder now.
    pub fn count(&self, bytes: u64) -> Result<(), SourceError> {
        self.check_limit(registry::count(&self.path, bytes))?;
        self.check_free_space(None)
    }

    fn check_limit(&self, bytes: u64) -> Result<(), SourceError> {
        match self.limit {
            Some(limit) if bytes > limit => Err(SourceError::TemporaryLimit { limit }),
            _ => Ok(()),
        }
    }

    fn check_free_space(&self, needed: Option<u64>) -> Result<(), SourceError> {
        // If the system does not say, a full disk is an error when it is written to.
        let Ok(told) = rustix::fs::statvfs(&self.path) else {
            return Ok(());
        };
        let free = told.f_bavail.saturating_mul(told.f_frsize);
        let all = told.f_blocks.saturating_mul(told.f_frsize);
        let kept = (all / KEPT_PART).min(KEPT_MOST);
        if needed.unwrap_or(0).saturating_add(kept) > free {
            return Err(SourceError::DiskFull {
                path: self.path.parent().unwrap_or(&self.path).to_owned(),
                needed,
                free,
                kept,
            });
        }
        Ok(())
    }

    /// Copies the ordinary file `name` in `from` to the new file `to`.
    pub fn copy_file(&self, from: &Folder, name: &str, to: &Path) -> Result<(), SourceError> {
        let (file, _) = from.open_file(name)?;
        self.copy(&from.at(name), |into, at| file.read_at(into, at), to)
    }

    /// Copies what `read` gives of the file `from` to the new file `to`.
    pub fn copy(
        &self,
        from: &Path,
        mut read: impl FnMut(&mut [u8], u64) -> std::io::Result<usize>,
        to: &Path,
    ) -> Result<(), SourceError> {
        let mut target = create(to)?;
        let mut buffer = vec![0; CHUNK];
        let mut at = 0_u64;
        loop {
            check_stop(&self.stop)?;
            let got = match read(&mut buffer, at) {
                Ok(0) => return Ok(()),
                Ok(got) => got,
                Err(source) if source.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(failed(from, source)),
            };
            let bytes = u64::try_from(got).unwrap_or(0);
            self.count(bytes)?;
            target
                .write_all(buffer.get(..got).unwrap_or(&[]))
                .map_err(|source| failed(to, source))?;
            at = at.saturating_add(bytes);
        }
    }
}

/// Removes the folders that dead processes left.
fn remove_left_folders(options: &Options) -> Result<(), SourceError> {
    let entries = fs::read_dir(&options.scratch);
    for entry in entries.map_err(|source| failed(&options.scratch, source))? {
        check_stop(&options.stop)?;
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let left = name
            .to_str()
            .is_some_and(|name| registry::is_left(name, &options.prefix));
        if left && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // Another process may be at it, too; in a folder that everybody uses, it may be another user's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// A new file that only this user can read.
fn create(path: &Path) -> Result<File, SourceError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> SourceError {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SourceError::full(path),
        _ => SourceError::Io {
            path: path.to_owned(),
            source,
        },
    }
}
