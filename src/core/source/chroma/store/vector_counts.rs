//! How many records of a collection have a vector, and how many vectors may be older than their record.
//!
//! Stage: source. Promise: one sentence each, with the numbers. May import `record`.

use crate::record::{Grade, Inventory, Vector};

/// Counts of one collection.
#[derive(Debug, Default)]
pub(crate) struct VectorCounts {
    records: u64,
    missing: u64,
    stale: u64,
}

impl VectorCounts {
    /// What an inventory counted.
    pub fn of(found: &Inventory) -> VectorCounts {
        VectorCounts {
            records: found.records,
            missing: found.missing,
            stale: found.stale,
        }
    }

    /// Counts a record.
    pub fn count(&mut self, missing: bool, stale: bool) {
        self.records = self.records.saturating_add(1);
        self.missing = self.missing.saturating_add(u64::from(missing));
        self.stale = self.stale.saturating_add(u64::from(stale));
    }

    /// What there is to say of the collection `name`; nothing if all is well.
    pub fn sentences(&self, name: &str) -> Vec<String> {
        let VectorCounts {
            records,
            missing,
            stale,
        } = self;
        let mut said = Vec::new();
        if *missing > 0 {
            said.push(format!(
                "collection {name:?}: the store has no vector for {missing} of {records} records"
            ));
        }
        if *stale > 0 {
            said.push(format!(
                "collection {name:?}: the vectors of {stale} of {records} records may be older than their text and \
                 metadata, as Chroma lost the newer ones"
            ));
        }
        said
    }
}

/// Counts a record's vector by its grade, if it is usable in a collection of this dimension.
pub(crate) fn count(
    found: &mut Inventory,
    vector: Option<&Vector>,
    stale: bool,
    dimension: Option<u32>,
) {
    let Some(vector) = vector else {
        found.missing = found.missing.saturating_add(1);
        return;
    };
    let fits = dimension.is_none_or(|wanted| u32::try_from(vector.values.len()) == Ok(wanted));
    if !fits || !vector.values.iter().all(|value| value.is_finite()) {
        return;
    }
    let grade = match vector.grade {
        Grade::Exact => &mut found.exact,
        Grade::Restored => &mut found.restored,
    };
    *grade = grade.saturating_add(1);
    found.vectors = found.vectors.saturating_add(1);
    found.stale = found.stale.saturating_add(u64::from(stale));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_collection_says_nothing() {
        let mut counts = VectorCounts::default();
        counts.count(false, false);
        assert!(counts.sentences("a").is_empty());
        counts.count(true, false);
        counts.count(false, true);
        let said = counts.sentences("a\nb");
        assert!(said[0].contains("no vector for 1 of 3 records"), "{said:?}");
        assert!(said[1].contains("1 of 3 records may be older"), "{said:?}");
        assert!(said[0].contains(r#""a\nb""#), "{said:?}");
    }

    #[test]
    fn only_usable_vectors_are_counted() {
        let vector = |values: &[f32], grade| Vector {
            values: values.to_vec(),
            grade,
        };
        let mut found = Inventory::default();
        count(&mut found, None, false, Some(2));
        for values in [&[1.0, f32::NAN][..], &[f32::INFINITY, 0.0], &[1.0]] {
            count(
                &mut found,
                Some(&vector(values, Grade::Exact)),
                true,
                Some(2),
            );
        }
        count(
            &mut found,
            Some(&vector(&[1.0, 2.0], Grade::Exact)),
            false,
            Some(2),
        );
        count(
            &mut found,
            Some(&vector(&[1.0, 2.0], Grade::Restored)),
            true,
            None,
        );
        let wanted = Inventory {
            vectors: 2,
            exact: 1,
            restored: 1,
            missing: 1,
            stale: 1,
            ..Inventory::default()
        };
        assert_eq!(found, wanted);
    }
}
