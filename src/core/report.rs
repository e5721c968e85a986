//! Counts that always add up: one [`Line`] for each collection and user, and one total a reason.
//!
//! May import `reason` only.

use std::collections::{BTreeMap, HashMap};

use crate::reason::Reason;

/// What happened to the records of one collection and user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows inserted or updated.
    pub migrated: u64,
    /// Records left out by the caller's choice.
    pub skipped: u64,
    /// Records that could not be migrated.
    pub failed: u64,
    /// Migrated with the store's own vector.
    pub reused: u64,
    /// Of the reused ones: kept normalised by Chroma and multiplied back by their length.
    pub restored: u64,
    /// Of the reused ones: older than the record's last change, as Chroma lost the newer vector.
    pub stale: u64,
    /// Of the records found: their vector was wanted, and the store has none.
    pub missing: u64,
    /// Of the migrated ones: they have U+0000 in Chroma, which was removed or replaced.
    pub nul: u64,
    /// Migrated with a vector made here.
    pub embedded: u64,
    /// Entity rows inserted.
    pub entities: u64,
}

impl Counts {
    /// Records found: migrated + skipped + failed, by definition.
    pub fn found(&self) -> u64 {
        self.migrated + self.skipped + self.failed
    }

    /// Of the reused vectors: bit for bit what Chroma was given.
    pub fn exact(&self) -> u64 {
        self.reused.saturating_sub(self.restored)
    }
}

/// What happened to the records of one collection and user, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// The counts.
    pub counts: Counts,
    /// Ascending. Not a map: there may be a million lines with one reason each.
    reasons: Vec<(Reason, u64)>,
}

impl Line {
    /// Every reason of records that were not migrated, with their number; ascending. They add up to `skipped` and `failed`.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.reasons.iter().copied()
    }

    fn reject(&mut self, reason: Reason) {
        let place = self.reasons.binary_search_by_key(&reason, |(it, _)| *it);
        match place {
            Ok(at) => {
                if let Some((_, records)) = self.reasons.get_mut(at) {
                    *records += 1;
                }
            }
            Err(at) => {
                self.reasons.reserve_exact(1);
                self.reasons.insert(at, (reason, 1));
            }
        }
    }
}

/// The lines of one collection.
#[derive(Debug, Default)]
struct CollectionLines {
    users: HashMap<String, Line>,
    nobody: Option<Line>,
}

/// The counts of a whole run.
#[derive(Debug, Default)]
pub struct Report {
    collections: BTreeMap<usize, CollectionLines>,
    total: Counts,
    reasons: BTreeMap<Reason, (u64, String)>,
}

impl Report {
    /// Hands the counts of one collection (by index) and user to `add`.
    pub fn count(&mut self, collection: usize, user: Option<&str>, add: impl Fn(&mut Counts)) {
        add(&mut self.total);
        self.line(collection, user, |line| add(&mut line.counts));
    }

    fn line(&mut self, collection: usize, user: Option<&str>, change: impl FnOnce(&mut Line)) {
        let lines = self.collections.entry(collection).or_default();
        let Some(user) = user else {
            return change(lines.nobody.get_or_insert_default());
        };
        // Asked for each record: the name is copied for the first one only.
        match lines.users.get_mut(user) {
            Some(line) => change(line),
            None => change(lines.users.entry(user.to_owned()).or_default()),
        }
    }

    /// Counts a record that was not migrated; the first message of each reason is kept.
    pub fn reject(&mut self, collection: usize, user: Option<&str>, reason: Reason, message: &str) {
        let add = |counts: &mut Counts| match reason.is_skip() {
            true => counts.skipped += 1,
            false => counts.failed += 1,
        };
        add(&mut self.total);
        self.line(collection, user, |line| {
            add(&mut line.counts);
            line.reject(reason);
        });
        self.reasons
            .entry(reason)
            .or_insert_with(|| (0, message.to_owned()))
            .0 += 1;
    }

    /// Every line with its collection's index and user; ordered by collection, then user, those without one last.
    pub fn lines(&self) -> impl Iterator<Item = (usize, Option<&str>, &Line)> {
        self.collections.iter().flat_map(|(collection, lines)| {
            let mut users: Vec<_> = lines.users.iter().collect();
            users.sort_unstable_by_key(|(user, _)| *user);
            let users = users
                .into_iter()
                .map(|(user, line)| (Some(user.as_str()), line));
            let nobody = lines.nobody.as_ref().map(|line| (None, line));
            let all = users.chain(nobody);
            all.map(|(user, line)| (*collection, user, line))
        })
    }

    /// Every reason with its number of records and its first message.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64, &str)> {
        self.reasons
            .iter()
            .map(|(reason, (count, first))| (*reason, *count, first.as_str()))
    }

    /// Number of records with this reason.
    pub fn count_of(&self, reason: Reason) -> u64 {
        self.reasons.get(&reason).map_or(0, |(count, _)| *count)
    }

    /// The sum of all lines.
    pub fn total(&self) -> Counts {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ordered_and_add_up() {
        let mut report = Report::default();
        report.count(1, Some("b"), |line| line.migrated += 2);
        report.reject(0, None, Reason::NoUserId, "first");
        report.reject(0, Some("z"), Reason::BadText, "x");
        report.reject(0, None, Reason::NoUserId, "second");
        let lines: Vec<_> = report
            .lines()
            .map(|(c, u, line)| (c, u, line.counts.found()))
            .collect();
        assert_eq!(lines, [(0, Some("z"), 1), (0, None, 2), (1, Some("b"), 2)]);
        assert_eq!(report.total().found(), 5);
        let reasons: Vec<_> = report.reasons().collect();
        assert_eq!(reasons[0], (Reason::NoUserId, 2, "first"));
    }
    #[test]
    fn each_line_has_its_reasons() {
        let mut report = Report::default();
        for reason in [
            Reason::BadText,
            Reason::AlreadyExists,
            Reason::NoUserId,
            Reason::AlreadyExists,
        ] {
            report.reject(0, Some("a"), reason, "x");
        }
        report.reject(1, Some("a"), Reason::BadText, "x");
        report.reject(0, None, Reason::NoUserId, "x");
        report.count(2, None, |counts| counts.migrated += 1);
        let lines: Vec<Vec<_>> = report
            .lines()
            .map(|(_, _, line)| line.reasons().collect())
            .collect();
        assert_eq!(
            lines,
            [
                vec![
                    (Reason::NoUserId, 1),
                    (Reason::AlreadyExists, 2),
                    (Reason::BadText, 1)
                ],
                vec![(Reason::NoUserId, 1)],
                vec![(Reason::BadText, 1)],
                vec![],
            ]
        );
        for (_, _, line) in report.lines() {
            let told: u64 = line.reasons().map(|(_, records)| records).sum();
            assert_eq!(told, line.counts.skipped + line.counts.failed);
        }
        assert_eq!(report.total().found(), 7);
    }
}
