//! What was decided for each collection, and what could be done about what was left out: the column `note` of the result, and
//! NOTICEs.

use vector_migrate_core::reason::Reason;
use vector_migrate_core::report::{Counts, Report};

use super::options::{Options, Orphans};
use super::plan::{Member, Part};
use crate::message::notice;

/// What is said of a collection.
#[derive(Debug)]
struct Collected {
    /// Its name.
    name: String,
    /// Its place in the store.
    place: usize,
    /// Live records.
    records: u64,
    /// Its content table.
    target: String,
    /// What becomes of records that name no owner, where none does.
    ownerless: Option<Ownerless>,
}

/// What `orphans => 'auto'` does with a collection whose records name no owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownerless {
    /// They are kept.
    Kept,
    /// They are left out, as the table wants an owner.
    Required,
}

/// What is said of the run's collections.
#[derive(Debug)]
pub struct Notes {
    /// By their number in the run.
    collections: Vec<Collected>,
    owner_key: String,
    /// The run has several tables.
    several: bool,
}

impl Notes {
    /// What can be said before anything is read.
    pub fn of(options: &Options, parts: &[Part]) -> Notes {
        let of_part = |part: &Part| -> Vec<Collected> {
            let of = |member: &Member| Collected {
                name: member.collection.qualified_name(),
                place: member.place,
                records: member.size.records,
                target: part.tables.described.content.name.clone(),
                ownerless: ownerless(options, part, member),
            };
            part.members.iter().map(of).collect()
        };
        Notes {
            collections: parts.iter().flat_map(of_part).collect(),
            owner_key: options.owner_key.clone(),
            several: parts.len() > 1,
        }
    }

    /// The place in the store of a collection of the run.
    pub fn place(&self, collection: usize) -> usize {
        self.collections.get(collection).map_or(0, |it| it.place)
    }

    /// The note of a line of the result; `None`: nothing to say.
    pub fn of_line(
        &self,
        collection: usize,
        user: Option<&str>,
        counts: &Counts,
    ) -> Option<String> {
        let about = self.collections.get(collection)?;
        let mut note = Vec::new();
        if self.several && counts.migrated > 0 {
            note.push(format!("into {}", about.target));
        }
        if user.is_none() && about.ownerless == Some(Ownerless::Kept) {
            note.push(format!(
                "no record has \"{}\": user_id is null",
                self.owner_key
            ));
        }
        (!note.is_empty()).then(|| note.join("; "))
    }

    /// Says the same as NOTICEs, collections together.
    pub fn tell(&self, report: &Report) {
        let key = &self.owner_key;
        if let Some(collections) = self.named(Ownerless::Kept) {
            notice!(
                "no record of {collections} has \"{key}\": their records are migrated with user_id null"
            );
        }
        if let Some(collections) = self.named(Ownerless::Required) {
            notice!(
                "no record of {collections} has \"{key}\", and the table's user_id cannot be null: default_user_id => '...' gives \
                 them an owner"
            );
        }
        let _ = report.count_of(Reason::NoUserId);
    }

    /// The collections with records of which this is so.
    fn named(&self, what: Ownerless) -> Option<String> {
        let all = self.collections.iter();
        let mut all = all.filter(|it| it.ownerless == Some(what) && it.records > 0);
        let first = all.next()?;
        Some(match all.count() {
            0 => format!("collection \"{}\"", first.name),
            more => format!("{} collections (first: \"{}\")", more + 1, first.name),
        })
    }
}

fn ownerless(options: &Options, part: &Part, member: &Member) -> Option<Ownerless> {
    let auto = options.orphans == Orphans::Auto && options.default_user_id.is_none();
    if !auto || options.user_id.is_some() || member.owned {
        return None;
    }
    Some(match part.keeps_orphans(options, member) {
        true => Ownerless::Kept,
        false => Ownerless::Required,
    })
}
