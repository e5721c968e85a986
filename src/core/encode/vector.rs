//! Embeddings as pgvector's `vector` and `halfvec`, as the server keeps them.
//!
//! | bytes | field |
//! | --- | --- |
//! | 2 | dimensions |
//! | 2 | unused, 0 |
//! | 4 (`vector`) or 2 (`halfvec`) each | components, IEEE 754 |
//!
//! All in the machine's byte order, behind the header of a value of variable length. Source: the structures `Vector` and
//! `HalfVector` in pgvector.

use half::f16;

use super::varlena;
use crate::reason::{Reason, Rejection};

/// The embedding column's type with its dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorType {
    /// `halfvec` instead of `vector`.
    pub half: bool,
    /// Dimensions that the column demands; `None` for a column without a type modifier.
    pub dimension: Option<u32>,
    /// Vectors of fewer dimensions are taken, with zeros behind them.
    pub padded: bool,
}

impl VectorType {
    /// Components that a vector of so many has in the column.
    pub fn components(self, has: usize) -> usize {
        match self.dimension.and_then(|it| usize::try_from(it).ok()) {
            Some(wanted) if self.padded => wanted.max(has),
            _ => has,
        }
    }

    fn component_bytes(self) -> usize {
        if self.half { 2 } else { 4 }
    }

    /// Bytes of a vector of so many components, without its header.
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
        && usize::try_from(wanted).ok() != Some(ty.components(has))
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

/// Appends `values`, without their header, to `out`.
///
/// # Errors
/// As [`check_vector`]; then nothing is appended.
pub(super) fn append_vector(
    values: &[f32],
    ty: VectorType,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    check_vector(values, ty)?;
    let components = ty.components(values.len());
    let count = u16::try_from(components).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_ne_bytes());
    out.extend_from_slice(&[0, 0]);
    let start = out.len();
    out.resize(start + components * ty.component_bytes(), 0);
    let body = out.get_mut(start..).unwrap_or_default();
    if ty.half {
        write(body, values, |value| {
            f16::from_f32(value).to_bits().to_ne_bytes()
        });
    } else {
        write(body, values, |value| value.to_bits().to_ne_bytes());
    }
    Ok(())
}

/// A `vector` or `halfvec` value, its header included.
///
/// # Errors
/// As [`check_vector`].
pub fn vector_image(values: &[f32], ty: VectorType) -> Result<Vec<u8>, Rejection> {
    check_vector(values, ty)?;
    let total = 4 + ty.bytes(ty.components(values.len()));
    let header = varlena::header(total).unwrap_or_default();
    let mut image = Vec::with_capacity(total);
    image.extend_from_slice(&header);
    append_vector(values, ty, &mut image).map(|()| image)
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
        padded: false,
    };

    #[test]
    fn a_vector_keeps_every_bit() {
        let values = [1.5f32, -0.0, f32::from_bits(1)];
        let bytes = vector_image(&values, VECTOR3).unwrap();
        assert_eq!(varlena::total(*bytes.first_chunk().unwrap()), bytes.len());
        assert_eq!(bytes[4..8], [3u16.to_ne_bytes(), [0, 0]].concat());
        let back: Vec<u32> = bytes[8..]
            .chunks(4)
            .map(|c| u32::from_ne_bytes(c.try_into().unwrap()))
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
            assert_eq!(vector_image(&values, VECTOR3).unwrap_err().reason, reason);
        }
        let any = VectorType {
            half: false,
            dimension: None,
            padded: false,
        };
        assert_eq!(
            vector_image(&[], any).unwrap_err().reason,
            Reason::BadVector
        );
    }

    #[test]
    fn halfvec_refuses_what_it_cannot_hold() {
        let half = VectorType {
            half: true,
            dimension: Some(1),
            padded: false,
        };
        let words = [1u16, 0, 0x3c00].map(u16::to_ne_bytes).concat();
        assert_eq!(vector_image(&[1.0], half).unwrap()[4..], words);
        assert_eq!(
            vector_image(&[70_000.0], half).unwrap_err().reason,
            Reason::BadVector
        );
    }

    #[test]
    fn zeros_are_behind_a_padded_vector_and_a_longer_one_is_refused() {
        let padded = VectorType {
            padded: true,
            ..VECTOR3
        };
        let bytes = vector_image(&[1.5], padded).unwrap();
        assert_eq!(bytes, vector_image(&[1.5, 0.0, 0.0], VECTOR3).unwrap());
        assert_eq!(
            vector_image(&[1.5; 3], padded),
            vector_image(&[1.5; 3], VECTOR3)
        );
        let mut field = Vec::new();
        super::super::vector_field(&[1.5], padded, &mut field).unwrap();
        assert_eq!(field, bytes);
        assert_eq!(
            vector_image(&[1.0; 4], padded).unwrap_err().reason,
            Reason::DimensionMismatch
        );
    }
}
