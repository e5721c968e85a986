//! The rounding that Chroma does to vectors of cosine spaces.
//!
//! Stage: source. Promise: the arithmetic of Chroma's index, in f32 and in its order. Imports nothing.

/// Units in the last place that the rounding may move a component.
const ROUNDING: u32 = 4;

/// Whether the length is 1, or 0 as of a zero vector.
pub(crate) fn normalised(values: &[f32]) -> bool {
    let square: f64 = values
        .iter()
        .map(|value| f64::from(*value) * f64::from(*value))
        .sum();
    square == 0.0 || (square.sqrt() - 1.0).abs() < 1e-4
}

/// What Chroma returns for `values` in a cosine space: normalised and multiplied by the length, all in f32.
pub(crate) fn rounded(values: &[f32]) -> Vec<f32> {
    let square: f32 = values.iter().fold(0.0, |sum, value| sum + value * value);
    let length = square.sqrt();
    let factor = 1.0 / (length + 1e-30);
    values.iter().map(|value| value * factor * length).collect()
}

/// Whether two vectors are the same but for rounding.
pub(crate) fn same(left: &[f32], right: &[f32]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| near(*left, *right))
}

fn near(left: f32, right: f32) -> bool {
    if left.is_nan() || right.is_nan() {
        return left.is_nan() && right.is_nan();
    }
    ordered(left).abs_diff(ordered(right)) <= ROUNDING
}

/// Floats as integers in the same order, one apart where the floats are neighbours.
fn ordered(value: f32) -> i32 {
    let bits = value.to_bits().cast_signed();
    if bits < 0 {
        i32::MIN.wrapping_sub(bits)
    } else {
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_floats_are_near() {
        assert!(near(1.0, 1.0 + f32::EPSILON * 2.0));
        assert!(!near(1.0, 1.0 + f32::EPSILON * 8.0));
        assert!(near(0.0, -0.0));
        assert!(near(f32::from_bits(1), -f32::from_bits(1)));
        assert!(near(f32::NAN, f32::NAN));
        assert!(!near(f32::NAN, 1.0));
        assert!(!near(1.0, -1.0));
        assert!(near(f32::INFINITY, f32::INFINITY));
    }

    #[test]
    fn chromas_rounding_stays_within_four_units() {
        let mut state = 1_u32;
        for _ in 0..2000 {
            let values: Vec<f32> = (0..32)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) as f32 / 1e6 - 8.0
                })
                .collect();
            assert!(same(&values, &rounded(&values)));
        }
    }
}
