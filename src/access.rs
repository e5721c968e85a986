//! Who may read which path: asked here, by every function that touches the server's disk, before it does.

use std::path::{Path, PathBuf};

use vector_migrate_core::source::chroma::PersistDir;

use crate::error::Error;
use crate::{guc, pg, spi};

/// Checks role and path; gives the open directory. What is checked is where that directory is, so a path that leads
/// elsewhere by now changes nothing.
///
/// # Errors
/// [`Error::NotAllowed`], the same for every path; [`Error::NullArgument`]; [`Error::NotUtf8`]; [`Error::OutsideRoots`], the
/// same for existing and missing paths; a relative path; what [`PersistDir::open`] says of a path inside the roots.
pub fn check(path: Option<&str>) -> Result<PersistDir, Error> {
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
    let opened = PersistDir::open(path);
    let roots = guc::allowed_roots();
    if roots.is_empty() {
        return Ok(opened?);
    }
    let inside = |path: &Path| {
        let real = |root: &PathBuf| {
            root.canonicalize()
                .unwrap_or_else(|_| PersistDir::destination(root))
        };
        roots.iter().any(|root| path.starts_with(real(root)))
    };
    match opened {
        Ok(place) if inside(place.path()) => Ok(place),
        // What is wrong with a path is told only of those that may be read.
        Err(error) if inside(&PersistDir::destination(path)) => Err(error.into()),
        _ => Err(Error::OutsideRoots(given.to_owned())),
    }
}
