//! pgvector's own build, with memory for the whole graph and with parallel workers.
//!
//! Promise: the settings are the statement's only; no more memory than `vector_migrate.max_memory_mb`, unless the session
//! itself allows more; no workers where the server has no shared memory for them.

use std::ffi::CString;

use vector_migrate_core::index::cost::{Load, build_bytes, build_seconds};

use crate::message::notice;
use crate::{guc, pg, settings};

/// Builds that will take less are not announced (seconds).
const SHORT: f64 = 3.0;
/// So many times as long takes a build whose graph does not fit into memory: what was measured for 100,000 rows of 384
/// dimensions at 64 MB.
const TOO_SMALL: f64 = 12.0;
/// The most kilobytes that `maintenance_work_mem` can be (`MAX_KILOBYTES` in guc.h).
const MOST: u64 = i32::MAX as u64;

/// How a build is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Means {
    /// Kilobytes of `maintenance_work_mem`.
    memory: u64,
    /// Kilobytes that the whole graph needs.
    needed: u64,
    workers: u32,
}

impl Means {
    /// The means of a build that needs so many bytes.
    fn of(needed: u64) -> Means {
        let needed = needed.div_ceil(1024);
        let memory = needed.min(guc::max_memory_bytes() / 1024);
        let memory = memory.max(pg::maintenance_work_mem()).min(MOST);
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let others = u32::try_from(processors - 1).unwrap_or(u32::MAX);
        let workers = match pg::shared_memory_room() {
            Some(room) if room / 1024 < memory => 0,
            _ => pg::parallel_workers().min(others),
        };
        Means {
            memory,
            needed,
            workers,
        }
    }

    /// Runs `build` with them.
    fn given<R>(self, build: impl FnOnce() -> R) -> R {
        let number = |number: u64| CString::new(number.to_string()).unwrap_or_default();
        let (memory, workers) = (number(self.memory), number(self.workers.into()));
        settings::with(
            &[
                (c"maintenance_work_mem", memory.as_c_str()),
                (c"max_parallel_maintenance_workers", workers.as_c_str()),
            ],
            build,
        )
    }
}

/// Runs `build`, which indexes so many rows of the table `name`, and says beforehand how long it will take if that is long.
pub fn with_means<R>(name: &str, load: Load, build: impl FnOnce() -> R) -> R {
    let means = Means::of(build_bytes(load));
    let fits = means.memory >= means.needed;
    let seconds = build_seconds(load, means.workers + 1) * if fits { 1.0 } else { TOO_SMALL };
    if seconds >= SHORT {
        let megabytes = |kilobytes: u64| kilobytes.div_ceil(1024);
        notice!(
            "building the vector index of {name}: {} rows, about {}, with {} MB and {} parallel worker{}",
            load.rows,
            span(seconds),
            megabytes(means.memory),
            means.workers,
            if means.workers == 1 { "" } else { "s" }
        );
        if !fits {
            notice!(
                "{} MB are too little for the whole graph: with {} MB or more in vector_migrate.max_memory_mb or \
                 maintenance_work_mem the build would be about {TOO_SMALL} times as fast",
                megabytes(means.memory),
                megabytes(means.needed)
            );
        }
    }
    means.given(build)
}

/// Whether a build may have so many bytes.
pub fn has_memory(bytes: u64) -> bool {
    let means = Means::of(bytes);
    means.memory >= means.needed
}

/// Runs `build`, which needs so many bytes.
pub fn with_memory<R>(bytes: u64, build: impl FnOnce() -> R) -> R {
    Means::of(bytes).given(build)
}

/// A time as people say it.
fn span(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 90.0 => (s, "second"),
        s if s < 5_400.0 => (s / 60.0, "minute"),
        s => (s / 3_600.0, "hour"),
    };
    let plural = if number.round() == 1.0 { "" } else { "s" };
    format!("{number:.0} {unit}{plural}")
}
