//! A sample of texts with their stored vectors, taken as records pass.
//!
//! Promise: spread over all records, the same at every reading; memory bounded by the sample. May import `record` and
//! `compare`.

use crate::compare::{Spread, usable};
use crate::record::Record;

/// Bytes of a text that are kept: no model looks further.
const LOOKED_AT: usize = 1 << 20;

/// A text with the vector that the store has for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The text.
    pub text: String,
    /// Its stored vector.
    pub vector: Vec<f32>,
}

impl Pair {
    /// What it takes, about.
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of_val(self.vector.as_slice()) + 64
    }
}

/// Takes a sample: asked before and after each record's vector is read.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    spread: Spread,
    dimension: usize,
    wanted: bool,
}

impl Sampling {
    /// At most `sample` of `records`, with vectors of this dimension.
    pub fn new(records: u64, sample: u64, dimension: u32) -> Sampling {
        Sampling {
            spread: Spread::new(records, sample),
            dimension: usize::try_from(dimension).unwrap_or(usize::MAX),
            wanted: false,
        }
    }

    /// Counts a record, which comes without its vector; whether the vector is wanted. `may`: it can be.
    pub fn wants(&mut self, record: &Record, may: bool) -> bool {
        let text = record.document.as_ref();
        self.wanted = self.spread.due() && may && text.is_some_and(|text| !text.is_empty());
        self.wanted
    }

    /// The pair of the record that was wanted, if it makes one.
    pub fn take(&mut self, record: &Record) -> Option<Pair> {
        let wanted = std::mem::take(&mut self.wanted);
        // Of a stale record the vector may be that of an older text.
        if !wanted || record.stale || record.damage.is_some() {
            return None;
        }
        let (text, vector) = (record.document.as_ref()?, record.vector.as_ref()?);
        if vector.values.len() != self.dimension || !usable(&vector.values) {
            return None;
        }
        self.spread.take();
        Some(Pair {
            text: text.get(..text.floor_char_boundary(LOOKED_AT))?.to_owned(),
            vector: vector.values.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Grade, Metadata, Vector};

    fn record(text: Option<&str>, values: Option<&[f32]>) -> Record {
        Record {
            id: "x".to_owned(),
            document: text.map(str::to_owned),
            uri: None,
            metadata: Metadata::default(),
            vector: values.map(|values| Vector {
                values: values.to_vec(),
                grade: Grade::Exact,
            }),
            missing: false,
            created_at: None,
            stale: false,
            sequence: None,
            damage: None,
        }
    }

    fn taken(sampling: &mut Sampling, record: &Record, may: bool) -> bool {
        sampling.wants(record, may);
        sampling.take(record).is_some()
    }

    #[test]
    fn only_whole_pairs_are_taken() {
        let good = record(Some("text"), Some(&[1.0, 0.0]));
        let mut sampling = Sampling::new(100, 100, 2);
        assert!(taken(&mut sampling, &good, true));
        assert!(!taken(&mut sampling, &good, false));
        let stale = Record {
            stale: true,
            ..good.clone()
        };
        let damaged = Record {
            damage: Some("gone".to_owned()),
            ..good.clone()
        };
        let others = [
            stale,
            damaged,
            record(None, Some(&[1.0, 0.0])),
            record(Some(""), Some(&[1.0, 0.0])),
            record(Some("text"), None),
            record(Some("text"), Some(&[1.0])),
            record(Some("text"), Some(&[0.0, 0.0])),
            record(Some("text"), Some(&[f32::NAN, 1.0])),
        ];
        for other in &others {
            assert!(!taken(&mut sampling, other, true), "{other:?}");
        }
        // Given without having been asked for, as a damaged record is.
        assert!(sampling.take(&good).is_none());
    }

    #[test]
    fn the_next_record_that_can_takes_the_place_of_one_that_cannot() {
        let good = record(Some("text"), Some(&[1.0]));
        let mut sampling = Sampling::new(8, 2, 1);
        let took: Vec<bool> = [false, true, true, true, false, true, true, true]
            .map(|may| taken(&mut sampling, &good, may))
            .into();
        assert_eq!(took, [false, true, false, false, false, true, false, false]);
    }

    #[test]
    fn of_a_long_text_the_beginning_is_kept() {
        let long = record(Some(&"ä".repeat(LOOKED_AT)), Some(&[1.0]));
        let mut sampling = Sampling::new(1, 1, 1);
        assert!(sampling.wants(&long, true));
        let pair = sampling.take(&long).expect("a pair");
        assert_eq!(pair.text.len(), LOOKED_AT);
        assert!(pair.bytes() > LOOKED_AT);
    }
}
