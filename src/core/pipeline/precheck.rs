//! What of a record can be told before it is read whole: whether it is asked for, and whether the target has it.

use crate::encode::canonical_key;
use crate::nul::holds_nul;
use crate::record::Record;
use crate::seen::KnownKeys;

use super::plan::{Plan, PlannedCollection};

/// What a precheck at a record tells.
#[derive(Debug, Default)]
pub(super) struct Precheck {
    /// The caller asked for it.
    pub asked: bool,
    /// The target has it; `None`: not known.
    pub exists: Option<bool>,
    /// It is left out as the target has it.
    pub left_out: bool,
    /// It has U+0000 that is to be changed.
    pub nul: bool,
    /// The id that was looked up last in this collection, and whether the target has it.
    id: Option<(String, bool)>,
}

impl Precheck {
    /// Before the next record; keeps the id's buffer.
    pub fn forget(&mut self) {
        (self.asked, self.exists, self.nul) = (false, None, false);
        self.left_out = false;
    }
}

impl Plan {
    /// Whether the record of this id is mapped though the target has it.
    fn picks(&self, planned: &PlannedCollection, id: &str) -> bool {
        let wanted = || {
            let key = canonical_key(self.id_type(), id);
            key.is_ok_and(|key| self.picked.contains(&planned.key, &key, None))
        };
        planned.picked.has(id) || (!self.picked.is_empty() && wanted())
    }

    /// Whether the target has the record of this id in the collection, which is then left out whatever else is in it.
    pub(super) fn has_id(
        &self,
        planned: &PlannedCollection,
        id: &str,
        precheck: &mut Precheck,
    ) -> bool {
        let whole = self.strict || self.overwrites || self.filter.is_some();
        let sure = |known: &KnownKeys| !known.is_empty() && !known.per_user();
        if whole || !self.known.as_ref().is_some_and(sure) {
            return false;
        }
        let id = self.nul.text(id);
        if self.picks(planned, &id) {
            return false;
        }
        let there = self.has(planned, &id, None);
        let (last, answer) = precheck.id.get_or_insert_default();
        last.clear();
        last.push_str(&id);
        *answer = there == Some(true);
        *answer
    }

    /// Looks at `record`, of the collection, as it will be without U+0000.
    pub(super) fn precheck(
        &self,
        planned: &PlannedCollection,
        record: &Record,
        precheck: &mut Precheck,
    ) {
        precheck.nul = self.nul.changes() && holds_nul(record);
        if precheck.nul {
            let mut changed = record.clone();
            self.nul.clean(&mut changed);
            self.look(planned, &changed, precheck);
        } else {
            self.look(planned, record, precheck);
        }
    }

    fn look(&self, planned: &PlannedCollection, record: &Record, precheck: &mut Precheck) {
        precheck.asked = self.asks_for(planned, record);
        precheck.exists = match (&self.known, &precheck.id) {
            (None, _) => None,
            (Some(known), _) if known.is_empty() => Some(false),
            (_, Some((id, there))) if *id == record.id => Some(*there),
            (Some(known), _) if known.per_user() => {
                let user = self.owner(planned, record).0;
                self.has(planned, &record.id, user.as_deref())
            }
            _ => self.has(planned, &record.id, None),
        };
        let there = precheck.exists == Some(true) && !self.overwrites;
        precheck.left_out = there && !self.picks(planned, &record.id);
    }

    /// Whether the target has the key; `None`: not known, or no key.
    fn has(&self, planned: &PlannedCollection, id: &str, user: Option<&str>) -> Option<bool> {
        let known = self.known.as_ref()?;
        let key = canonical_key(self.id_type(), id).ok()?;
        Some(known.contains(&planned.key, &key, user))
    }
}
