//! What a run tells a person: where it starts, how far it is, how it ended, what was left out.

use std::time::{Duration, Instant};

use pgrx::prelude::*;
use vector_migrate_core::report::{Counts, Report};

use super::parts::Part;
use crate::index::{Made, Way};
use crate::ledger::TargetSummary;
use crate::message::notice;
use crate::sink::RunProgress;
use crate::{guc, progress};

/// How far the run is: in `pg_stat_progress_copy` always, in a line each `vector_migrate.progress_interval`.
pub struct Progress {
    table: pg_sys::Oid,
    /// Records to read.
    records: u64,
    /// Bytes of the store's files.
    bytes: u64,
    started: Instant,
    last: Instant,
    every: Option<Duration>,
}

impl Progress {
    /// Starts the clock for a run that begins with `table` over `records` records of a store of `bytes` bytes.
    pub fn start(table: Option<pg_sys::Oid>, records: u64, bytes: u64) -> Progress {
        let now = Instant::now();
        let mut progress = Progress {
            table: table.unwrap_or(pg_sys::InvalidOid),
            records,
            bytes,
            started: now,
            last: now,
            every: guc::progress_interval(),
        };
        progress.tick(RunProgress {
            counts: Counts::default(),
            coming: 0,
            read: 0,
        });
        progress
    }

    /// Goes on with another table.
    pub fn go_on_with(&mut self, table: pg_sys::Oid) {
        self.table = table;
    }

    /// Shows how far the run is, and tells it if it is time to.
    pub fn tick(&mut self, now: RunProgress) {
        let RunProgress {
            counts,
            coming,
            read,
        } = now;
        // What is counted when a store is opened is live records; damage may hide some.
        let all = self.records.max(read);
        let share = |whole: u64| u128::from(whole) * u128::from(read) / u128::from(all.max(1));
        progress::show(progress::Figures {
            table: self.table,
            bytes: u64::try_from(share(self.bytes)).unwrap_or(self.bytes),
            bytes_total: self.bytes,
            rows: counts.migrated + coming,
            left_out: counts.skipped + counts.failed,
        });
        let due = |every| self.last.elapsed() >= every;
        if read == 0 || !self.every.is_some_and(due) {
            return;
        }
        self.last = Instant::now();
        let rate = self.rate(read);
        notice!(
            "{read} of {all} records read ({} %), {} migrated, {} skipped, {} failed; {rate} records/s, about {} s left",
            share(100),
            counts.migrated + coming,
            counts.skipped,
            counts.failed,
            (all - read).div_ceil(rate.max(1)),
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

/// What is read, and where it goes.
pub fn begin(directory: &str, parts: &[Part]) {
    let collections: usize = parts.iter().map(|it| it.members.len()).sum();
    let into = match parts {
        [only] => only.tables.described.content.name.clone(),
        several => format!("{} tables", several.len()),
    };
    let plural = if collections == 1 { "" } else { "s" };
    notice!("reading \"{directory}\": {collections} collection{plural} into {into}");
}

/// The vector indexes of many tables, in sum.
pub fn indexes(targets: &[TargetSummary]) {
    let made: Vec<&Made> = targets.iter().filter_map(|it| it.index.as_ref()).collect();
    if made.is_empty() {
        return;
    }
    let imported = made.iter().filter(|it| it.way == Way::Imported).count();
    let seconds: f64 = made.iter().map(|it| it.seconds).sum();
    notice!(
        "vector indexes of {} tables in {seconds:.1} s, {imported} of them imported: vector_migrate.run_targets has each",
        made.len()
    );
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
    if total.nul > 0 {
        notice!(
            "{} of the migrated records held U+0000, which was taken out or replaced",
            total.nul
        );
    }
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
    if let Some(run) = run
        && total.skipped + total.failed + total.stale > 0
    {
        notice!("each of them: SELECT * FROM vector_migrate.run_errors WHERE run_id = {run}");
    }
}
