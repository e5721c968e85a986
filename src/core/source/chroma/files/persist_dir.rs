//! The persist directory, opened once: what was checked is what is read.
//!
//! Stage: source. Promise: a path is resolved once, by [`PersistDir::open`]; afterwards only the open directory counts,
//! whatever becomes of the path. A refusal names the first component that this process may not read. May import
//! `folder` and `layout`.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::folder::{Folder, kind, not_a_file, real_path, refusal};
use super::layout::DATABASE;
use crate::source::error::SourceError;

/// Links that are followed before a path is given up, as in Linux.
const LINKS: u32 = 40;

/// A persist directory that is held open.
#[derive(Debug, Clone)]
pub struct PersistDir {
    pub(crate) folder: Folder,
}

impl PersistDir {
    /// Opens what `path` names: a persist directory, or the `chroma.sqlite3` in it. Nothing is read.
    ///
    /// # Errors
    /// What is wrong with the path, as [`SourceError`] lists it.
    pub fn open(path: &Path) -> Result<PersistDir, SourceError> {
        if !path.is_absolute() {
            return Err(SourceError::NotAbsolute {
                path: path.to_owned(),
            });
        }
        let failed = |error: io::Error| match walk(path) {
            Err(named) => named,
            Ok(_) => refusal(path, path, error),
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let opened = opened.map_err(|error| failed(error.into()))?;
        let stat = rustix::fs::fstat(&opened).map_err(|error| failed(error.into()))?;
        let folder = match kind(&stat) {
            FileType::Directory => Folder::of(opened).map_err(failed)?,
            FileType::RegularFile => {
                let real = real_path(opened.as_fd()).map_err(failed)?;
                let (Some(above), true) = (real.parent(), real.ends_with(DATABASE)) else {
                    return Err(SourceError::NotADirectory {
                        path: path.to_owned(),
                    });
                };
                // Another directory may be there by now: then that one is what is checked and read.
                Folder::open(above).map_err(failed)?
            }
            other => return Err(not_a_file(path.to_owned(), other)),
        };
        Ok(PersistDir { folder })
    }

    /// Where the directory was when it was opened, without links.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where `path` leads, with links followed also where their target is missing. For paths that cannot be opened.
    pub fn destination(path: &Path) -> PathBuf {
        let mut pending = parts(path);
        let (mut reached, mut links) = (PathBuf::from("/"), 0_u32);
        while let Some(part) = pending.pop() {
            if part == ".." {
                reached.pop();
                continue;
            }
            let next = reached.join(&part);
            match fs::read_link(&next) {
                Ok(target) if links < LINKS => {
                    links = links.saturating_add(1);
                    if target.is_absolute() {
                        reached = PathBuf::from("/");
                    }
                    pending.extend(parts(&target));
                }
                _ => reached = next,
            }
        }
        reached
    }
}

/// The names and `..` of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        _ => None,
    });
    let mut parts: Vec<OsString> = named.collect();
    parts.reverse();
    parts
}

/// Checks `path` component by component, from the root.
fn walk(path: &Path) -> Result<(), SourceError> {
    let mut reached = PathBuf::from("/");
    let mut metadata = look(path, &reached, &reached)?;
    for component in path.components() {
        if matches!(component, Component::RootDir | Component::CurDir) {
            continue;
        }
        let above = reached.clone();
        reached.push(component);
        if !metadata.is_dir() {
            return Err(SourceError::NotADirectory { path: above });
        }
        metadata = look(path, &reached, &above)?;
    }
    match FileType::from_raw_mode(metadata.mode()) {
        FileType::Directory | FileType::RegularFile => Ok(()),
        other => Err(not_a_file(path.to_owned(), other)),
    }
}

fn look(path: &Path, at: &Path, above: &Path) -> Result<Metadata, SourceError> {
    fs::metadata(at).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::NotFound {
            path: path.to_owned(),
        },
        _ => refusal(at, above, error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_its_links_lead_even_if_nothing_is_there() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, root.join(name)).unwrap();
        };
        fs::create_dir(root.join("real")).unwrap();
        link(Path::new("/no/such/place"), "dangling");
        link(Path::new("real"), "near");
        link(Path::new("loop"), "loop");
        let cases = [
            ("near/x", root.join("real/x")),
            ("dangling/x/../y", PathBuf::from("/no/such/place/y")),
            ("real/../missing/./x", root.join("missing/x")),
            ("near/../dangling", PathBuf::from("/no/such/place")),
            ("loop", root.join("loop")),
        ];
        for (given, wanted) in cases {
            assert_eq!(
                PersistDir::destination(&root.join(given)),
                wanted,
                "{given}"
            );
        }
    }
}
