//! Vectors as Chroma writes them, in files and in BLOBs.
//!
//! Stage: source. Imports nothing of this crate.

/// Little-endian f32 values; `None` if the bytes are not a whole number of them.
pub(crate) fn floats(bytes: &[u8]) -> Option<Vec<f32>> {
    let (words, rest) = bytes.as_chunks::<4>();
    rest.is_empty()
        .then(|| words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}
