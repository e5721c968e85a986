//! The files of a model's weights: the ONNX file, and those beside it that it takes tensors from (ONNX's
//! "external data").
//!
//! Promise: before ONNX Runtime maps a file it is known to be a regular file below the ONNX file's folder, as long as
//! every tensor needs, and the one whose checksum the ONNX file states. A mapped file that lacked a page would end
//! the server. Must not import other stages.

use std::fs::{self, File, Metadata};
use std::io::{BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::EmbedError;
use super::external::{DataFile, ExternalError, data_files};
use super::runtime::unreadable;

/// How ONNX Runtime calls tensors that are somewhere in its memory (`*/_ORT_MEM_ADDR_/*` and others, in its
/// tensorprotoutils.h), where offsets are addresses. A file may have such a name.
const IN_MEMORY: &str = "*/_ORT_";

/// Bytes that are hashed between two looks at whether to go on.
const CHUNK: usize = 1 << 20;

/// A file as it was found: another one, or another state of it, differs in one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path, found: &Metadata) -> Stamp {
        Stamp {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }

    fn holds(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| Stamp::of(&self.path, &found) == *self)
    }
}

/// A file with tensors.
#[derive(Debug)]
struct Data {
    stamp: Stamp,
    checksum: Option<String>,
}

/// The files of a model's weights.
#[derive(Debug)]
pub(super) struct Weights {
    /// The ONNX file.
    onnx: Stamp,
    /// The files beside it, in the order of their names.
    data: Vec<Data>,
}

impl Weights {
    /// Looks at the ONNX file `onnx` and at every file that it names.
    ///
    /// # Errors
    /// [`EmbedError::Unreadable`] and [`EmbedError::Model`] name the file.
    pub fn find(onnx: &Path) -> Result<Weights, EmbedError> {
        let failed = |cause: std::io::Error| unreadable(onnx, &cause);
        let file = File::open(onnx).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(wrong(onnx, "is not a regular file"));
        }
        let files = data_files(BufReader::new(file), found.len()).map_err(|cause| match cause {
            ExternalError::Read(cause) => unreadable(onnx, &cause),
            other => wrong(onnx, &other.to_string()),
        })?;
        let mut data = Vec::with_capacity(files.len());
        for (location, said) in files {
            data.push(find_data(onnx, &location, said)?);
        }
        Ok(Weights {
            onnx: Stamp::of(onnx, &found),
            data,
        })
    }

    /// Compares every data file with the checksum that the ONNX file states for it, if it states one. Stops without
    /// an answer of its own when `stopped` says so.
    ///
    /// # Errors
    /// [`EmbedError::Model`] names the file that is another one.
    pub fn verify(&self, stopped: &dyn Fn() -> bool) -> Result<(), EmbedError> {
        for data in &self.data {
            let Some(said) = &data.checksum else { continue };
            let path = &data.stamp.path;
            let mut hash = Sha1::new();
            let whole = read(path, &mut |bytes| {
                hash.update(bytes);
                !stopped()
            })?;
            if whole && hexadecimal(&hash.finalize()) != *said {
                return Err(wrong(
                    path,
                    "is damaged, or of another model: its SHA-1 is not the checksum that the ONNX file states",
                ));
            }
        }
        Ok(())
    }

    /// The ONNX file.
    pub fn onnx(&self) -> &Path {
        &self.onnx.path
    }

    /// The weights, or most of them, are in files that ONNX Runtime maps: all processes share their pages.
    pub fn shared(&self) -> bool {
        self.mapped_bytes() > self.onnx.bytes
    }

    /// Bytes of the files that are mapped.
    pub fn mapped_bytes(&self) -> u64 {
        self.data.iter().map(|data| data.stamp.bytes).sum()
    }

    /// Every file is still the one that was found. Not so after the folder was replaced by another.
    pub fn unchanged(&self) -> bool {
        self.onnx.holds() && self.data.iter().all(|data| data.stamp.holds())
    }

    /// Which weights these are: SHA-256, in hexadecimal, of the ONNX file, and after it of those data files whose
    /// checksum it does not state. `tick` is called after each megabyte.
    ///
    /// # Errors
    /// [`EmbedError::Unreadable`] if a file cannot be read any more.
    pub fn digest(&self, tick: &mut dyn FnMut()) -> Result<String, EmbedError> {
        let unstated = self.data.iter().filter(|data| data.checksum.is_none());
        let mut hash = Sha256::new();
        for stamp in std::iter::once(&self.onnx).chain(unstated.map(|data| &data.stamp)) {
            read(&stamp.path, &mut |bytes| {
                hash.update(bytes);
                tick();
                true
            })?;
        }
        Ok(hexadecimal(&hash.finalize()))
    }
}

/// The file that the ONNX file calls `location`.
fn find_data(onnx: &Path, location: &str, said: DataFile) -> Result<Data, EmbedError> {
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    let outside = || {
        let cause = format!("has a tensor in \"{location}\", which is outside its folder");
        wrong(onnx, &cause)
    };
    let nowhere = location.is_empty() || location.starts_with(IN_MEMORY);
    if nowhere || !Path::new(location).components().all(plain) {
        return Err(outside());
    }
    let folder = onnx.parent().unwrap_or(Path::new("."));
    let path = folder.join(location);
    let failed = |cause: std::io::Error| unreadable(&path, &cause);
    let real = fs::canonicalize(&path).map_err(failed)?;
    let folder = fs::canonicalize(folder).map_err(failed)?;
    // A link may lead anywhere.
    if !real.starts_with(&folder) {
        return Err(outside());
    }
    // Opening a pipe would wait for its writer.
    if !fs::metadata(&path).map_err(failed)?.is_file() {
        return Err(wrong(&path, "is not a regular file"));
    }
    let found = File::open(&path)
        .and_then(|file| file.metadata())
        .map_err(failed)?;
    if found.len() < said.least_bytes {
        let (bytes, least) = (found.len(), said.least_bytes);
        let cause = format!(
            "is cut: it has {bytes} bytes, and the ONNX file has tensors in it up to {least}"
        );
        return Err(wrong(&path, &cause));
    }
    Ok(Data {
        stamp: Stamp::of(&path, &found),
        checksum: said.checksum,
    })
}

/// Gives the file to `take` in pieces; false if `take` did not want all of it.
fn read(path: &Path, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, EmbedError> {
    let failed = |cause: std::io::Error| unreadable(path, &cause);
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let bytes = file.read(&mut buffer).map_err(failed)?;
        if bytes == 0 {
            return Ok(true);
        }
        if !take(buffer.get(..bytes).unwrap_or_default()) {
            return Ok(false);
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The error of one file, named by its path.
fn wrong(path: &Path, cause: &str) -> EmbedError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    EmbedError::Model {
        path: path.parent().unwrap_or(path).display().to_string(),
        cause: format!("{name} {cause}"),
    }
}

#[cfg(test)]
#[path = "weights_tests.rs"]
mod tests;
