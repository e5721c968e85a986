//! The private folders of this process, and those that dead processes left.
//!
//! Stage: source. Promise: a private folder is removed when it is dropped, or by [`remove_copies`] when the process ends
//! without dropping anything, or by the next process that makes one; never a folder of a process that lives. Imports
//! nothing of this crate.
//!
//! A folder's name says which process made it: `<prefix>.<process id>-<its start>.<number>`, the start as the system counts it in
//! `/proc/<process id>/stat`, since another process may get the same id later.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long an ending process waits for threads that still write.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);
/// The most sizes of removed copies that are kept for whoever counts them.
const KEPT: usize = 1000;

struct Live {
    /// Ends whoever writes into the folder.
    stop: Arc<AtomicBool>,
    /// Bytes in it.
    bytes: u64,
}

#[derive(Default)]
struct Copies {
    /// The process ends: no folder is made any more.
    over: bool,
    live: BTreeMap<PathBuf, Live>,
    /// Bytes of those that were removed.
    removed: Vec<u64>,
}

static COPIES: Mutex<Copies> = Mutex::new(Copies {
    over: false,
    live: BTreeMap::new(),
    removed: Vec::new(),
});

fn copies() -> MutexGuard<'static, Copies> {
    COPIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a folder by `make`, which gives its path; `None` if the process ends. Whoever writes into it ends when `stop`
/// is raised.
pub(crate) fn add<E>(
    stop: &Arc<AtomicBool>,
    make: impl FnOnce() -> Result<PathBuf, E>,
) -> Result<Option<PathBuf>, E> {
    // Held while the folder is made: one that is not listed would never be removed.
    let mut copies = copies();
    if copies.over {
        return Ok(None);
    }
    let path = make()?;
    let stop = stop.clone();
    copies.live.insert(path.clone(), Live { stop, bytes: 0 });
    Ok(Some(path))
}

/// Counts `more` bytes in the folder `path`; gives the bytes of all the private folders of this process.
pub(crate) fn count(path: &Path, more: u64) -> u64 {
    let mut copies = copies();
    if let Some(live) = copies.live.get_mut(path) {
        live.bytes = live.bytes.saturating_add(more);
    }
    let bytes = copies.live.values().map(|live| live.bytes);
    bytes.fold(0, u64::saturating_add)
}

/// Counts the bytes in the folder `path` from nothing again.
pub(crate) fn forget_bytes(path: &Path) {
    if let Some(live) = copies().live.get_mut(path) {
        live.bytes = 0;
    }
}

/// Removes the folder `path`.
pub(crate) fn remove(path: &Path) {
    // What cannot be removed stays listed, for another try when the process ends.
    if gone(path) {
        let mut copies = copies();
        let live = copies.live.remove(path);
        if copies.removed.len() < KEPT {
            copies.removed.extend(live.map(|live| live.bytes));
        }
    }
}

/// Tries to remove the folder `path`; whether there is none any more.
fn gone(path: &Path) -> bool {
    let _ = fs::remove_dir_all(path);
    matches!(fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound)
}

/// The bytes of each private copy that was removed since the last call.
pub fn removed_copies() -> Vec<u64> {
    std::mem::take(&mut copies().removed)
}

/// Removes the private folders of this process, and lets no other be made. For the end of a process that drops nothing:
/// threads that still write into them are stopped, and waited for only as far as it takes to remove what they wrote, at
/// most two seconds.
pub fn remove_copies() {
    let since = Instant::now();
    let mut copies = loop {
        match COPIES.try_lock() {
            Ok(copies) => break copies,
            Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if since.elapsed() > PATIENCE => return,
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    };
    copies.over = true;
    let live = std::mem::take(&mut copies.live);
    drop(copies);
    for live in live.values() {
        live.stop.store(true, Ordering::Relaxed);
    }
    for path in live.keys() {
        // A file may be made between a look at the folder and its removal; in a folder that is removed, none can.
        while !gone(path) && since.elapsed() < PATIENCE {
            std::thread::sleep(PAUSE);
        }
    }
}

/// The name of this process in names of folders.
pub(crate) fn own_name() -> String {
    let pid = std::process::id();
    match start_of(&format!("/proc/{pid}/stat")) {
        Some((start, _)) => format!("{pid}-{start}"),
        None => pid.to_string(),
    }
}

/// Whether the folder `name`, one of those that begin with `prefix`, is a dead process's.
pub(crate) fn is_left(name: &str, prefix: &str) -> bool {
    let owner = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.split_once('.'));
    let Some((owner, _)) = owner else {
        return false;
    };
    let (pid, start) = match owner.split_once('-') {
        Some((pid, start)) => (pid, start.parse::<u64>().ok()),
        None => (owner, None),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Without /proc nothing is known of any process.
    if !is_number(pid) || start_of("/proc/self/stat").is_none() {
        return false;
    }
    let path = format!("/proc/{pid}/stat");
    match start_of(&path) {
        Some((_, true)) => true,
        Some((now, false)) => start.is_some_and(|start| start != now),
        None => matches!(fs::metadata(&path), Err(error) if error.kind() == ErrorKind::NotFound),
    }
}

/// When the process of the file `stat` was started, as the system counts it, and whether it is dead already.
fn start_of(stat: &str) -> Option<(u64, bool)> {
    let text = fs::read_to_string(stat).ok()?;
    // The second field, a name in brackets, may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X");
    Some((fields.nth(18)?.parse().ok()?, dead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_dead_processes_are_left() {
        let own = format!("p.{}.1", own_name());
        assert!(own.contains('-'), "{own}");
        assert!(!is_left(&own, "p"));
        let pid = std::process::id();
        // The same number, started at another time.
        assert!(is_left(&format!("p.{pid}-1.0"), "p"));
        assert!(!is_left(&format!("p.{pid}.0"), "p"));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = child.id();
        child.wait().unwrap();
        assert!(is_left(&format!("p.{gone}-77.0"), "p") && is_left(&format!("p.{gone}.0"), "p"));
        for other in [
            "p",
            "p.",
            "p.1",
            "q.999999999.1",
            "p.x.1",
            "p..1",
            "p.-.1",
            "p.../x.1",
            "pgsql_tmp7.1",
        ] {
            assert!(!is_left(other, "p"), "{other}");
        }
        // Dead, but not yet waited for.
        let mut zombie = std::process::Command::new("true").spawn().unwrap();
        let name = format!("p.{}.0", zombie.id());
        while !is_left(&name, "p") {
            std::thread::yield_now();
        }
        zombie.wait().unwrap();
    }
}
