//! What a run tells a person: where it starts, how far it is, how it ended, what was left out.

use std::time::{Duration, Instant};

use pgrx::prelude::*;
use vector_migrate_core::reason::Reason;
use vector_migrate_core::report::Report;

use crate::guc;

/// Progress lines, one each `vector_migrate.progress_interval`.
pub struct Progress {
    /// Records to read, where that is known.
    total: Option<u64>,
    started: Instant,
    last: Instant,
    every: Option<Duration>,
}

impl Progress {
    /// Starts the clock for a run over `total` records; `None` if it is not known how many are asked for.
    pub fn start(total: Option<u64>) -> Progress {
        let now = Instant::now();
        Progress {
            total,
            started: now,
            last: now,
            every: guc::progress_interval(),
        }
    }

    /// Tells how far the run is, if it is time to.
    pub fn tick(&mut self, report: &Report) {
        let Some(every) = self.every else { return };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        let total = report.total();
        let (found, rate) = (total.found(), self.rate(total.found()));
        let (share, left) = match self.total.filter(|all| *all >= found && found > 0) {
            Some(all) => (
                format!(" of {all}"),
                format!(", about {} s left", (all - found).div_ceil(rate.max(1))),
            ),
            None => (String::new(), String::new()),
        };
        notice!(
            "{found}{share} records read, {} migrated, {} skipped, {} failed; {rate} records/s{left}",
            total.migrated,
            total.skipped,
            total.failed,
        );
    }

    /// Records a second since the start.
    pub fn rate(&self, records: u64) -> u64 {
        let millis = self.started.elapsed().as_millis().max(1);
        u64::try_from(u128::from(records) * 1000 / millis).unwrap_or(u64::MAX)
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Texts that the model has not seen to their end.
pub fn truncated(texts: u64, max_tokens: Option<usize>) {
    if let (1.., Some(tokens)) = (texts, max_tokens) {
        notice!(
            "{texts} texts were longer than the model's {tokens} tokens: what comes after is not in their vectors"
        );
    }
}

/// The closing summary.
pub fn close(report: &Report, progress: &Progress, run: Option<i64>) {
    let total = report.total();
    let what = match run {
        Some(run) => format!("run {run}"),
        None => "dry run, nothing written".to_owned(),
    };
    let vectors = match total.migrated {
        0 => String::new(),
        _ => format!(
            " (vectors: {} exact, {} restored, {} embedded; {} entities)",
            total.exact(),
            total.restored,
            total.embedded,
            total.entities
        ),
    };
    notice!(
        "{what}: {} records found, {} migrated{vectors}, {} skipped, {} failed, in {:.1} s ({} records/s)",
        total.found(),
        total.migrated,
        total.skipped,
        total.failed,
        progress.elapsed().as_secs_f64(),
        progress.rate(total.found())
    );
    if total.missing > 0 {
        notice!(
            "{} of the records found are missing their vector in the store, {} of all vectors were embedded",
            total.missing,
            total.embedded
        );
    }
    if total.stale > 0 {
        notice!(
            "{} records were migrated with a vector that may be older than their text: \
             embeddings => 'generate' makes vectors anew",
            total.stale
        );
    }
    for (reason, count, first) in report.reasons() {
        let kind = if reason.is_skip() {
            "skipped"
        } else {
            "failed"
        };
        notice!("{count} {kind}: {} (first: {first})", reason.as_str());
    }
    if report.count_of(Reason::NoUserId) > 0 {
        notice!(
            "records without user_id: orphans => 'keep' migrates them with user_id null, \
             default_user_id => '...' gives them an owner"
        );
    }
    if let Some(run) = run
        && total.skipped + total.failed + total.stale > 0
    {
        notice!("each of them: SELECT * FROM vector_migrate.run_errors WHERE run_id = {run}");
    }
}
