//! Who may read which path: asked here, by every function that touches the server's disk, before it does.

use std::path::{Component, Path, PathBuf};

use crate::error::Error;
use crate::{guc, pg, spi};

/// Checks role and path; gives the path to open, symbolic links and `..` resolved where it exists.
///
/// # Errors
/// [`Error::NotAllowed`], the same for every path; [`Error::NullArgument`]; [`Error::NotUtf8`]; [`Error::OutsideRoots`], the
/// same for existing and missing paths; a relative path.
pub fn check(path: Option<&str>) -> Result<PathBuf, Error> {
    let allowed = spi::read_one(
        "SELECT pg_catalog.pg_has_role(CURRENT_USER, 'pg_read_server_files', 'USAGE')",
        &[],
        |row| row.get::<bool>(1),
    )?;
    if allowed.flatten() != Some(true) {
        return Err(Error::NotAllowed);
    }
    if !pg::is_utf8() {
        return Err(Error::NotUtf8);
    }
    let given = path.ok_or(Error::NullArgument("path"))?;
    let path = Path::new(given);
    if !path.is_absolute() {
        return Err(Error::BadArgument {
            argument: "path",
            value: given.to_owned(),
            hint: "Give an absolute path on the database server, as in '/srv/chroma'.".into(),
        });
    }
    // What cannot be resolved is opened as given, so that the error names what is wrong with it.
    let resolved = path.canonicalize().unwrap_or_else(|_| without_dots(path));
    let roots = guc::allowed_roots();
    let inside = |root: &PathBuf| {
        resolved.starts_with(root.canonicalize().unwrap_or_else(|_| without_dots(root)))
    };
    if roots.is_empty() || roots.iter().any(inside) {
        Ok(resolved)
    } else {
        Err(Error::OutsideRoots(given.to_owned()))
    }
}

/// The path with `.` and `..` taken out by name.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}
