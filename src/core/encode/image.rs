//! Single values as the server keeps them, their header included: results of functions that need not be made from
//! text.
//!
//! Promise: nobody else makes an image, so that its bytes can be given to the server as they are. Imports nothing but
//! this folder. Source for arrays: `array.h` in PostgreSQL, `ArrayType`.

use super::{jsonb, varlena};

/// OID of the type `real` (`pg_type.dat` in PostgreSQL).
const REAL: u32 = 700;

/// A `jsonb` value.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonbImage(Vec<u8>);

impl JsonbImage {
    /// The value of `text`, an array or object in valid JSON; `None` if `jsonb` cannot hold it.
    pub fn of(text: &str) -> Option<JsonbImage> {
        let mut image = Vec::with_capacity(2 * text.len() + 64);
        image.extend_from_slice(&[0; 4]);
        jsonb::append(text, &mut image)?;
        with_header(image).map(JsonbImage)
    }

    /// Its bytes, header included.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A `real[]` value.
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
#[derive(Debug, PartialEq, Eq)]
pub struct RealsImage(Vec<u8>);

impl RealsImage {
    /// The value of `values`; `None` beyond 1 GB.
    pub fn of(values: &[f32]) -> Option<RealsImage> {
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
        with_header(image).map(RealsImage)
    }

    /// Its bytes, header included.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
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
        let image = RealsImage::of(&values).unwrap().0;
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
        assert_eq!(RealsImage::of(&[]).unwrap().bytes().len(), 16);
    }

    #[test]
    fn what_is_no_object_has_no_image() {
        let image = JsonbImage::of(r#"{"a": [1, "b"]}"#).unwrap().0;
        assert_eq!(varlena::total(*image.first_chunk().unwrap()), image.len());
        assert_eq!(JsonbImage::of("{"), None);
    }
}
