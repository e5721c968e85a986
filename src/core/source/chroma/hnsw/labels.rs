//! Which slot has which label.
//!
//! Stage: source. Promise: a label that occurs more than once has no slot; memory is bounded by the number of elements.
//! Imports nothing.

/// In the dense form: no element has the label.
const NOBODY: u32 = u32::MAX;
/// In the dense form: several have.
const SEVERAL: u32 = u32::MAX - 1;

/// Slots by label. Chroma counts labels up, so that nearly always they are about as many as the largest one.
#[derive(Debug)]
pub(crate) enum Labels {
    /// The slot of each label from 0 on.
    Dense(Vec<u32>),
    /// Ascending by label.
    Sparse(Vec<(u64, u32)>),
}

impl Labels {
    /// The labels of these elements, and how many elements have one that others have too.
    pub fn new(mut elements: Vec<(u64, u32)>) -> (Labels, u64) {
        let most = elements.iter().map(|(label, _)| *label).max().unwrap_or(0);
        let room = elements.len().saturating_mul(2).saturating_add(1024);
        if let Ok(most) = usize::try_from(most)
            && most < room
        {
            return Labels::dense(&elements, most);
        }
        elements.sort_unstable();
        let before = elements.len();
        let alone = elements.chunk_by(|left, right| left.0 == right.0);
        let alone: Vec<(u64, u32)> = alone
            .filter_map(|same| match same {
                [one] => Some(*one),
                _ => None,
            })
            .collect();
        let doubled = before.saturating_sub(alone.len());
        let doubled = u64::try_from(doubled).unwrap_or(u64::MAX);
        (Labels::Sparse(alone), doubled)
    }

    fn dense(elements: &[(u64, u32)], most: usize) -> (Labels, u64) {
        let mut slots = vec![NOBODY; most.saturating_add(1)];
        let mut doubled = 0_u64;
        for (label, slot) in elements {
            let at = usize::try_from(*label).unwrap_or(usize::MAX);
            let Some(there) = slots.get_mut(at) else {
                continue;
            };
            let more = match *there {
                NOBODY => 0,
                SEVERAL => 1,
                _ => 2,
            };
            doubled = doubled.saturating_add(more);
            *there = if more == 0 { *slot } else { SEVERAL };
        }
        (Labels::Dense(slots), doubled)
    }

    /// The slot of `label`.
    pub fn slot(&self, label: u64) -> Option<u32> {
        match self {
            Labels::Dense(slots) => {
                let slot = slots.get(usize::try_from(label).ok()?)?;
                (*slot < SEVERAL).then_some(*slot)
            }
            Labels::Sparse(pairs) => {
                let at = pairs.binary_search_by_key(&label, |(there, _)| *there);
                pairs.get(at.ok()?).map(|(_, slot)| *slot)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        for far in [0, 1 << 40] {
            let elements = vec![(9 + far, 0), (4, 2), (5, 3), (5, 4), (7, 5), (7, 6), (7, 7)];
            let (labels, doubled) = Labels::new(elements);
            assert_eq!(matches!(labels, Labels::Dense(_)), far == 0);
            assert_eq!(doubled, 5);
            assert_eq!(labels.slot(9 + far), Some(0));
            assert_eq!(labels.slot(4), Some(2));
            for other in [0, 5, 7, 8, 10 + far, u64::MAX] {
                assert_eq!(labels.slot(other), None, "{other}");
            }
        }
        assert_eq!(Labels::new(Vec::new()).0.slot(0), None);
    }
}
