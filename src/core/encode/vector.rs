//! Embeddings in the binary form of pgvector's `vector` and `halfvec`.
//!
//! | bytes | field |
//! | --- | --- |
//! | 2 | dimensions, big-endian |
//! | 2 | unused, 0 |
//! | 4 (`vector`) or 2 (`halfvec`) each | components, IEEE 754, big-endian |
//!
//! Source: `vector_recv` and `halfvec_recv` in pgvector.

use half::f16;

use crate::reason::{Reason, Rejection};

/// The embedding column's type with its dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorType {
    /// `halfvec` instead of `vector`.
    pub half: bool,
    /// Dimensions that the column demands; `None` for a column without a type modifier.
    pub dimension: Option<u32>,
}

/// Checks `values` against the column and gives its binary form, without the field's length word.
///
/// # Errors
/// [`Reason::DimensionMismatch`], [`Reason::BadVector`].
pub fn encode_vector(values: &[f32], ty: VectorType) -> Result<Vec<u8>, Rejection> {
    if let Some(wanted) = ty.dimension
        && usize::try_from(wanted).ok() != Some(values.len())
    {
        return Err(Rejection::new(
            Reason::DimensionMismatch,
            format!(
                "the vector has {} dimensions, the column {wanted}",
                values.len()
            ),
        ));
    }
    let limit = 16_000;
    let count = match u16::try_from(values.len()) {
        Ok(count) if (1..=limit).contains(&count) => count,
        _ => {
            return Err(Rejection::new(
                Reason::BadVector,
                format!(
                    "a vector of {} dimensions cannot be stored (1 to {limit} can)",
                    values.len()
                ),
            ));
        }
    };
    let mut out = Vec::with_capacity(4 + values.len() * if ty.half { 2 } else { 4 });
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    for (at, &value) in values.iter().enumerate() {
        if !value.is_finite() {
            return Err(Rejection::new(
                Reason::BadVector,
                format!("component {} of the vector is {value}", at + 1),
            ));
        }
        if ty.half {
            let half = f16::from_f32(value);
            if !half.is_finite() {
                return Err(Rejection::new(
                    Reason::BadVector,
                    format!(
                        "component {} of the vector, {value}, is out of halfvec's range",
                        at + 1
                    ),
                ));
            }
            out.extend_from_slice(&half.to_bits().to_be_bytes());
        } else {
            out.extend_from_slice(&value.to_bits().to_be_bytes());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTOR3: VectorType = VectorType {
        half: false,
        dimension: Some(3),
    };

    #[test]
    fn a_vector_keeps_every_bit() {
        let values = [1.5f32, -0.0, f32::from_bits(1)];
        let bytes = encode_vector(&values, VECTOR3).unwrap();
        assert_eq!(bytes[..4], [0, 3, 0, 0]);
        let back: Vec<u32> = bytes[4..]
            .chunks(4)
            .map(|c| u32::from_be_bytes(c.try_into().unwrap()))
            .collect();
        assert_eq!(back, values.map(f32::to_bits));
    }

    #[test]
    fn nan_infinity_and_another_dimension_are_rejected() {
        for (values, reason) in [
            (vec![f32::NAN, 0.0, 0.0], Reason::BadVector),
            (vec![0.0, f32::INFINITY, 0.0], Reason::BadVector),
            (vec![0.0, 0.0], Reason::DimensionMismatch),
        ] {
            assert_eq!(encode_vector(&values, VECTOR3).unwrap_err().reason, reason);
        }
        let any = VectorType {
            half: false,
            dimension: None,
        };
        assert_eq!(
            encode_vector(&[], any).unwrap_err().reason,
            Reason::BadVector
        );
    }

    #[test]
    fn halfvec_refuses_what_it_cannot_hold() {
        let half = VectorType {
            half: true,
            dimension: Some(1),
        };
        assert_eq!(encode_vector(&[1.0], half).unwrap(), [0, 1, 0, 0, 0x3c, 0]);
        assert_eq!(
            encode_vector(&[70_000.0], half).unwrap_err().reason,
            Reason::BadVector
        );
    }
}
