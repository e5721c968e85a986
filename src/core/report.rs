//! Counts that always add up: one [`Counts`] for each collection and user, and one total a reason.
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

/// The lines of one collection.
#[derive(Debug, Default)]
struct CollectionCounts {
    users: HashMap<String, Counts>,
    nobody: Option<Counts>,
}

/// The counts of a whole run.
#[derive(Debug, Default)]
pub struct Report {
    collections: BTreeMap<usize, CollectionCounts>,
    total: Counts,
    reasons: BTreeMap<Reason, (u64, String)>,
}

impl Report {
    /// Hands the counts of one collection (by index) and user to `add`.
    pub fn count(&mut self, collection: usize, user: Option<&str>, add: impl Fn(&mut Counts)) {
        add(&mut self.total);
        let lines = self.collections.entry(collection).or_default();
        let Some(user) = user else {
            return add(lines.nobody.get_or_insert_default());
        };
        // Asked for each record: the name is copied for the first one only.
        match lines.users.get_mut(user) {
            Some(counts) => add(counts),
            None => add(lines.users.entry(user.to_owned()).or_default()),
        }
    }

    /// Counts a record that was not migrated; the first message of each reason is kept.
    pub fn reject(&mut self, collection: usize, user: Option<&str>, reason: Reason, message: &str) {
        self.count(collection, user, |line| match reason.is_skip() {
            true => line.skipped += 1,
            false => line.failed += 1,
        });
        self.reasons
            .entry(reason)
            .or_insert_with(|| (0, message.to_owned()))
            .0 += 1;
    }

    /// Every line: collection index, user, counts; ordered by collection, then user, those without one last.
    pub fn lines(&self) -> impl Iterator<Item = (usize, Option<&str>, &Counts)> {
        self.collections.iter().flat_map(|(collection, lines)| {
            let mut users: Vec<_> = lines.users.iter().collect();
            users.sort_unstable_by_key(|(user, _)| *user);
            let users = users
                .into_iter()
                .map(|(user, counts)| (Some(user.as_str()), counts));
            let nobody = lines.nobody.as_ref().map(|counts| (None, counts));
            let all = users.chain(nobody);
            all.map(|(user, counts)| (*collection, user, counts))
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
        let lines: Vec<_> = report.lines().map(|(c, u, n)| (c, u, n.found())).collect();
        assert_eq!(lines, [(0, Some("z"), 1), (0, None, 2), (1, Some("b"), 2)]);
        assert_eq!(report.total().found(), 5);
        let reasons: Vec<_> = report.reasons().collect();
        assert_eq!(reasons[0], (Reason::NoUserId, 2, "first"));
    }
}
