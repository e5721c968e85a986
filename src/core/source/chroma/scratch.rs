//! A private folder for copies.
//!
//! Stage: source. Promise: nobody else can enter it, what is in it is the process's own, and it is removed when
//! it is dropped. May import `error`, `layout` and `options`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::database::check_stop;
use super::error::SourceError;
use super::folder::Folder;
use super::options::Options;

/// Bytes that are copied between two looks at the stop flag.
const CHUNK: usize = 1 << 20;
/// Names that are tried.
const NAMES: u32 = 1000;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A folder that goes away with its value.
#[derive(Debug)]
pub(super) struct Scratch {
    /// The folder.
    pub folder: Folder,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the server clears its temporary folder when it starts.
        let _ = fs::remove_dir_all(self.folder.path());
    }
}

impl Scratch {
    /// Makes a folder as `options` say.
    pub fn new(options: &Options) -> Result<Scratch, SourceError> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        match builder.create(&options.scratch) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => {
                return Err(failed(&options.scratch, source));
            }
            _ => {}
        }
        let mut tries = 0;
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}.{}.{number}", options.prefix, std::process::id());
            let path = options.scratch.join(name);
            match builder.create(&path) {
                Ok(()) => {
                    let folder = Folder::open(&path).map_err(|source| failed(&path, source))?;
                    return Ok(Scratch { folder });
                }
                Err(source) if source.kind() == ErrorKind::AlreadyExists && tries < NAMES => {
                    tries += 1;
                }
                Err(source) => return Err(failed(&path, source)),
            }
        }
    }

    /// Makes the folder `name` in it, or empties it.
    pub fn folder(&self, name: &str) -> Result<PathBuf, SourceError> {
        let path = self.folder.at(name);
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
}

/// Copies the ordinary file `name` in `from` to the new file `to`.
pub(super) fn copy_file(
    from: &Folder,
    name: &str,
    to: &Path,
    stop: &AtomicBool,
) -> Result<(), SourceError> {
    let (file, _) = from.open_file(name)?;
    copy(&from.at(name), |into, at| file.read_at(into, at), to, stop)
}

/// Copies what `read` gives to the new file `to`.
pub(super) fn copy(
    from: &Path,
    mut read: impl FnMut(&mut [u8], u64) -> std::io::Result<usize>,
    to: &Path,
    stop: &AtomicBool,
) -> Result<(), SourceError> {
    let mut target = create(to)?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0_u64;
    loop {
        check_stop(stop)?;
        let got = match read(&mut buffer, at) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(source) if source.kind() == ErrorKind::Interrupted => continue,
            Err(source) => return Err(failed(from, source)),
        };
        target
            .write_all(buffer.get(..got).unwrap_or(&[]))
            .map_err(|source| failed(to, source))?;
        at = at.saturating_add(u64::try_from(got).unwrap_or(0));
    }
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
    SourceError::Io {
        path: path.to_owned(),
        source,
    }
}
