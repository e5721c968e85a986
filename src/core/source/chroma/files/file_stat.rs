//! Size and modification time of a file: whether it has changed since the last look.
//!
//! Stage: source. Imports nothing of this crate.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

/// The step of a file system's clock, with some room.
const CLOCK_STEP: Duration = Duration::from_millis(20);

/// Size and modification time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Bytes.
    pub bytes: u64,
    /// Seconds since 1970 of the last modification.
    pub seconds: i64,
    /// Nanoseconds within that second.
    pub nanoseconds: i64,
    /// The file's number on its disk.
    pub inode: u64,
}

impl FileStat {
    /// The figures of `metadata`.
    pub(crate) fn of(metadata: &Metadata) -> FileStat {
        FileStat {
            bytes: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
            inode: metadata.ino(),
        }
    }
}

impl From<&Stat> for FileStat {
    fn from(stat: &Stat) -> FileStat {
        FileStat {
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            seconds: stat.st_mtime,
            nanoseconds: i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
            inode: stat.st_ino,
        }
    }
}

impl FileStat {
    /// How long ago it was changed; `None` if that is in the future.
    pub(crate) fn age(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let rest = u32::try_from(self.nanoseconds).ok()?;
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, rest))?)
            .ok()
    }

    /// Whether a change right after the look would show in the time: a file system's clock advances in steps, and two changes
    /// within one step have the same time.
    pub(crate) fn shows_changes(&self) -> bool {
        let step = if self.nanoseconds == 0 {
            Duration::from_secs(2)
        } else {
            CLOCK_STEP
        };
        self.age().is_none_or(|age| age > step)
    }
}
