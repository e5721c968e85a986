//! What a comparison found, sorted out by what the ledger says of it.

use std::collections::BTreeMap;

use vector_migrate_core::reason::Reason;

use super::compare::{Given, Unequal};
use crate::error::Error;
use crate::ledger::{self, Entry, PastRun, RunCollection, Suspect};
use crate::tables::Target;

/// Records that are named.
pub const NAMED: usize = 20;

/// What became of the records of a table's collections, by the collections' numbers.
#[derive(Debug, Default)]
pub struct Findings {
    /// Records that the table should have and those that it has, of each collection and owner.
    pub counts: BTreeMap<(usize, Option<String>), Count>,
    /// What was compared of each collection.
    pub compared: BTreeMap<usize, Compared>,
    /// Records that are no rows, of each collection and for each reason.
    pub left_out: BTreeMap<(usize, String), Named>,
    /// Rows that are not as the store has them.
    suspects: Vec<Finding>,
}

/// Records of one collection and owner.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// That the table should have.
    pub expected: u64,
    /// That it has.
    pub there: u64,
}

/// Rows of one collection that were compared whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compared {
    /// Rows.
    pub rows: u64,
    /// Those of them whose vector is the store's.
    pub vectors: u64,
}

/// Records, the first of them by their ids.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// All.
    pub count: u64,
    /// The first ones.
    pub first: Vec<String>,
}

impl Named {
    /// Counts a record.
    pub fn add(&mut self, id: &str) {
        self.count += 1;
        if self.first.len() < NAMED {
            // As the ledger shows U+0000, which no jsonb can hold.
            self.first.push(id.replace('\0', "\u{2400}"));
        }
    }
}

/// A row that is missing or differs.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The collection's number.
    pub collection: usize,
    /// The record.
    pub record: String,
    /// Its owner.
    pub user: Option<String>,
    /// Its row's key.
    key: String,
    has_vector: bool,
    sequence: Option<i64>,
    /// What is wrong.
    pub unequal: Unequal,
}

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The table should have the row.
    Missing,
    /// The row should be another.
    Differs,
    /// The application has changed it since.
    Application,
    /// Chroma has got the record, or changed it, since.
    Chroma,
    /// The run left the record out.
    LeftOut,
}

impl Findings {
    /// A record whose row is there, and was not looked at.
    pub fn there(&mut self, collection: usize, user: Option<String>) {
        let count = self.counts.entry((collection, user)).or_default();
        count.expected += 1;
        count.there += 1;
    }

    /// A record that becomes no row.
    pub fn no_row(&mut self, collection: usize, record: &str, reason: &str) {
        let named = self.left_out.entry((collection, reason.to_owned()));
        named.or_default().add(record);
    }

    /// Rows that were compared, and which of them are unequal.
    pub fn compared(&mut self, given: Vec<Given>, unequal: Vec<Unequal>) {
        for Given { row, .. } in &given {
            self.there(row.collection, row.user.clone());
            let compared = self.compared.entry(row.collection).or_default();
            compared.rows += 1;
            compared.vectors += u64::from(row.has_vector);
        }
        for unequal in unequal {
            let Some(Given { row, key, .. }) = given.get(unequal.at) else {
                continue;
            };
            if unequal.missing {
                let of = (row.collection, row.user.clone());
                self.counts.entry(of).or_default().there -= 1;
                let compared = self.compared.entry(row.collection).or_default();
                compared.rows -= 1;
                compared.vectors -= u64::from(row.has_vector);
            }
            self.suspects.push(Finding {
                collection: row.collection,
                record: row.record_id.clone(),
                user: row.user.clone(),
                key: key.clone(),
                has_vector: row.has_vector,
                sequence: row.sequence,
                unequal,
            });
        }
    }

    /// Sorts the unequal rows out: what each means. Records that the run left out are no longer expected.
    ///
    /// # Errors
    /// The server's own.
    pub fn judge(
        &mut self,
        past: &PastRun,
        target: &Target,
        written: &[RunCollection],
    ) -> Result<Vec<(Finding, Meaning)>, Error> {
        let suspects = std::mem::take(&mut self.suspects);
        let name = |it: &Finding| written.get(it.collection);
        let asked: Vec<Suspect> = (suspects.iter())
            .map(|it| Suspect {
                source: name(it).map_or_else(String::new, |it| it.source.clone()),
                key: it.key.clone(),
                user: it.user.clone().filter(|_| target.key.user.is_some()),
                xmin: it.unequal.xmin.clone(),
            })
            .collect();
        let records: Vec<(String, String)> = (suspects.iter())
            .map(|it| {
                let collection = name(it).map_or_else(String::new, |it| it.name.clone());
                (collection, it.record.clone())
            })
            .collect();
        let entries = ledger::entries(past.run, target.oid, &asked)?;
        let left_out = ledger::left_out(past.run, &records)?;
        let mut judged = Vec::with_capacity(suspects.len());
        for ((finding, entry), record) in suspects.into_iter().zip(entries).zip(&records) {
            let reason = left_out.get(record).map(String::as_str);
            let meaning = meaning(&finding, entry, reason, past);
            if finding.unequal.missing && matches!(meaning, Meaning::LeftOut | Meaning::Chroma) {
                let of = (finding.collection, finding.user.clone());
                self.counts.entry(of).or_default().expected -= 1;
            }
            if let (Meaning::LeftOut, Some(reason)) = (meaning, reason) {
                self.no_row(finding.collection, &finding.record, reason);
                if !finding.unequal.missing {
                    self.forget(&finding);
                }
            } else {
                judged.push((finding, meaning));
            }
        }
        Ok(judged)
    }

    /// A record that the run left out, whose key another row has: neither is it expected nor was it compared.
    fn forget(&mut self, finding: &Finding) {
        let of = (finding.collection, finding.user.clone());
        let count = self.counts.entry(of).or_default();
        count.expected -= 1;
        count.there -= 1;
        let compared = self.compared.entry(finding.collection).or_default();
        compared.rows -= 1;
        compared.vectors -= u64::from(finding.has_vector);
    }
}

fn meaning(finding: &Finding, entry: Entry, reason: Option<&str>, past: &PastRun) -> Meaning {
    let was_there = reason == Some(Reason::AlreadyExists.as_str());
    let last = match entry {
        Entry::Unchanged { last } | Entry::Changed { last } => last,
        Entry::None => past.last_sequence,
    };
    let newer = finding.sequence > last && finding.sequence.is_some();
    if reason.is_some() && !was_there {
        return Meaning::LeftOut;
    }
    match (finding.unequal.missing, entry) {
        (true, _) if newer => Meaning::Chroma,
        (true, _) => Meaning::Missing,
        (false, Entry::Changed { .. }) => Meaning::Application,
        (false, _) if newer => Meaning::Chroma,
        (false, Entry::None) if was_there => Meaning::LeftOut,
        (false, _) => Meaning::Differs,
    }
}
