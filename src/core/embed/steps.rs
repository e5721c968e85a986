//! Which texts go through the model together.
//!
//! Promise: a step's padded tokens stay within the budget, except where one text alone exceeds it; every text
//! is in one step. Imports nothing.

/// The texts of a window, by their number of tokens, as steps: each the indexes of texts of about the same
/// length, the longest first. Together they are padded to the longest, so a step takes its length times
/// its number.
pub(super) fn plan(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    let length = |index: &usize| lengths.get(*index).copied().unwrap_or_default();
    // The longest first: the runtime then reuses the memory of the first step for all others.
    order.sort_by_key(|index| std::cmp::Reverse(length(index)));
    let mut steps = Vec::new();
    let mut rest = order.as_slice();
    while let Some(longest) = rest.first() {
        let count = (budget / length(longest).max(1)).clamp(1, rest.len());
        let (step, later) = rest.split_at(count);
        steps.push(step.to_vec());
        rest = later;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_tokens_stay_within_the_budget() {
        let lengths: Vec<usize> = (0..500).map(|n| 3 + (n * 37) % 254).collect();
        let steps = plan(&lengths, 2048);
        let mut seen: Vec<usize> = steps.iter().flatten().copied().collect();
        for step in &steps {
            let longest = step.iter().map(|index| lengths[*index]).max().unwrap();
            assert!(longest * step.len() <= 2048, "{longest} x {}", step.len());
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn texts_of_like_length_are_together() {
        assert_eq!(plan(&[5, 100, 5, 100], 200), [vec![1, 3], vec![0, 2]]);
    }

    #[test]
    fn a_text_over_the_budget_is_a_step_of_its_own() {
        assert_eq!(plan(&[300, 300, 10], 256), [vec![0], vec![1], vec![2]]);
        assert_eq!(plan(&[0], 0), [vec![0]]);
        assert!(plan(&[], 256).is_empty());
    }
}
