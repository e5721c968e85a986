//! What was decided for each collection, and what could be done about what was left out: the column `note` of the result, and
//! NOTICEs.

use vector_migrate_core::mapping::Preset;
use vector_migrate_core::mapping::preset::Distance;
use vector_migrate_core::nul::NulCharacters;
use vector_migrate_core::pipeline::{Identity, Remark, RemarkKind};
use vector_migrate_core::reason::Reason;
use vector_migrate_core::record::Space;
use vector_migrate_core::report::Line;

use super::options::{Options, Orphans};
use super::parts::{Member, Part};
use crate::message::{notice, warning};

/// A collection of the run, as far as something is said of it.
#[derive(Debug)]
pub struct About {
    name: String,
    /// Its place in the store.
    place: usize,
    /// Live records.
    records: u64,
    /// Its content table.
    target: String,
    /// What becomes of records that name no owner, where none does.
    ownerless: Option<Ownerless>,
    /// The preset of its table, if that is an application's.
    application: Option<&'static Preset>,
    /// Rows of the table can be overwritten.
    overwritable: bool,
    /// Its distance.
    space: Space,
}

/// What `orphans => 'auto'` does with a collection whose records name no owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownerless {
    /// They are kept.
    Kept,
    /// They are left out, as the table wants an owner.
    Required,
}

/// The collections of the run, before anything is read.
pub fn members(options: &Options, parts: &[Part]) -> Vec<About> {
    let of_part = |part: &Part| -> Vec<About> {
        let content = &part.tables.described.content;
        let about = |member: &Member| About {
            name: member.collection.qualified_name(),
            place: member.place,
            records: member.size.records,
            target: content.name.clone(),
            ownerless: ownerless(options, part, member),
            application: content.preset.filter(|it| !it.is_content_library()),
            overwritable: content.identity == Identity::Record,
            space: member.collection.space,
        };
        part.members.iter().map(about).collect()
    };
    parts.iter().flat_map(of_part).collect()
}

fn ownerless(options: &Options, part: &Part, member: &Member) -> Option<Ownerless> {
    let auto = options.orphans == Orphans::Auto && options.default_user_id.is_none();
    let has_owner = part.tables.described.content.has_owner();
    if !auto || !has_owner || options.user_id.is_some() || member.owned {
        return None;
    }
    Some(match part.keeps_orphans(options, member) {
        true => Ownerless::Kept,
        false => Ownerless::Required,
    })
}

impl About {
    /// The distance that the table is searched by, if that is another than the collection's.
    fn distance(&self) -> Option<&'static Distance> {
        let distance = self.application.and_then(|it| it.distance.as_ref());
        distance.filter(|it| it.asks != self.space)
    }
}

/// What is said of the run's collections.
#[derive(Debug)]
pub struct Notes {
    /// By their number in the run.
    collections: Vec<(About, Keys)>,
    owner_key: String,
    /// What was done about U+0000.
    nul: NulCharacters,
    /// The run has several tables.
    several: bool,
}

/// Metadata keys that look like what was looked for.
#[derive(Debug, Clone, Default)]
struct Keys {
    owner: Option<String>,
    text: Option<String>,
    /// Vectors of other lengths than 1, where that matters.
    lengths: u64,
}

impl Notes {
    /// With what was seen while the collections were read.
    pub fn new(options: &Options, collections: Vec<About>, remarks: &[Remark]) -> Notes {
        let mut keys = vec![Keys::default(); collections.len()];
        for remark in remarks {
            let Some(keys) = keys.get_mut(remark.collection) else {
                continue;
            };
            match &remark.kind {
                RemarkKind::Owner { key, .. } => keys.owner = Some(key.clone()),
                RemarkKind::Text { key, .. } => keys.text = Some(key.clone()),
                RemarkKind::Lengths { records } => keys.lengths = *records,
            }
        }
        let first = collections.first().map(|it| it.target.clone());
        Notes {
            several: collections
                .iter()
                .any(|it| Some(&it.target) != first.as_ref()),
            collections: collections.into_iter().zip(keys).collect(),
            owner_key: options.owner_key.clone(),
            nul: options.nul,
        }
    }

    /// The place in the store of a collection of the run.
    pub fn place(&self, collection: usize) -> usize {
        self.collections.get(collection).map_or(0, |it| it.0.place)
    }

    /// The note of a line of the result; `None`: nothing to say.
    pub fn of_line(&self, collection: usize, user: Option<&str>, line: &Line) -> Option<String> {
        let (about, keys) = self.collections.get(collection)?;
        let mut note = Vec::new();
        if self.several && line.counts.migrated > 0 {
            note.push(format!("into {}", about.target));
        }
        if user.is_none() && about.ownerless == Some(Ownerless::Kept) {
            note.push(format!(
                "no record has \"{}\", so user_id is null",
                self.owner_key
            ));
        }
        for (reason, records) in line.reasons() {
            let kind = if reason.is_skip() {
                "skipped"
            } else {
                "failed"
            };
            let way_out = self
                .way_out(reason, about)
                .map_or_else(String::new, |it| format!(" ({it})"));
            note.push(format!("{records} {kind}: {}{way_out}", reason.as_str()));
        }
        if let (Some(key), None) = (&keys.owner, user) {
            note.push(format!("owner_key => {} may name the owners", quoted(key)));
        }
        if let Some(key) = &keys.text {
            note.push(format!(
                "no record has a document: text_key => {} may name the texts",
                quoted(key)
            ));
        }
        if let (Some(distance), 1..) = (about.distance(), keys.lengths) {
            note.push(format!(
                "{} vectors are not of length 1, and the table is searched by {}: {}",
                keys.lengths,
                distance.asks,
                distance.setting(about.space)
            ));
        }
        if line.counts.nul > 0 {
            let done = match self.nul {
                NulCharacters::Replace => "replaced",
                NulCharacters::Remove | NulCharacters::Error => "removed",
            };
            note.push(format!("U+0000 {done} in {} records", line.counts.nul));
        }
        (!note.is_empty()).then(|| note.join("; "))
    }

    /// What a caller can do about records of this reason.
    fn way_out(&self, reason: Reason, about: &About) -> Option<&'static str> {
        Some(match reason {
            Reason::NoUserId if about.ownerless == Some(Ownerless::Required) => {
                "default_user_id => '...' takes them: the table's user_id cannot be null"
            }
            Reason::NoUserId => "orphans => 'keep' or default_user_id => '...' takes them",
            Reason::AlreadyExists if !about.overwritable => return None,
            Reason::AlreadyExists => "on_conflict => 'update' overwrites",
            Reason::IdCollision | Reason::DimensionMismatch if about.application.is_some() => {
                return None;
            }
            Reason::IdCollision => "a target of its own, or source_name => '...' for another store",
            Reason::DimensionMismatch => "a target of its own, as target => '..._{dimension}'",
            Reason::BadText => "nul_characters => 'remove' or 'replace'",
            Reason::NoVector => {
                "embeddings => 'auto' with an installed model makes vectors of texts"
            }
            Reason::BadUserId
            | Reason::UserNotFound
            | Reason::BadId
            | Reason::NoText
            | Reason::BadVector
            | Reason::BadContent
            | Reason::BadValue
            | Reason::Constraint
            | Reason::Stale
            | Reason::Damaged => return None,
        })
    }

    /// Says the same as NOTICEs, collections together. `without`: records without an owner that were left out.
    pub fn tell(&self, without: u64) {
        let key = &self.owner_key;
        if let Some(collections) = self.named(|it| it.ownerless == Some(Ownerless::Kept)) {
            notice!(
                "no record of {collections} has \"{key}\", so user_id is null: default_user_id => '...' gives them an owner, \
                 orphans => 'skip' leaves them out"
            );
        }
        if let Some(collections) = self.named(|it| it.ownerless == Some(Ownerless::Required)) {
            notice!(
                "no record of {collections} has \"{key}\", and the table's user_id cannot be null: default_user_id => '...' gives \
                 them an owner"
            );
        } else if without > 0 {
            notice!(
                "records without {key}: orphans => 'keep' migrates them with user_id null, default_user_id => '...' gives them an \
                 owner"
            );
        }
        for (key, collections) in self.alike(|keys| keys.owner.as_ref()) {
            notice!(
                "{collections}: owner_key => {} may name the owners of records",
                quoted(&key)
            );
        }
        for (key, collections) in self.alike(|keys| keys.text.as_ref()) {
            notice!(
                "{collections}: no record has a document, and text_key => {} may name the texts of records",
                quoted(&key)
            );
        }
    }

    /// Warns of distances that rank otherwise than Chroma's.
    pub fn warn(&self) {
        let mut told: Vec<(&str, Space)> = Vec::new();
        for (about, _) in self.collections.iter().filter(|it| it.1.lengths > 0) {
            let (Some(preset), Some(distance)) = (about.application, about.distance()) else {
                continue;
            };
            let kind = (preset.name.as_str(), about.space);
            if told.contains(&kind) {
                continue;
            }
            told.push(kind);
            let alike = self.collections.iter().filter(|(other, keys)| {
                let same = other.application.is_some_and(|it| it.name == preset.name);
                same && other.space == about.space && keys.lengths > 0
            });
            let vectors: u64 = alike.clone().map(|it| it.1.lengths).sum();
            let collections = listed(alike.map(|it| &it.0)).unwrap_or_default();
            warning!(
                "{collections}: {vectors} vectors are not of length 1, and Chroma compared them by {}, where {} asks with {}: its \
                 searches will rank them otherwise. To have Chroma's order: {}",
                about.space,
                preset.application,
                distance.asks,
                distance.setting(about.space)
            );
        }
    }

    /// Each key that looks like what was looked for, with the collections where it does.
    fn alike(&self, of: impl Fn(&Keys) -> Option<&String>) -> Vec<(String, String)> {
        let mut found: Vec<&String> = self.collections.iter().filter_map(|it| of(&it.1)).collect();
        found.sort_unstable();
        found.dedup();
        let named = |key: &String| {
            let with = self.collections.iter().filter(|it| of(&it.1) == Some(key));
            listed(with.map(|it| &it.0)).map(|collections| (key.clone(), collections))
        };
        found.into_iter().filter_map(named).collect()
    }

    /// The collections with records of which this is so.
    fn named(&self, so: impl Fn(&About) -> bool) -> Option<String> {
        let all = self.collections.iter().map(|it| &it.0);
        listed(all.filter(|it| it.records > 0 && so(it)))
    }
}

/// Collections in words.
fn listed<'a>(mut all: impl Iterator<Item = &'a About>) -> Option<String> {
    let first = all.next()?;
    Some(match all.count() {
        0 => format!("collection \"{}\"", first.name),
        more => format!("{} collections (first: \"{}\")", more + 1, first.name),
    })
}

/// A text as SQL writes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
