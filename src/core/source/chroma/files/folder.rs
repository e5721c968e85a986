//! A folder that is held open, and what is in it.
//!
//! Stage: source. Promise: what is below the folder is reached from its descriptor, one name at a time; no link is
//! followed; nothing but an ordinary file or a folder is ever opened, whatever takes its place meanwhile. May import
//! `file_stat`.
//!
//! A file is opened in two steps. With `O_PATH` its name leads to a descriptor that reads nothing, waits for nothing
//! and, when it is closed, drops no lock of this process. If that is an ordinary file, `/proc/self/fd` opens it: the
//! same file, as no name is looked up again.

use std::ffi::{CStr, OsStr};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use super::file_stat::FileStat;
use crate::source::error::SourceError;

/// A folder that is held open.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    descriptor: Arc<OwnedFd>,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder `path`, whose links are followed; [`Folder::path`] has none.
    pub fn open(path: &Path) -> io::Result<Folder> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Folder::of(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
    }

    /// The open folder `descriptor`.
    pub fn of(descriptor: OwnedFd) -> io::Result<Folder> {
        let path = real_path(descriptor.as_fd())?;
        Ok(Folder {
            descriptor: Arc::new(descriptor),
            path,
        })
    }

    /// Where it was when it was opened, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of what it has under `name`.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The descriptor, which can only be used to reach what is in the folder.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// What `name` is, links not followed; `None` if there is nothing.
    pub fn stat(&self, name: &str) -> Result<Option<Stat>, SourceError> {
        match rustix::fs::statat(self.descriptor(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error == rustix::io::Errno::NOENT => Ok(None),
            Err(error) => Err(self.refusal(name, error.into())),
        }
    }

    /// The figures of the ordinary file `name`; `None` if there is nothing.
    pub fn look(&self, name: &str) -> Result<Option<FileStat>, SourceError> {
        match self.stat(name)? {
            None => Ok(None),
            Some(stat) if kind(&stat) == FileType::RegularFile => Ok(Some(FileStat::from(&stat))),
            Some(stat) => Err(not_a_file(self.at(name), kind(&stat))),
        }
    }

    /// Opens the folder `name` in it; `None` if there is nothing.
    pub fn folder(&self, name: &str) -> Result<Option<Folder>, SourceError> {
        match pin(self.descriptor(), name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.refusal(name, error)),
            Ok((descriptor, stat)) if kind(&stat) == FileType::Directory => Ok(Some(Folder {
                descriptor: Arc::new(descriptor),
                path: self.at(name),
            })),
            Ok((_, stat)) => Err(not_a_folder(self.at(name), kind(&stat))),
        }
    }

    /// Opens the ordinary file `name` for reading.
    pub fn open_file(&self, name: &str) -> Result<(File, Metadata), SourceError> {
        let path = self.at(name);
        let (descriptor, stat) =
            pin(self.descriptor(), name).map_err(|error| self.refusal(name, error))?;
        if kind(&stat) != FileType::RegularFile {
            return Err(not_a_file(path, kind(&stat)));
        }
        let opened = unpin(descriptor.as_fd()).map(File::from);
        let opened = opened.and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, file)) => Ok((file, metadata)),
            Err(error) => Err(refusal(&path, &path, error)),
        }
    }

    /// Gives the name of everything that is in it to `each`, in no order.
    pub fn names(
        &self,
        each: &mut dyn FnMut(&str) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let failed = |error: rustix::io::Errno| refusal(&self.path, &self.path, error.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = rustix::fs::openat(self.descriptor(), c".", flags, Mode::empty());
        for entry in Dir::new(readable.map_err(failed)?).map_err(failed)? {
            // Chroma's names are all UTF-8.
            if let Ok(name) = entry.map_err(failed)?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                each(name)?;
            }
        }
        Ok(())
    }

    /// The error for a failed look at `name`.
    fn refusal(&self, name: &str, error: io::Error) -> SourceError {
        refusal(&self.at(name), &self.path, error)
    }
}

/// Opens what `folder` has under `name` (O_PATH), without following a link and without reading: what the descriptor leads to
/// cannot change any more.
pub(crate) fn pin(
    folder: BorrowedFd<'_>,
    name: impl rustix::path::Arg,
) -> io::Result<(OwnedFd, Stat)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let descriptor = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&descriptor)?;
    Ok((descriptor, stat))
}

/// Opens the ordinary file for reading that [`pin`] opened.
pub(crate) fn unpin(pinned: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// Where the open file or folder is, without links.
pub(crate) fn real_path(descriptor: BorrowedFd<'_>) -> io::Result<PathBuf> {
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let told = rustix::fs::readlinkat(CWD, path, Vec::new())?;
    let told: &CStr = &told;
    Ok(PathBuf::from(OsStr::from_bytes(told.to_bytes())))
}

/// What kind of object it is.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The error for a failed look at `path`, where a missing permission is one of `above`.
pub(crate) fn refusal(path: &Path, above: &Path, error: io::Error) -> SourceError {
    match error.kind() {
        ErrorKind::NotFound => SourceError::NotFound {
            path: path.to_owned(),
        },
        ErrorKind::PermissionDenied => SourceError::PermissionDenied {
            path: above.to_owned(),
        },
        ErrorKind::NotADirectory => SourceError::NotADirectory {
            path: above.to_owned(),
        },
        _ => SourceError::Io {
            path: path.to_owned(),
            source: error,
        },
    }
}

/// The error for an object where an ordinary file should be.
pub(crate) fn not_a_file(path: PathBuf, kind: FileType) -> SourceError {
    if kind == FileType::Directory {
        return SourceError::IsADirectory { path };
    }
    SourceError::NotAFile {
        path,
        what: kind_name(kind),
    }
}

fn not_a_folder(path: PathBuf, kind: FileType) -> SourceError {
    if kind == FileType::RegularFile {
        return SourceError::NotADirectory { path };
    }
    SourceError::NotAFile {
        path,
        what: kind_name(kind),
    }
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        _ => "a device",
    }
}
