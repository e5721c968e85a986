//! What of a record can be told before it is read whole: whether it is asked for, and whether the target has it.

use crate::encode::{ContentColumn, canonical_key};
use crate::record::Record;
use crate::seen::KnownKeys;

use super::plan::Plan;

/// What a precheck at a record tells.
#[derive(Debug, Default)]
pub(super) struct Precheck {
    /// The caller asked for it.
    pub asked: bool,
    /// The target has it; `None`: not known.
    pub exists: Option<bool>,
    /// The id that was looked up last in this collection, and whether the target has it.
    id: Option<(String, bool)>,
}

impl Precheck {
    /// Before the next record; keeps the id's buffer.
    pub fn forget(&mut self) {
        (self.asked, self.exists) = (false, None);
    }
}

impl Plan {
    /// Whether a record is left out as the target has it.
    pub(super) fn leaves_out(&self, exists: Option<bool>) -> bool {
        exists == Some(true) && !self.overwrites
    }

    /// Whether the target has the record of this id in the collection `name`, which is then left out whatever else is
    /// in it.
    pub(super) fn has_id(&self, name: &str, id: &str, precheck: &mut Precheck) -> bool {
        let whole = self.strict || self.overwrites || self.filter.is_some();
        let sure = |known: &KnownKeys| !known.is_empty() && !known.per_user();
        if whole || !self.known.as_ref().is_some_and(sure) {
            return false;
        }
        let there = self.has(name, id, None);
        let (last, answer) = precheck.id.get_or_insert_default();
        last.clear();
        last.push_str(id);
        *answer = there == Some(true);
        *answer
    }

    /// Looks at `record`, of the collection `name`.
    pub(super) fn precheck(&self, name: &str, record: &Record, precheck: &mut Precheck) {
        precheck.asked = self.asks_for(record);
        precheck.exists = match (&self.known, &precheck.id) {
            (None, _) => None,
            (Some(known), _) if known.is_empty() => Some(false),
            (_, Some((id, there))) if *id == record.id => Some(*there),
            (Some(known), _) if known.per_user() => {
                self.has(name, &record.id, self.owner(record).0.as_deref())
            }
            _ => self.has(name, &record.id, None),
        };
    }

    /// Whether the target has the key; `None`: not known, or no key.
    fn has(&self, name: &str, id: &str, user: Option<&str>) -> Option<bool> {
        let known = self.known.as_ref()?;
        let key = canonical_key(self.column_type(ContentColumn::Id), id).ok()?;
        Some(known.contains(name, &key, user))
    }
}
