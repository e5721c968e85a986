//! What the caller might have wanted: records have no owner, or no text, and another key of their metadata looks like
//! one.
//!
//! Promise: nothing is looked at any more once a record of the collection has an owner and one has a document; a few
//! names are kept, whatever the store holds.

use std::cmp::Reverse;

use super::plan::{Plan, PlannedCollection};
use crate::map::{Owner, owner_of};
use crate::record::{Metadata, Record, Value};

/// Something about a collection whose records were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The collection's number in the run.
    pub collection: usize,
    /// What it is.
    pub kind: RemarkKind,
}

/// What a remark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemarkKind {
    /// No record has an owner under the key that was named.
    Owner {
        /// The metadata key that looks like an owner's, of several the one that most records have.
        key: String,
        /// Records that have one under it.
        records: u64,
    },
    /// No record has a document, and no key was named for its text.
    Text {
        /// The metadata key that looks like a text's, of several the one that most records have.
        key: String,
        /// Records that have a text under it.
        records: u64,
    },
    /// Vectors have other lengths than 1, and whoever searches the target asks with another distance than the collection's:
    /// the order of what is found will be another.
    Lengths {
        /// Records with such a vector.
        records: u64,
    },
}

/// What keys of owners look like, in lower case and without `_` and `-`; the likelier ones first.
const OWNERS: &[&str] = &[
    "userid",
    "user",
    "uid",
    "ownerid",
    "owner",
    "createdby",
    "creator",
    "authorid",
    "accountid",
    "account",
    "customerid",
    "tenantid",
    "memberid",
    "username",
];
/// What keys of texts look like.
const TEXTS: &[&str] = &[
    "document",
    "text",
    "pagecontent",
    "content",
    "data",
    "memory",
    "chunktext",
    "chunk",
    "body",
    "passage",
    "message",
];
/// How far from 1 the length of a vector may be that is taken for one of length 1.
const NEAR_ONE: f64 = 1e-3;

/// No name above is longer, and no key of so many characters more is one of them.
const LONGEST: usize = 16;
/// Spellings that are told apart.
const MOST_SPELLINGS: usize = 64;

/// Looks at the records of one collection.
#[derive(Debug)]
pub(super) struct Watch {
    /// `None`: a record has an owner.
    owners: Option<Tally>,
    /// `None`: a record has a document, or its key was named.
    texts: Option<Tally>,
    /// Vectors of other lengths than 1; `None`: lengths do not matter.
    lengths: Option<u64>,
}

impl Watch {
    /// For a collection of which nothing is known yet.
    pub fn new(plan: &Plan, planned: &PlannedCollection) -> Watch {
        let watches_texts = plan.text_key.is_none() && plan.has_text();
        let asks = plan.asks;
        let lengths = asks.filter(|asks| *asks != planned.collection.space);
        Watch {
            owners: plan.has_owner.then(Tally::default),
            texts: watches_texts.then(Tally::default),
            lengths: lengths.map(|_| 0),
        }
    }

    /// Looks at a record that was asked for.
    pub fn look(&mut self, plan: &Plan, record: &Record) {
        if let Some(tally) = &mut self.owners {
            let has_owner = |key: &str| owner_of(record, key, None) != Owner::None;
            let names = |key: &str| matches!(owner_of(record, key, None), Owner::Known(_));
            match has_owner(&plan.owner_key) {
                true => self.owners = None,
                false => tally.count(&record.metadata, OWNERS, |key, _| names(key)),
            }
        }
        if let Some(tally) = &mut self.texts {
            let has_text = |value: &Value| value.as_str().is_some_and(|it| !it.trim().is_empty());
            match record.document.as_deref() {
                None | Some("") => tally.count(&record.metadata, TEXTS, |_, value| has_text(value)),
                Some(_) => self.texts = None,
            }
        }
        if let (Some(count), Some(vector)) = (&mut self.lengths, &record.vector) {
            *count += u64::from(!has_length_1(&vector.values));
        }
    }

    /// What there is to say at the collection's end.
    pub fn remarks(self, collection: usize) -> impl Iterator<Item = Remark> {
        let owner = self.owners.and_then(Tally::most);
        let text = self.texts.and_then(Tally::most);
        let owner = owner.map(|(key, records)| RemarkKind::Owner { key, records });
        let text = text.map(|(key, records)| RemarkKind::Text { key, records });
        let lengths = self.lengths.filter(|records| *records > 0);
        let lengths = lengths.map(|records| RemarkKind::Lengths { records });
        let kinds = owner.into_iter().chain(text).chain(lengths);
        kinds.map(move |kind| Remark { collection, kind })
    }
}

fn has_length_1(values: &[f32]) -> bool {
    let squares = values.iter().map(|it| f64::from(*it) * f64::from(*it));
    (squares.sum::<f64>().sqrt() - 1.0).abs() <= NEAR_ONE
}

/// How many records have which key.
#[derive(Debug, Default)]
struct Tally(Vec<Spelling>);

#[derive(Debug)]
struct Spelling {
    key: String,
    /// Its place among the names that it was found by.
    rank: usize,
    records: u64,
}

impl Tally {
    /// Counts the keys that look like one of `names` and have a value that `counts`.
    fn count(
        &mut self,
        metadata: &Metadata,
        names: &[&str],
        counts: impl Fn(&str, &Value) -> bool,
    ) {
        for (key, value) in metadata.iter() {
            let Some(rank) = rank(key, names).filter(|_| counts(key, value)) else {
                continue;
            };
            let full = self.0.len() >= MOST_SPELLINGS;
            match self.0.iter_mut().find(|it| it.key == key) {
                Some(spelling) => spelling.records += 1,
                None if !full => self.0.push(Spelling {
                    key: key.to_owned(),
                    rank,
                    records: 1,
                }),
                None => {}
            }
        }
    }

    /// The key that most records have; of several the one that is named first.
    fn most(self) -> Option<(String, u64)> {
        let all = self.0.into_iter();
        let most = all.max_by(|a, b| {
            let order = |it: &Spelling| (it.records, Reverse(it.rank));
            order(a).cmp(&order(b)).then_with(|| b.key.cmp(&a.key))
        })?;
        Some((most.key, most.records))
    }
}

/// Which of `names` the key is, whatever its case, `_` and `-`.
fn rank(key: &str, names: &[&str]) -> Option<usize> {
    if key.len() > 2 * LONGEST {
        return None;
    }
    let mut plain = [0_u8; LONGEST];
    let mut room = plain.iter_mut();
    let letters = key.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
    for letter in letters {
        *room.next()? = letter.to_ascii_lowercase();
    }
    let left = room.len();
    let plain = plain.get(..LONGEST.saturating_sub(left))?;
    names.iter().position(|name| name.as_bytes() == plain)
}

#[cfg(test)]
#[path = "remarks_tests.rs"]
mod tests;
