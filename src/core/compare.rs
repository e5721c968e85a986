//! Whether stored vectors are those of a model: cosines between the two, and what they say.
//!
//! Promise: all arithmetic in f64. Imports nothing of this crate.

use std::fmt;

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The vectors are the model's: median at least 0.999, minimum at least 0.99.
    Same,
    /// Median at least 0.9: the same model in lower precision, or with another prefix or cut of long texts.
    Similar,
    /// Another model made them, or the same one in another way.
    Different,
    /// There was nothing to compare.
    NotComparable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Same => "same model",
            Verdict::Similar => "similar",
            Verdict::Different => "different",
            Verdict::NotComparable => "not comparable",
        })
    }
}

/// Cosines of a sample, summed up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Pairs that have a cosine.
    pub sampled: usize,
    /// The least cosine; `None` without pairs.
    pub min: Option<f64>,
    /// The median, of an even number the mean of the middle two; `None` without pairs.
    pub median: Option<f64>,
    /// What they say.
    pub verdict: Verdict,
}

impl Comparison {
    /// Sums up `cosines`.
    pub fn of(mut cosines: Vec<f64>) -> Comparison {
        cosines.sort_by(f64::total_cmp);
        let at = |place: usize| cosines.get(place).copied();
        let sampled = cosines.len();
        let min = at(0);
        let median = at(sampled / 2).zip(at(sampled.saturating_sub(1) / 2));
        let median = median.map(|(upper, lower)| (upper + lower) / 2.0);
        let verdict = match (min, median) {
            (Some(min), Some(median)) if median >= 0.999 && min >= 0.99 => Verdict::Same,
            (_, Some(median)) if median >= 0.9 => Verdict::Similar,
            (_, Some(_)) => Verdict::Different,
            (_, None) => Verdict::NotComparable,
        };
        Comparison {
            sampled,
            min,
            median,
            verdict,
        }
    }
}

/// The cosine of two vectors; `None` if one is zero or not finite, or their lengths differ.
pub fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        dot += a * b;
        aa += a * a;
        bb += b * b;
    }
    let cosine = dot / (aa.sqrt() * bb.sqrt());
    cosine.is_finite().then(|| cosine.clamp(-1.0, 1.0))
}

/// Whether a vector has a direction: finite, and not zero.
pub fn usable(vector: &[f32]) -> bool {
    vector.iter().all(|value| value.is_finite()) && vector.iter().any(|value| *value != 0.0)
}

/// Which of a known number of records to take, so that the sample is spread over all of them. Where a record that
/// is due cannot be used, the next one that can takes its place.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    records: u64,
    sample: u64,
    seen: u64,
    taken: u64,
}

impl Spread {
    /// At most `sample` of `records`.
    pub fn new(records: u64, sample: u64) -> Spread {
        Spread {
            records: records.max(1),
            sample,
            seen: 0,
            taken: 0,
        }
    }

    /// Counts a record; whether one is due.
    pub fn due(&mut self) -> bool {
        let before = u128::from(self.seen) * u128::from(self.sample);
        self.seen = self.seen.saturating_add(1);
        self.taken < self.sample && before / u128::from(self.records) >= u128::from(self.taken)
    }

    /// The record was taken.
    pub fn take(&mut self) {
        self.taken = self.taken.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_follow_median_and_minimum() {
        let verdict = |cosines: &[f64]| Comparison::of(cosines.to_vec()).verdict;
        assert_eq!(verdict(&[0.99, 0.999, 1.0]), Verdict::Same);
        assert_eq!(verdict(&[0.98, 0.999, 1.0]), Verdict::Similar);
        assert_eq!(verdict(&[0.1, 0.9, 0.9]), Verdict::Similar);
        assert_eq!(verdict(&[1.0, 0.2, 0.89]), Verdict::Different);
        assert_eq!(verdict(&[]), Verdict::NotComparable);
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_two() {
        let found = Comparison::of(vec![1.0, 0.0, 0.5, 0.25]);
        assert_eq!((found.min, found.median), (Some(0.0), Some(0.375)));
    }

    #[test]
    fn vectors_without_a_direction_have_no_cosine() {
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), None);
        assert_eq!(cosine(&[f32::NAN, 0.0], &[1.0, 0.0]), None);
        assert_eq!(cosine(&[f32::INFINITY, 0.0], &[1.0, 0.0]), None);
        assert_eq!(cosine(&[1.0], &[1.0, 0.0]), None);
        assert_eq!(cosine(&[f32::MAX, 0.0], &[1e-38, 0.0]), Some(1.0));
        assert!(!usable(&[0.0]) && !usable(&[f32::NAN]) && usable(&[0.0, 1.0]));
    }

    #[test]
    fn a_sample_is_spread_and_full() {
        let taken = |records: u64, sample| {
            let mut spread = Spread::new(records, sample);
            let due = (0..records).filter(|_| {
                let due = spread.due();
                if due {
                    spread.take();
                }
                due
            });
            due.collect::<Vec<_>>()
        };
        assert_eq!(taken(8, 4), [0, 2, 4, 6]);
        assert_eq!(taken(3, 64), [0, 1, 2]);
        assert_eq!(taken(10, 3), [0, 4, 7]);
    }
}
