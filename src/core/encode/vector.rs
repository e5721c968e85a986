//! Embeddings as pgvector's `vector` and `halfvec`: in their binary form, and as the server keeps them.
//!
//! | bytes | field |
//! | --- | --- |
//! | 2 | dimensions |
//! | 2 | unused, 0 |
//! | 4 (`vector`) or 2 (`halfvec`) each | components, IEEE 754 |
//!
//! Big-endian in the binary form, in the machine's byte order in a table. Source: `vector_recv`, `halfvec_recv`, and the
//! structures `Vector` and `HalfVector` in pgvector.

use half::f16;

use super::tuple::Form;
use crate::reason::{Reason, Rejection};

/// The embedding column's type with its dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorType {
    /// `halfvec` instead of `vector`.
    pub half: bool,
    /// Dimensions that the column demands; `None` for a column without a type modifier.
    pub dimension: Option<u32>,
}

impl VectorType {
    fn component_bytes(self) -> usize {
        if self.half { 2 } else { 4 }
    }

    /// Bytes of the binary form of a vector of so many components.
    pub fn bytes(self, components: usize) -> usize {
        4 + components * self.component_bytes()
    }
}

/// The most dimensions that pgvector stores.
const MOST_DIMENSIONS: usize = 16_000;

/// Checks `values` against the column.
///
/// # Errors
/// [`Reason::DimensionMismatch`], [`Reason::BadVector`].
pub fn check_vector(values: &[f32], ty: VectorType) -> Result<(), Rejection> {
    let has = values.len();
    if let Some(wanted) = ty.dimension
        && usize::try_from(wanted).ok() != Some(has)
    {
        return Err(Rejection::new(
            Reason::DimensionMismatch,
            format!("the vector has {has} dimensions, the column {wanted}"),
        ));
    }
    let bad = |what: String| Err(Rejection::new(Reason::BadVector, what));
    if !(1..=MOST_DIMENSIONS).contains(&has) {
        return bad(format!(
            "a vector of {has} dimensions cannot be stored (1 to {MOST_DIMENSIONS} can)"
        ));
    }
    // One pass without a branch for each component first: nearly every vector is good.
    let finite = values
        .iter()
        .fold(true, |all, value| all & value.is_finite());
    let fits = finite && (!ty.half || values.iter().all(|value| f16::from_f32(*value).is_finite()));
    if fits {
        return Ok(());
    }
    for (at, value) in values.iter().enumerate() {
        if !value.is_finite() {
            return bad(format!("component {} of the vector is {value}", at + 1));
        }
        if ty.half && !f16::from_f32(*value).is_finite() {
            return bad(format!(
                "component {} of the vector, {value}, is out of halfvec's range",
                at + 1
            ));
        }
    }
    Ok(())
}

/// Appends `values` in this form, without what stands before the field, to `out`.
///
/// # Errors
/// As [`check_vector`]; then nothing is appended.
pub fn append_vector(
    values: &[f32],
    ty: VectorType,
    form: Form,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    check_vector(values, ty)?;
    let count = u16::try_from(values.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&match form {
        Form::Copy => count.to_be_bytes(),
        Form::Heap => count.to_ne_bytes(),
    });
    out.extend_from_slice(&[0, 0]);
    let start = out.len();
    out.resize(start + values.len() * ty.component_bytes(), 0);
    let body = out.get_mut(start..).unwrap_or_default();
    match (ty.half, form) {
        (true, Form::Copy) => write(body, values, |value| {
            f16::from_f32(value).to_bits().to_be_bytes()
        }),
        (true, Form::Heap) => write(body, values, |value| {
            f16::from_f32(value).to_bits().to_ne_bytes()
        }),
        (false, Form::Copy) => write(body, values, |value| value.to_bits().to_be_bytes()),
        (false, Form::Heap) => write(body, values, |value| value.to_bits().to_ne_bytes()),
    }
    Ok(())
}

/// The binary form of `values`.
///
/// # Errors
/// As [`check_vector`].
pub fn encode_vector(values: &[f32], ty: VectorType) -> Result<Vec<u8>, Rejection> {
    let mut out = Vec::with_capacity(ty.bytes(values.len()));
    append_vector(values, ty, Form::Copy, &mut out).map(|()| out)
}

fn write<const N: usize>(body: &mut [u8], values: &[f32], bytes: impl Fn(f32) -> [u8; N]) {
    let words = body.as_chunks_mut::<N>().0;
    for (word, value) in words.iter_mut().zip(values) {
        *word = bytes(*value);
    }
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
