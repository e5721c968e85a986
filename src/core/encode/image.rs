//! Single values as the server keeps them, their header included: results of functions that need not be made from
//! text.
//!
//! Source for arrays: `array.h` in PostgreSQL, `ArrayType`.

use super::{jsonb, varlena};

/// OID of the type `real` (`pg_type.dat` in PostgreSQL).
const REAL: u32 = 700;

/// The `jsonb` value of `text`, an array or object in valid JSON; `None` if `jsonb` cannot hold it.
pub fn jsonb_image(text: &str) -> Option<Vec<u8>> {
    let mut image = Vec::with_capacity(2 * text.len() + 64);
    image.extend_from_slice(&[0; 4]);
    jsonb::append(text, &mut image)?;
    with_header(image)
}

/// The `real[]` value of `values`; `None` beyond 1 GB.
///
/// | bytes | field |
/// | --- | --- |
/// | 4 | header |
/// | 4 | dimensions: 1, or 0 of an empty array, which ends after the type |
/// | 4 | 0, as no element is NULL |
/// | 4 | the elements' type |
/// | 4 | number of elements |
/// | 4 | number of the first one, 1 |
/// | 4 each | elements |
///
/// All words are in the machine's byte order.
pub fn reals_image(values: &[f32]) -> Option<Vec<u8>> {
    let count = i32::try_from(values.len()).ok()?;
    let mut image = Vec::with_capacity(24 + 4 * values.len());
    image.extend_from_slice(&[0; 4]);
    image.extend_from_slice(&i32::from(count > 0).to_ne_bytes());
    image.extend_from_slice(&[0; 4]);
    image.extend_from_slice(&REAL.to_ne_bytes());
    if count > 0 {
        image.extend_from_slice(&count.to_ne_bytes());
        image.extend_from_slice(&1_i32.to_ne_bytes());
        image.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    }
    with_header(image)
}

/// Writes the header into the first four bytes.
fn with_header(mut image: Vec<u8>) -> Option<Vec<u8>> {
    let header = varlena::header(image.len())?;
    *image.first_chunk_mut()? = header;
    Some(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_have_their_length_and_every_bit() {
        let values = [1.5_f32, -0.0, f32::NAN];
        let image = reals_image(&values).unwrap();
        assert_eq!(varlena::total(*image.first_chunk().unwrap()), image.len());
        let words: Vec<u32> = image[4..]
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_ne_bytes(*word))
            .collect();
        let bits = values.map(f32::to_bits);
        assert_eq!(words, [1, 0, 700, 3, 1, bits[0], bits[1], bits[2]]);
        // Without dimensions there is no length either.
        assert_eq!(reals_image(&[]).unwrap().len(), 16);
    }

    #[test]
    fn what_is_no_object_has_no_image() {
        let image = jsonb_image(r#"{"a": [1, "b"]}"#).unwrap();
        assert_eq!(varlena::total(*image.first_chunk().unwrap()), image.len());
        assert_eq!(jsonb_image("{"), None);
    }
}
