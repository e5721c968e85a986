//! Distances as Chroma computes them: in float32, as its index (hnswlib) does.
//!
//! Promise: within 1e-5 of what `collection.query` answers, relatively; the order of additions differs from one processor to
//! another in Chroma, too. Imports `record` for the space.

use crate::record::Space;

/// Sums that are kept apart, so that the compiler can add several components at once, and long vectors lose few digits.
const LANES: usize = 16;

/// What Chroma adds to a length before it divides by it: a vector of zeros stays one, and has distance 1 from every other.
const TINY: f32 = 1e-30;

/// The distance of two vectors of the same dimensions: `l2` squared, `cosine` 1 - cosine, `ip` 1 - dot product.
pub fn chroma_distance(space: Space, left: &[f32], right: &[f32]) -> f32 {
    match space {
        Space::L2 => summed(left, right, |a, b| (a - b) * (a - b)),
        Space::Ip => 1.0 - summed(left, right, |a, b| a * b),
        Space::Cosine => {
            let (left_scale, right_scale) = (scale(left), scale(right));
            1.0 - summed(left, right, |a, b| (a * left_scale) * (b * right_scale))
        }
    }
}

fn scale(vector: &[f32]) -> f32 {
    1.0 / (summed(vector, vector, |a, b| a * b).sqrt() + TINY)
}

#[inline(always)]
fn summed(left: &[f32], right: &[f32], each: impl Fn(f32, f32) -> f32) -> f32 {
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (left, right) in left.iter().zip(right) {
        for ((sum, a), b) in sums.iter_mut().zip(left).zip(right) {
            *sum += each(*a, *b);
        }
    }
    let rest = left_rest.iter().zip(right_rest).map(|(a, b)| each(*a, *b));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both vectors, the distance, and what chromadb 1.5.9 answered.
    fn assert_answers(space: Space, left: &[f32], right: &[f32], chroma: f32) {
        let found = chroma_distance(space, left, right);
        assert!(
            (found - chroma).abs() <= 1e-5 * chroma.abs().max(0.1),
            "{space}: {found} {chroma}"
        );
    }

    #[test]
    fn distances_are_chromas() {
        let (a, b) = ([3.0, 4.0, 0.0], [0.0, 2.0, 1.0]);
        assert_answers(Space::L2, &a, &b, 14.0);
        assert_answers(Space::Ip, &a, &b, -7.0);
        assert_answers(Space::Cosine, &a, &b, 0.284_458_22);
    }

    #[test]
    fn a_vector_of_zeros_is_at_distance_one_of_every_other() {
        let (a, zeros) = ([3.0, 4.0], [0.0, 0.0]);
        assert_answers(Space::Cosine, &a, &zeros, 1.0);
        assert_answers(Space::Cosine, &zeros, &zeros, 1.0);
        assert_answers(Space::Ip, &zeros, &a, 1.0);
        assert_answers(Space::L2, &zeros, &a, 25.0);
    }

    #[test]
    fn components_beyond_the_lanes_count_too() {
        let one: Vec<f32> = vec![1.0; 35];
        let other: Vec<f32> = vec![3.0; 35];
        assert_answers(Space::L2, &one, &other, 140.0);
        assert_answers(Space::Ip, &one, &other, -104.0);
        assert_answers(Space::Cosine, &one, &other, 0.0);
    }
}
